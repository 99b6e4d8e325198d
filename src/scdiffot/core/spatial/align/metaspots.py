"""Metaspots: means over groups of spots, a slice at a lower resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .pose import principal_frame


@dataclass(frozen=True)
class Spots:
    """Spots, or groups of spots.

    Parameters
    ----------
    positions
        Positions, shape ``(n, 2)``.
    features
        Features, shape ``(n, d)``.
    weights
        Shares of the slice, shape ``(n,)``, with sum one.

    See Also
    --------
    metaspots : Average groups of spots.
    spacing : Distance between neighbouring spots.
    """

    positions: np.ndarray
    features: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)


def metaspots(positions: np.ndarray, features: np.ndarray, max_spots: int) -> Spots:
    """Average the spots in the cells of a square grid on the principal axes of a slice.

    The grid rotates and reflects with the slice, so that the groups do not depend on its pose. It
    is the finest grid, to 5 %, with at most `max_spots` occupied cells. A slice with at most this
    many spots is unchanged. Time and memory are proportional to the number of spots.

    Parameters
    ----------
    positions
        Positions, shape ``(n, 2)``.
    features
        Features, shape ``(n, d)``.
    max_spots
        Maximum number of groups.

    Returns
    -------
    The metaspots.

    See Also
    --------
    Spots : The result.
    spacing : Distance between neighbouring spots.
    """
    n = len(positions)
    if n <= max_spots:
        return Spots(positions, features, np.full(n, 1.0 / n))
    coordinates = principal_frame(positions, mirror=True).apply(positions)
    extent = np.ptp(coordinates, axis=0)
    width = float(np.sqrt(max(np.prod(extent), extent.max() ** 2 / max_spots) / max_spots)) / 2
    if width == 0:
        # all spots coincide
        width = 1.0
    while True:
        cells, groups = np.unique(np.floor(coordinates / width), axis=0, return_inverse=True)
        if len(cells) <= max_spots:
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
    """Estimate the distance between neighbouring spots of an equivalent grid.

    The median distance to the nearest other position, or the side of the square per spot, estimated
    from the distance to the sixth neighbour, if that is larger. Randomly located cells have close
    neighbours as well as gaps.

    Parameters
    ----------
    positions
        Positions, shape ``(n, 2)``.

    See Also
    --------
    metaspots : Average groups of spots.
    """
    from scipy.spatial import cKDTree

    distinct = np.unique(positions, axis=0)
    k = min(6, len(distinct) - 1)
    distances, _ = cKDTree(distinct).query(distinct, k=k + 1)
    return float(
        max(np.median(distances[:, 1]), math.sqrt(math.pi / k) * np.median(distances[:, k]))
    )
