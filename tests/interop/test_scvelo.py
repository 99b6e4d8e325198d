"""scVelo draws our velocities as they are, without patching."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
from sklearn.neighbors import kneighbors_graph

import scdiffot as sdo

with warnings.catch_warnings():
    # deprecation warnings of scVelo and its dependencies
    warnings.simplefilter("ignore")
    scv = pytest.importorskip("scvelo")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("color", [None, "cell_type", "time", "scdiffot_growth"])
@pytest.mark.parametrize(
    "plot", ["velocity_embedding_stream", "velocity_embedding_grid", "velocity_embedding"]
)
def test_velocities_on_an_embedding(fitted_adata, plot, color):
    fitted_adata.obsm["X_umap"] = fitted_adata.obsm["X_pca"][:, :2] * 3
    sdo.tl.project(fitted_adata, "umap")
    previous = fitted_adata.obsm["scdiffot_velocity_umap"].copy()
    ax = getattr(scv.pl, plot)(
        fitted_adata, vkey="scdiffot_velocity", basis="umap", color=color, show=False
    )
    assert ax is not None
    # without these entries scVelo would recompute the velocities
    np.testing.assert_array_equal(fitted_adata.obsm["scdiffot_velocity_umap"], previous)
    assert "velocity_graph" not in fitted_adata.uns


def test_streamlines_follow_the_velocities(fitted_adata, quick):
    fitted_adata.obsm["X_umap"] = fitted_adata.obsm["X_pca"][:, :2]
    fitted_adata.obsm["run_velocity_umap"] = np.tile([1.0, 0.0], (fitted_adata.n_obs, 1))
    ax = scv.pl.velocity_embedding_stream(
        fitted_adata, vkey="run_velocity", basis="X_umap", show=False
    )
    lines = [c for c in ax.collections if hasattr(c, "get_segments")]
    segments = np.concatenate([np.asarray(c.get_segments()) for c in lines])
    steps = segments[:, 1] - segments[:, 0]
    assert len(steps) > 100
    assert (np.abs(steps[:, 1]) < 1e-6 * np.abs(steps[:, 0]).max()).all()


def test_scvelo_takes_exported_velocities(fitted_adata):
    rng = np.random.default_rng(0)
    states = fitted_adata.obsm["X_pca"].astype(np.float32)
    loadings = np.linalg.qr(rng.normal(size=(20, 3)))[0]
    adata = ad.AnnData(
        (states @ loadings.T + 5).astype(np.float32), obs=fitted_adata.obs, uns=fitted_adata.uns
    )
    adata.obsm["X_pca"], adata.varm["PCs"] = states, loadings
    adata.obsm["scdiffot_velocity"] = np.tile(np.float32([1, 0, 0]), (adata.n_obs, 1))
    sdo.tl.gene_velocity(adata)
    sdo.ext.scvelo(adata)
    velocity = adata.layers["velocity"].copy()
    adata.obsp["distances"] = kneighbors_graph(states, 20, mode="distance")
    adata.obsp["connectivities"] = kneighbors_graph(states, 20, mode="connectivity")
    names = {"distances_key": "distances", "connectivities_key": "connectivities"}
    adata.uns["neighbors"] = {**names, "params": {"n_neighbors": 20, "method": "umap"}}
    scv.tl.velocity_graph(adata, show_progress_bar=False)
    scv.tl.velocity_embedding(adata, basis="pca")
    arrows = adata.obsm["velocity_pca"][:, :2]
    mean = arrows.mean(axis=0)
    # neighbourhoods at the rim are biased inwards
    assert mean[0] / np.linalg.norm(mean) > 0.95
    scv.tl.velocity_confidence(adata)
    assert adata.obs["velocity_confidence"].mean() > 0.99
    # scVelo did not recompute the velocity
    np.testing.assert_array_equal(adata.layers["velocity"], velocity)
