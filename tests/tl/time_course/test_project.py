from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_a_linear_embedding_carries_velocities_along(fitted):
    turn = np.array([[0.0, 2.0], [2.0, 0.0], [0.0, 0.0]])
    fitted.obsm["X_umap"] = fitted.obsm["X_pca"] @ turn
    assert sdo.tl.project(fitted, "umap") is None
    result = fitted.obsm["scdiffot_velocity_umap"]
    assert result.shape == (fitted.n_obs, 2)
    # Neighbourhoods of 30 of 130 cells are biased towards the centre, except their mean direction.
    truth = (fitted.obsm["scdiffot_velocity"] @ turn).mean(axis=0)
    mean = result.mean(axis=0)
    assert mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth) > 0.95


def test_copy_and_names(fitted, fingerprint):
    fitted.obsm["X_umap"] = fitted.obsm["X_pca"][:, :2]
    original = fingerprint(fitted)
    copy = sdo.tl.project(fitted, "X_umap", n_neighbors=10, copy=True)
    assert fingerprint(fitted) == original
    assert set(copy.obsm) - set(fitted.obsm) == {"scdiffot_velocity_umap"}


def test_bad_input(fitted, course, fingerprint):
    original = fingerprint(fitted)
    with pytest.raises(KeyError, match="`basis` is 'umap', which is no key of obsm"):
        sdo.tl.project(fitted, "umap")
    with pytest.raises(ValueError, match="`n_neighbors` is 1"):
        sdo.tl.project(fitted, "pca", n_neighbors=1)
    with pytest.raises(ValueError, match="is a view"):
        sdo.tl.project(fitted[:20], "pca")
    with pytest.raises(KeyError, match="run scdiffot.tl.fit"):
        sdo.tl.project(course, "pca")
    assert fingerprint(fitted) == original
