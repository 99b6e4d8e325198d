from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from _response_calls import EVALUATION, QUICK_EVALUATION, evaluate

import scdiffot as sdo
from scdiffot.core.response import evaluation as response_evaluation

COLUMNS = [
    "split",
    "fold",
    "target",
    "method",
    "metric",
    "value",
    "low",
    "high",
    "n_control",
    "n_treated",
]
CONTROLS = ["gaussian", "mean_shift", "copy", "identity", "observed"]


def test_random_split(cells, fingerprint, tmp_path, caplog):
    previous = fingerprint(cells)
    with caplog.at_level(logging.INFO, "scdiffot"):
        table = evaluate(cells, n_splits=2, context="donor", truth="true_response")
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Energy distance to the treated cells of 2 folds"
    ]
    assert list(table.columns) == COLUMNS
    assert table["split"].unique().tolist() == ["iid"]
    assert table["fold"].unique().tolist() == ["1", "2"]
    assert table["method"].unique().tolist() == ["flow", *CONTROLS]
    assert table["target"].unique().tolist() == ["drug"]
    # a fifth of 100 cells of each donor and group
    assert table[["n_control", "n_treated"]].drop_duplicates().to_numpy().tolist() == [[60, 60]]
    assert np.isfinite(table[["value", "low", "high"]]).all(axis=None)
    first, second = (table[table["fold"] == fold]["value"].to_numpy() for fold in ("1", "2"))
    assert not np.allclose(first, second)
    current = fingerprint(cells)
    assert {part for part in previous if previous[part] != current[part]} == {"uns"}
    cells.write_h5ad(tmp_path / "evaluated.h5ad")
    pd.testing.assert_frame_equal(
        ad.read_h5ad(tmp_path / "evaluated.h5ad").uns[EVALUATION], table, check_index_type=False
    )


def test_metrics_are_those_of_the_package(cells):
    """Recomputed from the test cells, those of the only held-out donor."""
    table = evaluate(cells, split="oos", context="donor", held_out="donor_2", n_boot=2).set_index(
        ["method", "metric"]
    )
    is_donor, control = cells.obs["donor"] == "donor_2", cells.obs["condition"] == "control"
    x, y = (cells[is_donor & side].obsm["X_pca"] for side in (control, ~control))
    training = [cells[~is_donor & side].obsm["X_pca"] for side in (control, ~control)]
    assert table.loc[("identity", "energy_distance"), "value"] == pytest.approx(
        sdo.metrics.energy_distance(x, y)
    )
    # all donors have as many control as treated cells
    shift = training[1].mean(axis=0) - training[0].mean(axis=0)
    for metric in ("energy_distance", "l2_of_means"):
        score = getattr(sdo.metrics, metric)
        assert table.loc[("mean_shift", metric), "value"] == pytest.approx(
            score(x + shift, y), rel=1e-4
        )
        assert table.loc[("copy", metric), "value"] == pytest.approx(
            score(training[1], y), rel=1e-4
        )
    mean = cells.X.mean(axis=0)
    genes = [mean + (z - cells.obsm["X_pca"].mean(axis=0)) @ cells.varm["PCs"].T for z in (x, y)]
    r = np.corrcoef(*(g.mean(axis=0) for g in genes))[0, 1]
    assert table.loc[("identity", "pearson_of_means"), "value"] == pytest.approx(r, abs=1e-4)


def test_contexts_and_classes_are_held_out_in_turn(cells):
    table = evaluate(cells, split="oos", context="donor")
    assert table["fold"].unique().tolist() == ["donor_1", "donor_2", "donor_3"]
    assert table["split"].unique().tolist() == ["oos"]
    assert (table["n_control"] == 100).all()
    cells.obs["number"] = cells.obs["donor"].str.removeprefix("donor_").astype(int)
    table = evaluate(cells, split="oos", context="number", held_out=[3])
    assert table["fold"].unique().tolist() == ["3"]
    table = evaluate(cells, split="ood", held_out_key="site")
    assert table["fold"].unique().tolist() == ["north", "south"]
    numbers = cells.obs[cells.obs["condition"] == "control"]["site"].value_counts()
    assert (table["n_control"] == table["fold"].map(numbers)).all()
    # donors without treated cells and cells without a class are ignored
    cells.obs["donor"] = cells.obs["donor"].where(
        ~((cells.obs["donor"] == "donor_3") & (cells.obs["condition"] == "drug"))
    )
    table = evaluate(cells, split="oos", context="donor")
    assert table["fold"].unique().tolist() == ["donor_1", "donor_2"]


