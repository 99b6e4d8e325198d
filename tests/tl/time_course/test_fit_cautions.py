"""Isolated cells are left out of a fit, and unusual data are named in warnings."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import scdiffot as sdo
from scdiffot._data.read.snapshots import read_time_series
from scdiffot.core import FitConfig, Snapshots, fit
from scdiffot.core.problem.outliers import isolated_cells

if TYPE_CHECKING:
    import anndata as ad


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("value", [1e2, 1e4, 1e8])
def test_isolated_cells_change_nothing_for_others(value):
    """The masses are the same without the outliers, so that the fits agree to the last bit."""
    rng = np.random.default_rng(0)
    states = [rng.normal(size=(60, 3)) + [t, 0, 0] for t in (0.0, 1.0, 2.0)]
    with_outliers = [np.concatenate([x, value * np.eye(3)[[k]]]) for k, x in enumerate(states)]
    config = FitConfig(train={"n_steps": 30}, corrections={"n_rounds": 1, "n_steps": 10}, sigma=0.2)
    first, other = (
        fit(Snapshots(np.arange(3.0), tuple(s), np.ones(3)), config)[0]
        for s in (states, with_outliers)
    )
    np.testing.assert_array_equal(first.drift(states[1], 1.0), other.drift(states[1], 1.0))
    assert np.isfinite(other.drift(with_outliers[1], 1.0)).all()


def test_an_outlier_is_named_and_counts_in_the_mass(time_course, quick, caplog):
    with_outlier = time_course.copy()
    with_outlier.obsm["X_pca"][7] = [0, 1e6, 0]
    sdo.tl.fit(time_course, "time", **quick)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.fit(with_outlier, "time", **quick)
    assert "1 cells are far from all others" in caplog.text
    assert repr(with_outlier.obs_names[7]) in caplog.text
    remaining = np.arange(time_course.n_obs) != 7
    cosines = _cosines(
        *(a.obsm["scdiffot_velocity"][remaining] for a in (time_course, with_outlier))
    )
    assert cosines.mean() > 0.97
    for name in ("masses", "mass_folds"):
        np.testing.assert_array_equal(
            with_outlier.uns["scdiffot"]["params"][name],
            time_course.uns["scdiffot"]["params"][name],
        )


def test_an_outlier_does_not_change_responses(treated, quick_response, caplog):
    with_outlier = treated.copy()
    row = int(np.flatnonzero(treated.obs["condition"] == "drug")[0])
    for name in ("X_pca",):
        with_outlier.obsm[name] = with_outlier.obsm[name].copy()
        with_outlier.obsm[name][row] = 1e5
    without_outlier = treated[np.arange(treated.n_obs) != row].copy()
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.fit_response(with_outlier, "condition", "control", "drug", **quick_response)
    assert repr(with_outlier.obs_names[row]) in caplog.text
    sdo.tl.fit_response(without_outlier, "condition", "control", "drug", **quick_response)
    for adata in (with_outlier, without_outlier):
        sdo.tl.predict_response(adata)
    controls = without_outlier.obs_names[without_outlier.obs["condition"] == "control"]
    first, other = (a[controls].obsm["scdiffot_predicted"] for a in (with_outlier, without_outlier))
    np.testing.assert_array_equal(first, other)


def test_populations_and_tails_are_not_isolated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 10))
    rare = np.concatenate([x, 1e4 + rng.normal(size=(3, 10))])
    pair = np.concatenate([x, 1e4 + rng.normal(size=(2, 10))])
    tails = rng.standard_t(3, size=(2680, 5))
    zeros = rng.poisson(0.05, size=(1000, 20)).astype(float)
    counts = [int(isolated_cells([z])[0].sum()) for z in (x, rare, pair, tails, zeros, 0 * x)]
    assert counts == [0, 0, 2, 0, 0, 0]
    masks = isolated_cells([rare[:501], rare[501:]])
    assert [mask.sum() for mask in masks] == [0, 0]


def _messages(adata: ad.AnnData, quick: dict, caplog, **options) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="scdiffot"):
        sdo.tl.fit(
            adata,
            "time",
            **quick | {"config": {**quick["config"], "train": {"n_steps": 2}}, **options},
        )
    return caplog.text


def test_ordinary_data_give_no_warning(time_course, quick, caplog):
    assert "WARNING" not in _messages(time_course, quick, caplog)


def test_copies_are_named(time_course, quick, caplog):
    time_course.obsm["X_pca"][:20] = time_course.obsm["X_pca"][20:40]
    share = 100 * 20 / time_course.n_obs
    assert f"{share:.0f} % of the cells have exactly the states" in _messages(
        time_course, quick, caplog
    )


def test_snapshots_of_one_population_are_named(time_course, quick, caplog):
    last = (time_course.obs["time"] == 2).to_numpy()
    time_course.obsm["X_pca"][last, 0] -= 1.0
    text = _messages(time_course, quick, caplog)
    assert "displacement between times 1 and 2 is within sampling noise" in text


def test_the_growth_that_masses_imply_is_logged(time_course, quick, caplog):
    text = _messages(time_course, quick, caplog, mass={0: 1, 1: 2, 2: 40})
    assert "as passed in `mass`" in text
    assert "a 2-fold change from time 0 to 1, a mean net growth rate of 0.693" in text
    assert "The mass changes 20-fold from time 1 to 2" in text
    params = time_course.uns["scdiffot"]["params"]
    np.testing.assert_allclose(params["mass_folds"], [2, 20])
    np.testing.assert_allclose(params["mass_rates"], np.log([2, 20]))
    assert "numbers of sequenced cells" in _messages(time_course, quick, caplog)


def test_common_factor_of_masses_changes_nothing(time_course):
    first, other = (
        read_time_series(
            time_course, "time", use_rep="X_pca", mass={0: f, 1: 2 * f, 2: 3 * f}
        ).snapshots
        for f in (1.0, 2.0**-900)
    )
    np.testing.assert_array_equal(first.masses, other.masses)


@pytest.mark.parametrize(("rate", "is_overruled"), [(0.5, True), (0.1, False)])
def test_prior_that_the_masses_overrule(time_course, quick, caplog, rate, is_overruled):
    time_course.obs["prior"] = rate
    masses = {t: np.exp(0.1 * t) for t in (0, 1, 2)}
    text = _messages(time_course, quick, caplog, growth_prior="prior", mass=masses)
    assert ("masses overrule the level of `growth_prior`" in text) == is_overruled
    if is_overruled:
        assert f"0 to 1 ({np.exp(0.5):.3g}-fold expected, masses {np.exp(0.1):.3g}-fold)" in text
