"""Scales of the data, computed before training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .config import ScaleConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .snapshots import Snapshots


def subsample_index(n_total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of at most ``n`` of ``n_total`` cells, without replacement."""
    return np.arange(n_total) if n_total <= n else np.sort(rng.choice(n_total, n, replace=False))


def subsample(x: np.ndarray, n: int, rng: np.random.Generator) -> Tensor:
    """At most ``n`` cells, without replacement."""
    return torch.as_tensor(x if len(x) <= n else x[subsample_index(len(x), n, rng)])


def uniform_weights(x: Tensor, mass: float) -> Tensor:
    """Equal weights that sum to ``mass``."""
    return torch.full((len(x),), mass / len(x), dtype=x.dtype, device=x.device)


def smallest_eps(x: Tensor, y: Tensor, scale: ScaleConfig = ScaleConfig()) -> float:
    """Entropy that blurs a coupling by at most the distance between neighbouring cells."""
    n = scale.n_subsample
    nearest = [
        torch.cdist(z[:n], z).topk(min(2, len(z)), largest=False).values[:, -1] for z in (x, y)
    ]
    blur = max(float(d.median()) for d in nearest) ** 2
    return max(
        blur / x.shape[1],
        scale.min_relative_eps * float(torch.cdist(x[:n], y[:n]).square().mean()),
    )


def default_alpha(
    snapshots: Snapshots, rng: np.random.Generator, scale: ScaleConfig = ScaleConfig()
) -> float:
    """Geometric scale of alpha: the cost of the motion that growth cannot replace.

    A cell of the later snapshot needs an ancestor. Alpha is the squared distance to the nearest
    percent of the earlier snapshot, of which 90 % of the cells are within, in the interval where it
    is largest (solver's units). The distance of a balanced coupling would be too large, because it
    includes changes that growth explains.
    """
    squared_distances, n = [], scale.n_subsample
    for x, y in zip(snapshots.states[:-1], snapshots.states[1:], strict=True):
        squares = torch.cdist(subsample(x, n, rng), subsample(y, n, rng)) ** 2
        n_nearest = max(int(scale.nearest_share * len(squares)), 1)
        nearest = squares.topk(n_nearest, dim=0, largest=False).values[-1]
        squared_distances.append(float(nearest.quantile(scale.ancestor_quantile)))
    return max([*squared_distances, scale.min_alpha])


def find_walls(states: Sequence[np.ndarray], scale: ScaleConfig = ScaleConfig()) -> Tensor:
    """Minimum and maximum ``(2, d)`` of the states; infinite where there is no wall.

    A dimension has a wall at its minimum or maximum if at least three cells, and 0.1 % of all
    cells, lie exactly there (for example at zero expression).
    """
    cells = np.concatenate(states)
    min_cells = max(scale.min_share_at_wall * len(cells), scale.min_cells_at_wall)
    extremes = np.stack([cells.min(0), cells.max(0)])
    at_wall = np.stack([(cells == extreme).sum(0) for extreme in extremes]) >= min_cells
    if at_wall.any():
        # Copies of one cell do not make a wall.
        cells = np.unique(cells, axis=0)
        at_wall = np.stack([(cells == extreme).sum(0) for extreme in extremes]) >= min_cells
    return torch.as_tensor(np.where(at_wall, extremes, [[-np.inf], [np.inf]]), dtype=torch.float32)


def reflect(x: Tensor, walls: Tensor) -> Tensor:
    """Reflect states ``(n, d)`` at walls ``(2, d)``."""
    return 2 * x.clamp(*walls) - x


def smoothing_width(
    x: np.ndarray, rng: np.random.Generator, scale: ScaleConfig = ScaleConfig()
) -> float:
    """Smoothing width that prevents fields from memorising single cells.

    It is ``scale.smoothing`` times the median distance to the fifth nearest neighbour over
    ``sqrt(d)``, at least ``scale.min_width``.
    """
    reference = subsample(x, scale.n_reference, rng)
    n_query = min(scale.n_subsample, len(reference))
    query = reference[torch.as_tensor(rng.choice(len(reference), n_query, replace=False))]
    k = min(scale.neighbour + 1, len(reference))
    distances = torch.cdist(query, reference).topk(k, largest=False).values[:, -1]
    d = x.shape[1]
    width = scale.smoothing * float(distances.median()) / math.sqrt(d)
    return max(width * (len(reference) / len(x)) ** (1 / d), scale.min_width)
