"""Shares of classes among nearest neighbours, at a scale that fits the classes with few cells."""

from __future__ import annotations

import numpy as np

# Chosen on 600 cells in 2, 10 and 30 dimensions: a separate class of 3 cells gets a share of .97, of 10 cells .99, and where
# classes overlap the log-loss of new cells is within .0005 of that of a fixed number of neighbours.
# Odds of a smaller number of neighbours, before the labels are seen.
SCALE_ODDS = 0.005
# Neighbours that the share at the largest scale is worth as a prior of the smaller ones.
N_PRIOR = 0.2
# Numbers (rows x neighbours^2) that are in memory at once.
CHUNK_SIZE = 2_000_000


def neighbor_shares(
    states: np.ndarray,
    codes: np.ndarray,
    neighbors: np.ndarray,
    *,
    n_classes: int,
    n_neighbors: int,
) -> np.ndarray:
    """Shares of the classes among the nearest cells of some places.

    Among a fixed number of neighbours a class with fewer cells than that can never have the whole share, however separate it is.
    Classes with at most `n_neighbors` cells in all therefore get the mean of their shares among ``n_neighbors``, half, a quarter,
    ..., and one neighbour, weighted by how well each number predicts these classes against all others, cell by cell from the
    other neighbours (leave one out). Common classes share the rest as they do among `n_neighbors`.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    codes
        Their classes, shape ``(n,)``.
    neighbors
        Positions of the nearest cells of every place, the nearest first, shape ``(N, m)``; one more than `n_neighbors` if there are
        enough.
    n_classes
        Number of classes.
    n_neighbors
        Number of neighbours.

    Returns
    -------
    Shape ``(N, n_classes)``; rows sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.concatenate([np.linspace(0, 0.2, 3), np.linspace(5, 6, 40)])[:, None]
    >>> codes = np.repeat([0, 1], [3, 40])
    >>> shares = neighbor_shares(x, codes, np.arange(31)[None], n_classes=2, n_neighbors=30)
    >>> bool(shares[0, 0] > 0.9)
    True
    """
    labels = codes[neighbors]
    shares = np.eye(n_classes)[labels[:, :n_neighbors]].mean(axis=1)
    rare = np.bincount(codes, minlength=n_classes) <= n_neighbors
    mixed = (labels != labels[:, :1]).any(axis=1) & rare[labels].any(axis=1)
    rows = np.flatnonzero(mixed)
    size = max(CHUNK_SIZE // neighbors.shape[1] ** 2, 1)
    # all common classes are one here
    merged = np.where(rare[codes], codes, n_classes)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        adapted = _adaptive_shares(
            states[neighbors[part]], merged[neighbors[part]], n_classes + 1, n_neighbors
        )
        common = shares[part] * ~rare
        total = common.sum(axis=1, keepdims=True)
        common = np.divide(common, total, out=np.zeros_like(common), where=total > 0)
        shares[part] = adapted[:, :-1] + adapted[:, -1:] * common
    return shares


def _adaptive_shares(
    x: np.ndarray, labels: np.ndarray, n_classes: int, n_neighbors: int
) -> np.ndarray:
    """Shares (N, K) from lists of neighbours (N, m, d) and their classes (N, m), averaged over the numbers of neighbours."""
    m = x.shape[1]
    matches = np.cumsum(_neighbor_matches(x, labels), axis=2)
    scales = _scales(min(n_neighbors, m - 1))
    prior = (matches[:, :, scales[0] - 1] + 0.5) / (scales[0] + 1)
    log_weights = np.stack(
        [
            np.log((matches[:, :, k - 1] + N_PRIOR * prior) / (k + N_PRIOR)).sum(axis=1)
            for k in scales
        ]
    )
    log_weights[1:] += np.log(SCALE_ODDS)
    weights = np.exp(log_weights - log_weights.max(axis=0))
    weights /= weights.sum(axis=0)
    one_hot = np.eye(n_classes)[labels]
    return sum(
        w[:, None] * one_hot[:, :k].mean(axis=1) for w, k in zip(weights, scales, strict=True)
    )


def _neighbor_matches(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the nearest, second nearest, ... other member of each list has the class of a member, shape ``(N, m, m - 1)``."""
    m = x.shape[1]
    centred = x.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    products = centred @ centred.transpose(0, 2, 1)
    squares = np.einsum("nii->ni", products)
    distances = squares[:, :, None] + squares[:, None] - 2 * products
    distances[:, np.arange(m), np.arange(m)] = np.inf
    order = distances.argsort(axis=2)[:, :, : m - 1]
    others = np.take_along_axis(np.broadcast_to(labels[:, None], distances.shape), order, axis=2)
    return others == labels[:, :, None]


def _scales(n_neighbors: int) -> list[int]:
    """A number, its half, its quarter, ..., and one."""
    scales = [n_neighbors]
    while scales[-1] > 1:
        scales.append(scales[-1] // 2)
    return scales
