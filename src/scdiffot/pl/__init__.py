"""Plots of the results stored by `tl`; they do not change the data."""

from __future__ import annotations

from ._genes.growth_genes import growth_genes
from ._genes.perturb import perturb
from ._genes.perturb_screen import perturb_screen
from ._genes.regulation import regulation
from ._lineage.ancestry import ancestry
from ._lineage.fate import fate
from ._lineage.trajectories import trajectories
from ._lineage.trajectory_genes import trajectory_genes
from ._response.response import response
from ._response.response_evaluation import response_evaluation
from ._spatial.slices import slices
from ._time_course.growth import growth
from ._time_course.history import history
from ._time_course.landscape import landscape
from ._time_course.population import population
from ._time_course.validation import validation
from ._time_course.velocity import velocity

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
