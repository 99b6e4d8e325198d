from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance

from scdiffot import metrics


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# --- wasserstein


def test_one_dimension_matches_scipy(rng):
    x, y = rng.normal(size=200), rng.exponential(size=150)
    wx, wy = rng.random(200), rng.random(150)
    result = metrics.wasserstein(x[:, None], y[:, None], wx, wy=wy)
    assert result == pytest.approx(wasserstein_distance(x, y, wx, wy), rel=1e-9)


def test_root_of_squared_cost_matches_sorted_samples(rng):
    # In one dimension the optimal plan of equally many points pairs them in order.
    x, y = rng.normal(size=300), 2 * rng.normal(size=300) + 1
    expected = np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2))
    assert metrics.wasserstein(x[:, None], y[:, None], p=2) == pytest.approx(expected, rel=1e-9)


def test_quantiles_of_gaussians_reach_the_closed_form():
    # W2 between N(0, 1) and N(3, 4) is sqrt(3^2 + (2 - 1)^2). 500 quantiles lose 1 % of the
    # variance with the tails.
    q = norm.ppf((np.arange(500) + 0.5) / 500)[:, None]
    assert metrics.wasserstein(q, 3 + 2 * q, p=2) == pytest.approx(
        np.sqrt(10), abs=0.01 / np.sqrt(10)
    )


@pytest.mark.parametrize("p", [1, 2])
def test_translation(rng, p):
    x, w, shift = rng.normal(size=(120, 3)), rng.random(120), np.array([1.0, -2.0, 2.0])
    assert metrics.wasserstein(x, x + shift, w, wy=w, p=p) == pytest.approx(3.0, rel=1e-9)


def test_linear_images_of_gaussian_clouds(rng):
    # A symmetric positive map is optimal (Brenier), so its cost is W2.
    x = rng.normal(size=(400, 2))
    y = x @ np.array([[2.0, 0.3], [0.3, 0.5]])
    assert metrics.wasserstein(x, y, p=2) == pytest.approx(
        np.sqrt(np.mean(np.sum((x - y) ** 2, axis=1))), rel=1e-9
    )


def test_weights_count_as_copies(rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    copies = rng.integers(0, 4, size=30)
    expected = metrics.wasserstein(np.repeat(x, copies, axis=0), y)
    assert metrics.wasserstein(x, y, copies * 7.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e6, 1e9])
@pytest.mark.parametrize("p", [1, 2])
def test_unit_of_the_state_is_the_unit_of_the_distance(rng, scale, p):
    x, y = rng.normal(size=(2, 80, 2))
    assert metrics.wasserstein(scale * x, scale * y, p=p) == pytest.approx(
        scale * metrics.wasserstein(x, y, p=p), rel=1e-9
    )


def test_points_far_from_the_origin_keep_precision(rng):
    # Expanding the square would lose all digits of these squared distances.
    x, y = rng.normal(size=(2, 100, 2))
    assert metrics.wasserstein(x + 1e6, y + 1e6, p=2) == pytest.approx(
        metrics.wasserstein(x, y, p=2), rel=1e-6
    )


def test_equal_clouds_have_distance_zero(rng):
    x = rng.normal(size=(50, 4))
    # the square root of the rounding error of squared distances
    assert metrics.wasserstein(x, x) == pytest.approx(0, abs=1e-7)
    assert metrics.wasserstein(np.ones((3, 2)), np.ones((5, 2))) == 0


def test_integers_and_single_precision_are_read_as_numbers(rng):
    x, y = rng.integers(0, 9, size=(2, 60, 2))
    expected = metrics.wasserstein(x.astype(float), y.astype(float))
    assert metrics.wasserstein(x, y.astype(np.float32)) == expected


def test_large_clouds_are_subsampled_in_proportion_to_weight(rng):
    # Two sites a unit apart: the distance is the share of the second, five standard deviations of
    # 500 draws.
    x = np.repeat([[0.0], [1.0]], 4000, axis=0)
    w = np.repeat([0.3, 0.7], 4000)
    y = np.array([[0.0]])
    result = metrics.wasserstein(x, y, w, n_max=500)
    assert result == pytest.approx(0.7, abs=5 * np.sqrt(0.3 * 0.7 / 500))
    assert result == metrics.wasserstein(x, y, w, n_max=500)


def test_distance_of_subsamples_is_near_the_exact_one(rng):
    x, y = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 2)) + [2.0, 0.0]
    exact = metrics.wasserstein(x, y)
    # sampling error of means of 500 points, five standard deviations
    assert metrics.wasserstein(x, y, n_max=500) == pytest.approx(exact, abs=5 * np.sqrt(2 / 500))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": np.ones(5)}, r"`x` has shape \(5,\)"),
        ({"x": np.empty((0, 2))}, r"`x` has shape \(0, 2\)"),
        ({"y": np.full((3, 2), np.nan)}, "`y` has 6 values that are NaN"),
        ({"y": np.ones((3, 4))}, "`x` has 2 dimensions and `y` has 4"),
        ({"wx": np.ones(3)}, r"`wx` has shape \(3,\)"),
        ({"wy": np.array([1.0, -1.0, 1.0])}, "`wy` has negative"),
        ({"wx": np.zeros(4)}, "`wx` has negative or non-finite values, or sums to zero"),
        ({"p": 3}, "`p` is 3"),
        ({"n_max": 0}, "`n_max` is 0"),
    ],
)
def test_wrong_input_is_named(arguments, match):
    valid = {"x": np.ones((4, 2)), "y": np.zeros((3, 2))}
    with pytest.raises(ValueError, match=match):
        metrics.wasserstein(**(valid | arguments))


