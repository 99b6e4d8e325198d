"""Smoothing and order of domain probabilities."""

from __future__ import annotations

import numpy as np

from scdiffot.core.spatial.domains.neighbourhoods import nearest_spots
from scdiffot.core.spatial.domains.smoothing import order_by_size, smooth_probabilities


def test_smoothing_removes_single_spots_and_preserves_borders():
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=-1).reshape(-1, 2).astype(float)
    domains = (grid[:, 0] > 4.5).astype(int)
    labels = domains.copy()
    labels[22] = 1
    smoothed_probabilities = smooth_probabilities(np.eye(2)[labels], nearest_spots(grid, 8), 1)
    np.testing.assert_allclose(smoothed_probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(smoothed_probabilities.argmax(axis=1), domains)


def test_domains_are_ordered_by_size_without_empty_ones():
    labels = np.repeat([0, 1, 3], [5, 9, 7])
    np.testing.assert_array_equal(order_by_size(np.eye(4)[labels]), [1, 3, 0])
