"""Perturbations made by hand, so that what a plot must show is known exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.keys import PERTURB_SCREEN, PERTURBATION

if TYPE_CHECKING:
    from anndata import AnnData

COLORS = {"A": "#ff0000", "B": "#0000ff"}


def give_perturbations(adata: AnnData) -> AnnData:
    """From A and B, the change moves a quarter from A to B, and a tenth outside; only the first is certain."""
    adata.uns["cell_type_colors"] = list(COLORS.values())
    control = np.array([[0.7, 0.3, 0.0], [0.5, 0.5, 0.0], [0.6, 0.4, 0.0]])
    shift = np.array([[-0.25, 0.15, 0.1]] * 3)
    adata.uns["scdiffot"][PERTURBATION] = {
        "Gata1": {
            "name": "Gata1",
            "values": np.array([np.nan]),
            "kind": "knockout",
            "sustained": True,
            "cell_key": "cell_type",
            "sources": np.array(["A", "B", "all"]),
            "fates": np.array(["A", "B", "outside"]),
            "control": control,
            "perturbed": control + shift,
            "shift": shift,
            "control_se": np.full((3, 3), 0.02),
            "perturbed_se": np.full((3, 3), 0.01),
            "se": np.full((3, 3), 0.005),
            "p_adjusted": np.array([[0.001, 0.2, 0.2]] * 3),
            "mass_ratio": np.array([0.5, 1.0, 0.75]),
        }
    }
    adata.uns["scdiffot"][PERTURB_SCREEN] = {
        "gene": np.array(["Gata1", "Spi1", "Gata1"]),
        "partner": np.array(["", "", "Spi1"]),
        "effect": np.array([0.3, 0.2, 0.1]),
        "se": np.array([0.01, 0.02, 0.03]),
        "p_adjusted": np.array([0.001, 0.01, 0.5]),
        "fates": np.array(["A", "B", "outside"]),
        "shift": np.array([[-0.3, 0.3, 0.0], [0.2, -0.15, -0.05], [0.1, -0.1, 0.0]]),
        "shift_se": np.full((3, 3), 0.04),
        "fate": "",
        "kind": "knockdown",
        "sustained": False,
        "cell_key": "cell_type",
    }
    return adata
