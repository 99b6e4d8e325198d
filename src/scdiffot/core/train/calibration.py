"""Calibration of a fit: the range of growth rates, and the level of the log-density.

Outside the data a network knows no bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.nets.fields import N_NORM, Fields

from .bridges import BridgeConfig, Pairs, bridge, dirac_path

if TYPE_CHECKING:
    from scdiffot.core.problem.snapshots import Snapshots

# All but one in two hundred at each end.
QUANTILES = (0.005, 0.995)


def range_of_pairs(
    pool: Pairs, lengths: np.ndarray, regime: BridgeConfig, *, shared: bool
) -> Tensor:
    """Rates (T - 1, 2) that the paths of pairs keep to in intervals of given lengths, or in all of them if `shared`."""
    ranges = []
    for k, dt in enumerate(lengths):
        pairs = pool[k]
        rates = [
            dirac_path(pairs, torch.full_like(pairs.m0, u), regime)[3] + pairs.expected(u)
            for u in (0.05, 0.5, 0.95)
        ]
        ranges.append((torch.cat(rates) / float(dt)).quantile(torch.tensor(QUANTILES)))
    found = torch.stack(ranges)
    return torch.stack([found[:, 0].min(), found[:, 1].max()]).expand_as(found) if shared else found


@torch.no_grad()
def range_at(fields: Fields, cells: Tensor) -> Tensor:
    """Rates (T - 1, 2) that autonomous fields have at cells (n, d)."""
    # In training they are not held to a range.
    fields.train()
    growth = fields.drift_and_growth(cells, torch.zeros_like(cells[:, 0]))[1]
    fields.eval()
    return growth.quantile(growth.new_tensor(QUANTILES)).expand_as(fields.growth_range)


def log_density_offset(
    fields: Fields,
    pools: Pairs,
    snapshots: Snapshots,
    regime: BridgeConfig,
    widths: np.ndarray,
    rng: np.random.Generator,
) -> Tensor:
    """What to add to the learned log-density, which training leaves open at every time, shape (T - 1, N_NORM).

    The mean difference to the mixture of bridges, which is a normalised density of the right mass.
    """
    d = snapshots.n_dims
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    offset = torch.zeros(len(snapshots.times) - 1, N_NORM)
    device = fields.log_norm.device
    for k, (start, dt) in enumerate(
        zip(snapshots.times[:-1], np.diff(snapshots.times), strict=True)
    ):
        for j, progress in enumerate(np.linspace(0, 1, N_NORM)):
            chosen = torch.randint(pools.x0.shape[1], (2500,), generator=generator)
            u = torch.full((len(chosen),), float(progress))
            width = torch.as_tensor(widths[k] * (1 - u) + widths[k + 1] * u, dtype=u.dtype)
            noise = torch.randn(len(chosen), d, generator=generator)
            pairs = pools[k][chosen]
            points = bridge(
                pairs, u, torch.full_like(u, float(dt)), noise, regime=regime, width=width
            )
            centres, spread = points.x - points.spread[:, None] * noise, float(points.spread[0])
            query, kernel = points.x[:500], centres[500:]
            logits = (
                -torch.cdist(query, kernel).square() / (2 * spread**2)
                + (points.weight[500:] / len(kernel)).log()
            )
            density = torch.logsumexp(logits, 1) - d / 2 * np.log(2 * np.pi * spread**2)
            t = torch.full((500,), float(start + min(progress, 1 - 1e-4) * dt))
            with torch.no_grad():
                learned = fields(query.to(device), t.to(device))["log_density"].cpu()
            weight = points.weight[:500] / points.weight[:500].sum()
            offset[k, j] = (weight * (density - learned)).sum()
    return offset
