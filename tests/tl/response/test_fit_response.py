from __future__ import annotations

import logging
import signal

import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot.core.response import fit_response as fit_core

GROUPS = ("condition", "control", "drug")


def weights(adata, key="scdiffot"):
    return adata.uns[f"{key}_response"]["model"]["weights"]


def is_equal(first: dict, second: dict) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_writes_only_the_documented_fields(treated, quick_response, fingerprint):
    previous = fingerprint(treated)
    assert sdo.tl.fit_response(treated, *GROUPS, **quick_response) is None
    result = treated.uns.pop("scdiffot_response")
    assert set(result) == {"params", "history", "model", "version", "digest"}
    # fingerprints of the states, of the conditions, and of the loadings
    assert treated.obsm.pop("scdiffot_fingerprint").shape == (treated.n_obs, 2)
    assert treated.varm.pop("scdiffot_fingerprint").shape == (treated.n_vars, 1)
    current = fingerprint(treated)
    assert current == previous
    history = result["history"]
    assert list(history["step"]) == [30]
    assert np.isfinite(history["loss"]).all()
    assert history["metric"] == "euclidean"
    assert history["smoothing"] > 0
    assert not history["interrupted"]
    params = result["params"]
    assert (params["condition_key"], params["control"], list(params["targets"])) == (
        "condition",
        "control",
        ["drug"],
    )
    assert (params["use_rep"], params["n_dims"], params["rng"]) == ("X_pca", 6, 0)


def test_copy_leaves_the_data_unchanged(treated, quick_response, fingerprint):
    previous = fingerprint(treated)
    fitted_adata = sdo.tl.fit_response(treated, *GROUPS, copy=True, **quick_response)
    assert fingerprint(treated) == previous
    assert "scdiffot_response" in fitted_adata.uns


def test_equal_seeds_give_equal_results(treated, quick_response):
    fits = [
        sdo.tl.fit_response(treated, *GROUPS, rng=rng, copy=True, **quick_response)
        for rng in (1, 1, 2)
    ]
    assert is_equal(weights(fits[0]), weights(fits[1]))
    assert not is_equal(weights(fits[0]), weights(fits[2]))


def test_other_cells_are_ignored(treat, quick_response):
    both_targets = treat(targets=("drug", "other"))
    single_target = both_targets[both_targets.obs["condition"] != "other"].copy()
    # cells with NaN labels or of other conditions are ignored
    both_targets.obs["condition"] = both_targets.obs["condition"].where(
        both_targets.obs["condition"] != "other"
    )
    for adata in (single_target, both_targets):
        sdo.tl.fit_response(adata, *GROUPS, **quick_response)
    assert is_equal(weights(single_target), weights(both_targets))


def test_a_second_fit_drops_predictions_of_the_first(fitted_response, quick_response):
    sdo.tl.predict_response(fitted_response, genes=True)
    sdo.tl.predict_response(fitted_response, inverse=True)
    assert "scdiffot_predicted" in fitted_response.layers
    sdo.tl.fit_response(fitted_response, *GROUPS, **quick_response)
    assert set(fitted_response.obsm) == {"X_pca", "true_response", "scdiffot_fingerprint"}
    assert not fitted_response.layers
    assert not [name for name in fitted_response.obs if name.startswith("scdiffot")]


def test_responses_of_two_names_and_a_fit_in_time_side_by_side(treated, quick_response, quick):
    treated.obs["time"] = np.where(treated.obs["condition"] == "control", 0.0, 1.0)
    sdo.tl.fit(treated, "time", **quick)
    sdo.tl.fit_response(treated, *GROUPS, **quick_response)
    sdo.tl.predict_response(treated)
    first = treated.obsm["scdiffot_predicted"].copy()
    sdo.tl.fit_response(
        treated, *GROUPS, key_added="other", **quick_response | {"metric": "learned"}
    )
    sdo.tl.predict_response(treated, key="other")
    assert np.array_equal(treated.obsm["scdiffot_predicted"], first, equal_nan=True)
    assert not np.array_equal(treated.obsm["other_predicted"], first, equal_nan=True)
    assert sdo.tl.simulate(treated, 0, n_particles=3).states.shape[1] == 3


def test_other_content_under_the_name_is_kept(treated, quick_response, fingerprint):
    treated.uns["mine_response"] = {"a": 1}
    previous = fingerprint(treated)
    with pytest.raises(ValueError, match="`key_added` is 'mine', .* not a response"):
        sdo.tl.fit_response(treated, *GROUPS, key_added="mine", **quick_response)
    assert fingerprint(treated) == previous


def test_columns_of_the_representation(treated, quick_response):
    sdo.tl.fit_response(treated, *GROUPS, n_dims=3, **quick_response)
    sdo.tl.predict_response(treated)
    assert treated.obsm["scdiffot_predicted"].shape == (treated.n_obs, 3)


