from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

from scdiffot._data.classes import Classifier
from scdiffot._data.nearest import MAX_COMPARED, Nearest


def cells(n, d, seed=0):
    """Two overlapping types, with coordinates far from zero; a third of the cells has the first one."""
    rng = np.random.default_rng(seed)
    codes = (rng.random(n) > 1 / 3).astype(int)
    x = rng.normal(size=(n, d)) + 100
    x[:, 0] += 1.5 * codes
    return x, codes


@pytest.mark.parametrize("d", [2, 10])
def test_nearest_cell(d):
    x, _ = cells(500, d)
    points, _ = cells(300, d, seed=1)
    nearest = Nearest(x, np.random.default_rng(0))
    distance, index = nearest(points)
    exact = cdist(points, x)
    np.testing.assert_array_equal(index, exact.argmin(1))
    np.testing.assert_allclose(distance, exact.min(1), rtol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(3000, 2), (3000, 10), (60, 2)])
def test_new_cells_are_hardly_ever_far(n, d):
    x, _ = cells(n, d)
    nearest = Nearest(x, np.random.default_rng(0))
    assert len(nearest.cells) == (n if d == 2 else MAX_COMPARED)
    new, _ = cells(5000, d, seed=1)
    assert (nearest(new)[0] > nearest.radius).mean() < (0.002 if n > 1000 else 0.05)
    new[:, 1] += 10
    assert (nearest(new)[0] > nearest.radius).mean() > 0.99


def test_cells_in_one_place_are_near():
    nearest = Nearest(np.zeros((20, 2)), np.random.default_rng(0))
    assert (nearest(np.ones((3, 2)))[0] <= nearest.radius).all()


@pytest.mark.parametrize("d", [2, 10])
def test_smoothing_averages_over_neighbours(d):
    x, _ = cells(400, d)
    weights = Nearest(x, np.random.default_rng(0)).smoothing(x, 12)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert (np.diff(weights.indptr) == 12).all()
    # the cell itself weighs most
    np.testing.assert_array_equal(np.asarray(weights.argmax(axis=1)).ravel(), np.arange(400))


@pytest.mark.parametrize("estimator", [None, LogisticRegression(max_iter=2000)], ids=["neighbours", "logistic"])
@pytest.mark.parametrize("d", [2, 10])
def test_probabilities_are_calibrated(estimator, d):
    x, codes = cells(4000, d)
    told = Classifier(x, codes, n_types=2, estimator=estimator, rng=np.random.default_rng(0))
    new, truth = cells(20_000, d, seed=1)
    probability, outside = told(new)
    np.testing.assert_allclose(probability.sum(1), 1)
    assert outside.mean() < 0.02
    # the best that can be done is right in 81 %; half a standard deviation of the noise of 30 neighbours less
    assert told.accuracy == pytest.approx(0.81, abs=0.04)
    assert (probability.argmax(1) == truth).mean() == pytest.approx(told.accuracy, abs=0.03)
    # the mean is the share, within the error of 4000 cells; and in every part of the scale it is roughly what is seen
    assert probability[:, 0].mean() == pytest.approx(1 / 3, abs=0.02)
    part = np.digitize(probability[:, 0], [0.2, 0.4, 0.6, 0.8])
    for k in range(5):
        seen = (truth[part == k] == 0).mean()
        assert probability[part == k, 0].mean() == pytest.approx(seen, abs=0.12)


def test_types_that_are_missing_or_alone():
    x, codes = cells(300, 2)
    unknown = np.where(np.arange(300) < 100, -1, codes)
    told = Classifier(x, unknown, n_types=4, rng=np.random.default_rng(0))
    probability, outside = told(x)
    assert probability.shape == (300, 4)
    assert not probability[:, 2:].any()
    # cells of unknown type are cells
    assert not outside.any()
    alone = Classifier(x, np.zeros(300, int), n_types=2, estimator=LogisticRegression(), rng=np.random.default_rng(0))
    np.testing.assert_array_equal(alone(x)[0], np.tile([1.0, 0.0], (300, 1)))
    assert alone.accuracy == 1
