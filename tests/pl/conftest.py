"""Fixtures with all results that plots need; the folder is importable for helper modules."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import scdiffot as sdo

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def ready(fitted_adata, add_response):
    """A fit with all results that plots need, and an embedding with projected velocities."""
    import pandas as pd
    from _regulated import give_growth_genes, give_regulation
    from _stored_results import (
        give_ancestry,
        give_evaluation,
        give_fates,
        give_landscape,
        give_perturbations,
        give_trends,
    )

    columns = ["w1", "w1_previous", "w1_next", "w1_pooled", "w1_mccann", "w1_floor"]
    table = pd.DataFrame([[1.0, 3.0, 2.0, 1.8, 1.2, 0.4]], columns=columns, index=["1"]).assign(
        time=1.0
    )
    fitted_adata.uns["scdiffot"]["validation"] = table
    fitted_adata.obsm["X_umap"] = np.arctan(fitted_adata.obsm["X_pca"][:, :2])
    sdo.tl.project(fitted_adata, "umap")
    for give in (
        give_fates,
        give_ancestry,
        give_landscape,
        give_trends,
        give_perturbations,
        add_response,
    ):
        give(fitted_adata)
    # a single group needs a single axis
    for give in (give_regulation, give_growth_genes):
        give(fitted_adata, ("A",))
    give_evaluation(fitted_adata)
    return fitted_adata


@pytest.fixture
def paths(ready):
    """Trajectories from all cells of the first time."""
    return sdo.tl.simulate(ready, 0)


@pytest.fixture(scope="session")
def _simulated_tissue():
    return sdo.datasets.spatial_slices(60, n_times=3, n_genes=8, n_paths=1)


@pytest.fixture
def tissue(_simulated_tissue):
    """Three small slices of a simulated tissue."""
    return _simulated_tissue.copy()
