"""The pickled components of the EMT data, read without the class that wrote them."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from scdiffot.datasets._published.emt import _orient, _read_pca


@pytest.fixture
def pickle_bytes(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Pickle of a class with the name and the module of the one in torch_pca."""
    module = ModuleType("torch_pca.pca_main")
    PCA = type("PCA", (), {"__module__": "torch_pca.pca_main"})
    module.PCA = PCA  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch_pca", ModuleType("torch_pca"))
        patch.setitem(sys.modules, "torch_pca.pca_main", module)
        model = PCA()
        model.components_ = torch.arange(6.0).reshape(2, 3)
        model.mean_ = torch.ones(1, 3)
        model.n_components_ = 2
        content = pickle.dumps(model)
    assert "torch_pca.pca_main" not in sys.modules
    return content


def test_arrays_come_without_the_class(pickle_bytes):
    arrays = _read_pca(pickle_bytes)
    assert set(arrays) == {"components_", "mean_"}
    np.testing.assert_array_equal(arrays["components_"], np.arange(6.0).reshape(2, 3))


def test_other_classes_are_refused():
    with pytest.raises(
        pickle.UnpicklingError, match="is no part of a principal component analysis"
    ):
        _read_pca(pickle.dumps(np.linalg.norm))


@pytest.mark.parametrize("flips", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_signs_are_those_of_positive_markers(flips):
    # markers are positive and skewed: only the correct signs decode them to positive values
    rng = np.random.default_rng(0)
    truth = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    pcs = rng.exponential(size=(2000, 2))
    mean = -(pcs @ truth).min(axis=0)
    components = _orient(np.array(flips)[:, None] * truth, mean, pcs)
    np.testing.assert_array_equal(components, truth)
