"""Smoothing and order of domains."""

from __future__ import annotations

import numpy as np

from scdiffot.core.spatial.domains.neighbourhoods import nearest_spots
from scdiffot.core.spatial.domains.smoothing import order_by_size, smooth_probabilities


def test_smoothing_removes_a_single_spot_and_keeps_the_border():
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2).astype(float)
    right = (grid[:, 0] > 4.5).astype(int)
    labels = right.copy()
    labels[22] = 1
    smooth = smooth_probabilities(np.eye(2)[labels], nearest_spots(grid, 8), 1)
    np.testing.assert_allclose(smooth.sum(axis=1), 1)
    np.testing.assert_array_equal(smooth.argmax(axis=1), right)


def test_largest_first_and_none_without_spots():
    labels = np.repeat([0, 1, 3], [5, 9, 7])
    np.testing.assert_array_equal(order_by_size(np.eye(4)[labels]), [1, 3, 0])
