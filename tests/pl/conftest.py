"""Modules that are not tests lie beside them; data with all results that plots draw."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import scdiffot as sdo

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def ready(fitted, give_response):
    """A fit with all results that a plot draws, an embedding and velocities there."""
    import pandas as pd
    from _evaluated import give_evaluation
    from _followed import give_ancestry, give_fates, give_landscape, give_trends
    from _perturbed import give_perturbations
    from _regulated import give_growth_genes, give_regulation

    columns = ["w1", "w1_previous", "w1_next", "w1_pooled", "w1_mccann", "w1_floor"]
    table = pd.DataFrame([[1.0, 3.0, 2.0, 1.8, 1.2, 0.4]], columns=columns, index=["1"]).assign(
        time=1.0
    )
    fitted.uns["scdiffot"]["validation"] = table
    fitted.obsm["X_umap"] = np.arctan(fitted.obsm["X_pca"][:, :2])
    sdo.tl.project(fitted, "umap")
    for give in (
        give_fates,
        give_ancestry,
        give_landscape,
        give_trends,
        give_perturbations,
        give_response,
    ):
        give(fitted)
    # one group, for one axes
    for give in (give_regulation, give_growth_genes):
        give(fitted, ("A",))
    give_evaluation(fitted)
    return fitted


@pytest.fixture
def paths(ready):
    """Trajectories from all cells of the first time."""
    return sdo.tl.simulate(ready, 0)
