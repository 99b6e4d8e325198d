"""Genes of one slice, or platform, for the spots of another that did not measure them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_N_NEIGHBORS = 100
_N_ITERATIONS = 200
_TOLERANCE = 1e-4
_CHUNK = 1024


def transfer_weights(
    points: np.ndarray,
    reference: np.ndarray,
    *,
    n_neighbors: int = _N_NEIGHBORS,
    marginal: float = 1.0,
) -> csr_array:
    r"""Weights of reference spots by which values are carried over to other spots.

    An unbalanced entropic coupling :cite:p:`Chizat2018` in a common space,

    .. math::
        \min_P \sum_{ij} P_{ij} c_{ij} + \epsilon \, \mathrm{KL}(P | a b^T)
        + \rho \, \mathrm{KL}(P 1 | a) + \rho \, \mathrm{KL}(P^T 1 | b), \qquad c_{ij} = |x_i - y_j|^2,

    on the pairs of mutual interest only: the nearest reference spots of every spot, and the other way round. Its rows, divided by their sums,
    are the weights. Unlike nearest neighbours, it uses reference spots evenly, so that one spot cannot speak for many.

    Parameters
    ----------
    points
        Spots in the common space, shape ``(n, d)``.
    reference
        Reference spots, shape ``(m, d)``.
    n_neighbors
        Reference spots that are considered for a spot, and spots for a reference spot. The scale of the costs, and with it
        the entropy :math:`\epsilon`, is set by the excess of the squared distance to the last of them over that to the nearest one.
    marginal
        Strength :math:`\rho / \epsilon` with which spots are used evenly: 0 is a kernel over neighbours.

    Returns
    -------
    Sparse matrix of shape ``(n, m)`` with rows that sum to one. Takes memory in proportion to the number of spots.
    """
    from scipy import sparse

    n, m = len(points), len(reference)
    k, back = min(n_neighbors, m), min(n_neighbors, n)
    near, squares = nearest(points, reference, k)
    other, other_squares = nearest(reference, points, back)
    rows = np.concatenate([np.repeat(np.arange(n), k), other.ravel()])
    cols = np.concatenate([near.ravel(), np.repeat(np.arange(m), back)])
    costs = np.concatenate([squares.ravel(), other_squares.ravel()])
    first = np.unique(rows * m + cols, return_index=True)[1]
    rows, cols, costs = rows[first], cols[first], costs[first]
    epsilon = float(np.median(squares[:, -1] - squares[:, 0])) / 2
    # A cost that all pairs of a spot share says nothing about its weights; without it nothing underflows.
    costs = costs - np.minimum.reduceat(costs, np.searchsorted(rows, np.arange(n)))[rows]
    kernel = sparse.csr_array(
        (np.exp(-costs / epsilon) if epsilon > 0 else 1.0 * (costs <= 0), (rows, cols)),
        shape=(n, m),
    )
    v = _scaling(kernel, marginal / (1 + marginal))
    plan = kernel @ sparse.diags_array(v)
    return sparse.csr_array(sparse.diags_array(1 / np.asarray(plan.sum(axis=1)).ravel()) @ plan)


def nearest(points: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of other points, nearest first, and squared distances, both of shape ``(n, k)``."""
    norms = (among**2).sum(axis=1)
    found = np.empty((len(points), k), dtype=np.intp)
    squares = np.empty((len(points), k))
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        distances = np.maximum((part**2).sum(axis=1)[:, None] + norms - 2 * part @ among.T, 0.0)
        index = np.argpartition(distances, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(distances, index, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        found[start : start + _CHUNK] = np.take_along_axis(index, order, axis=1)
        squares[start : start + _CHUNK] = np.take_along_axis(values, order, axis=1)
    return found, squares


def agreement(
    measured: np.ndarray, predicted: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare predicted values with those measured on another platform, gene by gene.

    Parameters
    ----------
    measured
        Values of the spots in their own unit, shape ``(n, G)``.
    predicted
        Values predicted for them in the unit of the reference, shape ``(n, G)``.
    reference
        Values of the reference spots, shape ``(m, G)``, which tell that unit.

    Returns
    -------
    Pearson correlations over spots, 0 where either side is constant; and root mean squared errors after both sides are
    brought to mean 0 and standard deviation 1 of all that their platform measured: the mean as prediction has error 1.
    """
    own = np.asarray(measured, dtype=np.float64)
    own = (own - own.mean(axis=0)) / _spread(own)
    scaled = (predicted - reference.mean(axis=0)) / _spread(np.asarray(reference, dtype=np.float64))
    centred = scaled - scaled.mean(axis=0)
    correlation = (own * centred).mean(axis=0) / _spread(centred)
    return correlation, np.sqrt(((own - scaled) ** 2).mean(axis=0))


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviations, infinite where rounding is all there is."""
    scale = values.std(axis=0)
    return np.where(scale > 1e-9 * np.abs(values).max(axis=0), scale, np.inf)


def _scaling(kernel: Any, exponent: float) -> np.ndarray:
    """Factors of the columns after the scaling iterations of unbalanced Sinkhorn."""
    n, m = kernel.shape
    v = np.ones(m)
    transposed = kernel.T.tocsr()
    if exponent == 0:
        return v
    for _ in range(_N_ITERATIONS):
        u = (1 / n / np.maximum(kernel @ v, 1e-300)) ** exponent
        new = (1 / m / np.maximum(transposed @ u, 1e-300)) ** exponent
        change = float(np.abs(np.log(new / v)).max())
        v = new
        if change < _TOLERANCE:
            break
    return v
