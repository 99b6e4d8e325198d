"""Calibration of a fit: the range of growth rates, and the offset of the log-density.

Outside the data the output of a network is unbounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.nets.fields import N_NORM, Fields

from .bridges import BridgeConfig, Pairs, bridge, dirac_path

if TYPE_CHECKING:
    from scdiffot.core.problem.config import CalibrationConfig
    from scdiffot.core.problem.snapshots import Snapshots


def growth_range_of_pairs(
    pool: Pairs,
    lengths: np.ndarray,
    bridge_config: BridgeConfig,
    *,
    config: CalibrationConfig,
    shared: bool,
) -> Tensor:
    """Bounds ``(T - 1, 2)`` of the growth rates along the paths of pairs.

    One range per interval of the given `lengths`, or, if `shared`, one range for all intervals.
    """
    ranges, quantiles = [], torch.tensor(config.growth_quantiles)
    for k, dt in enumerate(lengths):
        pairs = pool[k]
        rates = [
            dirac_path(pairs, torch.full_like(pairs.m0, u), bridge_config)[3]
            + pairs.expected_growth(u)
            for u in config.range_progress
        ]
        ranges.append((torch.cat(rates) / float(dt)).quantile(quantiles))
    bounds = torch.stack(ranges)
    if not shared:
        return bounds
    return torch.stack([bounds[:, 0].min(), bounds[:, 1].max()]).expand_as(bounds)


@torch.no_grad()
def growth_range_at(fields: Fields, cells: Tensor, config: CalibrationConfig) -> Tensor:
    """Bounds ``(T - 1, 2)`` of the growth rates of autonomous fields at cells ``(n, d)``."""
    # In training mode growth is not clamped to a range.
    fields.train()
    growth = fields.drift_and_growth(cells, torch.zeros_like(cells[:, 0]))[1]
    fields.eval()
    quantiles = growth.new_tensor(config.growth_quantiles)
    return growth.quantile(quantiles).expand_as(fields.growth_range)


def log_density_offset(
    fields: Fields,
    pools: Pairs,
    snapshots: Snapshots,
    bridge_config: BridgeConfig,
    widths: np.ndarray,
    config: CalibrationConfig,
    rng: np.random.Generator,
) -> Tensor:
    """Offset of the log-density, ``(T - 1, N_NORM)``; training determines only its gradient.

    The offset is the mean difference to the log-density of the mixture of bridges, whose integral
    is the mass of the population.
    """
    d, n_queries = snapshots.n_dims, config.n_queries
    n_points = n_queries + config.n_kernels
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    offset = torch.zeros(len(snapshots.times) - 1, N_NORM)
    device = fields.log_norm.device
    for k, (start, dt) in enumerate(
        zip(snapshots.times[:-1], np.diff(snapshots.times), strict=True)
    ):
        for j, progress in enumerate(np.linspace(0, 1, N_NORM)):
            index = torch.randint(pools.x0.shape[1], (n_points,), generator=generator)
            u = torch.full((len(index),), float(progress))
            width = torch.as_tensor(widths[k] * (1 - u) + widths[k + 1] * u, dtype=u.dtype)
            noise = torch.randn(len(index), d, generator=generator)
            pairs = pools[k][index]
            points = bridge(
                pairs,
                u,
                torch.full_like(u, float(dt)),
                noise,
                bridge_config=bridge_config,
                width=width,
            )
            centres, std = points.x - points.std[:, None] * noise, float(points.std[0])
            query, kernel_centres = points.x[:n_queries], centres[n_queries:]
            logits = (
                -torch.cdist(query, kernel_centres).square() / (2 * std**2)
                + (points.weight[n_queries:] / len(kernel_centres)).log()
            )
            density = torch.logsumexp(logits, 1) - d / 2 * np.log(2 * np.pi * std**2)
            t = torch.full((n_queries,), float(start + min(progress, 1 - 1e-4) * dt))
            with torch.no_grad():
                learned = fields(query.to(device), t.to(device))["log_density"].cpu()
            weights = points.weight[:n_queries] / points.weight[:n_queries].sum()
            offset[k, j] = (weights * (density - learned)).sum()
    return offset
