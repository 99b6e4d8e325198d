"""Shares of classes among nearest neighbours, with fewer neighbours for rare classes."""

from __future__ import annotations

import numpy as np

# Both constants were chosen on 600 cells in 2, 10 and 30 dimensions: a separate class of 3 cells
# has a share of .97, one of 10 cells .99, and where classes overlap the log-loss of new cells is
# within .0005 of that of a fixed number of neighbours.

# Prior odds of each smaller number of neighbours.
SCALE_ODDS = 0.005
# Weight, in neighbours, of the share at the largest scale as a prior at smaller scales.
N_PRIOR = 0.2
# Maximum number of elements (rows x neighbours^2) in memory.
CHUNK_SIZE = 2_000_000


def neighbor_shares(
    states: np.ndarray,
    codes: np.ndarray,
    neighbors: np.ndarray,
    *,
    n_classes: int,
    n_neighbors: int,
) -> np.ndarray:
    """Compute the shares of the classes among the nearest cells of query points.

    With a fixed number of neighbours, a class with fewer cells than that never has the whole share,
    however separate it is. The shares of rare classes, those with at most `n_neighbors` cells, are
    therefore averaged over `n_neighbors`, half, a quarter, ..., and one neighbour. The weight of
    each number is its leave-one-out likelihood: how well it predicts the class of each neighbour
    from the other neighbours. Common classes divide the remaining share as they do among
    `n_neighbors`.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    codes
        Their classes, shape ``(n,)``.
    neighbors
        Positions of the nearest cells of every query point, nearest first, shape ``(N, m)``;
        ``m`` is `n_neighbors` plus one if there are enough cells.
    n_classes
        Number of classes.
    n_neighbors
        Number of neighbours.

    Returns
    -------
    Shares, shape ``(N, n_classes)``; rows sum to one.

    See Also
    --------
    scdiffot.core.lineage.fate.descend : Fates, by the classes of simulated states.
    scdiffot.core.lineage.transitions.transition_matrix : A Markov chain on the neighbours.

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
    needs_scales = (labels != labels[:, :1]).any(axis=1) & rare[labels].any(axis=1)
    rows = np.flatnonzero(needs_scales)
    size = max(CHUNK_SIZE // neighbors.shape[1] ** 2, 1)
    # all common classes are one class in the likelihood
    merged_codes = np.where(rare[codes], codes, n_classes)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        adapted = _adaptive_shares(
            states[neighbors[part]], merged_codes[neighbors[part]], n_classes + 1, n_neighbors
        )
        common = shares[part] * ~rare
        total = common.sum(axis=1, keepdims=True)
        common = np.divide(common, total, out=np.zeros_like(common), where=total > 0)
        shares[part] = adapted[:, :-1] + adapted[:, -1:] * common
    return shares


def _adaptive_shares(
    x: np.ndarray, labels: np.ndarray, n_classes: int, n_neighbors: int
) -> np.ndarray:
    """Average shares, shape ``(N, K)``, over numbers of neighbours.

    The neighbours have states of shape ``(N, m, d)`` and labels of shape ``(N, m)``.
    """
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
    indicators = np.eye(n_classes)[labels]
    return sum(
        w[:, None] * indicators[:, :k].mean(axis=1) for w, k in zip(weights, scales, strict=True)
    )


def _neighbor_matches(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the k-th nearest list member has the class of a member, shape ``(N, m, m - 1)``."""
    m = x.shape[1]
    centred = x.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    products = centred @ centred.transpose(0, 2, 1)
    squares = np.einsum("nii->ni", products)
    distances = squares[:, :, None] + squares[:, None] - 2 * products
    distances[:, np.arange(m), np.arange(m)] = np.inf
    order = distances.argsort(axis=2)[:, :, : m - 1]
    neighbor_labels = np.take_along_axis(
        np.broadcast_to(labels[:, None], distances.shape), order, axis=2
    )
    return neighbor_labels == labels[:, :, None]


def _scales(n_neighbors: int) -> list[int]:
    """Return a number, its half, its quarter, ..., and one."""
    scales = [n_neighbors]
    while scales[-1] > 1:
        scales.append(scales[-1] // 2)
    return scales
