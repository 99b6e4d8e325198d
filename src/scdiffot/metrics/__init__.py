"""Distances between weighted clouds of points, and scores of fates: arrays in, numbers out."""

from __future__ import annotations

from scdiffot.core.distances import mass_error, mmd, noise_floor, wasserstein

from ._clonal_fate import clonal_fate

__all__ = ["clonal_fate", "mass_error", "mmd", "noise_floor", "wasserstein"]
