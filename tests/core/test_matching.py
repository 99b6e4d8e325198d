"""Autonomous fields matched to snapshots that determine them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from _double_well import DoubleWell, observed, wells
from scipy.stats import energy_distance as plain

from scdiffot.core import FitConfig, Snapshots, fit
from scdiffot.core.fate import descend
from scdiffot.core.matching import energy_distance


def mean_distance(x: np.ndarray, w: np.ndarray) -> float:
    """Of two different particles drawn by weight."""
    both = np.outer(w, w)
    np.fill_diagonal(both, 0)
    return float((both * np.abs(x[:, None] - x)).sum() / both.sum())


def test_energy_distance_is_that_of_scipy_less_the_bias() -> None:
    rng = np.random.default_rng(0)
    x, w, y = rng.normal(size=30), rng.random(30), rng.normal(1, 2, size=40)
    w /= w.sum()
    even = np.full(40, 1 / 40)
    # a particle is at no distance from itself, which makes the mean over all pairs too small
    bias = mean_distance(x, w) * (w**2).sum() + mean_distance(y, even) / 40
    apart = mean_distance(y, even)
    found = energy_distance(*(torch.from_numpy(v) for v in (x[:, None], w, y[:, None])), apart)
    assert float(found) == pytest.approx(plain(x, y, w) ** 2 - bias, abs=1e-9)


def test_energy_distance_of_one_law_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    apart = 2 / np.sqrt(np.pi)
    even = torch.full((50,), 0.02, dtype=torch.float64)
    values = [
        float(
            energy_distance(
                torch.from_numpy(rng.normal(size=(50, 1))), even, torch.from_numpy(rng.normal(size=(50, 1))), apart
            )
        )
        for _ in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20


@pytest.mark.slow
def test_growth_that_is_not_linear_in_the_state_is_found() -> None:
    """Three clusters in a row, of which the middle one grows by one in every unit of time."""
    rng = np.random.default_rng(0)
    times, states = np.arange(4.0) / 2, []
    for t in times:
        counts = np.round(np.array([1, np.exp(t), 1]) * 500 / 3).astype(int)
        states.append(
            np.concatenate([rng.normal(c, 0.25, n) for c, n in zip((-2, 0, 2), counts, strict=True)])[:, None]
        )
    masses = np.array([len(x) for x in states]) / len(states[0])
    model, history = fit(Snapshots(times, tuple(states), masses), FitConfig(autonomous=True))
    np.testing.assert_allclose(model.growth(np.array([[-2.0], [0.0], [2.0]]), 0.0), [0, 1, 0], atol=0.15)
    assert (history["mass_error"] < 0.03).all()


@pytest.mark.slow
def test_fates_by_fields_fitted_without_a_prior() -> None:
    """Nine snapshots of one law determine drift and growth, which couplings of two cannot tell apart."""
    n = 9
    process = DoubleWell(levels=(0.0,) * (n - 1), tilts=(0.0,) * (n - 1), times=tuple(np.linspace(0, 2, n)))
    snapshots = replace(observed(process, 1500), growth_prior=None)
    model, _ = fit(snapshots, FitConfig(autonomous=True, sigma=process.sigma))
    at = np.linspace(-0.8, 0.8, 5)
    total, fate, path = process.solve(at)
    found = descend(
        model, at[:, None], 0.0, stages=[(2.0, wells)], classes=np.zeros(5, int), n_trajectories=4000, path=True
    )
    assert np.abs(found.fate[:, 1] - fate).max() < 0.05
    assert np.abs(found.path[:, 1] - path).max() < 0.05
    np.testing.assert_allclose(found.n_descendants, total, rtol=0.1)