@pytest.mark.parametrize("rep", ["pca", "X"])
def test_other_ways_to_name_a_representation(treated, quick_response, rep):
    sdo.tl.fit_response(treated, *GROUPS, use_rep=rep, **quick_response)
    sdo.tl.predict_response(treated)
    assert treated.obsm["scdiffot_predicted"].shape[1] == (6 if rep == "pca" else treated.n_vars)


def test_convex_maps_in_the_same_call(treated, quick_response):
    sdo.tl.fit_response(treated, *GROUPS, method="convex", **quick_response | {"metric": "auto"})
    history = treated.uns["scdiffot_response"]["history"]
    assert history["metric"] == "euclidean"
    sdo.tl.predict_response(treated)
    assert np.isfinite(
        treated.obsm["scdiffot_predicted"][treated.obs["condition"] == "control"]
    ).all()


class TestContexts:
    def test_controls_alone_change_nothing(self, treat, quick_response):
        adata = treat(n_donors=3, n_obs=360)
        drop = (adata.obs["donor"] == "donor_3") & (adata.obs["condition"] == "drug")
        with_controls = adata[~drop].copy()
        subset = adata[adata.obs["donor"] != "donor_3"].copy()
        for part in (with_controls, subset):
            sdo.tl.fit_response(part, *GROUPS, context="donor", **quick_response)
        assert is_equal(weights(with_controls), weights(subset))
        # cells of all contexts are predicted
        sdo.tl.predict_response(with_controls)
        controls = with_controls.obs["condition"] == "control"
        assert np.isfinite(with_controls.obsm["scdiffot_predicted"][controls]).all()

    @pytest.mark.parametrize("n_left", [0, 5])
    def test_survival_of_an_extinct_context_is_its_ratio_of_numbers(
        self, treat, quick_response, caplog, n_left
    ):
        adata = treat(n_obs=400)
        gone = np.flatnonzero(
            (adata.obs["condition"] == "drug") & (adata.obs["subpopulation"] == "type_2")
        )[n_left:]
        adata = adata[np.setdiff1d(np.arange(adata.n_obs), gone)].copy()
        with caplog.at_level(logging.WARNING, logger="scdiffot"):
            sdo.tl.fit_response(
                adata, *GROUPS, context="subpopulation", unbalanced=True, **quick_response
            )
        assert "`context` 'type_2' has" in caplog.text
        assert f"{n_left} treated with 'drug'" in caplog.text
        sdo.tl.predict_response(adata)
        control = adata.obs[adata.obs["condition"] == "control"]
        survival = control.groupby("subpopulation", observed=True)["scdiffot_survival"].mean()
        numbers = pd.crosstab(adata.obs["subpopulation"], adata.obs["condition"])
        expected = numbers["drug"] / numbers["control"]
        # the mean over all cells is exact; the network has an error of a few per cent between
        # types
        assert survival["type_2"] == pytest.approx(expected["type_2"], abs=0.1)
        assert survival["type_1"] == pytest.approx(expected["type_1"], abs=0.15)

    def test_extinct_context_of_a_balanced_fit_takes_the_response_of_the_others(
        self, treat, quick_response, caplog
    ):
        adata = treat(n_obs=400)
        gone = (adata.obs["condition"] == "drug") & (adata.obs["subpopulation"] == "type_2")
        extinct = adata[~gone].copy()
        subset = adata[adata.obs["subpopulation"] == "type_1"].copy()
        with caplog.at_level(logging.WARNING, logger="scdiffot"):
            for part in (extinct, subset):
                sdo.tl.fit_response(part, *GROUPS, context="subpopulation", **quick_response)
        assert "it takes the response of the other contexts" in caplog.text
        assert is_equal(weights(extinct), weights(subset))

    def test_cells_of_no_context_are_left_out(self, treat, quick_response):
        adata = treat(n_donors=3, n_obs=360)
        unknown = adata.copy()
        unknown.obs["donor"] = unknown.obs["donor"].where(unknown.obs["donor"] != "donor_3")
        known_cells = adata[adata.obs["donor"] != "donor_3"].copy()
        for part in (unknown, known_cells):
            sdo.tl.fit_response(part, *GROUPS, context="donor", **quick_response)
        assert is_equal(weights(unknown), weights(known_cells))

    def test_differences_between_contexts_are_not_part_of_the_response(self, quick_response):
        # One donor has most of the controls, the other most of the treated cells, and the donors
        # differ.
        rng = np.random.default_rng(0)
        counts = {
            ("a", "control"): 200,
            ("a", "drug"): 40,
            ("b", "control"): 40,
            ("b", "drug"): 200,
        }
        donor, condition = zip(*(k for k, n in counts.items() for _ in range(n)), strict=True)
        adata = sdo.datasets.perturbation_response(480, n_dims=3, n_genes=3)[: len(donor)].copy()
        adata.obs = pd.DataFrame({"donor": donor, "condition": condition}, index=adata.obs_names)
        states = rng.normal(size=(len(donor), 3))
        states[:, 0] += 10 * (np.array(donor) == "b")
        states[:, 1] += 2 * (np.array(condition) == "drug")
        adata.obsm["X_pca"] = states
        shifts = {}
        for context in ("donor", None):
            sdo.tl.fit_response(adata, *GROUPS, context=context, **quick_response)
            sdo.tl.predict_response(adata)
            shifts[context] = np.nanmean(adata.obsm["scdiffot_response"], axis=0)
        # the standard error of means of 40 cells is 0.16 in either group
        assert shifts["donor"] == pytest.approx([0, 2, 0], abs=0.6)
        assert shifts[None][0] > 5


