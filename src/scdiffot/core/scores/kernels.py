"""Sums over pairs of points, excluding pairs of a point with itself."""

from __future__ import annotations

import numpy as np

from scdiffot.core.problem.clouds import thin

# Points of each cloud from which the median distance is estimated.
N_MEDIAN = 1000


def check_pairs(name: str, w: np.ndarray) -> None:
    """Raise an error if a cloud has fewer than two points of positive weight."""
    if np.count_nonzero(w) < 2:
        raise ValueError(
            f"`{name}` has fewer than two points of positive weight: "
            "the unbiased estimate needs two."
        )


def median_bandwidth(
    x: np.ndarray, wx: np.ndarray, y: np.ndarray, wy: np.ndarray, rng: np.random.Generator
) -> float:
    """Median distance between points of the pooled clouds."""
    from scipy.spatial.distance import pdist

    pooled = np.concatenate([thin(x, wx, N_MEDIAN, rng)[0], thin(y, wy, N_MEDIAN, rng)[0]])
    return float(np.median(pdist(pooled)))


def discrepancy(
    kernel: tuple[np.ndarray, np.ndarray, np.ndarray],
    a: np.ndarray,
    b: np.ndarray,
    *,
    diagonal: float,
) -> np.ndarray:
    """Unbiased squared discrepancies of weighted clouds from the kernel between their points.

    Parameters
    ----------
    kernel
        Values within the first cloud, between both, and within the second, shapes ``(n, n)``,
        ``(n, m)``, ``(m, m)``.
    a, b
        Weights that sum to one, shapes ``(B, n)`` and ``(B, m)``, one sample per row.
    diagonal
        Value of the kernel between a point and itself.

    Returns
    -------
    One discrepancy per row, shape ``(B,)``.
    """
    xx, xy, yy = kernel

    def within(values: np.ndarray, w: np.ndarray) -> np.ndarray:
        squares = np.sum(w * w, axis=1)
        return np.asarray((np.sum((w @ values) * w, axis=1) - diagonal * squares) / (1 - squares))

    return within(xx, a) + within(yy, b) - 2 * np.sum((a @ xy) * b, axis=1)