# --- mmd


def test_mmd_matches_the_sum_over_pairs(rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(15, 2)) + 1
    wx, wy = rng.random(20), rng.random(15)
    pooled_points = np.r_[x, y]
    h = np.median(
        [
            np.linalg.norm(pooled_points[i] - pooled_points[j])
            for i in range(len(pooled_points))
            for j in range(i)
        ]
    )

    def k(a, b):
        return np.exp(-np.sum((a - b) ** 2) / (2 * h**2))

    def mean_distance(z, w):
        pairs = [
            (w[i] * w[j], k(z[i], z[j])) for i in range(len(z)) for j in range(len(z)) if i != j
        ]
        return sum(a * b for a, b in pairs) / sum(a for a, _ in pairs)

    a, b = wx / wx.sum(), wy / wy.sum()
    cross = sum(a[i] * b[j] * k(x[i], y[j]) for i in range(20) for j in range(15))
    expected = mean_distance(x, a) + mean_distance(y, b) - 2 * cross
    assert metrics.mmd(x, y, wx, wy=wy) == pytest.approx(expected, rel=1e-9)


def test_mmd_of_gaussians_has_its_closed_form(rng):
    # For N(0, 1) and N(m, 1): E k = h / sqrt(h^2 + 2) * exp(-m^2 / (2 (h^2 + 2))).
    n, m, h = 4000, 1.0, 1.5
    x, y = rng.normal(size=(n, 1)), rng.normal(size=(n, 1)) + m
    expected = 2 * h / np.sqrt(h**2 + 2) * (1 - np.exp(-(m**2) / (2 * (h**2 + 2))))
    # standard deviation 2 / sqrt(n) bounds that of the estimate, whose kernel lies in [0, 1]
    assert metrics.mmd(x, y, bandwidth=h) == pytest.approx(expected, abs=2 / np.sqrt(n))


def test_mmd_is_unbiased(rng):
    values = [
        metrics.mmd(rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), bandwidth=1.0)
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": np.ones((1, 2))}, "`x` has fewer than two points"),
        (
            {"wx": np.array([1.0, 0.0, 0.0, 0.0])},
            "`x` has fewer than two points of positive weight",
        ),
        ({"x": np.zeros((4, 2))}, "pass `bandwidth`"),
        ({"bandwidth": -1.0}, "`bandwidth` is -1.0"),
    ],
)
def test_mmd_names_wrong_input(arguments, match):
    valid = {"x": np.eye(4, 2), "y": np.zeros((9, 2))}
    with pytest.raises(ValueError, match=match):
        metrics.mmd(**(valid | arguments))


# --- masses and floors


def test_mass_error():
    assert metrics.mass_error(1.1, 1.0) == pytest.approx(0.1)
    assert metrics.mass_error(0.0, 4.0) == 1.0
    with pytest.raises(ValueError, match="`observed` is 0"):
        metrics.mass_error(1.0, 0.0)
    with pytest.raises(ValueError, match="`predicted` is nan"):
        metrics.mass_error(float("nan"), 1.0)


def test_noise_floor_is_the_distance_of_independent_samples(rng):
    x = rng.normal(size=(600, 2))
    independent = [
        metrics.wasserstein(rng.normal(size=(300, 2)), rng.normal(size=(300, 2))) for _ in range(20)
    ]
    floor = metrics.noise_floor(x, n_repeats=10)
    assert abs(floor - np.mean(independent)) < 4 * np.std(independent)
    assert floor == metrics.noise_floor(x, n_repeats=10)


def test_noise_floor_falls_with_the_sample(rng):
    # In one dimension the floor decreases as n^(-1/2): half with four times as many cells.
    x = rng.normal(size=(1200, 1))
    few, many = metrics.noise_floor(x[:300], n_repeats=30), metrics.noise_floor(x, n_repeats=30)
    assert few / many == pytest.approx(2, rel=0.35)


def test_noise_floor_depends_on_weights():
    x = np.repeat([[0.0], [1.0], [50.0]], 100, axis=0)
    assert metrics.noise_floor(x, np.repeat([1.0, 0.0, 0.0], 100)) == 0 < metrics.noise_floor(x)


def test_noise_floor_names_wrong_input():
    with pytest.raises(ValueError, match="`x` has 3 points"):
        metrics.noise_floor(np.ones((3, 1)))
    with pytest.raises(ValueError, match="`n_repeats` is 0"):
        metrics.noise_floor(np.ones((9, 1)), n_repeats=0)


def test_distances_leave_their_input_alone(rng):
    x, w = rng.normal(size=(10, 2)), rng.random(10)
    previous = x.copy(), w.copy()
    metrics.wasserstein(x, x[::-1], w)
    metrics.mmd(x, x[::-1], w)
    metrics.noise_floor(x, w)
    assert np.array_equal(x, previous[0])
    assert np.array_equal(w, previous[1])
