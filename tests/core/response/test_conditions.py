"""Representation of treatments and doses by the conditions of a fit."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.response import Conditions, ContextPair, ResponseConfig, fit_response

DOSES = Conditions(np.zeros((3, 0)), np.array([0.2, 0.6, 1.0]))
TREATMENTS = Conditions(np.eye(2), np.ones(2))


@pytest.mark.parametrize(
    ("strength", "weights"),
    [
        (0.0, [0, 0, 0]),
        (0.1, [0.5, 0, 0]),
        (0.2, [1, 0, 0]),
        (0.4, [0.5, 0.5, 0]),
        (0.9, [0, 0.25, 0.75]),
        (1.0, [0, 0, 1]),
    ],
)
def test_doses_are_interpolated_down_to_no_treatment(strength, weights):
    assert DOSES.weights(np.zeros(0), strength) == pytest.approx(weights, abs=1e-12)
    assert DOSES.gate(strength) == pytest.approx(min(sum(weights), 1), abs=1e-12)


def test_a_condition_represents_itself():
    assert np.array_equal(TREATMENTS.weights(np.array([0.0, 1.0]), 1.0), [0, 1])


def test_new_treatments_are_represented_by_their_nearest_conditions():
    line = Conditions(np.array([[0.0], [1.0], [5.0]]), np.ones(3))
    assert line.weights(np.array([0.5]), 1.0) == pytest.approx([0.5, 0.5, 0], abs=1e-6)
    weights = line.weights(np.array([0.9]), 1.0)
    assert weights[1] > 0.9
    assert weights.sum() == pytest.approx(1)
    # a distant treatment is represented by its nearest condition
    assert line.weights(np.array([1e3]), 1.0) == pytest.approx([0, 0, 1])


def test_invalid_conditions_are_refused():
    with pytest.raises(ValueError, match=r"embedding \(1\) and strength \(2\) must match"):
        Conditions(np.zeros((1, 0)), np.ones(2))
    with pytest.raises(ValueError, match="strength must be above 0 and at most 1, found"):
        Conditions(np.zeros((1, 0)), np.array([1.5]))
    cells = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=r"conditions \[1\] have no cells"):
        fit_response(
            [ContextPair(cells, cells + 1, 0)], TREATMENTS, ResponseConfig(train={"n_steps": 2})
        )
