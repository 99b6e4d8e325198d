"""Fewer spots that stand for many: a slice at a lower resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .pose import principal_frame


@dataclass(frozen=True)
class Spots:
    """Spots or groups of them.

    Parameters
    ----------
    positions
        Their positions, shape ``(n, 2)``.
    features
        Their features, shape ``(n, d)``.
    weights
        Their shares of the slice, shape ``(n,)``, with sum one.
    """

    positions: np.ndarray
    features: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)


def metaspots(positions: np.ndarray, features: np.ndarray, n_most: int) -> Spots:
    """Means of the spots in the cells of a square grid on the principal axes of a slice.

    The grid turns and mirrors with the slice, so that the groups do not depend on its pose. It is
    the finest one, to 5 %, with at most `n_most` cells that hold spots; a slice of no more spots stays as it is. Takes time
    and memory in proportion to the number of spots.

    Parameters
    ----------
    positions
        Positions, shape ``(n, 2)``.
    features
        Features, shape ``(n, d)``.
    n_most
        Number of groups wanted, at most.
    """
    n = len(positions)
    if n <= n_most:
        return Spots(positions, features, np.full(n, 1.0 / n))
    placed = principal_frame(positions, mirror=True).apply(positions)
    extent = np.ptp(placed, axis=0)
    width = float(np.sqrt(max(np.prod(extent), extent.max() ** 2 / n_most) / n_most)) / 2
    if width == 0:
        # All spots are at one position, and no width divides them.
        width = 1.0
    while True:
        cells, groups = np.unique(np.floor(placed / width), axis=0, return_inverse=True)
        if len(cells) <= n_most:
            break
        width *= 1.05
    groups = groups.reshape(-1)
    counts = np.bincount(groups).astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = [
            np.bincount(groups, weights=column) for column in np.asarray(values, dtype=np.float64).T
        ]
        return np.stack(sums, axis=1) / counts[:, None]

    return Spots(mean(positions), mean(features), counts / n)


def spacing(positions: np.ndarray) -> float:
    """Distance between neighbouring spots, as if they lay on a grid.

    The median distance to the nearest other position, or, if that is more, the side of the square that a spot has to itself,
    told from the distance to the sixth one: cells that lie at random have close neighbours as well as gaps.
    """
    from scipy.spatial import cKDTree

    distinct = np.unique(positions, axis=0)
    k = min(6, len(distinct) - 1)
    distances, _ = cKDTree(distinct).query(distinct, k=k + 1)
    return float(
        max(np.median(distances[:, 1]), math.sqrt(math.pi / k) * np.median(distances[:, k]))
    )
