"""Objectives of training: regression losses, energy distance of populations, and penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.nets.mlp import LinearResidualNet

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields

    from .bridges import Bridge, BridgeConfig
    from .matching import Interval

# Weight of the squared deviation of growth from the expected rate, in units of one over the mean
# interval; the loss is in multiples of the sampling error.
PRIOR_WEIGHT = 100.0
# Weight of the slope of growth and of the change of the drift, times the fourth power of the number
# of dimensions, at most MAX_DIMS. Along directions of little variance growth and an opposite drift
# cancel, so only a penalty bounds them. The power of four: a quadratic field has d^3 coefficients,
# and the energy distance, one number for all dimensions, identifies each the less the more there
# are. With a quarter of the weight, and none for the drift, the growth of a gene network in ten
# components was mostly noise in two of three cases. Components beyond MAX_DIMS hardly vary: in 30
# components of two networks growth correlates with the truth by 0.90 and 0.79, and by 0.79 and 0.77
# without the limit (docs/mathematics.md).
SLOPE_PENALTY, MAX_DIMS = 0.005, 15
# Weight of the squared second derivatives of the drift, times d^2, their number per component, and
# the step of their finite differences, in standard deviations of the state. The penalty, the linear
# part and walls together increase the correlation of regulation with the truth from 0.71 to 0.83
# (two genes, four snapshots of 500 cells). Above MIN_CELLS_SCALED cells per snapshot the weight
# grows with the square root of their number: the mismatch, in multiples of the sampling error,
# grows in proportion to it, but a step has at most 600 cells. With 3,000 cells 95.5 and 96.5 % of
# the signs of regulation are right (two draws), and 94.3 and 95.1 % without this growth
# (docs/mathematics.md).
CURVATURE_PENALTY, FD_STEP, MIN_CELLS_SCALED = 0.02, 0.3, 1500


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


def energy_distance(
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
) -> Tensor:
    """Penalties on curvature and change of the drift, and on the slope or the error of growth."""
    x = torch.cat(
        [interval.source[index] for interval, (index, _) in zip(intervals, samples, strict=True)]
    )
    h = FD_STEP * torch.randn(x.shape, generator=generator, device=x.device)
    points = torch.cat([x, x + h, x - h])
    drifts, growths = fields.drift_and_growth(points, points[:, 0])
    (drift, forward, backward), growth = drifts.view(3, *x.shape), growths[: len(x)]
    slope_weight = SLOPE_PENALTY * min(x.shape[1], MAX_DIMS) ** 4
    change = drift - initial.drift_and_growth(x, x[:, 0])[0]
    penalty = slope_weight * change.square().sum(1).mean()
    curvature = (forward + backward - 2 * drift) / FD_STEP**2
    factor = sum(
        max(len(interval.target) / MIN_CELLS_SCALED, 1) ** 0.5 for interval in intervals
    ) / len(intervals)
    curvature_weight = factor * CURVATURE_PENALTY * x.shape[1] ** 2
    penalty = penalty + curvature_weight * curvature.square().sum(1).mean()
    priors = [
        interval.prior[index]
        for interval, (index, _) in zip(intervals, samples, strict=True)
        if interval.prior is not None
    ]
    if priors:
        error = (growth - torch.cat(priors)).square().mean()
        return penalty + len(intervals) * PRIOR_WEIGHT * error
    if isinstance(net := getattr(fields, "growth_net", None), LinearResidualNet):
        penalty = penalty + slope_weight * (net.line.weight.square().sum() + net.bend(x).var())
    return penalty
