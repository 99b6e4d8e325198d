"""Rates that growth is held to: outside the data a network knows no bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bridges import Pairs, Regime, dirac_path

if TYPE_CHECKING:
    import numpy as np

    from .fields import Fields

# All but one in two hundred at each end.
QUANTILES = (0.005, 0.995)


def range_of_pairs(pool: Pairs, lengths: np.ndarray, regime: Regime, *, shared: bool) -> Tensor:
    """Rates (T - 1, 2) that the paths of pairs keep to in intervals of given lengths, or in all of them if `shared`."""
    ranges = []
    for k, dt in enumerate(lengths):
        pairs = pool[k]
        rates = [
            dirac_path(pairs, torch.full_like(pairs.m0, u), regime)[3] + pairs.expected(u) for u in (0.05, 0.5, 0.95)
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
