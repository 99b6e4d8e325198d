"""Weights of reference spots that transfer values to spots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from scdiffot.core.spatial.between.transfer import agreement, nearest, transfer_weights


def test_nearest_neighbours_are_exact():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1500, 4)), rng.normal(size=(300, 4))
    index, squares = nearest(x, y, 7)
    distances, indices = cKDTree(y).query(x, 7)
    np.testing.assert_array_equal(index, indices)
    np.testing.assert_allclose(squares, distances**2, atol=1e-9)


@pytest.mark.parametrize("marginal", [0.0, 1.0])
def test_weights_sum_to_one_and_do_not_depend_on_units(marginal):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)), rng.normal(size=(90, 3))
    weights = transfer_weights(x, y, n_neighbors=10, marginal=marginal)
    assert weights.shape == (200, 90)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    transformed = transfer_weights(30 * x + 4, 30 * y + 4, n_neighbors=10, marginal=marginal)
    np.testing.assert_allclose(transformed.toarray(), weights.toarray(), atol=1e-7)


def test_smooth_functions_are_transferred():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(300, 2)), rng.uniform(size=(400, 2))
    predicted = transfer_weights(x, y, n_neighbors=15) @ np.sin(4 * y[:, 0])
    assert np.corrcoef(predicted, np.sin(4 * x[:, 0]))[0, 1] > 0.97


def test_marginal_constraints_use_the_reference_evenly():
    rng = np.random.default_rng(0)
    # the spots are shifted to one side of the reference
    x, y = rng.normal(size=(300, 2)) + [1, 0], rng.normal(size=(300, 2))

    def sd(marginal):
        totals = np.asarray(
            transfer_weights(x, y, n_neighbors=20, marginal=marginal).sum(axis=0)
        ).ravel()
        return totals.std()

    assert sd(10.0) < 0.8 * sd(0.0)


def test_weights_of_coincident_spots_sum_to_one():
    x = np.zeros((5, 2))
    weights = transfer_weights(x, x, n_neighbors=3)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_agreement_of_equal_mean_and_random_predictions():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(500, 3))
    reference = 10 * measured + 5
    correlation, error = agreement(measured, reference, reference)
    np.testing.assert_allclose(correlation, 1)
    np.testing.assert_allclose(error, 0, atol=1e-9)
    mean = np.tile(reference.mean(axis=0), (500, 1))
    correlation, error = agreement(measured, mean, reference)
    np.testing.assert_allclose(correlation, 0, atol=1e-9)
    np.testing.assert_allclose(error, 1)
    random_error = agreement(measured, 10 * rng.normal(size=(500, 3)) + 5, reference)[1]
    np.testing.assert_allclose(random_error, np.sqrt(2), rtol=0.1)
