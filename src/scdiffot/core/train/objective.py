"""Objectives of training: regression losses, energy distance of populations, and penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.nets.mlp import LinearResidualNet

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.config import MatchingConfig

    from .bridges import Bridge, BridgeConfig
    from .matching import Interval


def regression_losses(
    fields: Fields, bridge_config: BridgeConfig, points: Bridge, t: Tensor, weight: Tensor
) -> Tensor:
    """Total, flow, growth and score loss ``(4,)`` of a batch."""
    motion, growth, score = fields.network_outputs(points.x, t)
    score_weight = points.score_weight
    if fields.moves_drift:
        score_weight = score_weight + bridge_config.sigma**2 / 2
    target = torch.addcmul(points.velocity, score_weight[:, None], score.detach())
    flow_loss = (weight @ (motion - target).square()).sum() / len(t)
    residual = torch.addcmul(points.noise, points.std[:, None], score)
    score_loss = (weight @ residual.square()).mean() / len(t)
    growth_loss = torch.zeros_like(flow_loss)
    if bridge_config.alpha is not None:
        growth_loss = bridge_config.alpha / len(t) * (weight @ (growth - points.growth).square())
    return torch.stack([flow_loss + growth_loss + score_loss, flow_loss, growth_loss, score_loss])


def energy_loss(
    x: Tensor, w: Tensor, weights_xx: Tensor, y: Tensor, mean_distance: float
) -> Tensor:
    """Unbiased energy distance :cite:p:`Szekely2013` between weighted particles and cells.

    Equals the energy distance of the metrics if the weights sum to one. Other weights are not
    normalised, which would bias the distance in favour of equal weights by as much as its size.
    Instead, the squared error of the mass is added, in units of the mean distance between cells.

    Parameters
    ----------
    x, w
        Particles ``(n, d)``, and weights ``(n,)`` whose sum should be one on average.
    weights_xx
        Weights of all pairs of particles ``(n, n)``, of mean one.
    y
        Cells ``(m, d)``.
    mean_distance
        Mean distance between two cells.
    """
    centre = y.mean(0)
    # A kernel of the energy distance is |x - c| + |y - c| - |x - y|. A constant added to it adds
    # the squared error of the mass to the distance.
    radius_x = (x - centre).norm(dim=1) + mean_distance / 2
    radius_y = (y - centre).norm(dim=1).mean() + mean_distance / 2
    pairs = w[:, None] * w * weights_xx
    within = 2 * pairs.sum(1) @ radius_x - (pairs * torch.cdist(x, x)).sum()
    across = w @ (radius_x + radius_y - torch.cdist(x, y).mean(1))
    return within - 2 * across + 2 * radius_y - mean_distance


def matching_penalty(
    fields: Fields,
    initial: Fields,
    intervals: list[Interval],
    samples: list[tuple[Tensor, Tensor]],
    generator: torch.Generator,
    config: MatchingConfig,
) -> Tensor:
    """Penalties on curvature and change of the drift, and on the slope or the error of growth."""
    x = torch.cat(
        [interval.source[index] for interval, (index, _) in zip(intervals, samples, strict=True)]
    )
    h = config.curvature_step * torch.randn(x.shape, generator=generator, device=x.device)
    points = torch.cat([x, x + h, x - h])
    drifts, growths = fields.drift_and_growth(points, points[:, 0])
    (drift, forward, backward), growth = drifts.view(3, *x.shape), growths[: len(x)]
    slope_weight = config.slope_penalty * min(x.shape[1], config.max_penalty_dims) ** 4
    change = drift - initial.drift_and_growth(x, x[:, 0])[0]
    penalty = slope_weight * change.square().sum(1).mean()
    curvature = (forward + backward - 2 * drift) / config.curvature_step**2
    factor = sum(
        max(len(interval.target) / config.min_cells_scaled, 1) ** 0.5 for interval in intervals
    ) / len(intervals)
    curvature_weight = factor * config.curvature_penalty * x.shape[1] ** 2
    penalty = penalty + curvature_weight * curvature.square().sum(1).mean()
    priors = [
        interval.prior[index]
        for interval, (index, _) in zip(intervals, samples, strict=True)
        if interval.prior is not None
    ]
    if priors:
        error = (growth - torch.cat(priors)).square().mean()
        return penalty + len(intervals) * config.prior_weight * error
    if isinstance(net := getattr(fields, "growth_net", None), LinearResidualNet):
        penalty = penalty + slope_weight * (net.line.weight.square().sum() + net.bend(x).var())
    return penalty
