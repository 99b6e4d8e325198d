"""Plots: they read what `tl` has written, compute no fit and change nothing."""

from __future__ import annotations

from ._ancestry import ancestry
from ._fate import fate
from ._growth import growth
from ._history import history
from ._landscape import landscape
from ._population import population
from ._trajectories import trajectories
from ._validation import validation
from ._velocity import velocity

__all__ = [
    "ancestry",
    "fate",
    "growth",
    "history",
    "landscape",
    "population",
    "trajectories",
    "validation",
    "velocity",
]
