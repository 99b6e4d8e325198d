from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

from scdiffot._analysis.classifier import Classifier
from scdiffot._analysis.nearest import MAX_COMPARED, Nearest


def cells(n, d, seed=0):
    """Two overlapping types far from the origin; a third of the cells has the first type."""
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
    # The cell itself has the largest weight.
    np.testing.assert_array_equal(np.asarray(weights.argmax(axis=1)).ravel(), np.arange(400))


@pytest.mark.parametrize(
    "estimator", [None, LogisticRegression(max_iter=2000)], ids=["neighbours", "logistic"]
)
@pytest.mark.parametrize("d", [2, 10])
def test_probabilities_are_calibrated(estimator, d):
    x, codes = cells(4000, d)
    classifier = Classifier(x, codes, n_types=2, estimator=estimator, rng=np.random.default_rng(0))
    new, truth = cells(20_000, d, seed=1)
    probability, outside = classifier(new)
    np.testing.assert_allclose(probability.sum(1), 1)
    assert outside.mean() < 0.02
    # the best that can be done is right in 81 %; half a standard deviation of the noise of 30
    # neighbours less
    assert classifier.accuracy == pytest.approx(0.81, abs=0.04)
    assert (probability.argmax(1) == truth).mean() == pytest.approx(classifier.accuracy, abs=0.03)
    # the mean is the share, within the error of 4000 cells; and in every part of the scale it is
    # roughly what is seen
    assert probability[:, 0].mean() == pytest.approx(1 / 3, abs=0.02)
    part = np.digitize(probability[:, 0], [0.2, 0.4, 0.6, 0.8])
    for k in range(5):
        observed_share = (truth[part == k] == 0).mean()
        assert probability[part == k, 0].mean() == pytest.approx(observed_share, abs=0.12)


def test_missing_types_and_a_single_type():
    x, codes = cells(300, 2)
    partial_codes = np.where(np.arange(300) < 100, -1, codes)
    classifier = Classifier(x, partial_codes, n_types=4, rng=np.random.default_rng(0))
    probability, outside = classifier(x)
    assert probability.shape == (300, 5)
    assert not probability[:, 2:4].any()
    assert probability[:, 4].mean() == pytest.approx(1 / 3, abs=0.05)
    assert classifier.n_cells.tolist() == [*np.bincount(codes[100:]), 0, 0]
    # Cells of unknown type are not outside.
    assert not outside.any()
    single_type = Classifier(
        x,
        np.zeros(300, int),
        n_types=2,
        estimator=LogisticRegression(),
        rng=np.random.default_rng(0),
    )
    np.testing.assert_array_equal(single_type(x)[0], np.tile([1.0, 0.0, 0.0], (300, 1)))
    assert single_type.accuracy == 1


@pytest.mark.parametrize(("n", "d"), [(600, 2), (3000, 10)], ids=["tree", "sample"])
@pytest.mark.parametrize("m", [3, 5, 10, 20])
def test_a_separate_type_of_few_cells(m, n, d):
    """At a cluster 12 standard deviations away, the probability is 1 for any number of cells.

    A fixed number of 30 neighbours would give m / 30.
    """
    x, codes = cells(n, d)
    rng = np.random.default_rng(1)
    rare, new = rng.normal(size=(2, max(m, 200), d)) + 100
    rare[:, 1] += 12
    new[:, 1] += 12
    classifier = Classifier(
        np.concatenate([x, rare[:m]]),
        np.append(codes, np.full(m, 2)),
        n_types=3,
        rng=np.random.default_rng(0),
    )
    probability, _ = classifier(new)
    assert probability[:, 2].mean() > 0.96
    assert classifier.accuracy_by_type[2] == 1
    assert classifier.n_cells[2] == m
    # The other types are not affected.
    assert classifier(x)[0][:, 2].mean() < 0.01


