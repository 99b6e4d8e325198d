from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_model(fitted_adata):
    model = sdo.get.model(fitted_adata)
    np.testing.assert_array_equal(model.times, [0, 1, 2])
    assert model.n_dims == 3
    assert model.sigma == pytest.approx(0.3, rel=1e-5)


def test_without_a_fit(time_course, fitted_adata):
    with pytest.raises(
        KeyError, match=r"adata.uns\['scdiffot'\] is missing: run scdiffot.tl.fit.*There is none"
    ):
        sdo.get.model(time_course)
    fitted_adata.uns["mine"] = {"a": 1}
    with pytest.raises(
        sdo.errors.StoredFitError,
        match=r"adata.uns\['mine'\] is something else.*There is 'scdiffot'",
    ):
        sdo.get.model(fitted_adata, key="mine")
    with pytest.raises(TypeError, match="`adata` is a dict"):
        sdo.get.model({})
