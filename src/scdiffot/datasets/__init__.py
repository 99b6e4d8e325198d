"""Simulators with known dynamics or responses, and published time courses and perturbations."""

from __future__ import annotations

from ._published.deepruot import deepruot
from ._published.emt import emt
from ._published.kang import kang
from ._published.mouse_embryo_spatial import mouse_embryo_spatial
from ._published.mouse_hematopoiesis import mouse_hematopoiesis
from ._published.zebrafish import zebrafish
from ._simulated.gaussian_mixture import gaussian_mixture
from ._simulated.gene_network import gene_network
from ._simulated.misa import misa
from ._simulated.perturbation_response import perturbation_response
from ._simulated.regulatory_network import regulatory_network
from ._simulated.spatial_slices import spatial_slices

__all__ = [
    "deepruot",
    "emt",
    "gaussian_mixture",
    "gene_network",
    "kang",
    "misa",
    "mouse_embryo_spatial",
    "mouse_hematopoiesis",
    "perturbation_response",
    "regulatory_network",
    "spatial_slices",
    "zebrafish",
]
