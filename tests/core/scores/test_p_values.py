"""P values of many tests."""

from __future__ import annotations

import numpy as np
from scipy import stats

from scdiffot.core.scores.p_values import adjust_p_values


def test_missing_p_values_are_excluded_from_the_adjustment():
    p = np.array([0.01, np.nan, 0.04, 0.5])
    adjusted = adjust_p_values(p)
    assert np.isnan(adjusted[1])
    np.testing.assert_allclose(adjusted[[0, 2, 3]], stats.false_discovery_control(p[[0, 2, 3]]))


def test_the_shape_is_preserved():
    assert adjust_p_values(np.zeros((0, 3))).shape == (0, 3)
    p = np.array([[0.01, 0.2], [0.5, 0.04]])
    np.testing.assert_allclose(
        adjust_p_values(p), stats.false_discovery_control(p, axis=None).reshape(2, 2)
    )
