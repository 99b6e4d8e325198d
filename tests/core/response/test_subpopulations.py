"""Summaries of responses by group, on cases with known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from scdiffot.core.response.subpopulations import summarise_features, summarise_groups


def _summary(responses, effect, survival, codes, **options):
    arguments = {"n_boot": 400, "level": 0.95, "rng": np.random.default_rng(0)} | options
    return summarise_groups(responses, effect, survival, codes, **arguments)


def test_response_length_and_coherence_of_known_responses():
    # groups with the same response in all cells, in all directions, and without a response
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    responses = np.vstack(
        [
            np.tile([3.0, 4.0], (8, 1)),
            np.column_stack([np.cos(angles), np.sin(angles)]),
            np.zeros((8, 2)),
        ]
    )
    codes = np.repeat([0, 1, 2], 8)
    summary = _summary(responses, 0.5 * (responses**2).sum(axis=1), None, codes)
    np.testing.assert_allclose(summary["response_length"], [5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(summary["coherence"], [1, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(summary["effect_size"], [12.5, 0.5, 0])
    assert summary["rank"].tolist() == [1, 2, 3]
    assert summary["n_cells"].tolist() == [8, 8, 8]
    assert "survival" not in summary


def test_intervals_cover_the_mean_effect():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(300), 50)
    effect = rng.exponential(2.0, size=len(codes))
    summary = _summary(np.ones((len(codes), 1)), effect, None, codes, n_boot=200)
    covers = (summary["effect_low"] < 2) & (summary["effect_high"] > 2)
    # the coverage is 95 %, and lower for 50 skewed values; its standard error is 1.3 %
    assert 0.88 < covers.mean() < 0.98
    assert (summary["effect_low"] < summary["effect_size"]).all()


def test_spread_of_the_survival_does_not_shrink_with_the_number_of_cells():
    survival = np.array([0.4, 0.6, 0.7, 0.9])
    for n in (1, 500):
        cells = np.tile(survival, n)
        summary = _summary(
            np.ones((len(cells), 2)), np.ones(len(cells)), cells, np.tile([0, 0, 1, 1], n)
        )
        np.testing.assert_allclose(summary["survival"], [0.5, 0.8])
        np.testing.assert_allclose(summary["survival_sd"], np.sqrt(0.01 * 2 * n / (2 * n - 1)))
    single = _summary(np.ones((3, 1)), np.ones(3), np.ones(3), np.array([0, 0, 1]))
    np.testing.assert_array_equal(single["survival_sd"], [0, np.nan])


def test_heterogeneity_is_the_share_of_variance_between_groups():
    rng = np.random.default_rng(3)
    codes = rng.integers(3, size=500)
    values = rng.normal(size=(500, 4)) + np.outer(codes, [0, 1, 0, 0]) + [10, 0, 0, 0]
    values[:, 2] = codes
    values[:, 3] = 0.7
    chunks = [(values[i : i + 60], codes[i : i + 60]) for i in range(0, 500, 60)]
    summary = summarise_features(chunks, 3)
    np.testing.assert_allclose(summary["mean"][-1], values.mean(axis=0))
    np.testing.assert_allclose(summary["sd"][-1], values.std(axis=0), atol=1e-12)
    np.testing.assert_allclose(summary["mean"][1], values[codes == 1].mean(axis=0))
    np.testing.assert_allclose(summary["sd"][1], values[codes == 1].std(axis=0), atol=1e-12)
    # eta squared follows from the F statistic
    for j in (0, 1):
        f = f_oneway(*(values[codes == k, j] for k in range(3))).statistic
        assert summary["heterogeneity"][j] == pytest.approx(f * 2 / (f * 2 + 497))
    np.testing.assert_allclose(summary["heterogeneity"][2:], [1, 0])