@pytest.mark.parametrize("d", [2, 10])
def test_a_mixed_type_of_few_cells_is_calibrated(d):
    """Twenty cells among 600 others have the share 20 / 620 everywhere, also at their positions."""
    shares = []
    for seed in range(5):
        x, codes = cells(620, d, seed=seed)
        codes[:20] = 2
        classifier = Classifier(x, codes, n_types=3, rng=np.random.default_rng(0))
        new, truth = cells(2000, d, seed=100 + seed)
        probability, _ = classifier(new)
        shares.append(probability[:, 2])
        plain = Classifier(
            x, np.where(codes == 2, 1, codes), n_types=3, rng=np.random.default_rng(0)
        )(new)[0]
        # The shares of common types relative to each other do not change.
        log_loss = -np.log((probability[np.arange(2000), truth] + 0.01) / 1.03).mean()
        plain_loss = -np.log((plain[np.arange(2000), truth] + 0.01) / 1.03).mean()
        assert log_loss - plain_loss < 0.08
    shares = np.concatenate(shares)
    assert shares.mean() == pytest.approx(20 / 620, abs=0.01)
    # Of 30 neighbours, more than five are rarely of the type.
    assert (shares > 0.25).mean() < 0.02


def test_common_types_have_a_fixed_number_of_neighbours():
    """Comparison with the shares among the 30 cells nearest to the nearest cell."""
    x, codes = cells(500, 3)
    classifier = Classifier(x, codes, n_types=2, rng=np.random.default_rng(0))
    new, _ = cells(100, 3, seed=1)
    nearest = cdist(new, x).argmin(axis=1)
    lists = cdist(x[nearest], x).argsort(axis=1)[:, :30]
    np.testing.assert_allclose(classifier(new)[0][:, 0], (codes[lists] == 0).mean(axis=1))


def test_untyped_cells_are_a_class_for_every_classifier():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(100, 2)) + [c, 0] for c in (0, 20, 40)])
    codes = np.repeat([0, 1, -1], 100)
    for estimator in (None, LogisticRegression()):
        classifier = Classifier(
            x, codes, n_types=2, estimator=estimator, rng=np.random.default_rng(0)
        )
        np.testing.assert_allclose(
            classifier(np.array([[0.0, 0], [20, 0], [40, 0]]))[0], np.eye(3), atol=0.02
        )
        assert classifier.accuracy_by_type.tolist() == [1, 1]
        assert classifier.accuracy == 1


def test_accuracy_of_types_beyond_the_sample():
    """Of 9000 cells, 5000 are tested, but all cells of a type of 40."""
    x, codes = cells(9000, 2)
    rare = np.random.default_rng(1).normal(size=(40, 2)) + [100, 120]
    classifier = Classifier(
        np.concatenate([x, rare]),
        np.append(codes, np.full(40, 2)),
        n_types=3,
        rng=np.random.default_rng(0),
    )
    assert classifier.accuracy_by_type[2] == 1
    assert classifier.accuracy == pytest.approx(0.78, abs=0.03)
    table = classifier.accuracy_table(["a", "b", "c"])
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["n_cells"].sum() == 9040


def test_few_cells_are_sampled_and_weighted():
    """Above six dimensions, all cells of a type of 10 of 10,000 cells are compared."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [9990, 10])
    nearest = Nearest(rng.normal(size=(10_000, 8)), rng, codes)
    selected = np.bincount(codes[nearest.cells])
    assert selected[1] == 10
    # All cells have the same total weight.
    weight = np.bincount(codes[nearest.cells], 1 / nearest.sampling)
    np.testing.assert_allclose(weight, [2000 * 0.999, 2000 * 0.001], rtol=0.01)


@pytest.mark.parametrize(
    ("n_neighbors", "low", "high"), [(30, 1 / 30, 0.5), (5, 1 / 5, 0.5), (1, 1.0, 1.0)]
)
def test_type_of_one_cell(n_neighbors, low, high):
    """Among several neighbours its share is far below one, as the warning says."""
    x = np.concatenate([np.random.default_rng(0).normal(size=(400, 2)), [[6.0, 0.0]]])
    codes = np.append(np.zeros(400, int), 1)
    classifier = Classifier(
        x, codes, n_types=2, n_neighbors=n_neighbors, rng=np.random.default_rng(0)
    )
    assert classifier.n_neighbors == n_neighbors
    assert low <= classifier(x[-1:])[0][0, 1] <= high
