"""Weighted particles against the Ornstein-Uhlenbeck process with linear growth, in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from _ornstein_uhlenbeck import OrnsteinUhlenbeck, true_model
from scipy.special import ndtri

from scdiffot.core import Trajectories, simulate

PROCESS = OrnsteinUhlenbeck()
TIMES = np.array([0.0, 1.0, 2.0])
# More than one chunk of cells. Initial states are quantiles, so that the noise is the only sampling
# error.
N = 60_000
Z = ndtri((np.arange(N) + 0.5) / N)[:, None]


def normal(mean: float, variance: float) -> np.ndarray:
    return mean + np.sqrt(variance) * np.random.default_rng(0).permutation(Z)


def moments(path: Trajectories, k: int) -> tuple[float, float, float]:
    """Mass per initial cell, mean and variance."""
    x, w = path.states[k, :, 0].astype(float), path.weights[k].astype(float)
    mean = np.average(x, weights=w)
    return w.mean(), mean, np.average((x - mean) ** 2, weights=w)


def check(
    result: tuple[float, float, float],
    mass: float,
    mean: float,
    variance: float,
    *,
    tolerance: float,
) -> None:
    assert result[0] == pytest.approx(mass, rel=tolerance)
    assert result[1] == pytest.approx(mean, abs=tolerance * np.sqrt(variance))
    assert result[2] == pytest.approx(variance, rel=2 * tolerance)


# The error of the mean is 1 / sqrt(N) = 0.4 %, and larger with weights; the bias of Euler's method
# with 250 steps is below 0.4 %.
SDE = {"kind": "sde", "n_steps": 250, "tolerance": 0.015}
ODE = {"kind": "ode", "n_steps": 20, "tolerance": 0.002}


@pytest.mark.parametrize("options", [ODE, SDE], ids=["ode", "sde"])
def test_forward_simulation_has_the_exact_moments(options: dict) -> None:
    model = true_model(PROCESS, TIMES)
    start = normal(PROCESS.mean0, PROCESS.variance0)
    path = simulate(
        model,
        start,
        0.0,
        t1=2.0,
        kind=options["kind"],
        n_steps=options["n_steps"],
        save_times=np.array([0.5, 1.0, 2.0]),
    )
    for k, t in enumerate(path.times):
        expected = np.exp(PROCESS.log_mass(t)), PROCESS.mean(t), PROCESS.variance(t)
        check(moments(path, k), *expected, tolerance=options["tolerance"])


@pytest.mark.parametrize("options", [ODE, SDE], ids=["ode", "sde"])
def test_backward_weighted_gives_the_earlier_population(options: dict) -> None:
    model = true_model(PROCESS, TIMES)
    start = normal(PROCESS.mean(2.0), PROCESS.variance(2.0))
    path = simulate(
        model,
        start,
        2.0,
        t1=0.5,
        kind=options["kind"],
        n_steps=options["n_steps"],
        save_times=np.array([0.5, 1.0]),
    )
    np.testing.assert_allclose(path.times, [1.0, 0.5])
    for k, t in enumerate(path.times):
        mass = np.exp(PROCESS.log_mass(t) - PROCESS.log_mass(2.0))
        check(
            moments(path, k),
            mass,
            PROCESS.mean(t),
            PROCESS.variance(t),
            tolerance=options["tolerance"],
        )


def test_backward_unweighted_gives_ancestors() -> None:
    model = true_model(PROCESS, TIMES)
    start = normal(PROCESS.mean(2.0), PROCESS.variance(2.0))
    path = simulate(
        model,
        start,
        2.0,
        t1=0.5,
        kind="sde",
        n_steps=250,
        save_times=np.array([0.5, 1.0]),
        weighted=False,
    )
    for k, t in enumerate(path.times):
        check(moments(path, k), 1.0, *PROCESS.ancestors(t, 2.0), tolerance=0.015)


def test_midpoint_is_second_order() -> None:
    model = true_model(PROCESS, TIMES)
    start = np.array([[-1.0], [0.5], [2.0]])
    end = np.array([1.0])
    exact, coarse, fine = (
        simulate(model, start, 0.0, t1=1.0, n_steps=n, save_times=end).states for n in (512, 4, 8)
    )
    assert np.abs(coarse - exact).max() / np.abs(fine - exact).max() == pytest.approx(4, rel=0.15)


def test_flow_forward_and_backward_returns_to_the_start() -> None:
    model = true_model(PROCESS, TIMES)
    start = np.linspace(-2, 2, 9)[:, None]
    forward = simulate(model, start, 0.0, t1=2.0)
    back = simulate(model, forward.states[-1], 2.0, t1=0.0, log_weights=forward.log_weights[-1])
    np.testing.assert_allclose(back.states[-1], start, atol=1e-3)
    np.testing.assert_allclose(back.log_weights[-1], 0, atol=1e-3)
