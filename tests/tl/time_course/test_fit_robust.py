"""Options, outliers and masses that a fit refuses, excludes, or warns of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import scdiffot as sdo
from scdiffot._data.read.snapshots import read_time_series
from scdiffot._utils.errors import DivergenceError
from scdiffot.core import FitConfig, Snapshots, fit
from scdiffot.core.ot.coupling import sinkhorn
from scdiffot.core.problem.outliers import isolated_cells

if TYPE_CHECKING:
    import anndata as ad

SCALARS = {
    "sigma": np.float32(0.5),
    "alpha": np.float64(2.0),
    "growth": np.bool_(True),
    "autonomous": np.bool_(False),
    "config": {
        "train": {"learning_rate": np.float16(0.0078125), "n_steps": np.uint16(20)},
        "networks": {"n_layers": np.int8(2)},
    },
}


def _plain(options: dict) -> dict:
    """The same options as plain Python numbers."""
    return {
        name: _plain(value) if isinstance(value, dict) else value.item()
        for name, value in options.items()
    }


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_scalars_of_numpy_are_numbers(time_course, quick):
    plain = _plain(SCALARS)
    first, other = (
        sdo.tl.fit(time_course, "time", **quick | options, copy=True)
        for options in (SCALARS, plain)
    )
    np.testing.assert_array_equal(first.obsm["scdiffot_velocity"], other.obsm["scdiffot_velocity"])
    assert first.uns["scdiffot"]["state"]["config"] == other.uns["scdiffot"]["state"]["config"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"config": {"train": {"learning_rate": 0}}},
            ValueError,
            "`train.learning_rate` is 0: pass a number above 0, and at most 1",
        ),
        ({"config": {"train": {"learning_rate": -1}}}, ValueError, "`train.learning_rate` is -1"),
        (
            {"config": {"train": {"learning_rate": 1e4}}},
            ValueError,
            "`train.learning_rate` is 10000",
        ),
        (
            {"config": {"train": {"learning_rate": np.nan}}},
            ValueError,
            "`train.learning_rate` is nan",
        ),
        (
            {"config": {"train": {"learning_rate": True}}},
            TypeError,
            "`train.learning_rate` is a bool",
        ),
        ({"sigma": np.ones(1)}, TypeError, "`sigma` is a ndarray"),
        ({"sigma": False}, TypeError, "`sigma` is a bool"),
        ({"sigma": np.inf}, ValueError, "`sigma` is inf"),
        ({"sigma": 1e6}, ValueError, r"`sigma` is 1e\+06, out of proportion"),
        ({"alpha": 1e30}, ValueError, r"`alpha` is 1e\+30, out of proportion.*growth=False"),
        ({"alpha": [1.0]}, TypeError, "`alpha` is a list"),
        ({"growth": "yes"}, TypeError, "`growth` is 'yes': pass True or False"),
        ({"autonomous": 1}, TypeError, "`autonomous` is 1: pass True or False"),
        ({"form": 1}, TypeError, "`form` is a int: pass 'auto', 'gradient' or 'separate'"),
        (
            {"config": {"train": {"n_steps": 10.0}}},
            TypeError,
            "`train.n_steps` is a float: pass a whole number",
        ),
        (
            {"config": {"networks": {"n_layers": 10**9}}},
            ValueError,
            "`networks.n_layers` is 1000000000: pass at most 32",
        ),
        (
            {"config": {"networks": {"n_hidden": 10**6}}},
            ValueError,
            "`networks.n_hidden` is 1000000: pass at most",
        ),
        ({"config": {"train": {"batch_size": True}}}, TypeError, "`train.batch_size` is a bool"),
        (
            {"config": {"coupling": {"n_landmarks": 10**7}}},
            ValueError,
            "`coupling.n_landmarks` is 10000000: pass at most",
        ),
        ({"device": "gpu"}, ValueError, "`device` is 'gpu'"),
        ({"device": "cuda:7"}, ValueError, "`device` is 'cuda:7', but torch sees"),
        ({"device": "mps"}, ValueError, "`device` is 'mps', on which nothing can be trained"),
        ({"device": torch.device("meta")}, ValueError, "`device` is 'meta'"),
        ({"device": 0}, TypeError, "`device` is a int"),
        ({"mass": {0: 1e-300, 1: 1, 2: 1e300}}, ValueError, "`mass` ranges from 1e-300 to 1e"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_once(
    time_course, quick, fingerprint, options, error, message
):
    original = fingerprint(time_course)
    with pytest.raises(error, match=message):
        sdo.tl.fit(time_course, "time", **quick | options)
    assert fingerprint(time_course) == original


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps", torch.device("meta")], ids=str)
def test_all_functions_with_a_device_refuse_others(device, treated, fingerprint):
    original = fingerprint(treated)
    calls = [
        lambda: sdo.tl.fit_response(treated, "condition", "control", "drug", device=device),
        lambda: sdo.tl.evaluate_response(
            treated, "condition", "control", target="drug", device=device
        ),
        lambda: sdo.pp.autoencoder(treated, 2, device=device),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="`device` is"):
            call()
    assert fingerprint(treated) == original


def test_device_of_torch_is_the_same(time_course, quick):
    first, other = (
        sdo.tl.fit(time_course, "time", **quick, device=device, copy=True).obsm["scdiffot_velocity"]
        for device in ("cpu", torch.device("cpu", 0))
    )
    np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("options", [{"eps": np.nan}, {"eps": 0.0}, {"far": np.inf}], ids=str)
def test_sinkhorn_ends_without_finite_numbers(options):
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    y, w = x + options.get("far", 1.0), torch.full((5,), 0.2)
    with pytest.raises(DivergenceError, match="infinite or NaN"):
        sinkhorn(x, w, y, w, alpha=None, eps=options.get("eps", 0.1))


def test_states_beyond_single_precision_are_refused(time_course, quick, fingerprint):
    time_course.obsm["X_pca"][3, 1] = 1e160
    original = fingerprint(time_course)
    with pytest.raises(ValueError, match=f"values up to 1e\\+160.*{time_course.obs_names[3]}"):
        sdo.tl.fit(time_course, "time", **quick)
    assert fingerprint(time_course) == original


@pytest.mark.parametrize("spoil", [np.nan, 1e30])
def test_diverged_training_is_an_error(time_course, quick, fingerprint, monkeypatch, spoil):
    """Networks are spoilt in the middle of the training, as by a far too large step."""
    from scdiffot.core.nets.optimizer import Soap

    step = Soap.step

    def leap(self, rate):
        step(self, rate)
        if self._n_steps == 10:
            self._vector.data.add_(spoil)

    monkeypatch.setattr(Soap, "step", leap)
    original = fingerprint(time_course)
    with pytest.raises(DivergenceError, match=r"Training diverged.*Nothing was written"):
        sdo.tl.fit(time_course, "time", **quick)
    assert fingerprint(time_course) == original


def test_diverged_response_is_an_error(treated, fingerprint, monkeypatch):
    from scdiffot.core.nets.optimizer import Soap

    monkeypatch.setattr(Soap, "step", lambda self, rate: self._vector.data.fill_(np.nan))
    original = fingerprint(treated)
    with pytest.raises(DivergenceError, match="Training diverged"):
        sdo.tl.fit_response(
            treated,
            "condition",
            "control",
            "drug",
            config={"train": {"n_steps": 5}},
            show_progress=False,
        )
    assert fingerprint(treated) == original


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
