"""Transfer of genes from reference spots to spots that did not measure them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_N_NEIGHBORS = 100
_N_ITERATIONS = 200
_TOLERANCE = 1e-4
_CHUNK_SIZE = 1024


def transfer_weights(
    points: np.ndarray,
    reference: np.ndarray,
    *,
    n_neighbors: int = _N_NEIGHBORS,
    marginal: float = 1.0,
) -> csr_array:
    r"""Compute the weights of reference spots that transfer values to spots.

    The weights are the rows, divided by their sums, of an unbalanced entropic coupling
    :cite:p:`Chizat2018` in a common space,

    .. math::
        \min_P \sum_{ij} P_{ij} c_{ij} + \epsilon \, \mathrm{KL}(P | a b^T)
        + \rho \, \mathrm{KL}(P 1 | a) + \rho \, \mathrm{KL}(P^T 1 | b),
        \qquad c_{ij} = |x_i - y_j|^2.

    Pairs are restricted to the nearest reference spots of every spot, and the nearest spots of
    every reference spot. Unlike nearest neighbours, the coupling uses reference spots evenly, so
    that no reference spot dominates.

    Parameters
    ----------
    points
        Spots in the common space, shape ``(n, d)``.
    reference
        Reference spots, shape ``(m, d)``.
    n_neighbors
        Number of reference spots per spot, and of spots per reference spot. The regularisation
        :math:`\epsilon` is half the median difference of the squared distances to the last and to
        the first neighbour.
    marginal
        Strength :math:`\rho / \epsilon` of the marginal constraints; 0 gives a kernel over
        neighbours.

    Returns
    -------
    Sparse weights, shape ``(n, m)``; rows sum to one. Memory is proportional to the
    number of spots.

    See Also
    --------
    nearest : Nearest neighbours.
    agreement : Compare transferred with measured values.
    """
    from scipy import sparse

    n, m = len(points), len(reference)
    k, k_reference = min(n_neighbors, m), min(n_neighbors, n)
    neighbors, squares = nearest(points, reference, k)
    reference_neighbors, reference_squares = nearest(reference, points, k_reference)
    rows = np.concatenate([np.repeat(np.arange(n), k), reference_neighbors.ravel()])
    cols = np.concatenate([neighbors.ravel(), np.repeat(np.arange(m), k_reference)])
    costs = np.concatenate([squares.ravel(), reference_squares.ravel()])
    first = np.unique(rows * m + cols, return_index=True)[1]
    rows, cols, costs = rows[first], cols[first], costs[first]
    epsilon = float(np.median(squares[:, -1] - squares[:, 0])) / 2
    # weights do not depend on a constant per spot, which is subtracted to avoid underflow
    costs = costs - np.minimum.reduceat(costs, np.searchsorted(rows, np.arange(n)))[rows]
    kernel = sparse.csr_array(
        (np.exp(-costs / epsilon) if epsilon > 0 else 1.0 * (costs <= 0), (rows, cols)),
        shape=(n, m),
    )
    v = _iterate_scaling(kernel, marginal / (1 + marginal))
    plan = kernel @ sparse.diags_array(v)
    return sparse.csr_array(sparse.diags_array(1 / np.asarray(plan.sum(axis=1)).ravel()) @ plan)


def nearest(points: np.ndarray, among: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest neighbours of points, nearest first, and squared distances.

    Parameters
    ----------
    points
        Query points, shape ``(n, d)``.
    among
        Points to search, shape ``(m, d)``.
    k
        Number of neighbours.

    Returns
    -------
    Positions in `among`, and squared distances, both of shape ``(n, k)``.

    See Also
    --------
    transfer_weights : Weights on nearest neighbours.
    """
    norms = (among**2).sum(axis=1)
    neighbors = np.empty((len(points), k), dtype=np.intp)
    squares = np.empty((len(points), k))
    for start in range(0, len(points), _CHUNK_SIZE):
        part = points[start : start + _CHUNK_SIZE]
        distances = np.maximum((part**2).sum(axis=1)[:, None] + norms - 2 * part @ among.T, 0.0)
        index = np.argpartition(distances, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(distances, index, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        neighbors[start : start + _CHUNK_SIZE] = np.take_along_axis(index, order, axis=1)
        squares[start : start + _CHUNK_SIZE] = np.take_along_axis(values, order, axis=1)
    return neighbors, squares


def agreement(
    measured: np.ndarray, predicted: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare predicted values with those measured on another platform, gene by gene.

    Parameters
    ----------
    measured
        Values of the spots in the unit of their platform, shape ``(n, G)``.
    predicted
        Predicted values in the unit of the reference, shape ``(n, G)``.
    reference
        Values of the reference spots, shape ``(m, G)``, which define the unit.

    Returns
    -------
    Pearson correlations over spots, 0 if either side is constant; and root mean
    squared errors after both sides are standardised by the mean and standard deviation of their
    platform. A prediction by the mean has an error of 1.

    See Also
    --------
    transfer_weights : Weights of the transfer.
    """
    standardised = np.asarray(measured, dtype=np.float64)
    standardised = (standardised - standardised.mean(axis=0)) / _deviations(standardised)
    predicted_standardised = (predicted - reference.mean(axis=0)) / _deviations(
        np.asarray(reference, dtype=np.float64)
    )
    centred_prediction = predicted_standardised - predicted_standardised.mean(axis=0)
    correlation = (standardised * centred_prediction).mean(axis=0) / _deviations(centred_prediction)
    return correlation, np.sqrt(((standardised - predicted_standardised) ** 2).mean(axis=0))


def _deviations(values: np.ndarray) -> np.ndarray:
    """Standard deviations; infinite if they are rounding errors."""
    scale = values.std(axis=0)
    return np.where(scale > 1e-9 * np.abs(values).max(axis=0), scale, np.inf)


def _iterate_scaling(kernel: Any, exponent: float) -> np.ndarray:
    """Column scaling after the iterations of the unbalanced Sinkhorn algorithm."""
    n, m = kernel.shape
    v = np.ones(m)
    transposed = kernel.T.tocsr()
    if exponent == 0:
        return v
    for _ in range(_N_ITERATIONS):
        u = (1 / n / np.maximum(kernel @ v, 1e-300)) ** exponent
        updated = (1 / m / np.maximum(transposed @ u, 1e-300)) ** exponent
        change = float(np.abs(np.log(updated / v)).max())
        v = updated
        if change < _TOLERANCE:
            break
    return v
