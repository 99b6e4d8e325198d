"""Diagnostics of a fit: agreement with the snapshots, and optimality of the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.errors import DivergenceError
from scdiffot.core.problem.scales import subsample
from scdiffot.core.scores.distances import noise_floor, wasserstein
from scdiffot.core.simulate.dynamics import simulate
from scdiffot.core.simulate.integration import integration_steps
from scdiffot.core.simulate.particles import Particles
from scdiffot.core.simulate.schedule import build_schedule
from scdiffot.core.simulate.schemes import INSIDE, midpoint
from scdiffot.core.simulate.vector_field import ProbabilityFlow

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel
    from scdiffot.core.problem.snapshots import Snapshots

# Cells of the first snapshot that are simulated, and cells of a snapshot that are compared.
N_PARTICLES, N_COMPARED = 5000, 1000
# Integration steps of an interval; the Hamilton-Jacobi-Bellman residual is evaluated after steps
# 2, 7, 12 and 17.
N_STEPS, RESIDUAL_INTERVAL, RESIDUAL_STEP = 20, 5, 2
# Step of finite differences along the drift, in mean intervals.
FD_STEP = 1e-3


def diagnose(
    model: RUOTModel, snapshots: Snapshots, rng: np.random.Generator
) -> dict[str, np.ndarray | float]:
    """Simulate the population from the first snapshot and compare it with the others.

    The dynamics are stochastic for autonomous fields and deterministic otherwise.

    Parameters
    ----------
    model
        A fitted model.
    snapshots
        The snapshots and masses to which it was fitted.
    rng
        Generator that thins large snapshots.

    Returns
    -------
    At every snapshot ``times``, ``w1`` (exact 1-Wasserstein distance to the observed cells),
    ``w1_floor`` (the distance between random halves of the snapshot), ``mass_error`` (relative) and
    ``ess`` (effective sample size over the number of particles). Also ``action`` (per unit of
    initial mass), ``hjb_residual`` (deviation from the Hamilton-Jacobi-Bellman condition, relative
    to the drift, over a mean interval), ``sigma`` and ``alpha``.
    """
    cells = [subsample(x, N_COMPARED, rng).numpy() for x in snapshots.states]
    particles = subsample(snapshots.states[0], N_PARTICLES, rng).numpy()
    states, weights, action, hjb_residual = _follow_flow(model, particles)
    if model.population_kind == "sde":
        first, last = model.times[[0, -1]]
        trajectories = simulate(
            model, particles, first, t1=last, kind="sde", save_times=model.times, rng=rng
        )
        states, weights = list(trajectories.states), list(trajectories.weights)
    if not all(
        np.isfinite(z).all() and np.isfinite(w).all() for z, w in zip(states, weights, strict=True)
    ):
        raise DivergenceError(
            "Training diverged: simulated cells leave all bounds. Nothing was written: lower "
            "`learning_rate`, or look for extreme values among the states."
        )
    scaling = model.scaling
    return {
        "times": model.times,
        "w1": np.array(
            [
                wasserstein(z, y, w, n_max=N_COMPARED)
                for z, y, w in zip(states, cells, weights, strict=True)
            ]
        ),
        "w1_floor": np.array([noise_floor(y) for y in cells]),
        "mass_error": np.array(
            [abs(w.mean() / m - 1) for w, m in zip(weights, model.masses, strict=True)]
        ),
        "ess": np.array([w.sum() ** 2 / (w**2).sum() / len(w) for w in weights]),
        "action": action * scaling.scale**2 / scaling.time_scale,
        "hjb_residual": hjb_residual,
        "sigma": model.sigma,
        "alpha": model.alpha,
    }


@torch.no_grad()
def _follow_flow(
    model: RUOTModel, cells: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], float, float]:
    """States and weights at every snapshot along the flow, action, and mean residual."""
    x = torch.from_numpy(model.scaling.state_in(cells))
    particles = Particles(x, torch.zeros(len(x)))
    times = model.scaling.time_in(model.times)
    schedule = build_schedule(times, times, N_STEPS)
    states, weights, action = [cells], [np.ones(len(x))], 0.0
    residuals = []
    networks = model.networks
    flow = ProbabilityFlow(networks)
    for j, step in enumerate(integration_steps(flow, particles, schedule, scheme=midpoint)):
        x, log_w = particles.x, particles.log_w
        out = networks(x, torch.full_like(log_w, step.at(1 - INSIDE)))
        growth_cost = networks.alpha * out["growth"].square() if model.config.growth else 0.0
        action += float(
            step.dt * (log_w.exp() * (out["drift"].square().sum(1) + growth_cost) / 2).mean()
        )
        if j % RESIDUAL_INTERVAL == RESIDUAL_STEP:
            residuals.append(float(_hjb_residual(model, x, step.at(0.5), log_w)))
        if step.is_last:
            states.append(model.scaling.state_out(x.numpy()))
            weights.append(log_w.exp().double().numpy())
    return states, weights, action, float(np.mean(residuals))


def _hjb_residual(model: RUOTModel, x: Tensor, t: float, log_w: Tensor) -> Tensor:
    """Root mean square of the gradient of the Hamilton-Jacobi-Bellman residual.

    It is relative to the drift, over a mean interval. Optimal fields satisfy
    ``d_t lambda + |b|^2 / 2 + (sigma^2 / 2) div b + lambda^2 / (2 alpha) = 0`` with
    ``b = grad lambda``. The gradient ``d_t b + (b . grad) b + g b`` needs only the drift and the
    growth. The diffusion term is omitted, because it is a second derivative of a network.
    """

    def drift(z: Tensor, times: Tensor) -> Tensor:
        return model.networks(z, times)["drift"]

    with torch.no_grad():
        times = torch.full_like(log_w, t)
        out = model.networks(x, times)
        b = out["drift"]
        forward = drift(x + FD_STEP * b, times + FD_STEP)
        backward = drift(x - FD_STEP * b, times - FD_STEP)
        derivative = (forward - backward) / (2 * FD_STEP)
        weight = torch.softmax(log_w, 0)
        residual = (weight * (derivative + out["growth"][:, None] * b).square().sum(1)).sum()
        return (residual / (weight * b.square().sum(1)).sum().clamp_min(1e-12)).sqrt()
