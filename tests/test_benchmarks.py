"""The benchmark harness runs, merges its results, and writes a page from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
TOY = pytest.mark.xdist_group("toy benchmarks")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    # Warnings of other packages are not under test.
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Parts A, C and E on a toy time course, with fits of 20 steps."""
    folder = tmp_path_factory.mktemp("benchmarks")
    options = ("--quick", "--steps", "20", "--out", str(folder))
    process = run("--only", "A,C,E", "--data", "toy", *options)
    assert process.returncode == 0, process.stderr
    return folder


@TOY
@pytest.mark.slow
def test_rows_hold_the_measurements(results):
    content = json.loads((results / "benchmarks.json").read_text())
    rows = {row["part"]: row for row in content["rows"]}
    assert len(content["rows"]) == 3
    assert np.isfinite(rows["A"]["w1"]).all()
    assert len(rows["A"]["w1"]) == len(rows["A"]["times"]) == 2
    # The middle snapshot of three is the only inner one, and the cloud moves between snapshots.
    assert rows["C"]["time"] == 1
    assert rows["C"]["w1_mccann"] < min(rows["C"]["w1_previous"], rows["C"]["w1_next"])
    assert all(-1 <= cosine <= 1 for cosine in rows["E"]["velocity_cosine"])
    assert {row["environment"] for row in content["rows"]} == set(content["environments"])


@TOY
@pytest.mark.slow
def test_page_shows_the_rows(results):
    page = (results / "benchmarks.md").read_text()
    (row,) = [
        r for r in json.loads((results / "benchmarks.json").read_text())["rows"] if r["part"] == "A"
    ]
    ratio = np.mean(np.divide(row["w1"], row["floor"]))
    assert f"| toy | {ratio:.3f} |" in page
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert titles == [
        "## At a glance",
        "## Cells that were held out",
        "## Snapshots that were left out",
        "## Agreement of refits",
    ]


@TOY
@pytest.mark.slow
def test_a_repeated_measurement_replaces_its_row(results):
    previous = json.loads((results / "benchmarks.json").read_text())["rows"]
    process = run(
        "--only", "A", "--data", "toy", "--seeds", "1", "--steps", "40", "--out", str(results)
    )
    assert process.returncode == 0, process.stderr
    rows = json.loads((results / "benchmarks.json").read_text())["rows"]
    assert [row["part"] for row in rows] == [row["part"] for row in previous]
    assert rows[0]["w1"] != previous[0]["w1"]
    assert rows[1:] == previous[1:]


@pytest.mark.slow
def test_unknown_part_is_refused():
    process = run("--only", "A,Z")
    assert process.returncode != 0
    assert "--only has Z: choose from A, B, C, D, E, F, G, H, I, J, K." in process.stderr


