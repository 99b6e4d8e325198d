"""What the fields are regressed on, and by how much they miss it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields

    from .bridges import Bridge, BridgeConfig


def regression_losses(
    fields: Fields, regime: BridgeConfig, points: Bridge, t: Tensor, weight: Tensor
) -> Tensor:
    """Total, flow, growth and score loss (4,) of a batch."""
    motion, growth, score = fields.regressed(points.x, t)
    lean = points.lean + regime.sigma**2 / 2 if fields.moves_drift else points.lean
    target = torch.addcmul(points.velocity, lean[:, None], score.detach())
    flow_loss = (weight @ (motion - target).square()).sum() / len(t)
    residual = torch.addcmul(points.noise, points.spread[:, None], score)
    score_loss = (weight @ residual.square()).mean() / len(t)
    growth_loss = torch.zeros_like(flow_loss)
    if regime.alpha is not None:
        growth_loss = regime.alpha / len(t) * (weight @ (growth - points.growth).square())
    return torch.stack([flow_loss + growth_loss + score_loss, flow_loss, growth_loss, score_loss])
