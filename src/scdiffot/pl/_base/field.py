"""Mean velocity on a grid."""

from __future__ import annotations

import numpy as np


def grid_field(
    points: np.ndarray, vectors: np.ndarray, n_grid: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Average vectors around the nodes of a grid of squares.

    Cells are counted in squares, and counts and sums of vectors are smoothed by a Gaussian as wide as a square, so the cost grows
    with the number of cells only.

    Parameters
    ----------
    points
        Cells, shape ``(n, 2)``.
    vectors
        Their vectors, shape ``(n, 2)``.
    n_grid
        Number of nodes along the longer side.

    Returns
    -------
    The nodes of both axes, and the two components there, shape ``(n_y, n_x)``; NaN where there are next to no cells.
    """
    from scipy.ndimage import gaussian_filter

    low, high = points.min(axis=0), points.max(axis=0)
    # squares reach one node beyond the cells
    step = float((high - low).max()) / (n_grid - 1) or 1.0
    counts = np.maximum(np.ceil((high - low) / step).astype(int) + 1, 2)
    edges = [start + step * (np.arange(n + 1) - 0.5) for start, n in zip(low, counts, strict=True)]

    def smoothed(weights: np.ndarray | None) -> np.ndarray:
        return gaussian_filter(
            np.histogram2d(points[:, 0], points[:, 1], bins=edges, weights=weights)[0], sigma=1.0
        ).T

    mass = smoothed(None)
    there = mass > 0.02 * np.quantile(mass[mass > 1e-3 * mass.max()], 0.9)
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = (np.where(there, smoothed(component) / mass, np.nan) for component in vectors.T)
    x, y = (start + step * np.arange(n) for start, n in zip(low, counts, strict=True))
    return x, y, u, v
