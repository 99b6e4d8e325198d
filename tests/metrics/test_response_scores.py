from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, pearsonr, wasserstein_distance
from sklearn.metrics import r2_score
from sklearn.neighbors import NearestNeighbors

from scdiffot import metrics
from scdiffot.core.scores.enrichment import neighbours, shares
from scdiffot.core.scores.response_scores import _nearest, bootstrap, score_response

CLOUD_SCORES = [
    metrics.energy_distance,
    metrics.enrichment,
    metrics.marginal_distance,
    metrics.feature_correlation_r,
    metrics.l2_of_means,
    metrics.pearson_of_means,
    metrics.r2_of_means,
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clouds(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two weighted clouds of unequal size, mean and spread."""
    x, y = rng.normal(size=(80, 4)) + [0, 1, 2, 5], 1.5 * rng.normal(size=(60, 4)) + [1, 1, 2, 4]
    return x, y, rng.random(80), rng.random(60)


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


def test_no_response_and_the_true_one_are_the_ends_of_the_scale(rng):
    true = rng.normal(size=(50, 3)) + 2
    assert metrics.unexplained(np.zeros_like(true), true) == 1.0
    assert metrics.unexplained(true, true) == 0.0
    # the mean response explains the share of the squared mean in the mean square
    mean = true.mean(axis=0)
    expected = np.sum(mean**2) / np.mean(np.sum(true**2, axis=1))
    assert metrics.response_r2(np.tile(mean, (50, 1)), true) == pytest.approx(expected)


def test_pairing_at_random_explains_less_than_nothing(rng):
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


def test_r_does_not_see_what_r2_sees(clouds):
    x = clouds[0]
    assert metrics.pearson_of_means(3 * x + 7, x) == pytest.approx(1)
    assert metrics.r2_of_means(3 * x + 7, x) < 0


def test_means_that_are_the_same_for_all_features_have_no_correlation(clouds):
    x = clouds[0]
    assert np.isnan(metrics.pearson_of_means(np.ones((3, 4)), x))
    assert np.isnan(metrics.r2_of_means(x, np.ones((3, 4))))
    assert np.isnan(metrics.pearson_of_means(x[:, :1], x[:, :1]))


# --- energy distance


def test_energy_distance_matches_the_sum_over_pairs(clouds):
    x, y, wx, wy = clouds
    a, b = wx / wx.sum(), wy / wy.sum()

    def mean_distance(z, w):
        pairs = [
            (w[i] * w[j], np.linalg.norm(z[i] - z[j]))
            for i in range(len(z))
            for j in range(len(z))
            if i != j
        ]
        return sum(p * d for p, d in pairs) / sum(p for p, _ in pairs)

    across = sum(
        a[i] * b[j] * np.linalg.norm(x[i] - y[j]) for i in range(len(x)) for j in range(len(y))
    )
    expected = 2 * across - mean_distance(x, a) - mean_distance(y, b)
    assert metrics.energy_distance(x, y, wx, wy=wy) == pytest.approx(expected, rel=1e-9)


def test_energy_distance_is_that_of_pertpy_without_its_bias(clouds):
    # pertpy averages over all pairs, including pairs of a cell with itself
    x, y, _, _ = clouds
    pair = [np.linalg.norm(a[:, None] - b, axis=2) for a, b in ((x, x), (y, y), (x, y))]
    pertpy = 2 * pair[2].mean() - pair[0].mean() - pair[1].mean()
    spread = [d.sum() / (len(d) * (len(d) - 1)) for d in pair[:2]]
    assert metrics.energy_distance(x, y) == pytest.approx(
        pertpy - spread[0] / 80 - spread[1] / 60, rel=1e-9
    )


def test_energy_distance_of_gaussians_has_its_closed_form(rng):
    n, m = 3000, 1.0
    x, y = rng.normal(size=(n, 1)), rng.normal(size=(n, 1)) + m
    # E|N(m, 2)| is a folded normal, E|N(0, 2)| = 2 / sqrt(pi)
    across = 2 / np.sqrt(np.pi) * np.exp(-(m**2) / 4) + m * (1 - 2 * norm.cdf(-m / np.sqrt(2)))
    expected = 2 * across - 4 / np.sqrt(np.pi)
    # four standard errors of the mean of |x - y| - |x - x'|, whose slope in x is below 1
    assert metrics.energy_distance(x, y) == pytest.approx(expected, abs=4 * np.sqrt(2 * 2 / n))


def test_energy_distance_is_unbiased(rng):
    values = [
        metrics.energy_distance(rng.normal(size=(25, 3)), rng.normal(size=(40, 3)))
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


def test_a_cloud_far_away_is_at_twice_the_distance(rng):
    x, y = rng.normal(size=(2, 50, 3))
    far = np.array([1e6, 0, 0])
    assert metrics.energy_distance(x, y + far) == pytest.approx(2e6, rel=1e-5)
    # the common offset must not cost precision
    assert metrics.energy_distance(x + far, y + far) == pytest.approx(
        metrics.energy_distance(x, y), abs=1e-8
    )


# --- enrichment


def test_enrichment_counts_neighbours_as_cellot_does(rng):
    # Both samples have the same size: k neighbours each, without the cell itself.
    x, y, k = rng.normal(size=(120, 3)), rng.normal(size=(120, 3)) + 0.7, 12
    near = (
        NearestNeighbors(n_neighbors=k + 1)
        .fit(np.r_[x, y])
        .kneighbors(x, return_distance=False)[:, 1:]
    )
    # The mass of the excluded cell is distributed over the other 119, so each weighs 120 / 119,
    # slightly more than the 120 cells of the other sample, and the twelfth neighbour has a partial
    # weight.
    assert metrics.enrichment(x, y, k=k) == pytest.approx(np.mean(near >= 120), abs=2 / 119)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (150, 900), (900, 150)])
def test_enrichment_of_the_same_law_is_a_half_whatever_the_numbers(n, m):
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values.append(metrics.enrichment(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k=20))
    # four standard errors, and half of twenty neighbours for the edge of the neighbourhood
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(20) + 0.5 / 40)


def test_enrichment_counts_mass_not_cells(rng):
    # Half the predicted cells have no treated cells nearby; weights scale their contribution.
    y = rng.normal(size=(400, 2))
    x = np.r_[rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 100]
    w = np.repeat([0.9, 0.1], 300)
    alone = metrics.enrichment(x[:300], y, k=30)
    # 0.9 of the predicted mass is near treated cells, so the ratio of treated to predicted
    # neighbours is 1 to 0.9.
    expected = 0.9 / 1.9
    assert metrics.enrichment(x, y, w, k=30) == pytest.approx(expected, abs=0.03)
    assert alone == pytest.approx(0.5, abs=0.03)
    assert metrics.enrichment(x[300:], y, k=30) == 0.0


def test_few_treated_cells_do_not_make_a_prediction_look_bad(rng):
    x, y = rng.normal(size=(1000, 2)), rng.normal(size=(50, 2))
    # five binomial standard errors of 25 treated cells in a neighbourhood
    assert metrics.enrichment(x, y, k=50) == pytest.approx(0.5, abs=0.5 / 5)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"k": 0}, "`k` is 0"), ({"k": 31}, "`k` is 31, and the smaller cloud counts 30 points")],
)
def test_enrichment_names_wrong_numbers_of_neighbours(rng, arguments, match):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    assert 0 < metrics.enrichment(x, y, k=30) < 1
    with pytest.raises(ValueError, match=match):
        metrics.enrichment(x, y, **arguments)


def test_weights_lower_the_number_of_neighbours_there_are(rng):
    x, y = rng.normal(size=(2, 30, 2))
    with pytest.raises(ValueError, match="counts 10 points"):
        metrics.enrichment(x, y, np.repeat([1.0, 0.0], [10, 20]), k=11)


# --- marginals


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


def test_marginals_do_not_see_the_order_of_cells_within_a_feature(clouds, rng):
    x = clouds[0]
    permutation = np.column_stack([rng.permutation(column) for column in x.T])
    assert metrics.marginal_distance(x, permutation)[0] == pytest.approx(0, abs=1e-12)
    assert metrics.feature_correlation_r(x, permutation) < 0.9


# --- correlations of features


def test_feature_correlations_match_numpy(rng):
    mix = rng.normal(size=(6, 6))
    x, y = rng.normal(size=(100, 6)) @ mix, rng.normal(size=(80, 6)) @ mix
    upper = np.triu_indices(6, k=1)
    expected = pearsonr(np.corrcoef(x.T)[upper], np.corrcoef(y.T)[upper]).statistic
    assert metrics.feature_correlation_r(x, y) == pytest.approx(expected, rel=1e-9)


def test_feature_correlations_heed_no_unit_and_no_constant_feature(rng):
    x, y = rng.normal(size=(2, 100, 5)) @ rng.normal(size=(5, 5))
    expected = metrics.feature_correlation_r(x, y)
    units = np.array([1e-6, 1e3, 1.0, 5.0, 1e9])
    assert metrics.feature_correlation_r(x * units + 4, y) == pytest.approx(expected, rel=1e-6)
    # the mean of 0.1 is not exact in floating point, so rounding gives it a variance
    constant = np.full((100, 1), 0.1)
    assert metrics.feature_correlation_r(np.c_[x, constant], np.c_[y, y[:, :1]]) == pytest.approx(
        expected, rel=1e-9
    )


def test_feature_correlations_of_those_that_vary_most_when_treated(rng):
    x, y = rng.normal(size=(2, 100, 6)) @ rng.normal(size=(6, 6))
    y[:, [1, 3, 4, 5]] *= 50
    expected = metrics.feature_correlation_r(x[:, [1, 3, 4, 5]], y[:, [1, 3, 4, 5]])
    assert metrics.feature_correlation_r(x, y, n_features=4) == pytest.approx(expected)


def test_two_features_have_no_correlation_of_correlations(rng):
    x, y = rng.normal(size=(2, 30, 2))
    assert np.isnan(metrics.feature_correlation_r(x, y))
    with pytest.raises(ValueError, match="`n_features` is 2"):
        metrics.feature_correlation_r(x, y, n_features=2)


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
def test_cells_without_weight_do_not_count(score, clouds):
    x, y, wx, wy = clouds
    wx[50:], wy[40:] = 0, 0
    expected = weighted_score(score, x[:50], y[:40], wx[:50], wy[:40])
    assert weighted_score(score, x, y, wx, wy) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "score",
    [s for s in CLOUD_SCORES if s not in (metrics.r2_of_means, metrics.pearson_of_means)],
    ids=lambda s: s.__name__,
)
def test_scores_are_the_same_wherever_the_origin_is(score, clouds):
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
def test_scores_of_pairs_need_pairs_and_thin_in_proportion(score, rng):
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


# --- all scores together


def test_all_scores_are_those_of_the_functions(clouds, rng):
    x, y, w, _ = clouds
    x, y = np.c_[x, x @ rng.normal(size=(4, 2))], np.c_[y, y @ rng.normal(size=(4, 2))]
    result = score_response(x, w, y)
    n = min(1 / np.sum((w / w.sum()) ** 2), 60)
    expected = {
        name: value(
            getattr(metrics, name), x, y, w, **({"k": n // 2} if name == "enrichment" else {})
        )
        for name in result
    }
    assert result == pytest.approx(expected, rel=1e-9)
    assert len(result) == 8


def test_genes_and_states_are_told_apart(clouds, rng):
    x, y, w, _ = clouds
    p, t = (
        rng.gamma(2, size=(80, 30)).astype(np.float32),
        rng.gamma(3, size=(60, 30)).astype(np.float32),
    )
    states, genes = (
        score_response(x, w, y),
        score_response(x, w, y, genes_predicted=p, genes_treated=t),
    )
    for name in ("l2_of_means", "energy_distance", "mmd", "enrichment"):
        assert genes[name] == states[name]
    for name in ("pearson_of_means", "r2_of_means", "marginal_distance", "feature_correlation_r"):
        assert genes[name] == pytest.approx(value(getattr(metrics, name), p, t, w), rel=1e-6)


def test_large_populations_are_thinned_but_for_their_means(rng):
    x, y, w = rng.normal(size=(4000, 3)), rng.normal(size=(3000, 3)) + 1, rng.random(4000)
    result = score_response(x, w, y, n_max=500, rng=3)
    assert result["l2_of_means"] == pytest.approx(metrics.l2_of_means(x, y, w))
    # four standard errors of the distance of means of 500 cells of unit spread; the energy has a
    # slope below 2
    assert result["energy_distance"] == pytest.approx(
        metrics.energy_distance(x, y, w), abs=4 * 2 * np.sqrt(2 / 500)
    )
    assert result == score_response(x, w, y, n_max=500, rng=3)


def test_scores_that_are_not_defined_are_nan():
    constant = np.ones((20, 1))
    result = score_response(constant, None, constant)
    assert result["energy_distance"] == result["mmd"] == result["l2_of_means"] == 0
    assert np.isnan(
        [result["pearson_of_means"], result["r2_of_means"], result["feature_correlation_r"]]
    ).all()
    assert np.isnan(bootstrap(constant, None, constant, n_boot=5)["r2_of_means"]).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"treated": np.ones((5, 3))}, "`predicted` has 2 dimensions and `treated` has 3"),
        ({"treated": np.ones((1, 2))}, "`treated` has fewer than two"),
        ({"weights": np.ones(3)}, r"`weights` has shape \(3,\)"),
        ({"predicted": np.full((4, 2), np.nan)}, "`predicted` has 8 values"),
        ({"genes_treated": np.ones((5, 9))}, "`genes_predicted` is missing"),
        ({"genes_predicted": np.ones((4, 9))}, "`genes_treated` is missing"),
        (
            {"genes_predicted": np.ones((4, 9)), "genes_treated": np.ones((5, 8))},
            r"`genes_treated` has shape \(5, 8\)",
        ),
        (
            {"genes_predicted": np.ones((3, 9)), "genes_treated": np.ones((5, 9))},
            "for each of the 4 cells",
        ),
        (
            {"genes_predicted": np.full((4, 9), np.nan), "genes_treated": np.ones((5, 9))},
            "`genes_predicted` has values",
        ),
    ],
)
@pytest.mark.parametrize("function", [score_response, bootstrap])
def test_all_at_once_name_wrong_input(function, arguments, match):
    valid = {"predicted": np.eye(4, 2), "weights": None, "treated": np.eye(5, 2)}
    with pytest.raises(ValueError, match=match):
        function(**(valid | arguments))


# --- intervals


def test_bootstrap_keeps_the_scores_and_reproduces(clouds):
    x, y, w, _ = clouds
    result = bootstrap(x, w, y, n_boot=20, rng=1)
    assert {name: first for name, (first, _, _) in result.items()} == score_response(x, w, y, rng=1)
    assert all(low <= middle <= high for middle, low, high in result.values())
    assert result == bootstrap(x, w, y, n_boot=20, rng=1)
    wide, narrow = (bootstrap(x, w, y, n_boot=200, level=level) for level in (0.95, 0.5))
    assert all(
        wide[name][1] <= narrow[name][1] <= narrow[name][2] <= wide[name][2] for name in wide
    )


def test_neighbours_beyond_twice_the_mass_do_not_count_when_resampled(rng):
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(200, 3)) + 0.5
    a, b, mass = np.full(300, 1 / 300), np.full(200, 1 / 200), 0.2
    order = neighbours(x, y)
    near = _nearest(order, a, b, 2 * mass)
    assert near.shape[1] < order.shape[1]
    for _ in range(20):
        p, q = rng.multinomial(300, a) / 300, rng.multinomial(200, b) / 200
        assert shares(near, p, q, mass=mass) == pytest.approx(
            shares(order, p, q, mass=mass), rel=1e-12
        )


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Gaussians at a distance of one in one of two dimensions, 60 cells each; closed-form truth.
    n, n_repeats, level = 60, 150, 0.9
    hits = dict.fromkeys(["l2_of_means", "energy_distance", "enrichment"], 0)
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(2, 5000, 2))
    truth = {
        "l2_of_means": 1.0,
        # sampling error of 5,000 cells, a tenth of the error of 60
        "energy_distance": metrics.energy_distance(grid[0] + [1, 0], grid[1]),
    }
    # the share among 30 of 60 neighbours depends on the numbers, so it is averaged over such
    # samples
    draws = rng.normal(size=(300, 2, n, 2))
    truth["enrichment"] = np.mean([metrics.enrichment(a + [1, 0], b, k=30) for a, b in draws])
    for _ in range(n_repeats):
        result = bootstrap(
            rng.normal(size=(n, 2)) + [1, 0], None, rng.normal(size=(n, 2)), n_boot=80, level=level
        )
        for name in hits:
            hits[name] += result[name][1] <= truth[name] <= result[name][2]
    for name, count in hits.items():
        # four binomial standard errors, and a few per cent for quantiles of only 80 draws
        assert count / n_repeats == pytest.approx(
            level, abs=4 * np.sqrt(level * (1 - level) / n_repeats)
        ), name


def test_intervals_narrow_as_cells_are_added(rng):
    widths = []
    for n in (100, 400):
        result = bootstrap(rng.normal(size=(n, 3)) + 1, None, rng.normal(size=(n, 3)), n_boot=200)
        widths.append(
            [result[name][2] - result[name][1] for name in ("l2_of_means", "energy_distance")]
        )
    # half the width with four times as many cells; quantiles of 200 draws vary by a sixth
    assert np.divide(*widths) == pytest.approx([2, 2], rel=0.35)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_boot": 1}, "`n_boot` is 1"),
        ({"level": 1.0}, "`level` is 1.0"),
        ({"level": 95}, "`level` is 95"),
    ],
)
def test_bootstrap_names_wrong_input(clouds, arguments, match):
    with pytest.raises(ValueError, match=match):
        bootstrap(clouds[0], None, clouds[1], **arguments)


def test_scores_leave_their_input_alone(clouds):
    previous = [array.copy() for array in clouds]
    x, y, wx, _ = clouds
    for score in CLOUD_SCORES:
        weighted_score(score, x, y, wx, None)
    bootstrap(x, wx, y, genes_predicted=x, genes_treated=y, n_boot=3)
    assert all(np.array_equal(a, b) for a, b in zip(previous, clouds, strict=True))
