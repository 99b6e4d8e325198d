"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._evaluate_response import evaluate_response
from ._fit import fit
from ._fit_response import fit_response
from ._gene_velocity import gene_velocity
from ._growth_genes import growth_genes
from ._interpolate import interpolate
from ._landscape import landscape
from ._perturb import perturb
from ._perturb_screen import perturb_screen
from ._predict_response import predict_response
from ._project import project
from ._regulation import regulation
from ._response_subpopulations import response_subpopulations
from ._simulate import simulate
from ._sta_backward import sta_backward
from ._sta_forward import sta_forward
from ._trajectory_genes import trajectory_genes
from ._transition_matrix import transition_matrix
from ._validate import validate

__all__ = [
    "evaluate_response",
    "fit",
    "fit_response",
    "gene_velocity",
    "growth_genes",
    "interpolate",
    "landscape",
    "perturb",
    "perturb_screen",
    "predict_response",
    "project",
    "regulation",
    "response_subpopulations",
    "simulate",
    "sta_backward",
    "sta_forward",
    "trajectory_genes",
    "transition_matrix",
    "validate",
]
