"""Predictions of several targets and doses, and under several names."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from _response_calls import GROUPS, controls, predict

import scdiffot as sdo


class TestSeveralPredictions:
    @pytest.fixture
    def dose_adata(self, treat, quick_response):
        adata = treat(n_obs=300, targets=("a", "b"), doses=(0.1, 10.0))
        sdo.tl.fit_response(
            adata,
            "condition",
            "control",
            ["a", "b"],
            dose_key="dose",
            **quick_response | {"config": {"train": {"n_steps": 3}}},
        )
        return adata

    def test_are_stored_side_by_side_with_their_parameters(self, dose_adata, caplog, tmp_path):
        sdo.tl.predict_response(dose_adata, target="b")
        plain = dose_adata.obsm["scdiffot_predicted"].copy()
        sdo.tl.predict_response(dose_adata, target="a", dose=0.1, key_added="low", genes=True)
        assert np.array_equal(dose_adata.obsm["scdiffot_predicted"], plain, equal_nan=True)
        assert not np.array_equal(dose_adata.obsm["low_predicted"], plain, equal_nan=True)
        assert dose_adata.uns["low_prediction"] == {"key": "scdiffot", "target": "a", "dose": 0.1}
        # the highest dose is the default
        assert dose_adata.uns["scdiffot_prediction"] == {
            "key": "scdiffot",
            "target": "b",
            "dose": 10.0,
        }
        assert not caplog.text
        # all readers find each of the predictions, also in a file
        sdo.tl.response_subpopulations(dose_adata, groupby="subpopulation", key="low")
        dose_adata.write_h5ad(tmp_path / "a.h5ad")
        for adata in (dose_adata, ad.read_h5ad(tmp_path / "a.h5ad")):
            tables = {key: sdo.get.response(adata, "genes", key=key) for key in ("scdiffot", "low")}
            cells = np.isfinite(adata.obsm["low_predicted"][:, 0])
            mean = adata.to_df("low_predicted")[cells].mean()[tables["low"]["gene"]]
            np.testing.assert_allclose(tables["low"]["predicted"], mean, rtol=1e-4, atol=1e-4)
            assert not tables["low"].equals(tables["scdiffot"])
            assert len(sdo.get.response(adata, "subpopulations", key="low")) == 2

    def test_replacing_one_of_the_same_name_is_logged(self, dose_adata, caplog):
        sdo.tl.predict_response(dose_adata, target="a")
        sdo.tl.predict_response(dose_adata, target="a", source="subpopulation == 'type_1'")
        assert not caplog.text
        sdo.tl.predict_response(dose_adata, target="a", dose=0.1)
        assert (
            "The prediction of 'a' at 10 under 'scdiffot' is replaced by that of 'a' at 0.1"
            in caplog.text
        )

    def test_a_second_fit_drops_them_all(self, dose_adata, quick_response):
        previous = {*dose_adata.obs, *dose_adata.obsm, *dose_adata.uns}
        sdo.tl.predict_response(dose_adata, target="a", key_added="low", genes=True)
        sdo.tl.predict_response(dose_adata, target="a", inverse=True, key_added="back")
        sdo.tl.fit_response(dose_adata, "condition", "control", "a", **quick_response)
        assert {*dose_adata.obs, *dose_adata.obsm, *dose_adata.uns} == previous
        assert not dose_adata.layers

    def test_not_under_the_name_of_another_response(self, dose_adata, quick_response, fingerprint):
        sdo.tl.fit_response(
            dose_adata, "condition", "control", "a", key_added="other", **quick_response
        )
        previous = fingerprint(dose_adata)
        with pytest.raises(
            ValueError, match="`key_added` is 'other', which is the name of another response"
        ):
            sdo.tl.predict_response(dose_adata, target="a", key_added="other")
        assert fingerprint(dose_adata) == previous


class TestTargets:
    @pytest.fixture
    def two_targets(self, treat, quick_response):
        adata = treat(targets=("drug", "other"), n_obs=360)
        sdo.tl.fit_response(
            adata,
            "condition",
            "control",
            ["drug", "other"],
            **quick_response | {"config": {"train": {"n_steps": 100}}},
        )
        return adata

    def test_of_one_model_have_different_directions(self, two_targets):
        states = np.asarray(two_targets.obsm["X_pca"])
        start = states[controls(two_targets)].mean(axis=0)
        for target in ("drug", "other"):
            shift = np.nanmean(predict(two_targets, target=target), axis=0) - start
            true = states[two_targets.obs["condition"] == target].mean(axis=0) - start
            # tolerance: a mean of 120 cells after only 100 steps
            assert np.linalg.norm(shift - true) < 0.35 * np.linalg.norm(true)

    def test_must_be_named(self, two_targets):
        with pytest.raises(
            ValueError, match="`target` is missing: the model knows 'drug', 'other'"
        ):
            sdo.tl.predict_response(two_targets)
        with pytest.raises(KeyError, match=r"`target` is 'othr', .* Did you mean 'other'\?"):
            sdo.tl.predict_response(two_targets, target="othr")

    def test_inverse_takes_the_cells_of_the_target(self, two_targets):
        sdo.tl.predict_response(two_targets, target="other", inverse=True)
        result = np.isfinite(two_targets.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(result, two_targets.obs["condition"] == "other")

    def test_unseen_target_lies_between_similar_ones(self, treated, quick_response):
        # Two drugs with shifts of 2 and 4 along the first axis, given by their descriptors.
        rng = np.random.default_rng(0)
        condition = np.repeat(["control", "weak", "strong"], 80)
        states = rng.normal(size=(240, 3))
        states[:, 0] += np.repeat([0.0, 2.0, 4.0], 80)
        treated.obs["condition"] = condition
        treated.obsm["X_pca"] = states
        treated.uns["potency"] = {"weak": [2.0], "strong": [4.0], "middle": [3.0]}
        fit = ("condition", "control", ["weak", "strong"])
        sdo.tl.fit_response(treated, *fit, target_embedding="potency", **quick_response)
        shift = {
            t: np.nanmean(predict(treated, target=t)[:, 0]) - states[:80, 0].mean()
            for t in treated.uns["potency"]
        }
        # standard error of means of 80 cells: 0.16
        assert shift["weak"] == pytest.approx(2, abs=0.6)
        assert shift["strong"] == pytest.approx(4, abs=0.6)
        assert shift["middle"] == pytest.approx(3, abs=0.6)
        with pytest.raises(KeyError, match="does not describe 'new'"):
            sdo.tl.predict_response(treated, target="new")


class TestDoses:
    @pytest.fixture
    def dose_adata(self, treat, quick_response):
        adata = treat(doses=(0.1, 1.0, 10.0), n_obs=480)
        # the dose of controls may be missing
        adata.obs["dose"] = np.where(controls(adata), "none", adata.obs["dose"].astype(str))
        sdo.tl.fit_response(
            adata,
            *GROUPS,
            dose_key="dose",
            **quick_response | {"config": {"train": {"n_steps": 100}}},
        )
        return adata

    def test_dose_zero_has_no_effect(self, dose_adata):
        cells = controls(dose_adata)
        start = np.asarray(dose_adata.obsm["X_pca"])[cells]
        assert predict(dose_adata, dose=0)[cells] == pytest.approx(start, abs=1e-4)

    def test_effect_increases_with_the_dose(self, dose_adata):
        cells = controls(dose_adata)
        start = np.asarray(dose_adata.obsm["X_pca"])[cells]
        doses = (0, 0.03, 0.1, 0.3, 1, 3, 10)
        lengths = [
            np.linalg.norm((predict(dose_adata, dose=d)[cells] - start).mean(axis=0)) for d in doses
        ]
        assert (np.diff(lengths) > 0).all()

    def test_highest_is_the_default(self, dose_adata):
        assert np.array_equal(predict(dose_adata), predict(dose_adata, dose=10.0), equal_nan=True)

    def test_inverse_takes_the_cells_of_the_dose(self, dose_adata):
        adata = dose_adata.copy()
        sdo.tl.predict_response(adata, inverse=True, dose=1.0)
        result = np.isfinite(adata.obsm["scdiffot_untreated"][:, 0])
        assert np.array_equal(result, adata.obs["dose"] == "1.0")

    def test_inverse_of_a_dose_of_no_cells(self, dose_adata, fingerprint):
        previous = fingerprint(dose_adata)
        with pytest.raises(
            ValueError, match="`dose` is 0.5, at which no cell of 'drug' was treated"
        ):
            sdo.tl.predict_response(dose_adata, inverse=True, dose=0.5)
        assert fingerprint(dose_adata) == previous
        every = np.ones(dose_adata.n_obs, bool)
        assert np.isfinite(
            sdo.tl.predict_response(
                dose_adata, inverse=True, dose=0.5, source=every, copy=True
            ).obsm["scdiffot_untreated"]
        ).all()

    @pytest.mark.parametrize(
        ("dose", "error", "message"),
        [
            (
                11.0,
                ValueError,
                "`dose` is 11.0: 'drug' was seen at 0.1, 1.0, 10.0; pass a dose from 0 to 10",
            ),
            (-1.0, ValueError, "`dose` is -1.0"),
            (float("nan"), ValueError, "`dose` is nan"),
            ("high", TypeError, "`dose` is a str: pass a number"),
        ],
    )
    def test_invalid_doses_are_errors(self, dose_adata, dose, error, message):
        with pytest.raises(error, match=message):
            sdo.tl.predict_response(dose_adata, dose=dose)

    def test_model_without_doses_refuses_a_dose(self, fitted_response):
        with pytest.raises(ValueError, match="`dose` was given, but the model knows no doses"):
            sdo.tl.predict_response(fitted_response, dose=1.0)

    def test_convex_maps_do_not_interpolate_doses(self, treat, quick_response):
        adata = treat(doses=(1.0, 10.0), n_obs=240)
        sdo.tl.fit_response(adata, *GROUPS, dose_key="dose", method="convex", **quick_response)
        assert not np.array_equal(
            predict(adata, dose=1.0), predict(adata, dose=10.0), equal_nan=True
        )
        with pytest.raises(ValueError, match="fitted to, and none between"):
            sdo.tl.predict_response(adata, dose=3.0)