@pytest.mark.parametrize(
    "options",
    [
        # the learned metric and the survival are also fitted to data
        {"split": "iid", "metric": "auto", "unbalanced": True},
        {"split": "iid", "methods": "convex"},
        {"split": "oos", "context": "donor", "held_out": "donor_1"},
        {"split": "ood", "held_out_key": "site", "held_out": "north"},
    ],
    ids=lambda o: o.get("methods", o["split"]),
)
def test_training_sees_no_test_cell(cells, options, monkeypatch):
    models, evaluations = [], []

    def remember(original, calls):
        def wrapper(*arguments, **options):
            result = original(*arguments, **options)
            calls.append(result if calls is models else arguments)
            return result

        return wrapper

    monkeypatch.setattr(
        response_evaluation, "fit_response", remember(response_evaluation.fit_response, models)
    )
    monkeypatch.setattr(
        response_evaluation, "_predictions", remember(response_evaluation._predictions, evaluations)
    )
    clean = evaluate(cells, genes=False, **options)
    (model_states,) = evaluations[0][:1]
    model_cells = np.concatenate([model_states.control, model_states.treated])
    states = cells.obsm["X_pca"]
    rows = [int(np.flatnonzero((states == z).all(axis=1))[0]) for z in model_cells]
    noise_states = states.copy()
    noise_states[rows] = 1e3 * np.random.default_rng(0).standard_cauchy(
        (len(rows), states.shape[1])
    )
    cells.obsm["X_pca"] = noise_states
    dirty = evaluate(cells, genes=False, **options)
    assert not np.allclose(clean["value"], dirty["value"])
    (previous, _), (current, _) = models
    training_states = np.delete(states, rows, axis=0)
    for name in ("states", "survival"):
        np.testing.assert_array_equal(
            getattr(previous.predict(training_states), name),
            getattr(current.predict(training_states), name),
        )
    for name, values in previous.to_arrays()["weights"].items():
        np.testing.assert_array_equal(values, current.to_arrays()["weights"][name])


def test_targets_and_doses(cells):
    adata = sdo.datasets.perturbation_response(
        900, n_dims=4, targets=("a", "b"), doses=(0.5, 1.0), rng=0
    )
    table = evaluate(adata, target=["a", "b"], dose_key="dose", genes=False, test_size=0.4)
    assert table["target"].unique().tolist() == ["a at 0.5", "a at 1", "b at 0.5", "b at 1"]
    with pytest.raises(
        ValueError, match="`truth` is the response to one treatment at one dose, and there are 2"
    ):
        evaluate(adata, target=["a", "b"], truth="true_response")


def test_both_methods(cells):
    table = evaluate(cells, methods=["flow", "convex"])
    assert table["method"].unique().tolist() == ["flow", "convex", *CONTROLS]


def test_genes_where_there_is_a_decoder(cells, caplog):
    states = evaluate(cells, genes=False)
    genes = evaluate(cells)
    of_states = states["metric"].isin(["l2_of_means", "energy_distance", "mmd", "enrichment"])
    np.testing.assert_array_equal(states["value"][of_states], genes["value"][of_states])
    assert (states["value"] != genes["value"])[~of_states].all()
    del cells.varm["PCs"]
    with caplog.at_level(logging.INFO, "scdiffot"):
        pd.testing.assert_frame_equal(evaluate(cells), states)
    assert "none of genes: `use_rep` 'X_pca' has no decoder" in caplog.text
    with pytest.raises(ValueError, match="`use_rep` 'X_pca' has no decoder"):
        evaluate(cells, genes=True)


def test_seeds_copy_and_name(cells, fingerprint):
    previous = fingerprint(cells)
    options = {"target": "drug", "key_added": "mine", "copy": True, **QUICK_EVALUATION}
    first, second, other = (
        sdo.tl.evaluate_response(cells, "condition", "control", rng=rng, **options).uns[
            "mine_response_evaluation"
        ]
        for rng in (5, 5, 6)
    )
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)
    assert fingerprint(cells) == previous


@pytest.mark.slow
def test_unseen_donors_of_the_simulator():
    adata = sdo.datasets.perturbation_response(3000, n_dims=20, rng=1)
    table = evaluate(
        adata,
        split="oos",
        context="donor",
        truth="true_response",
        metric="auto",
        n_steps=600,
        n_landmarks=None,
    )
    values = table.pivot_table(index="fold", columns=["metric", "method"], values="value")
    assert (values["unexplained"]["flow"] < 0.2).all()
    assert (values["unexplained"]["gaussian"] > 0.4).all()
    distance = values["energy_distance"]
    assert (distance["flow"] < distance["gaussian"] / 2).all()
    assert (distance["gaussian"] < distance["mean_shift"]).all()
    # unbiased distances between halves do not give a positive floor
    assert (distance["observed"].abs() < 0.05).all()
    assert (values["pearson_of_means"]["flow"] > 0.97).all()
