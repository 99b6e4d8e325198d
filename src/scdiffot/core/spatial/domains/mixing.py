"""How well the spots of several slices mix in a representation."""

from __future__ import annotations

import numpy as np

# Neighbours whose slices are counted, and the largest number of spots whose neighbours are searched.
N_NEIGHBORS = 30
MAX_SPOTS = 2000


def mixing(states: np.ndarray, codes: np.ndarray) -> float:
    """Share of neighbours from other slices, relative to the share that the sizes of the slices allow.

    Parameters
    ----------
    states
        Representation of the spots, shape ``(n, d)``.
    codes
        Slice of every spot, shape ``(n,)``.

    Returns
    -------
    1 where neighbours are drawn from all slices at random, 0 where every spot has neighbours of its own slice only. All spots
    up to 2,000 count, and every so many beyond.

    Notes
    -----
    One less this share is the Simpson index of the neighbourhood averaged over spots, of which LISI :cite:p:`Korsunsky2019` takes
    the inverse.
    """
    from scipy.spatial import cKDTree

    n = len(states)
    rows = np.unique(np.linspace(0, n - 1, min(n, MAX_SPOTS)).astype(np.intp))
    k = min(N_NEIGHBORS, n - 1)
    _, near = cKDTree(states).query(states[rows], k=k + 1)
    itself = near == rows[:, None]
    # Among copies, a spot may be missing from its own neighbours: the farthest is left out instead.
    itself[~itself.any(axis=1), -1] = True
    others = near[~itself].reshape(len(rows), k)
    sizes = np.bincount(codes)
    # neighbours of a spot come from the n - 1 other spots
    expected = (n - sizes[codes[rows]]) / (n - 1)
    return float((codes[others] != codes[rows, None]).mean() / expected.mean())
