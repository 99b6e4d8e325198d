"""A spatial order of spots that does not depend on the pose of the slice."""

from __future__ import annotations

import numpy as np

# Bits per axis of the grid of the space-filling curve, and the offset of the grid in its units. The
# offset keeps spots off the grid lines, where rounding would decide.
_BITS, _GRID_OFFSET = 16, 0.318


def principal_order(positions: np.ndarray) -> np.ndarray:
    """Order of spots along a space-filling curve :cite:p:`Morton1966` in the principal axes.

    The axes point to the side of the longer tail, so that the order does not change if the slice is
    rotated, moved, mirrored or scaled.

    Parameters
    ----------
    positions
        Positions, shape ``(n, d)``.

    Returns
    -------
    Indices of the spots in this order, shape ``(n,)``; coinciding spots keep their order.
    """
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    coordinates = centred @ axes
    coordinates *= np.where((coordinates**3).sum(axis=0) < 0, -1.0, 1.0)
    extent = np.ptp(coordinates, axis=0).max()
    cells = (coordinates - coordinates.min(axis=0)) / (extent if extent > 0 else 1.0)
    cells = np.floor(cells * (2**_BITS - 1) + _GRID_OFFSET).astype(np.int64)
    codes = np.zeros(len(positions), dtype=np.int64)
    n_dims = positions.shape[1]
    for bit in range(_BITS):
        for d in range(n_dims):
            codes |= ((cells[:, d] >> bit) & 1) << (bit * n_dims + d)
    return np.argsort(codes, kind="stable")
