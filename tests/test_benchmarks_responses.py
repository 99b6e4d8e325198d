"""Part J of the benchmarks: responses to treatments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def responses(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import responses

    return responses


def test_entropic_map_finds_a_shift_and_stays_among_the_treated(responses):
    from benchmarks.tasks.response_methods import entropic_map

    rng = np.random.default_rng(0)
    x, y, query = (
        rng.normal(size=(300, 2)),
        rng.normal(size=(300, 2)) + [5, 0],
        rng.normal(size=(50, 2)),
    )
    states = entropic_map(x, y, query)
    # The bound covers the sampling error of 300 cells in two dimensions and the entropic blurring
    # at the boundary.
    assert np.sqrt(np.mean((states - query - [5, 0]) ** 2)) < 0.35
    assert (states >= y.min(axis=0)).all()
    assert (states <= y.max(axis=0)).all()


def test_survival_has_errors_by_type_and_by_cell(responses):
    true, types = np.array([0.9, 0.7, 0.2, 0.4]), np.array(["a", "a", "b", "b"])
    assert responses.survival_errors(true, true, types) == {
        "survival_error": 0,
        "survival_r": pytest.approx(1),
    }
    errors = responses.survival_errors(np.array([0.6, 0.4, 0.5, 0.7]), true, types)
    assert errors["survival_error"] == pytest.approx(0.3)
    assert errors["survival_r"] < 0.1


def test_simulated_halves_share_no_cell_and_methods_rank(responses):
    from benchmarks.settings import Settings
    from benchmarks.tasks.response_methods import predict

    cells = responses.simulated(1500, 0.0, 0)
    assert not set(cells.train.obs_names) & set(cells.test.obs_names)
    assert cells.train.n_obs + cells.test.n_obs == 1500
    rows = {
        name: responses._scores(predict(name, cells, 0, Settings()), cells, 0)
        for name in ("Gaussian OT", "mean shift", "identity")
    }
    assert (
        rows["Gaussian OT"]["unexplained"]
        < rows["mean shift"]["unexplained"]
        < rows["identity"]["unexplained"]
        == 1
    )
    assert rows["identity"]["mean_error"] == pytest.approx(1)
    floor = responses.floor(cells.states("test", cells.target), 0)
    assert abs(floor["energy_distance"]) < rows["Gaussian OT"]["energy_distance"]


def test_unseen_donor_does_not_change_the_components(responses):
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    donor = np.repeat(["1", "2"], 80)
    x = rng.normal(size=(160, 60)) + 3
    y = np.where(donor[:, None] == "2", rng.normal(size=(160, 60)) * 50, x)
    train_states = []
    for values in (x, y):
        adata = AnnData(csr_matrix(values))
        adata.obs["donor"] = donor
        adata.obs["condition"] = np.tile(["ctrl", "stim"], 80)
        cells, decode = responses.unseen_donor(adata, "2")
        assert set(cells.train.obs["donor"]) == {"1"}
        assert set(cells.test.obs["donor"]) == {"2"}
        train_states.append(np.asarray(cells.train.obsm["X_pca"]))
    np.testing.assert_array_equal(*train_states)
    # Decoding and projecting is the identity in the space of the components.
    states = np.asarray(cells.test.obsm["X_pca"])
    projected = (decode(states) - decode(np.zeros((1, 50)))) @ cells.train.varm["PCs"]
    np.testing.assert_allclose(projected, states, atol=1e-6 * np.abs(states).max())


def response_rows():
    scores = {
        "energy_distance": 0.5,
        "mmd": 0.01,
        "pearson_of_means": 0.99,
        "l2_of_means": 1.5,
        "enrichment": 0.4,
    }
    truth = {
        "unexplained": 0.25,
        "identity_kept": 0.9,
        "mean_error": 0.1,
        "spread": 1.1,
        "cpu_s": 3.0,
    }
    fold = {"part": "J", "data": "kang", "task": "unseen donor", "variant": "101", "seed": 0}
    return [
        {"part": "J", "data": "simulation", "method": "identity", "seed": 0, **scores, **truth},
        {"part": "J", "data": "simulation", "method": "scdiffot", "seed": 0, **scores, **truth}
        | {"unexplained": 0.06, "metric": "learned"},
        {"part": "J", "data": "death", "method": "Gaussian OT", "seed": 0, **scores, **truth},
        fold | scores | {"method": "mean shift", "r_of_change": 0.9},
        fold | scores | {"method": "identity", "energy_distance": 5.0},
        fold | {"method": "CellOT", "error": "cellot was stopped after 1 s"},
        {
            "part": "J",
            "data": "scale",
            "method": "scdiffot",
            "seed": 0,
            "n_cells": 10_000,
            "n_dims": 50,
        }
        | {"n_predicted": 100_000, "cpu_s": 30.0, "predict_cpu_s": 12.0},
    ]


def test_page_of_responses_shows_the_rows(responses, tmp_path):
    from benchmarks.report.responses import section
    from benchmarks.store import Store

    store = Store(tmp_path / "b.json")
    store.rows = response_rows()
    page = section(store)
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert lines[1].startswith("| scdiffot | 0.060 | 0.500 | 0.010 | 0.990 | 0.900 | 3.000 |")
    assert lines[2].startswith("| identity | 0.250 |")
    assert "by number of fits: 1 learned." in page
    # A score that a method does not have is a dash.
    assert "| Gaussian OT | 0.250 | 0.100 | – | – | 0.500 | 3.000 |" in lines
    assert "| mean shift | 1.000 | 0.500 | 1.500 | 0.990 | 0.900 | 0.400 | – | – |" in lines
    assert "| identity | 10 | 5.000 | 1.500 | 0.990 | – | 0.400 | – | – |" in lines
    assert "- CellOT, donor 101: `cellot was stopped after 1 s`" in page
    assert "| 10,000 | 30 | 100,000 | 12 |" in lines
    store.rows = []
    assert section(store) == ""


def test_cellot_is_not_among_the_default_peers(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import peers, responses

    assert not set(peers.PEERS) & set(responses.PEERS)
