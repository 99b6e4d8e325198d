"""Distances between weighted clouds of points: arrays in, numbers out."""

from __future__ import annotations

from scdiffot.core.distances import mass_error, mmd, noise_floor, wasserstein

__all__ = ["mass_error", "mmd", "noise_floor", "wasserstein"]
