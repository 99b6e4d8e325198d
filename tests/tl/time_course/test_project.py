from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_a_linear_embedding_carries_velocities_along(fitted_adata):
    turn = np.array([[0.0, 2.0], [2.0, 0.0], [0.0, 0.0]])
    fitted_adata.obsm["X_umap"] = fitted_adata.obsm["X_pca"] @ turn
    assert sdo.tl.project(fitted_adata, "umap") is None
    result = fitted_adata.obsm["scdiffot_velocity_umap"]
    assert result.shape == (fitted_adata.n_obs, 2)
    # Neighbourhoods of 30 of 130 cells are biased towards the centre, except their mean direction.
    truth = (fitted_adata.obsm["scdiffot_velocity"] @ turn).mean(axis=0)
    mean = result.mean(axis=0)
    assert mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth) > 0.95


def test_copy_and_names(fitted_adata, fingerprint):
    fitted_adata.obsm["X_umap"] = fitted_adata.obsm["X_pca"][:, :2]
    original = fingerprint(fitted_adata)
    copy = sdo.tl.project(fitted_adata, "X_umap", n_neighbors=10, copy=True)
    assert fingerprint(fitted_adata) == original
    assert set(copy.obsm) - set(fitted_adata.obsm) == {"scdiffot_velocity_umap"}


def test_bad_input(fitted_adata, time_course, fingerprint):
    original = fingerprint(fitted_adata)
    with pytest.raises(KeyError, match="`basis` is 'umap', which is no key of obsm"):
        sdo.tl.project(fitted_adata, "umap")
    with pytest.raises(ValueError, match="`n_neighbors` is 1"):
        sdo.tl.project(fitted_adata, "pca", n_neighbors=1)
    with pytest.raises(ValueError, match="is a view"):
        sdo.tl.project(fitted_adata[:20], "pca")
    with pytest.raises(KeyError, match="run scdiffot.tl.fit"):
        sdo.tl.project(time_course, "pca")
    assert fingerprint(fitted_adata) == original
