"""Scales of the data, computed before training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .snapshots import Snapshots

# Cells of a snapshot from which distances are estimated.
N_SUBSAMPLE = 500
# Smallest smoothing width, in standard deviations of the state. The score of a narrower cloud is
# mostly noise; this width increases the standard deviation of a cloud by 0.02 %.
MIN_WIDTH = 0.02
# Nearest neighbour whose distance is the scale of smoothing, and cells from which it is estimated.
SMOOTHING_NEIGHBOUR, N_REFERENCE = 5, 20_000
# Smallest entropy of a coupling, in mean squared distances between the two snapshots.
MIN_RELATIVE_EPS = 1e-3
# Smallest default of alpha, in the solver's units.
MIN_ALPHA = 1e-4
# Cells at the minimum or maximum of a dimension that make it a wall: their number, and their share.
MIN_AT_WALL, MIN_SHARE_AT_WALL = 3, 1e-3


def subsample_index(n_total: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of at most ``n`` of ``n_total`` cells, without replacement."""
    return np.arange(n_total) if n_total <= n else np.sort(rng.choice(n_total, n, replace=False))


def subsample(x: np.ndarray, n: int, rng: np.random.Generator) -> Tensor:
    """At most ``n`` cells, without replacement."""
    return torch.as_tensor(x if len(x) <= n else x[subsample_index(len(x), n, rng)])


def uniform_weights(x: Tensor, mass: float) -> Tensor:
    """Equal weights that sum to ``mass``."""
    return torch.full((len(x),), mass / len(x), dtype=x.dtype, device=x.device)


def smallest_eps(x: Tensor, y: Tensor) -> float:
    """Entropy that blurs a coupling by at most the distance between neighbouring cells."""
    nearest = [
        torch.cdist(z[:N_SUBSAMPLE], z).topk(min(2, len(z)), largest=False).values[:, -1]
        for z in (x, y)
    ]
    blur = max(float(d.median()) for d in nearest) ** 2
    return max(
        blur / x.shape[1],
        MIN_RELATIVE_EPS * float(torch.cdist(x[:N_SUBSAMPLE], y[:N_SUBSAMPLE]).square().mean()),
    )


def default_alpha(snapshots: Snapshots, rng: np.random.Generator) -> float:
    """Geometric scale of alpha: the cost of the motion that growth cannot replace.

    A cell of the later snapshot needs an ancestor. Alpha is the squared distance to the nearest
    percent of the earlier snapshot, of which 90 % of the cells are within, in the interval where it
    is largest (solver's units). The distance of a balanced coupling would be too large, because it
    includes changes that growth explains.
    """
    squared_distances = []
    for x, y in zip(snapshots.states[:-1], snapshots.states[1:], strict=True):
        squares = torch.cdist(subsample(x, N_SUBSAMPLE, rng), subsample(y, N_SUBSAMPLE, rng)) ** 2
        nearest = squares.topk(max(len(squares) // 100, 1), dim=0, largest=False).values[-1]
        squared_distances.append(float(nearest.quantile(0.9)))
    return max([*squared_distances, MIN_ALPHA])


def find_walls(states: Sequence[np.ndarray]) -> Tensor:
    """Minimum and maximum ``(2, d)`` of the states; infinite where there is no wall.

    A dimension has a wall at its minimum or maximum if at least three cells, and 0.1 % of all
    cells, lie exactly there (for example at zero expression).
    """
    cells = np.concatenate(states)
    min_cells = max(MIN_SHARE_AT_WALL * len(cells), MIN_AT_WALL)
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


def smoothing_width(x: np.ndarray, rng: np.random.Generator, factor: float = 0.7) -> float:
    """Smoothing width that prevents fields from memorising single cells.

    It is ``factor`` times the median distance to the fifth nearest neighbour over ``sqrt(d)``, at
    least `MIN_WIDTH`.
    """
    reference = subsample(x, N_REFERENCE, rng)
    query = reference[
        torch.as_tensor(rng.choice(len(reference), min(N_SUBSAMPLE, len(reference)), replace=False))
    ]
    k = min(SMOOTHING_NEIGHBOUR + 1, len(reference))
    distances = torch.cdist(query, reference).topk(k, largest=False).values[:, -1]
    d = x.shape[1]
    width = factor * float(distances.median()) / math.sqrt(d) * (len(reference) / len(x)) ** (1 / d)
    return max(width, MIN_WIDTH)
