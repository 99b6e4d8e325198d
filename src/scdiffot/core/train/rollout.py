"""Simulated populations of the current fields, and the growth that completes their masses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.problem.scales import subsample
from scdiffot.core.simulate.integration import integrate
from scdiffot.core.simulate.particles import Particles
from scdiffot.core.simulate.schedule import build_schedule
from scdiffot.core.simulate.schemes import midpoint
from scdiffot.core.simulate.vector_field import ProbabilityFlow

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.config import CalibrationConfig, FitConfig
    from scdiffot.core.problem.snapshots import Snapshots

# Smallest weight of a particle.
MIN_WEIGHT = 1e-12


@torch.no_grad()
def roll_out(
    fields: Fields, x: Tensor, times: np.ndarray, *, n_steps: int
) -> list[tuple[Tensor, Tensor]]:
    """States ``(n, d)`` and log weights ``(n,)`` at every snapshot, along the flow."""
    flow, particles = ProbabilityFlow(fields), Particles(x, torch.zeros_like(x[:, 0]))
    trajectory = [(particles.x, particles.log_w)]
    for leg in build_schedule(times, times, n_steps):
        integrate(flow, particles, [leg], scheme=midpoint)
        trajectory.append((particles.x, particles.log_w))
    return trajectory


def simulate_particles(
    fields: Fields,
    snapshots: Snapshots,
    width: float,
    config: FitConfig,
    rng: np.random.Generator,
) -> list[tuple[Tensor, Tensor]]:
    """Particles and weights at every snapshot, simulated from smoothed cells of the first.

    At most ``coupling.n_landmarks`` cells are used; fewer than ``corrections.min_particles`` are
    repeated. The weights sum to the mass of each snapshot.
    """
    n, corrections = config.coupling.n_landmarks, config.corrections
    x = subsample(snapshots.states[0], n, rng)
    x = x.repeat(-(-min(n, corrections.min_particles) // len(x)), 1)
    x = smooth(fields, x, width, rng)
    trajectory = roll_out(fields, x, snapshots.times, n_steps=corrections.n_particle_steps)
    weights = [
        torch.softmax(w.double(), 0) * float(m)
        for (_, w), m in zip(trajectory, snapshots.masses, strict=True)
    ]
    return [
        (x.cpu(), w.float().clamp_min(MIN_WEIGHT).cpu())
        for (x, _), w in zip(trajectory, weights, strict=True)
    ]


def smooth(fields: Fields, x: Tensor, width: float, rng: np.random.Generator) -> Tensor:
    """Add normal noise of standard deviation `width` to states; on the device of the fields."""
    noise = width * torch.as_tensor(rng.standard_normal(x.shape), dtype=x.dtype)
    x, noise = (z.to(fields.walls.device) for z in (x, noise))
    return fields.move(x, torch.zeros_like(x), noise)


@torch.no_grad()
def missing_growth(
    fields: Fields, snapshots: Snapshots, config: CalibrationConfig, rng: np.random.Generator
) -> Tensor:
    """Growth rates ``(T - 1,)`` to add so that simulated masses equal those of the snapshots."""
    device = fields.log_norm.device
    x = subsample(snapshots.states[0], config.n_cells, rng)
    trajectory = roll_out(fields, x.to(device), snapshots.times, n_steps=config.n_mass_steps)
    simulated = torch.stack([torch.logsumexp(log_w.double(), 0) for _, log_w in trajectory]).diff()
    observed = torch.as_tensor(np.diff(np.log(snapshots.masses)), device=device)
    return (observed - simulated) / torch.as_tensor(np.diff(snapshots.times)).to(device)
