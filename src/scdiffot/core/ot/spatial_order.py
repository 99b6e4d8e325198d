"""Spots in an order in which neighbours follow each other, whatever the pose of the slice."""

from __future__ import annotations

import numpy as np

_BITS = 16


def principal_order(positions: np.ndarray) -> np.ndarray:
    """Spots along a space-filling curve :cite:p:`Morton1966` in the principal axes.

    The axes point to the side of the longer tail, so that a slice that is turned, moved, mirrored or scaled keeps its order.

    Parameters
    ----------
    positions
        Positions, shape ``(n, d)``.

    Returns
    -------
    Positions of the spots in that order, shape ``(n,)``; spots at one place keep theirs.
    """
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    placed = centred @ axes
    placed *= np.where((placed**3).sum(axis=0) < 0, -1.0, 1.0)
    extent = np.ptp(placed, axis=0).max()
    cells = (placed - placed.min(axis=0)) / (extent if extent > 0 else 1.0)
    # A hair's breadth off the grid lines, on which rounding would decide.
    cells = np.floor(cells * (2**_BITS - 1) + 0.318).astype(np.int64)
    codes = np.zeros(len(positions), dtype=np.int64)
    n_dims = positions.shape[1]
    for bit in range(_BITS):
        for d in range(n_dims):
            codes |= ((cells[:, d] >> bit) & 1) << (bit * n_dims + d)
    return np.argsort(codes, kind="stable")
