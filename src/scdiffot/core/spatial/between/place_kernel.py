"""Means over the spots around a place, and how wide to take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from scdiffot.core.ot.spatial_order import principal_order

# Spots as far as the last of these, to a part of the distance between neighbours.
_N_TIES = 10
RESOLUTION = 1e-6
# Spots that means are taken over, by place and state or by place alone, and how many widths away they count.
_N_SMOOTHED = 30
_N_AROUND = 100
_REACH = 4.0
# Widths that are tried, in distances between neighbouring spots, and spots that are left out for that.
_WIDTHS = 2.0 ** (np.arange(-4, 9) / 4)
_N_LEFT_OUT = 5000


def nearest_places(
    among: np.ndarray, places: np.ndarray, k: int, *, unit: float = 1.0
) -> np.ndarray:
    """The `k` points nearest to each place, nearest first; of those as far, to a part of the unit, the first ones."""
    from scipy.spatial import cKDTree

    k = min(k, len(among))
    distances, near = cKDTree(among).query(places, list(range(1, min(k + _N_TIES, len(among)) + 1)))
    # Partners meet at one place: rounding must not decide which of them is among the nearest.
    first = np.lexsort((near, np.round(distances / (RESOLUTION * unit))), axis=1)[:, :k]
    return np.take_along_axis(near, first, axis=1)


def smoothing_kernel(
    points: np.ndarray, weights: np.ndarray, places: np.ndarray, width: float, unit: float
) -> Any:
    """Weights of the points around each place by a Gaussian kernel, sparse, with sum one."""
    near = nearest_places(points, places, _N_AROUND, unit=unit)
    squares = _squares(points, places, near)
    return _rows(_gaussian(squares, weights[near], width), near, len(points))


def joint_kernel(
    space: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
    chosen: np.ndarray,
    places: np.ndarray,
) -> Any:
    """Weights of the points around the new place and the state of each chosen one, of those that are nearest in space.

    Space and states are in widths of the kernel. The matrix is sparse, and its rows have sum one.
    """
    near = nearest_places(space, places, _N_SMOOTHED)
    squares = _squares(space, places, near)
    for column in range(near.shape[1]):
        squares[:, column] += ((states[near[:, column]] - states[chosen]) ** 2).sum(axis=1)
    # States of single cells differ so much between neighbours that nothing would be averaged: the nearest one counts.
    second = min(1, near.shape[1] - 1)
    closest = np.partition(squares, second, axis=1)[:, second]
    values = weights[near] * np.exp(-squares / np.maximum(closest, 2.0)[:, None])
    return _rows(values / values.sum(axis=1, keepdims=True), near, len(space))


def kernel_width(places: np.ndarray, weights: np.ndarray, values: np.ndarray, unit: float) -> float:
    """Width of the Gaussian kernel by which the values of a spot are told best from those of the others around it.

    Parameters
    ----------
    places
        Places of the spots, shape ``(n, 2)`` or ``(n, 3)``.
    weights
        Their weights, shape ``(n,)``.
    values
        Indicators of labels, shape ``(n, L)``. A spot whose row is zero has none: it is not told, and tells nothing.
    unit
        Distance between neighbouring spots. Widths from half of it to four are tried.

    Returns
    -------
    The width with the least mean squared error of probabilities :cite:p:`Brier1950`, each spot left out in turn, or 5,000 of them.
    """
    labelled = np.flatnonzero(values.any(axis=1))
    if len(labelled) < 2:
        return unit
    places, weights, values = places[labelled], weights[labelled], values[labelled]
    order = principal_order(places)
    told = order[np.linspace(0, len(order) - 1, min(len(order), _N_LEFT_OUT)).astype(np.intp)]
    near = nearest_places(places, places[told], _N_AROUND + 1, unit=unit)
    squares = np.where(near == told[:, None], np.inf, _squares(places, places[told], near))
    errors = [
        (
            (
                _rows(_gaussian(squares, weights[near], unit * width), near, len(places)) @ values
                - values[told]
            )
            ** 2
        ).sum()
        for width in _WIDTHS
    ]
    return float(unit * _WIDTHS[np.argmin(errors)])


def _squares(points: np.ndarray, places: np.ndarray, near: np.ndarray) -> np.ndarray:
    squares = np.zeros(near.shape)
    for d in range(points.shape[1]):
        squares += (points[near, d] - places[:, d, None]) ** 2
    return squares


def _gaussian(squares: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Weights with sum one; the nearest point counts however far it is."""
    excess = (squares - squares.min(axis=1, keepdims=True)) / width**2
    values = np.where(excess < _REACH**2, weights * np.exp(-excess / 2), 0.0)
    return values / values.sum(axis=1, keepdims=True)


def _rows(values: np.ndarray, near: np.ndarray, n: int) -> Any:
    from scipy import sparse

    rows = np.repeat(np.arange(len(near)), near.shape[1])
    return sparse.csr_array((values.ravel(), (rows, near.ravel())), shape=(len(near), n))
