from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from scdiffot import metrics
from scdiffot.core.scores.response_scores import bootstrap

CLOUD_SCORES = [
    metrics.energy_distance,
    metrics.enrichment,
    metrics.marginal_distance,
    metrics.feature_correlation_r,
    metrics.l2_of_means,
    metrics.pearson_of_means,
    metrics.r2_of_means,
]


def value(score, *args, **kwargs) -> float:
    """The value in the result of a score."""
    result = score(*args, **kwargs)
    return result[0] if isinstance(result, tuple) else result


def weighted_score(score, x, y, wx, wy) -> float:
    return value(score, x, y, wx, wy=wy, **({"k": 10} if score is metrics.enrichment else {}))


# --- cell by cell


def test_response_r2_by_hand():
    true = np.array([[3.0, 4.0], [0.0, 1.0]])
    predicted = np.array([[3.0, 3.0], [1.0, 1.0]])
    # squared errors 1 and 1, squared lengths 25 and 1
    assert metrics.response_r2(predicted, true) == pytest.approx(1 - 2 / 26)
    assert metrics.unexplained(predicted, true, np.array([3.0, 1.0])) == pytest.approx(4 / 76)


def test_r2_is_zero_without_response_and_one_for_the_true_response(rng):
    true = rng.normal(size=(50, 3)) + 2
    assert metrics.unexplained(np.zeros_like(true), true) == 1.0
    assert metrics.unexplained(true, true) == 0.0
    # the mean response explains the share of the squared mean in the mean square
    mean = true.mean(axis=0)
    expected = np.sum(mean**2) / np.mean(np.sum(true**2, axis=1))
    assert metrics.response_r2(np.tile(mean, (50, 1)), true) == pytest.approx(expected)


def test_random_pairing_has_a_negative_r2(rng):
    control, shift = rng.normal(size=(2000, 5)), np.full(5, 0.3)
    treated = rng.permutation(control) + shift
    # The error is twice the variance, 10, the response 5 times 0.09: 1 - 10 / 0.45, with 5 % for
    # the sampling of both.
    assert metrics.response_r2(treated - control, np.tile(shift, (2000, 1))) == pytest.approx(
        1 - 10 / 0.45, rel=0.05
    )


@pytest.mark.parametrize("score", [metrics.response_r2, metrics.unexplained])
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"true": np.ones((4, 3))}, r"`predicted` has shape \(4, 2\) and `true` \(4, 3\)"),
        ({"true": np.zeros((4, 2))}, "`true` is zero for all cells"),
        ({"true": np.full((4, 2), np.inf)}, "`true` has 8 values"),
        ({"predicted": np.ones(4)}, r"`predicted` has shape \(4,\)"),
        ({"w": -np.ones(4)}, "`w` has negative"),
    ],
)
def test_cell_wise_scores_name_wrong_input(score, arguments, match):
    with pytest.raises(ValueError, match=match):
        score(**({"predicted": np.ones((4, 2)), "true": np.ones((4, 2))} | arguments))


# --- means


def test_scores_of_means_match_scipy_and_sklearn(clouds):
    x, y, wx, wy = clouds
    a, b = np.average(x, axis=0, weights=wx), np.average(y, axis=0, weights=wy)
    assert metrics.l2_of_means(x, y, wx, wy=wy) == pytest.approx(np.linalg.norm(a - b))
    assert metrics.pearson_of_means(x, y, wx, wy=wy) == pytest.approx(pearsonr(a, b).statistic)
    assert metrics.r2_of_means(x, y, wx, wy=wy) == pytest.approx(r2_score(b, a))


def test_correlation_ignores_scale_and_offset_and_r2_does_not(clouds):
    x = clouds[0]
    assert metrics.pearson_of_means(3 * x + 7, x) == pytest.approx(1)
    assert metrics.r2_of_means(3 * x + 7, x) < 0


