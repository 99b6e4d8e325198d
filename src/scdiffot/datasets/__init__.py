"""Simulators with known dynamics, and published time courses."""

from __future__ import annotations

from ._deepruot import deepruot
from ._emt import emt
from ._gaussian_mixture import gaussian_mixture
from ._gene_network import gene_network
from ._misa import misa
from ._mouse_embryo_spatial import mouse_embryo_spatial
from ._mouse_hematopoiesis import mouse_hematopoiesis
from ._regulatory_network import regulatory_network
from ._zebrafish import zebrafish

__all__ = [
    "deepruot",
    "emt",
    "gaussian_mixture",
    "gene_network",
    "misa",
    "mouse_embryo_spatial",
    "mouse_hematopoiesis",
    "regulatory_network",
    "zebrafish",
]
