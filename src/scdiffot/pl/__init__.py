"""Plots: they read what `tl` has written, compute no fit and change nothing."""

from __future__ import annotations

from ._ancestry import ancestry
from ._fate import fate
from ._growth import growth
from ._growth_genes import growth_genes
from ._history import history
from ._landscape import landscape
from ._perturb import perturb
from ._perturb_screen import perturb_screen
from ._population import population
from ._regulation import regulation
from ._response import response
from ._response_evaluation import response_evaluation
from ._slices import slices
from ._trajectories import trajectories
from ._trajectory_genes import trajectory_genes
from ._validation import validation
from ._velocity import velocity

__all__ = [
    "ancestry",
    "fate",
    "growth",
    "growth_genes",
    "history",
    "landscape",
    "perturb",
    "perturb_screen",
    "population",
    "regulation",
    "response",
    "response_evaluation",
    "slices",
    "trajectories",
    "trajectory_genes",
    "validation",
    "velocity",
]