def test_constant_means_have_no_correlation(clouds):
    x = clouds[0]
    assert np.isnan(metrics.pearson_of_means(np.ones((3, 4)), x))
    assert np.isnan(metrics.r2_of_means(x, np.ones((3, 4))))
    assert np.isnan(metrics.pearson_of_means(x[:, :1], x[:, :1]))


# --- properties of all scores


@pytest.mark.parametrize("score", CLOUD_SCORES, ids=lambda s: s.__name__)
def test_scores_do_not_depend_on_order_or_the_size_of_weights(score, clouds, rng):
    x, y, wx, wy = clouds
    expected = weighted_score(score, x, y, wx, wy)
    i, j = rng.permutation(len(x)), rng.permutation(len(y))
    assert weighted_score(score, x[i], y[j], 7 * wx[i], 0.1 * wy[j]) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.parametrize("score", CLOUD_SCORES, ids=lambda s: s.__name__)
def test_cells_without_weight_are_ignored(score, clouds):
    x, y, wx, wy = clouds
    wx[50:], wy[40:] = 0, 0
    expected = weighted_score(score, x[:50], y[:40], wx[:50], wy[:40])
    assert weighted_score(score, x, y, wx, wy) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "score",
    [s for s in CLOUD_SCORES if s not in (metrics.r2_of_means, metrics.pearson_of_means)],
    ids=lambda s: s.__name__,
)
def test_scores_do_not_depend_on_the_origin(score, clouds):
    x, y, wx, wy = clouds
    offset = np.array([1e3, -1e3, 5e3, 0])
    assert weighted_score(score, x + offset, y + offset, wx, wy) == pytest.approx(
        weighted_score(score, x, y, wx, wy), rel=1e-6
    )


@pytest.mark.parametrize("score", CLOUD_SCORES, ids=lambda s: s.__name__)
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": np.ones(5)}, r"`x` has shape \(5,\)"),
        ({"y": np.full((60, 4), np.nan)}, "`y` has 240 values that are NaN"),
        ({"y": np.ones((60, 5))}, "`x` has 4 dimensions and `y` has 5"),
        ({"wx": np.ones(3)}, r"`wx` has shape \(3,\)"),
        ({"wy": np.zeros(60)}, "`wy` has negative or non-finite values, or sums to zero"),
    ],
)
def test_scores_name_wrong_input(score, clouds, arguments, match):
    with pytest.raises(ValueError, match=match):
        score(**({"x": clouds[0], "y": clouds[1]} | arguments))


@pytest.mark.parametrize(
    "score", [metrics.energy_distance, metrics.enrichment], ids=lambda s: s.__name__
)
def test_pairwise_scores_need_pairs_and_subsample_in_proportion(score, rng):
    x, y = (
        np.concatenate([rng.normal(size=(800, 2)), rng.normal(size=(800, 2)) + 8]),
        rng.normal(size=(700, 2)),
    )
    w = np.repeat([0.8, 0.2], 800)
    # a fifth of the weight of 400 cells lies at a distance of 11, with a standard error of 0.02
    error = 5 * 0.02 * (22 if score is metrics.energy_distance else 1)
    assert score(x, y, w, n_max=400) == pytest.approx(score(x, y, w), abs=error)
    assert score(x, y, w, n_max=400) == score(x, y, w, n_max=400)
    with pytest.raises(ValueError, match="`x` has fewer than two points of positive weight"):
        score(x[:1], y)
    with pytest.raises(ValueError, match="`n_max` is 0"):
        score(x, y, n_max=0)


def test_scores_leave_their_input_alone(clouds):
    previous = [array.copy() for array in clouds]
    x, y, wx, _ = clouds
    for score in CLOUD_SCORES:
        weighted_score(score, x, y, wx, None)
    bootstrap(x, wx, y, genes_predicted=x, genes_treated=y, n_boot=3)
    assert all(np.array_equal(a, b) for a, b in zip(previous, clouds, strict=True))
