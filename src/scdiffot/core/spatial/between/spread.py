"""Few spots of equal weight that stand for many of different weights."""

from __future__ import annotations

import numpy as np

from scdiffot.core.ot.spatial_order import principal_order

from .place_kernel import RESOLUTION

# Spots that may share one that is as far from each.
_N_SHARING = 8


def spread(positions: np.ndarray, weights: np.ndarray, n_obs: int) -> np.ndarray:
    """Spots in proportion to their weights, evenly over the tissue: systematic sampling along a space-filling curve."""
    order = principal_order(positions)
    edges = np.cumsum(weights[order])
    # A hair's breadth off the middle, which edges of equal weights meet: rounding would decide.
    chosen = np.searchsorted(edges / edges[-1], (np.arange(n_obs) + 0.5 - RESOLUTION) / n_obs)
    return order[np.minimum(chosen, len(order) - 1)]


def settle(positions: np.ndarray, weights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Move spots that were chosen to the mean of all that are nearer to them than to another chosen one.

    A step of Lloyd's algorithm :cite:p:`Lloyd1982`, which brings them nearer to what they stand for, and away from each other. Only one:
    at its end, spots are no longer as dense as the weights.

    Parameters
    ----------
    positions
        Positions of all spots, shape ``(n, d)``.
    weights
        Their weights, shape ``(n,)``.
    chosen
        Which are chosen, shape ``(k,)``; one may be several times.

    Returns
    -------
    New positions of the chosen spots, shape ``(k, d)``.
    """
    from scipy.spatial import cKDTree

    kept, index = np.unique(chosen, return_inverse=True)
    places = positions[kept]
    k = min(_N_SHARING, len(kept))
    distances, near = cKDTree(places).query(positions, list(range(1, k + 1)))
    # Between two as near, on a grid for instance, rounding would decide.
    nearest = distances <= distances[:, :1] + RESOLUTION * distances[:, -1:]
    shares = nearest * (weights / nearest.sum(axis=1))[:, None]
    mass = np.bincount(near.ravel(), shares.ravel(), minlength=len(kept))
    settled = [
        np.bincount(near.ravel(), (shares * column[:, None]).ravel(), minlength=len(kept))
        for column in positions.T
    ]
    return np.asarray((np.stack(settled, axis=1) / mass[:, None])[index.reshape(-1)])
