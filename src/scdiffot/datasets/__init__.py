"""Simulators with known dynamics or responses, and published time courses and perturbations."""

from __future__ import annotations

from ._deepruot import deepruot
from ._emt import emt
from ._gaussian_mixture import gaussian_mixture
from ._gene_network import gene_network
from ._kang import kang
from ._misa import misa
from ._mouse_embryo_spatial import mouse_embryo_spatial
from ._mouse_hematopoiesis import mouse_hematopoiesis
from ._perturbation_response import perturbation_response
from ._regulatory_network import regulatory_network
from ._spatial_slices import spatial_slices
from ._zebrafish import zebrafish

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
