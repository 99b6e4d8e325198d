"""The action of fitted models against the exact optimum of one-dimensional problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from _exact import PROBLEMS, Mixture, Problem, solve

from scdiffot.core import RUOTModel, simulate

if TYPE_CHECKING:
    from collections.abc import Callable


def action_of(
    model: RUOTModel, x: np.ndarray, *, n_steps: int = 40
) -> tuple[float, np.ndarray, np.ndarray]:
    """Action along the flow from cells ``x`` of unit mass, and final particles and weights."""
    times = np.linspace(model.times[0], model.times[-1], n_steps + 1)
    path = simulate(model, x, times[0], t1=times[-1], save_times=times, n_steps=n_steps)
    rate = []
    for t, z, w in zip(path.times, path.states, path.weights, strict=True):
        fields = model.fields(z, t)
        rate.append(
            (w * ((fields["drift"] ** 2).sum(1) + model.alpha * fields["growth"] ** 2) / 2).mean()
        )
    return float(np.trapezoid(rate, path.times)), path.states[-1], path.weights[-1]


@pytest.mark.parametrize("name", PROBLEMS)
def test_exact_solver_converges(name: str) -> None:
    coarse, fine = solve(PROBLEMS[name], n_x=160, n_t=32), solve(PROBLEMS[name], n_x=240, n_t=64)
    assert fine.residual < 1e-5
    # Strang splitting and the kernel are second order or better: the change bounds the error.
    assert coarse.dual == pytest.approx(fine.dual, rel=1e-3)
    # Fields and density of the grid, put into the primal integral, give the value of the dual.
    assert fine.primal == pytest.approx(fine.dual, rel=2e-3)


def test_exact_solver_against_schroedinger_bridge() -> None:
    """If growth costs too much, the optimum is the Schroedinger bridge between Gaussians."""
    s0, s1, shift, eps = 0.5, 0.7, 1.2, 0.36
    problem = Problem(
        Mixture((1.0,), (0.0,), (s0,)), Mixture((1.0,), (shift,), (s1,)), 1.0, eps**0.5, 1e6
    )
    solution = solve(problem, n_x=400, n_t=64)
    # int b^2 p / 2 = eps KL(bridge | Brownian motion from q0). The coupling has covariance c, the
    # reference y | x ~ N(x, eps).
    c = (np.sqrt(4 * s0**2 * s1**2 + eps**2) - eps) / 2
    conditional = s1**2 - c**2 / s0**2
    squared_motion = shift**2 + s0**2 * (c / s0**2 - 1) ** 2
    kl = 0.5 * (conditional / eps - 1 - np.log(conditional / eps) + squared_motion / eps)
    assert solution.dual == pytest.approx(eps * kl, rel=1e-3)


def test_exact_solver_against_fisher_rao() -> None:
    """Growth in place costs 2 alpha (sqrt(m) - 1)^2 / T, plus the cost of opposing diffusion."""
    q = Mixture((1.0,), (0.0,), (1.0,))
    cost = [
        solve(Problem(q, Mixture((m,), (0.0,), (1.0,)), 2.0, 0.2, 1.0), n_x=300, n_t=96).dual
        for m in (1.0, 2.25)
    ]
    assert cost[1] - cost[0] == pytest.approx(2 * 0.5**2 / 2, rel=0.02)


# Mixtures of geodesics are optimal only without diffusion. The projection onto the gradient form,
# the default, removes the excess; separate fields keep it, mostly where modes of different growth
# overlap.
FORMS = {"gradient": (1.03, (0, 1, 2)), "separate": (1.15, (0,))}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_action_is_near_the_optimum(
    name: str, form: str, solved: Callable, fitted_problem: Callable, record_property: Callable
) -> None:
    problem = PROBLEMS[name]
    bound, seeds = FORMS[form]
    ratios = []
    for seed in seeds:
        model, history = fitted_problem(name, form, seed)
        action, states, weights = action_of(
            model, problem.q0.draw(2000, np.random.default_rng(seed))
        )
        ratios.append(action / solved(name).dual)
        mean = np.average(states[:, 0], weights=weights)
        sd = np.sqrt(np.average((states[:, 0] - mean) ** 2, weights=weights))
        true_mean, true_sd = problem.q1.moments()
        # A model that does not reach the last snapshot could cost less than the optimum.
        assert weights.mean() == pytest.approx(problem.q1.mass, rel=0.01)
        assert abs(mean - true_mean) < 0.05 * true_sd
        assert sd == pytest.approx(true_sd, rel=0.03)
        # The action in the history starts from fewer cells.
        assert history["action"] == pytest.approx(action, rel=0.05)
    record_property("ratios", ratios)
    assert np.mean(ratios) < bound
