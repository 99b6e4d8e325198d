"""Kernel means over the spots around a position, and their bandwidth."""

from __future__ import annotations

from typing import Any

import numpy as np

from scdiffot.core.ot.spatial_order import principal_order

# Additional neighbours that are considered to resolve ties, which are distances that agree up to
# RESOLUTION times the distance between neighbours.
_N_TIES = 10
RESOLUTION = 1e-6
# Number of spots of a mean, by position and state or by position alone, and its cutoff in
# bandwidths.
_N_JOINT_NEIGHBORS = 30
_N_NEIGHBORS = 100
_CUTOFF = 4.0
# Candidate bandwidths, in distances between neighbouring spots, and number of held-out spots.
_BANDWIDTHS = 2.0 ** (np.arange(-4, 9) / 4)
_N_HELD_OUT = 5000


def nearest_places(
    among: np.ndarray, places: np.ndarray, k: int, *, unit: float = 1.0
) -> np.ndarray:
    """Find the `k` points nearest to each place, nearest first.

    Ties, distances that agree up to a millionth of the unit, are ordered by position in the array.

    Parameters
    ----------
    among
        Points, shape ``(n, d)``.
    places
        Query positions, shape ``(q, d)``.
    k
        Number of neighbours.
    unit
        Distance between neighbouring points.

    Returns
    -------
    Positions in `among`, shape ``(q, k)``.

    See Also
    --------
    smoothing_kernel : Kernel weights of the nearest points.
    """
    from scipy.spatial import cKDTree

    k = min(k, len(among))
    distances, neighbors = cKDTree(among).query(
        places, list(range(1, min(k + _N_TIES, len(among)) + 1))
    )
    # points may coincide after interpolation, and rounding must not order them
    order = np.lexsort((neighbors, np.round(distances / (RESOLUTION * unit))), axis=1)[:, :k]
    return np.take_along_axis(neighbors, order, axis=1)


def smoothing_kernel(
    points: np.ndarray, weights: np.ndarray, places: np.ndarray, width: float, unit: float
) -> Any:
    """Compute Gaussian kernel weights of the points around each place.

    Parameters
    ----------
    points
        Points, shape ``(n, d)``.
    weights
        Their weights, shape ``(n,)``.
    places
        Query positions, shape ``(q, d)``.
    width
        Bandwidth.
    unit
        Distance between neighbouring points.

    Returns
    -------
    Sparse weights, shape ``(q, n)``; rows sum to one.

    See Also
    --------
    kernel_width : Select the bandwidth.
    joint_kernel : Kernel in position and state.
    """
    neighbors = nearest_places(points, places, _N_NEIGHBORS, unit=unit)
    squares = _squares(points, places, neighbors)
    return _sparse_rows(_gaussian(squares, weights[neighbors], width), neighbors, len(points))


def joint_kernel(
    space: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
    selection: np.ndarray,
    places: np.ndarray,
) -> Any:
    """Compute kernel weights, in position and state, of the spatial neighbours of selected points.

    Parameters
    ----------
    space
        Positions, in bandwidths, shape ``(n, d)``.
    states
        States, in bandwidths, shape ``(n, e)``.
    weights
        Weights of the points, shape ``(n,)``.
    selection
        Rows of the selected points, shape ``(k,)``.
    places
        New positions of the selected points, in bandwidths, shape ``(k, d)``.

    Returns
    -------
    Sparse weights, shape ``(k, n)``; rows sum to one.

    See Also
    --------
    smoothing_kernel : Kernel in position alone.
    """
    neighbors = nearest_places(space, places, _N_JOINT_NEIGHBORS)
    squares = _squares(space, places, neighbors)
    for column in range(neighbors.shape[1]):
        squares[:, column] += ((states[neighbors[:, column]] - states[selection]) ** 2).sum(axis=1)
    # states of single cells may differ so much that no neighbour is within the bandwidth, which is
    # therefore at least the distance to the nearest neighbour
    second = min(1, neighbors.shape[1] - 1)
    nearest = np.partition(squares, second, axis=1)[:, second]
    values = weights[neighbors] * np.exp(-squares / np.maximum(nearest, 2.0)[:, None])
    return _sparse_rows(values / values.sum(axis=1, keepdims=True), neighbors, len(space))


def kernel_width(places: np.ndarray, weights: np.ndarray, values: np.ndarray, unit: float) -> float:
    """Select the bandwidth of the Gaussian kernel by leave-one-out cross-validation.

    Parameters
    ----------
    places
        Positions of the spots, shape ``(n, 2)`` or ``(n, 3)``.
    weights
        Their weights, shape ``(n,)``.
    values
        Indicators of labels, shape ``(n, L)``. Spots with zero rows have no label and are excluded.
    unit
        Distance between neighbouring spots. Bandwidths from half to four times the unit are tried.

    Returns
    -------
    The bandwidth with the smallest mean squared error of probabilities
    :cite:p:`Brier1950`, over all spots, or 5,000 of them, that are left out in turn.

    See Also
    --------
    smoothing_kernel : The kernel.
    """
    labelled = np.flatnonzero(values.any(axis=1))
    if len(labelled) < 2:
        return unit
    places, weights, values = places[labelled], weights[labelled], values[labelled]
    order = principal_order(places)
    n_rows = min(len(order), _N_HELD_OUT)
    rows = order[np.linspace(0, len(order) - 1, n_rows).astype(np.intp)]
    neighbors = nearest_places(places, places[rows], _N_NEIGHBORS + 1, unit=unit)
    squares = _squares(places, places[rows], neighbors)
    squares = np.where(neighbors == rows[:, None], np.inf, squares)
    errors = []
    for width in _BANDWIDTHS:
        kernel = _gaussian(squares, weights[neighbors], unit * width)
        predicted = _sparse_rows(kernel, neighbors, len(places)) @ values
        errors.append(((predicted - values[rows]) ** 2).sum())
    return float(unit * _BANDWIDTHS[np.argmin(errors)])


def _squares(points: np.ndarray, places: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    squares = np.zeros(neighbors.shape)
    for d in range(points.shape[1]):
        squares += (points[neighbors, d] - places[:, d, None]) ** 2
    return squares


def _gaussian(squares: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Gaussian weights with sum one, relative to the distance of the nearest point."""
    excess = (squares - squares.min(axis=1, keepdims=True)) / width**2
    values = np.where(excess < _CUTOFF**2, weights * np.exp(-excess / 2), 0.0)
    return values / values.sum(axis=1, keepdims=True)


def _sparse_rows(values: np.ndarray, neighbors: np.ndarray, n: int) -> Any:
    from scipy import sparse

    rows = np.repeat(np.arange(len(neighbors)), neighbors.shape[1])
    return sparse.csr_array((values.ravel(), (rows, neighbors.ravel())), shape=(len(neighbors), n))
