from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_between_and_at_snapshots(fitted_adata):
    virtual = sdo.tl.interpolate(fitted_adata, 0.5)
    assert virtual.obsm["X_pca"].shape == (virtual.n_obs, 3)
    assert (virtual.obs["time"] == 0.5).all()
    masses = sdo.get.model(fitted_adata).masses
    assert masses[0] < virtual.obs["weight"].sum() < masses[1]
    snapshot = sdo.tl.interpolate(fitted_adata, 1)
    observed = fitted_adata[fitted_adata.obs["time"] == 1]
    np.testing.assert_allclose(
        np.sort(snapshot.obsm["X_pca"], axis=0),
        np.sort(observed.obsm["X_pca"], axis=0),
        rtol=1e-4,
        atol=1e-5,
    )
    assert snapshot.obs["weight"].sum() == pytest.approx(masses[1], rel=1e-5)
    np.testing.assert_array_equal(
        sdo.tl.interpolate(fitted_adata, "1").obsm["X_pca"], snapshot.obsm["X_pca"]
    )


def test_equal_weights_on_request(fitted_adata):
    whole = sdo.tl.interpolate(fitted_adata, 0.5)
    sample = sdo.tl.interpolate(fitted_adata, 0.5, n_obs=300, rng=1)
    assert sample.n_obs == 300
    assert sample.obs["weight"].nunique() == 1
    assert sample.obs["weight"].sum() == pytest.approx(whole.obs["weight"].sum(), rel=1e-5)
    repeated = sdo.tl.interpolate(fitted_adata, 0.5, n_obs=300, rng=1)
    np.testing.assert_array_equal(sample.obsm["X_pca"], repeated.obsm["X_pca"])


def test_genes_come_back_as_genes(time_course, quick):
    sdo.tl.fit(time_course, "time", use_rep="X", n_dims=2, **quick)
    virtual = sdo.tl.interpolate(time_course, 1.5)
    assert virtual.var_names.tolist() == time_course.var_names[:2].tolist()
    assert virtual.X.shape == (virtual.n_obs, 2)


def test_other_masses_and_priors_are_read_again(time_course, quick):
    sdo.tl.fit(
        time_course,
        "time",
        mass={0: 1, 1: 3, 2: 9},
        growth_prior=np.zeros(time_course.n_obs),
        held_out=1,
        **quick,
    )
    assert sdo.tl.interpolate(time_course, 2).obs["weight"].sum() == pytest.approx(9, rel=1e-4)


@pytest.mark.parametrize(
    ("time", "options", "error", "message"),
    [
        (3, {}, ValueError, "`time` is 3: the fit covers the times from 0 to 2"),
        ("day9", {}, KeyError, "`time` is 'day9', no label"),
        (1, {"n_obs": 0}, ValueError, "`n_obs` is 0"),
        (1, {"key": "other"}, KeyError, "run scdiffot.tl.fit"),
    ],
)
def test_bad_input(fitted_adata, time, options, error, message):
    with pytest.raises(error, match=message):
        sdo.tl.interpolate(fitted_adata, time, **options)