class TestMass:
    def test_numbers_of_cells_determine_the_survival(self, treat, quick_response):
        adata = treat(death=0.3)
        sdo.tl.fit_response(adata, *GROUPS, unbalanced=True, **quick_response)
        sdo.tl.predict_response(adata)
        counts = adata.obs["condition"].value_counts()
        mean = adata.obs["scdiffot_survival"].mean()
        assert mean == pytest.approx(counts["drug"] / counts["control"], rel=0.05)

    def test_passed_numbers_replace_numbers_of_cells(self, treat, quick_response):
        adata = treat(death=0.3)
        means = {}
        for name, mass in (("dict", {"drug": 0.4}), ("none", None)):
            sdo.tl.fit_response(adata, *GROUPS, unbalanced=True, mass=mass, **quick_response)
            sdo.tl.predict_response(adata)
            means[name] = adata.obs["scdiffot_survival"].mean()
        assert means["dict"] == pytest.approx(0.4, rel=0.05)
        assert means["none"] == pytest.approx(1, rel=0.05)

    def test_a_balanced_fit_has_no_survival(self, treat, quick_response):
        adata = treat(death=0.3)
        sdo.tl.fit_response(adata, *GROUPS, unbalanced=True, **quick_response)
        sdo.tl.predict_response(adata)
        assert "scdiffot_survival" in adata.obs
        sdo.tl.fit_response(adata, *GROUPS, **quick_response)
        sdo.tl.predict_response(adata)
        assert "scdiffot_survival" not in adata.obs

    @pytest.mark.parametrize(
        ("mass", "error", "message"),
        [
            ("cells", ValueError, "`mass` is 'cells': pass 'n_cells'"),
            ({"other": 1.0}, KeyError, "`mass` has no value for 'drug'"),
            ({"drug": -1.0}, ValueError, "`mass` of 'drug' is -1.0: pass a positive number"),
        ],
    )
    def test_invalid_masses_are_errors(self, treated, quick_response, mass, error, message):
        with pytest.raises(error, match=message):
            sdo.tl.fit_response(treated, *GROUPS, unbalanced=True, mass=mass, **quick_response)


def interrupt_at(step):
    """Interrupt a fit by Ctrl-C at this step."""

    def fit(strata, conditions, config, *, callback, **options):
        def callback_then_signal(progress):
            if progress.step >= step:
                signal.raise_signal(signal.SIGINT)

        return fit_core(strata, conditions, config, callback=callback_then_signal, **options)

    return fit


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("method", ["flow", "convex"])
def test_interruption_keeps_the_state_reached(treated, quick_response, caplog, monkeypatch, method):
    monkeypatch.setattr("scdiffot.tl._response.fit_response.fit_core", interrupt_at(50))
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.fit_response(
            treated,
            *GROUPS,
            **quick_response | {"config": {"train": {"n_steps": 5000}}, "method": method},
        )
    assert "Interrupted after 50 steps: the state reached is kept" in caplog.text
    assert treated.uns["scdiffot_response"]["history"]["interrupted"]
    sdo.tl.predict_response(treated)
    response = treated.obsm["scdiffot_response"][treated.obs["condition"] == "control"]
    assert np.isfinite(response).all()
    assert np.abs(response).max() > 0.1


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("method", ["flow", "convex"])
def test_interruption_before_the_first_step_writes_nothing(
    treated, quick_response, fingerprint, monkeypatch, method
):
    def interrupt(*_, **__):
        signal.raise_signal(signal.SIGINT)

    target_name = {"flow": "regression._loss", "convex": "convex.ConvexPotential.gradient"}[method]
    monkeypatch.setattr(f"scdiffot.core.response.{target_name}", interrupt)
    previous = fingerprint(treated)
    with pytest.raises(KeyboardInterrupt):
        sdo.tl.fit_response(treated, *GROUPS, **quick_response, method=method)
    assert fingerprint(treated) == previous
