"""Mixing of the spots of several slices in a representation."""

from __future__ import annotations

import numpy as np

# Number of neighbours of a spot, and maximum number of spots that are evaluated.
N_NEIGHBORS = 30
MAX_SPOTS = 2000


def mixing(states: np.ndarray, codes: np.ndarray) -> float:
    """Compute the share of neighbours from other slices, relative to that under random mixing.

    Parameters
    ----------
    states
        Representation of the spots, shape ``(n, d)``.
    codes
        Slice of every spot, shape ``(n,)``.

    Returns
    -------
    1 if neighbours are from random slices, 0 if all neighbours are from the slice of the spot. Of
    more than 2,000 spots, a regular subsample is evaluated.

    See Also
    --------
    scdiffot.core.spatial.domains.neighbourhoods.spatial_components : A representation of spots.

    Notes
    -----
    The share of neighbours from the slice of the spot is, averaged over spots, the Simpson index of
    neighbourhoods. The local inverse Simpson index (LISI) :cite:p:`Korsunsky2019` is its inverse.
    """
    from scipy.spatial import cKDTree

    n = len(states)
    rows = np.unique(np.linspace(0, n - 1, min(n, MAX_SPOTS)).astype(np.intp))
    k = min(N_NEIGHBORS, n - 1)
    _, indices = cKDTree(states).query(states[rows], k=k + 1)
    is_self = indices == rows[:, None]
    # among duplicates, a spot may be missing from its neighbours; the last one is dropped instead
    is_self[~is_self.any(axis=1), -1] = True
    neighbors = indices[~is_self].reshape(len(rows), k)
    sizes = np.bincount(codes)
    # under random mixing, neighbours are sampled from the n - 1 other spots
    expected_shares = (n - sizes[codes[rows]]) / (n - 1)
    return float((codes[neighbors] != codes[rows, None]).mean() / expected_shares.mean())
