"""Where the model takes the first snapshot, and how heavy it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.problem.scales import subsample
from scdiffot.core.simulate.dynamics import roll_out

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Snapshots


def own_particles(
    fields: Fields, snapshots: Snapshots, width: float, n: int, rng: np.random.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Particles at every snapshot, and weights that sum to its mass, from `n` cells of the first or fewer, smoothed."""
    x = subsample(snapshots.states[0], n, rng)
    x = x.repeat(-(-min(n, 1000) // len(x)), 1)
    x = smoothed(fields, x, width, rng)
    paths = roll_out(fields, x, snapshots.times, n_steps=10)
    weights = [
        torch.softmax(w.double(), 0) * float(m)
        for (_, w), m in zip(paths, snapshots.masses, strict=True)
    ]
    return [
        (x.cpu(), w.float().clamp_min(1e-12).cpu())
        for (x, _), w in zip(paths, weights, strict=True)
    ]


def smoothed(fields: Fields, x: Tensor, width: float, rng: np.random.Generator) -> Tensor:
    """States displaced by normal noise of this width, on the device of the fields."""
    noise = width * torch.as_tensor(rng.standard_normal(x.shape), dtype=x.dtype)
    x, noise = (z.to(fields.walls.device) for z in (x, noise))
    return fields.move(x, torch.zeros_like(x), noise)


@torch.no_grad()
def missing_growth(
    fields: Fields, snapshots: Snapshots, n: int, rng: np.random.Generator
) -> Tensor:
    """Constants (T - 1,) to add to the growth, so that the rolled-out masses are those of the snapshots."""
    device = fields.log_norm.device
    x = subsample(snapshots.states[0], n, rng)
    paths = roll_out(fields, x.to(device), snapshots.times, n_steps=20)
    reached = torch.stack([torch.logsumexp(log_w.double(), 0) for _, log_w in paths]).diff()
    wanted = torch.as_tensor(np.diff(np.log(snapshots.masses)), device=device)
    return (wanted - reached) / torch.as_tensor(np.diff(snapshots.times)).to(device)
