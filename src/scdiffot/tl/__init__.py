"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._fit import fit
from ._gene_velocity import gene_velocity
from ._growth_genes import growth_genes
from ._interpolate import interpolate
from ._landscape import landscape
from ._perturb import perturb
from ._perturb_screen import perturb_screen
from ._project import project
from ._regulation import regulation
from ._simulate import simulate
from ._sta_backward import sta_backward
from ._sta_forward import sta_forward
from ._trajectory_genes import trajectory_genes
from ._transition_matrix import transition_matrix
from ._validate import validate

__all__ = [
    "fit",
    "gene_velocity",
    "growth_genes",
    "interpolate",
    "landscape",
    "perturb",
    "perturb_screen",
    "project",
    "regulation",
    "simulate",
    "sta_backward",
    "sta_forward",
    "trajectory_genes",
    "transition_matrix",
    "validate",
]
