"""Scores of features: marginal distances and correlations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, wasserstein_distance

from scdiffot import metrics


def test_marginal_distances_match_scipy(rng):
    x, y = rng.normal(size=(90, 150)), rng.exponential(size=(70, 150))
    wx, wy = rng.random(90), rng.random(70)
    mean, distances = metrics.marginal_distance(x, y, wx, wy=wy)
    expected = [wasserstein_distance(x[:, g], y[:, g], wx, wy) for g in range(150)]
    assert distances == pytest.approx(expected, rel=1e-9)
    assert mean == pytest.approx(np.mean(expected))


def test_marginal_distances_of_counts_with_ties(rng):
    x, y = rng.poisson(0.5, size=(90, 3)), rng.poisson(2, size=(70, 3))
    expected = [wasserstein_distance(x[:, g], y[:, g]) for g in range(3)]
    assert metrics.marginal_distance(x, y)[1] == pytest.approx(expected, rel=1e-9)


def test_marginals_ignore_the_order_of_cells_within_a_feature(clouds, rng):
    x = clouds[0]
    permutation = np.column_stack([rng.permutation(column) for column in x.T])
    assert metrics.marginal_distance(x, permutation)[0] == pytest.approx(0, abs=1e-12)
    assert metrics.feature_correlation_r(x, permutation) < 0.9


def test_feature_correlations_match_numpy(rng):
    mix = rng.normal(size=(6, 6))
    x, y = rng.normal(size=(100, 6)) @ mix, rng.normal(size=(80, 6)) @ mix
    upper = np.triu_indices(6, k=1)
    expected = pearsonr(np.corrcoef(x.T)[upper], np.corrcoef(y.T)[upper]).statistic
    assert metrics.feature_correlation_r(x, y) == pytest.approx(expected, rel=1e-9)


def test_feature_correlations_ignore_units_and_constant_features(rng):
    x, y = rng.normal(size=(2, 100, 5)) @ rng.normal(size=(5, 5))
    expected = metrics.feature_correlation_r(x, y)
    units = np.array([1e-6, 1e3, 1.0, 5.0, 1e9])
    assert metrics.feature_correlation_r(x * units + 4, y) == pytest.approx(expected, rel=1e-6)
    # the mean of 0.1 is not exact in floating point, so rounding gives it a variance
    constant = np.full((100, 1), 0.1)
    assert metrics.feature_correlation_r(np.c_[x, constant], np.c_[y, y[:, :1]]) == pytest.approx(
        expected, rel=1e-9
    )


def test_feature_correlations_use_the_most_variable_treated_features(rng):
    x, y = rng.normal(size=(2, 100, 6)) @ rng.normal(size=(6, 6))
    y[:, [1, 3, 4, 5]] *= 50
    expected = metrics.feature_correlation_r(x[:, [1, 3, 4, 5]], y[:, [1, 3, 4, 5]])
    assert metrics.feature_correlation_r(x, y, n_features=4) == pytest.approx(expected)


def test_two_features_have_no_correlation_of_correlations(rng):
    x, y = rng.normal(size=(2, 30, 2))
    assert np.isnan(metrics.feature_correlation_r(x, y))
    with pytest.raises(ValueError, match="`n_features` is 2"):
        metrics.feature_correlation_r(x, y, n_features=2)
