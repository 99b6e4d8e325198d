"""Plots: they read what `tl` has written, compute no fit and change nothing."""

from __future__ import annotations

from ._growth import growth
from ._history import history
from ._population import population
from ._trajectories import trajectories
from ._validation import validation
from ._velocity import velocity

__all__ = ["growth", "history", "population", "trajectories", "validation", "velocity"]
