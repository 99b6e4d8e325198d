"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._align_slices import align_slices
from ._evaluate_response import evaluate_response
from ._fit import fit
from ._fit_response import fit_response
from ._gene_velocity import gene_velocity
from ._growth_genes import growth_genes
from ._interpolate import interpolate
from ._interpolate_slices import interpolate_slices
from ._landscape import landscape
from ._perturb import perturb
from ._perturb_screen import perturb_screen
from ._predict_response import predict_response
from ._project import project
from ._regulation import regulation
from ._response_subpopulations import response_subpopulations
from ._simulate import simulate
from ._spatial_domains import spatial_domains
from ._spatial_genes import spatial_genes
from ._sta_backward import sta_backward
from ._sta_forward import sta_forward
from ._trajectory_genes import trajectory_genes
from ._transfer_genes import transfer_genes
from ._transition_matrix import transition_matrix
from ._validate import validate

__all__ = [
    "align_slices",
    "evaluate_response",
    "fit",
    "fit_response",
    "gene_velocity",
    "growth_genes",
    "interpolate",
    "interpolate_slices",
    "landscape",
    "perturb",
    "perturb_screen",
    "predict_response",
    "project",
    "regulation",
    "response_subpopulations",
    "simulate",
    "spatial_domains",
    "spatial_genes",
    "sta_backward",
    "sta_forward",
    "trajectory_genes",
    "transfer_genes",
    "transition_matrix",
    "validate",
]