@pytest.fixture
def regulators(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import regulators

    return regulators


@pytest.fixture
def fates(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.tasks import fates

    return fates


def test_edge_precision_uses_signs_and_ignores_the_diagonal(regulators):
    edges = np.array([[1.0, 1, 0, 0], [0, 1, -1, 0], [0, 0, 0, 0], [1, 0, -1, 0]])
    perfect = regulators.edge_precision(edges, 3 * edges)
    assert (perfect["auprc"], perfect["auprc_activation"], perfect["auprc_repression"]) == (1, 1, 1)
    assert perfect["chance"] == 4 / 24
    # A large constant on the diagonal changes nothing; wrong signs have a low precision.
    assert regulators.edge_precision(edges, 3 * edges - 100 * np.eye(4)) == perfect
    assert regulators.edge_precision(edges, -edges)["auprc"] < 0.3


def test_enrichment_of_drivers(regulators):
    driver = np.arange(50) < 6
    assert regulators.enrichment(driver, -np.arange(50.0)) == {"auroc": 1.0, "in_top": 6}
    assert regulators.enrichment(driver, np.arange(50.0)) == {"auroc": 0.0, "in_top": 0}


def test_rare_fates_have_as_much_influence_as_frequent_ones(regulators):
    screen = {
        "fates": np.array(["fate_1", "fate_2", "progenitor"]),
        "control": np.array([0.5, 0.1, 0.4]),
        "shift": np.array([[0.1, 0.0, -0.1], [0.0, -0.09, 0.09], [0.0, 0.0, 0.0]]),
    }
    np.testing.assert_allclose(regulators._by_fate(screen), [0.2, 0.3, 0])


def test_random_forest_finds_the_predictors(regulators):
    x = np.random.default_rng(0).normal(size=(150, 4))
    x[:, 3] = x[:, 0] - x[:, 1]
    importance = regulators.forest_importance(x, 0)
    assert importance[3, :2].min() > 2 * importance[3, 2]
    np.testing.assert_allclose(importance.sum(axis=1), 1)
    assert not np.diag(importance).any()


def test_page_of_genes_shows_the_rows(regulators, tmp_path):
    from benchmarks.report.genes import section
    from benchmarks.store import Store
    from benchmarks.tasks.markers import MARKERS, REGULATION

    store = Store(tmp_path / "b.json")
    numbers = {"n_drivers": 6, "n_genes": 50, "in_top": 5, "effect_spearman": 0.4}
    precision = {
        "auprc": 0.25,
        "auprc_activation": 0.3,
        "auprc_repression": 0.2,
        "chance": 0.02,
        "n_edges": 84,
    }
    store.rows = [
        {
            "part": "I",
            "task": "drivers",
            "method": "correlation with fate",
            "seed": 0,
            "auroc": 0.71,
            **numbers,
        },
        {"part": "I", "task": "drivers", "method": "scdiffot", "seed": 0, "auroc": 0.93, **numbers},
        {"part": "I", "task": "edges", "method": "scdiffot", "seed": 0, **precision},
        {
            "part": "I",
            "task": "markers",
            "seed": 0,
            "change": [-1.0] * len(MARKERS),
            "change_se": [0.1] * len(MARKERS),
            "observed": [-1.1] * len(MARKERS),
            "weight": [0.5] * len(REGULATION),
            "stability": [0.9] * len(REGULATION),
        },
    ]
    page = section(store)
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert lines[1].startswith("| scdiffot | 0.930 | 5.000 | 0.400 |")
    assert lines[2].startswith("| correlation with fate | 0.710 |")
    assert "| scdiffot | 0.250 | 0.300 | 0.200 |" in lines
    assert "| CDH1 | down | -1.000 | 0.100 | -1.100 | yes |" in lines
    assert "| VIM | up | -1.000 | 0.100 | -1.100 | **no** |" in lines
    assert "| SNAIL to CDH1 | represses | 0.500 | 0.900 | **no** |" in lines
    store.rows = []
    assert section(store) == ""


def test_peers_and_harness_exchange_arrays(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.peers._job import Job, read_job

    states = [np.arange(6.0).reshape(3, 2), np.ones((4, 2))]
    job = Job(tmp_path, np.array([0.0, 2.0]), states, 0, [1.0, 2.0], 7, {"n_steps": 3})
    job.write()
    monkeypatch.setattr(sys, "argv", ["run_peer.py", str(tmp_path)])
    job_copy = read_job()
    assert (job_copy.start, job_copy.predict, job_copy.seed, job_copy.options) == (
        0,
        [1.0, 2.0],
        7,
        {"n_steps": 3},
    )
    np.testing.assert_array_equal(job_copy.times, job.times)
    for original, copied in zip(states, job_copy.states, strict=True):
        np.testing.assert_array_equal(original, copied)
    job_copy.answer([x + 1 for x in states], [np.full(len(x), 0.5) for x in states], 1.5)
    predictions, cost = job.read_answer()
    assert cost["cpu_s"] == 1.5
    for (x, w), original in zip(predictions, states, strict=True):
        np.testing.assert_array_equal(x, original + 1)
        assert w.sum() == len(original) / 2


def test_peers_of_responses_and_harness_exchange_arrays(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.peers._job import ResponseJob, read_response_job

    control, treated, query = np.arange(6.0).reshape(3, 2), np.ones((4, 2)), np.zeros((5, 2))
    job = ResponseJob(tmp_path, control, treated, query, 7, {"n_iters": 3})
    job.write()
    monkeypatch.setattr(sys, "argv", ["run_peer.py", str(tmp_path)])
    job_copy = read_response_job()
    assert (job_copy.seed, job_copy.options) == (7, {"n_iters": 3})
    for original, copied in (
        (control, job_copy.control),
        (treated, job_copy.treated),
        (query, job_copy.query),
    ):
        np.testing.assert_array_equal(original, copied)
    job_copy.save("last", query + 1)
    job_copy.save("last_selected", query + 2)
    job_copy.answer(1.5, n_iters=3)
    predictions, facts = job.read_answer()
    assert (facts["cpu_s"], facts["n_iters"]) == (1.5, 3)
    assert list(predictions) == ["last", "last_selected"]
    np.testing.assert_array_equal(predictions["last_selected"], query + 2)


def test_calibration_of_cells_and_of_the_population(fates):
    true = fates.Fates(np.array([[1.0, 0.0], [0.2, 0.8]]), np.array([3.0, 1.0]))
    assert fates.calibration(true, true) == pytest.approx(
        {"squared_error": 0, "reliability": 0, "r": 1, "bias": 0, "population": 0}
    )
    # Shares are correct for every cell, but numbers of descendants are ignored: the share of the
    # first type is (1 + 0.2) / 2 in place of (3 + 0.2) / 4.
    errors = fates.calibration(fates.Fates(true.shares, np.ones(2)), true)
    assert errors["squared_error"] == 0
    assert errors["population"] == pytest.approx(0.2)
    # A share of 0.4 of the second cell has the wrong type.
    errors = fates.calibration(fates.Fates(np.array([[1.0, 0.0], [0.6, 0.4]]), true.numbers), true)
    assert errors["squared_error"] == pytest.approx((0.4**2 + 0.4**2) / 2)
    assert errors["bias"] == pytest.approx(0.2)
    assert errors["population"] == pytest.approx(0.1)
