"""Summaries of responses by group, on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from scdiffot.core.response.subpopulations import summarise_features, summarise_groups


def _summary(responses, effect, survival, codes, **options):
    given = {"n_boot": 400, "level": 0.95, "rng": np.random.default_rng(0)} | options
    return summarise_groups(responses, effect, survival, codes, **given)


def test_length_and_coherence():
    # one group moves as one, one to all sides, one not at all
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    responses = np.vstack(
        [
            np.tile([3.0, 4.0], (8, 1)),
            np.column_stack([np.cos(turn), np.sin(turn)]),
            np.zeros((8, 2)),
        ]
    )
    codes = np.repeat([0, 1, 2], 8)
    found = _summary(responses, 0.5 * (responses**2).sum(axis=1), None, codes)
    np.testing.assert_allclose(found["response_length"], [5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found["coherence"], [1, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(found["effect_size"], [12.5, 0.5, 0])
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["n_cells"].tolist() == [8, 8, 8]
    assert "survival" not in found


def test_interval_of_the_mean_covers_it():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(300), 50)
    effect = rng.exponential(2.0, size=len(codes))
    found = _summary(np.ones((len(codes), 1)), effect, None, codes, n_boot=200)
    covered = (found["effect_low"] < 2) & (found["effect_high"] > 2)
    # 95 %, a little less for 50 skewed values; the standard error of the share is 1.3 %
    assert 0.88 < covered.mean() < 0.98
    assert (found["effect_low"] < found["effect_size"]).all()


def test_spread_of_the_survival_does_not_shrink_with_the_number_of_cells():
    survival = np.array([0.4, 0.6, 0.7, 0.9])
    for n in (1, 500):
        cells = np.tile(survival, n)
        found = _summary(
            np.ones((len(cells), 2)), np.ones(len(cells)), cells, np.tile([0, 0, 1, 1], n)
        )
        np.testing.assert_allclose(found["survival"], [0.5, 0.8])
        np.testing.assert_allclose(found["survival_sd"], np.sqrt(0.01 * 2 * n / (2 * n - 1)))
    alone = _summary(np.ones((3, 1)), np.ones(3), np.ones(3), np.array([0, 0, 1]))
    np.testing.assert_array_equal(alone["survival_sd"], [0, np.nan])


def test_heterogeneity_is_the_share_between_groups():
    rng = np.random.default_rng(3)
    codes = rng.integers(3, size=500)
    values = rng.normal(size=(500, 4)) + np.outer(codes, [0, 1, 0, 0]) + [10, 0, 0, 0]
    values[:, 2] = codes
    values[:, 3] = 0.7
    portions = [(values[i : i + 60], codes[i : i + 60]) for i in range(0, 500, 60)]
    found = summarise_features(portions, 3)
    np.testing.assert_allclose(found["mean"][-1], values.mean(axis=0))
    np.testing.assert_allclose(found["sd"][-1], values.std(axis=0), atol=1e-12)
    np.testing.assert_allclose(found["mean"][1], values[codes == 1].mean(axis=0))
    np.testing.assert_allclose(found["sd"][1], values[codes == 1].std(axis=0), atol=1e-12)
    # eta squared follows from the F statistic
    for j in (0, 1):
        f = f_oneway(*(values[codes == k, j] for k in range(3))).statistic
        assert found["heterogeneity"][j] == pytest.approx(f * 2 / (f * 2 + 497))
    np.testing.assert_allclose(found["heterogeneity"][2:], [1, 0])
