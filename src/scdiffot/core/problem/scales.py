"""Scales read off the data before training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .snapshots import Snapshots

N_SUBSAMPLE = 500
# In standard deviations of the state: the score of a narrower cloud is mostly noise, and this widens a cloud by 0.02 %.
MIN_WIDTH = 0.02
# Cells that make a wall.
MIN_AT_WALL, MIN_SHARE_AT_WALL = 3, 1e-3


def subsample_index(n_total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of at most ``n`` of ``n_total`` cells, without replacement."""
    return np.arange(n_total) if n_total <= n else np.sort(rng.choice(n_total, n, replace=False))


def subsample(x: np.ndarray, n: int, rng: np.random.Generator) -> Tensor:
    """At most ``n`` cells, without replacement."""
    return torch.as_tensor(x if len(x) <= n else x[subsample_index(len(x), n, rng)])


def uniform(x: Tensor, mass: float) -> Tensor:
    """Equal weights that sum to ``mass``."""
    return torch.full((len(x),), mass / len(x), dtype=x.dtype, device=x.device)


def smallest_eps(x: Tensor, y: Tensor) -> float:
    """Entropy that blurs a coupling by no more than the distance between neighbouring cells."""
    nearest = [
        torch.cdist(z[:N_SUBSAMPLE], z).topk(min(2, len(z)), largest=False).values[:, -1]
        for z in (x, y)
    ]
    blur = max(float(d.median()) for d in nearest) ** 2
    return max(
        blur / x.shape[1],
        1e-3 * float(torch.cdist(x[:N_SUBSAMPLE], y[:N_SUBSAMPLE]).square().mean()),
    )


def price_of_growth(snapshots: Snapshots, rng: np.random.Generator) -> float:
    """Price alpha at which growing costs as much as the travel that growth cannot replace (solver's units).

    A cell of the later snapshot needs an ancestor: alpha is the squared distance that 90 % of the cells have to travel
    from the nearest percent of the earlier snapshot, in the interval where it is largest. The distance of a balanced
    coupling would count as transport what growth explains.
    """
    reach = []
    for x, y in zip(snapshots.states[:-1], snapshots.states[1:], strict=True):
        squares = torch.cdist(subsample(x, N_SUBSAMPLE, rng), subsample(y, N_SUBSAMPLE, rng)) ** 2
        nearest = squares.topk(max(len(squares) // 100, 1), dim=0, largest=False).values[-1]
        reach.append(float(nearest.quantile(0.9)))
    return max([*reach, 1e-4])


def walls(states: Sequence[np.ndarray]) -> Tensor:
    """Least and largest value (2, d) that states can have: where several cells sit exactly at the end of the range; else infinite."""
    cells = np.concatenate(states)
    least = max(MIN_SHARE_AT_WALL * len(cells), MIN_AT_WALL)
    ends = np.stack([cells.min(0), cells.max(0)])
    piled = np.stack([(cells == end).sum(0) for end in ends]) >= least
    if piled.any():
        # Copies of one cell do not make a wall.
        cells = np.unique(cells, axis=0)
        piled = np.stack([(cells == end).sum(0) for end in ends]) >= least
    return torch.as_tensor(np.where(piled, ends, [[-np.inf], [np.inf]]), dtype=torch.float32)


def reflected(x: Tensor, walls: Tensor) -> Tensor:
    """States, those beyond walls (2, d) as far inside of them."""
    return 2 * x.clamp(*walls) - x


def smoothing_width(x: np.ndarray, rng: np.random.Generator, factor: float = 0.7) -> float:
    """Width that keeps the fields from memorising single cells: ``factor * median 5-nn distance / sqrt(d)``, or more."""
    reference = subsample(x, 20_000, rng)
    query = reference[
        torch.as_tensor(rng.choice(len(reference), min(500, len(reference)), replace=False))
    ]
    near = torch.cdist(query, reference).topk(min(6, len(reference)), largest=False).values[:, -1]
    d = x.shape[1]
    width = factor * float(near.median()) / math.sqrt(d) * (len(reference) / len(x)) ** (1 / d)
    return max(width, MIN_WIDTH)
