"""The energy distance between weighted clouds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from scdiffot import metrics


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


def test_energy_distance_is_that_of_pertpy_except_for_its_bias(clouds):
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


def test_distant_clouds_have_twice_their_distance(rng):
    x, y = rng.normal(size=(2, 50, 3))
    far = np.array([1e6, 0, 0])
    assert metrics.energy_distance(x, y + far) == pytest.approx(2e6, rel=1e-5)
    # the common offset must not cost precision
    assert metrics.energy_distance(x + far, y + far) == pytest.approx(
        metrics.energy_distance(x, y), abs=1e-8
    )
