"""Subsamples of weighted spots with equal weights."""

from __future__ import annotations

import numpy as np

from scdiffot.core.ot.spatial_order import principal_order

from .place_kernel import RESOLUTION

# Maximum number of selected spots that share a spot at equal distances.
_MAX_TIES = 8


def sample_spots(positions: np.ndarray, weights: np.ndarray, n_obs: int) -> np.ndarray:
    """Sample spots by weight, by systematic sampling along a space-filling curve.

    Parameters
    ----------
    positions
        Positions, shape ``(n, d)``.
    weights
        Weights, shape ``(n,)``.
    n_obs
        Number of spots to sample.

    Returns
    -------
    Rows of the sampled spots, shape ``(n_obs,)``; rows may repeat.

    See Also
    --------
    lloyd_step : Move the sampled spots.
    """
    order = principal_order(positions)
    edges = np.cumsum(weights[order])
    # slightly off the midpoints, where edges of equal weights lie and rounding would decide
    rows = np.searchsorted(edges / edges[-1], (np.arange(n_obs) + 0.5 - RESOLUTION) / n_obs)
    return order[np.minimum(rows, len(order) - 1)]


def lloyd_step(positions: np.ndarray, weights: np.ndarray, selection: np.ndarray) -> np.ndarray:
    """Move selected spots to the mean of the spots that are nearest to them.

    This is a single step of Lloyd's algorithm :cite:p:`Lloyd1982`, which reduces the distance of
    spots to the selected ones. At the end of the algorithm the density of spots would no longer
    follow the weights.

    Parameters
    ----------
    positions
        Positions of all spots, shape ``(n, d)``.
    weights
        Their weights, shape ``(n,)``.
    selection
        Rows of the selected spots, shape ``(k,)``; rows may repeat.

    Returns
    -------
    New positions of the selected spots, shape ``(k, d)``.

    See Also
    --------
    sample_spots : Sample spots by weight.
    """
    from scipy.spatial import cKDTree

    rows, index = np.unique(selection, return_inverse=True)
    places = positions[rows]
    k = min(_MAX_TIES, len(rows))
    distances, neighbors = cKDTree(places).query(positions, list(range(1, k + 1)))
    # ties, for example on a grid, are shared, because rounding must not decide
    nearest = distances <= distances[:, :1] + RESOLUTION * distances[:, -1:]
    shares = nearest * (weights / nearest.sum(axis=1))[:, None]
    mass = np.bincount(neighbors.ravel(), shares.ravel(), minlength=len(rows))
    sums = [
        np.bincount(neighbors.ravel(), (shares * column[:, None]).ravel(), minlength=len(rows))
        for column in positions.T
    ]
    return np.asarray((np.stack(sums, axis=1) / mass[:, None])[index.reshape(-1)])
