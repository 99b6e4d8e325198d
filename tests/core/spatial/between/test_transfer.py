from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from scdiffot.core.spatial.between.transfer import agreement, nearest, transfer_weights


def test_nearest_is_exact():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1500, 4)), rng.normal(size=(300, 4))
    index, squares = nearest(x, y, 7)
    distances, expected = cKDTree(y).query(x, 7)
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(squares, distances**2, atol=1e-9)


@pytest.mark.parametrize("marginal", [0.0, 1.0])
def test_weights_are_means(marginal):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)), rng.normal(size=(90, 3))
    weights = transfer_weights(x, y, n_neighbors=10, marginal=marginal)
    assert weights.shape == (200, 90)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    again = transfer_weights(30 * x + 4, 30 * y + 4, n_neighbors=10, marginal=marginal)
    np.testing.assert_allclose(again.toarray(), weights.toarray(), atol=1e-7)


def test_smooth_functions_are_carried_over():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(300, 2)), rng.uniform(size=(400, 2))
    predicted = transfer_weights(x, y, n_neighbors=15) @ np.sin(4 * y[:, 0])
    assert np.corrcoef(predicted, np.sin(4 * x[:, 0]))[0, 1] > 0.97


def test_reference_is_used_evenly():
    rng = np.random.default_rng(0)
    # all spots lie on one side of the reference
    x, y = rng.normal(size=(300, 2)) + [1, 0], rng.normal(size=(300, 2))

    def spread(marginal):
        used = np.asarray(
            transfer_weights(x, y, n_neighbors=20, marginal=marginal).sum(axis=0)
        ).ravel()
        return used.std()

    assert spread(10.0) < 0.8 * spread(0.0)


def test_spots_that_coincide():
    x = np.zeros((5, 2))
    weights = transfer_weights(x, x, n_neighbors=3)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_agreement():
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
    other = agreement(measured, 10 * rng.normal(size=(500, 3)) + 5, reference)[1]
    np.testing.assert_allclose(other, np.sqrt(2), rtol=0.1)
