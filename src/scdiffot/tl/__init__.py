"""Learn dynamics from a time course, check them, and follow them."""

from __future__ import annotations

from ._genes.growth_genes import growth_genes
from ._genes.perturb import perturb
from ._genes.perturb_screen import perturb_screen
from ._genes.regulation import regulation
from ._lineage.sta_backward import sta_backward
from ._lineage.sta_forward import sta_forward
from ._lineage.trajectory_genes import trajectory_genes
from ._response.evaluate_response import evaluate_response
from ._response.fit_response import fit_response
from ._response.predict_response import predict_response
from ._response.response_subpopulations import response_subpopulations
from ._spatial.align_slices import align_slices
from ._spatial.interpolate_slices import interpolate_slices
from ._spatial.spatial_domains import spatial_domains
from ._spatial.spatial_genes import spatial_genes
from ._spatial.transfer_genes import transfer_genes
from ._time_course.fit import fit
from ._time_course.gene_velocity import gene_velocity
from ._time_course.interpolate import interpolate
from ._time_course.landscape import landscape
from ._time_course.project import project
from ._time_course.simulate import simulate
from ._time_course.transition_matrix import transition_matrix
from ._time_course.validate import validate

ancestors = sta_backward
fates = sta_forward

__all__ = [
    "align_slices",
    "ancestors",
    "evaluate_response",
    "fates",
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
