"""Scores of predictions for held-out cells against known responses."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.response import Conditions, ContextPair, ResponseConfig
from scdiffot.core.response.evaluation import CONTROLS, HeldOutCells, evaluate_responses

CONDITIONS = Conditions(np.zeros((1, 0)), np.ones(1))
CONFIGS = {
    "flow": ResponseConfig(
        train={"n_steps": 5}, coupling={"n_pairs": 500, "n_landmarks": 200}, metric="euclidean"
    )
}


def _value(rows, method, metric, field="value"):
    (value,) = [row[field] for row in rows if row["method"] == method and row["metric"] == metric]
    return value


@pytest.fixture
def gaussian():
    """Return training and held-out cells of normal populations with a linear response."""
    rng = np.random.default_rng(0)
    matrix, shift = np.diag([2.0, 1.0, 0.5]), np.array([3.0, 0.0, -1.0])

    def cells(n):
        return rng.normal(size=(n, 3)), rng.normal(size=(n, 3)) @ matrix + shift

    training, (x, y) = cells(4000), cells(400)
    return ContextPair(*training, 0), HeldOutCells(0, x, y, np.ones(len(x)), x @ matrix + shift - x)


def test_baselines_have_their_known_errors(gaussian):
    training, held_out = gaussian
    rows = evaluate_responses([training], [held_out], CONDITIONS, CONFIGS, n_boot=20)
    assert {row["method"] for row in rows} == {"flow", *CONTROLS}
    # error of the moments of 4,000 cells
    assert _value(rows, "gaussian", "unexplained") < 0.01
    # the residual of a shift for the response (x1, 0, -x3 / 2) + (3, 0, -1)
    error = np.sum(held_out.control**2 * [1, 0, 0.25]) / np.sum(held_out.truth**2)
    assert _value(rows, "mean_shift", "unexplained") == pytest.approx(error, abs=0.01)
    assert [_value(rows, "identity", "unexplained", end) for end in ("value", "low", "high")] == [
        1,
        1,
        1,
    ]
    mean = np.linalg.norm(held_out.control.mean(axis=0) - held_out.treated.mean(axis=0))
    assert _value(rows, "identity", "l2_of_means") == pytest.approx(mean)
    distance = np.linalg.norm(training.treated.mean(axis=0) - held_out.treated.mean(axis=0))
    assert _value(rows, "copy", "l2_of_means") == pytest.approx(distance)
    paired = {row["method"] for row in rows if row["metric"] == "unexplained"}
    assert paired == {"flow", "gaussian", "mean_shift", "identity"}
    low, value, high = (
        _value(rows, "observed", "energy_distance", end) for end in ("low", "value", "high")
    )
    assert low < 0 < high
    assert abs(value) < 0.02 < _value(rows, "identity", "energy_distance")
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert {(row["n_control"], row["n_treated"]) for row in rows} == {(400, 400)}


def test_a_change_in_the_composition_of_contexts_is_not_a_response():
    """The response is (1, 0); the contexts, at a distance of 10, have other shares when treated."""
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [0.0, 10.0]])
    n_cells = [(150, 50), (50, 150)]
    x, y = (
        [
            c + [s, 0] + 0.1 * rng.normal(size=(n[s], 2))
            for c, n in zip(centres, n_cells, strict=True)
        ]
        for s in (0, 1)
    )
    contexts = [ContextPair(a, b, 0) for a, b in zip(x, y, strict=True)]
    shares = np.repeat([50 / 150, 150 / 50], [150, 50])
    truth = np.tile([1.0, 0.0], (200, 1))
    held_out = HeldOutCells(0, np.concatenate(x), np.concatenate(y), shares, truth)
    rows = evaluate_responses(contexts, [held_out], CONDITIONS, CONFIGS, n_boot=5)
    # squared standard error of a mean
    assert _value(rows, "mean_shift", "unexplained") < 1e-3
    assert _value(rows, "identity", "l2_of_means") == pytest.approx(1, abs=0.05)
    assert _value(rows, "mean_shift", "l2_of_means") < 0.05


def test_all_predictions_are_scored_on_decoded_genes(gaussian):
    training, held_out = gaussian
    loadings = np.array([[1.0, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0]])
    rows = evaluate_responses(
        [training], [held_out], CONDITIONS, CONFIGS, decode=lambda z: z @ loadings, n_boot=2
    )
    x, y = (z.mean(axis=0) @ loadings for z in (held_out.control, held_out.treated))
    assert _value(rows, "identity", "pearson_of_means") == pytest.approx(np.corrcoef(x, y)[0, 1])
    states = evaluate_responses([training], [held_out], CONDITIONS, CONFIGS, n_boot=2)
    for method in ("flow", *CONTROLS):
        assert _value(rows, method, "energy_distance") == _value(states, method, "energy_distance")
        assert _value(rows, method, "marginal_distance") != _value(
            states, method, "marginal_distance"
        )


def test_predicted_populations_are_weighted_by_survival():
    """Cells of the right cluster die; without weights the mean of predicted cells is off by one."""
    rng = np.random.default_rng(2)
    x = np.repeat([[-2.0, 0.0], [2.0, 0.0]], 200, axis=0) + 0.3 * rng.normal(size=(400, 2))
    y = x[:250] + [0.0, 0.5]
    training = ContextPair(x, y + 0.01 * rng.normal(size=y.shape), 0, len(y) / len(x))
    held_out = HeldOutCells(0, x, y, np.ones(len(x)))
    config = ResponseConfig(unbalanced=True, train={"n_steps": 300}, metric="euclidean")
    rows = evaluate_responses([training], [held_out], CONDITIONS, {"flow": config}, n_boot=5)
    assert _value(rows, "identity", "l2_of_means") > 1
    assert _value(rows, "flow", "l2_of_means") < 0.3


def test_an_interrupted_fit_is_not_evaluated(gaussian):
    def interrupt(progress):
        raise KeyboardInterrupt

    configs = {
        "flow": ResponseConfig(
            train={"n_steps": 200},
            coupling={"n_pairs": 500, "n_landmarks": 200},
            metric="euclidean",
        )
    }
    with pytest.raises(KeyboardInterrupt):
        evaluate_responses(
            [gaussian[0]], [gaussian[1]], CONDITIONS, configs, n_boot=2, callback=interrupt
        )
