"""Coupling of two slices in one frame: which spots are the same tissue, and which have no counterpart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scdiffot.core.ot.sparse_transport import exact_flow, tiled_flow
from scdiffot.core.ot.spatial_order import principal_order

# Pairs that are all considered; beyond, a spot is compared with those near the place that metaspots send it to.
_N_PAIRS = 400_000
# Number of groups of spots in a coarser slice: at least so many, or groups of so many.
_N_METASPOTS = 400
_N_TOGETHER = 10
# Spots of both slices together whose pairs are solved as a whole; beyond, in tiles.
_N_EXACT = 10_000
_N_TILE = 2500
_N_NEIGHBORS = 10
_N_SHIFTS = 4
# Cost of a pair above which its spots are left alone, where two random spots of a slice cost 2 on average.
_MAX_COST = 1.0
_CHUNK = 1 << 17


@dataclass(frozen=True)
class SliceCoupling:
    """Shares of two slices that are coupled, and that are not.

    Parameters
    ----------
    rows
        Spot of the first slice in every pair, shape ``(p,)``.
    cols
        Spot of the second slice, shape ``(p,)``.
    shares
        Share of the mass of either slice that the pair stands for, shape ``(p,)``.
    left_source
        Shares of the spots of the first slice without a counterpart, shape ``(n,)``. With those in pairs they add up to
        ``1 / n`` for every spot.
    left_target
        The same of the second slice, shape ``(m,)``.
    """

    rows: np.ndarray
    cols: np.ndarray
    shares: np.ndarray
    left_source: np.ndarray
    left_target: np.ndarray


def couple_slices(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    *,
    spatial_weight: float = 0.9,
    partial: bool = True,
) -> SliceCoupling:
    r"""Optimal coupling of two slices by position and state.

    Of all couplings, this finds the one of least total cost, where

    .. math::
        c_{ij} = w \frac{|x_i - y_j|^2}{s_x^2} + (1 - w) \frac{|f_i - g_j|^2}{s_f^2}

    and both scales are root mean squared distances to the mean of a slice, so that neither unit matters. States are centred in
    every slice: a shift of all spots of a slice between batches counts for nothing. Where only one slice has tissue, spots
    can be left out at a fixed price :cite:p:`Caffarelli2010`.

    Parameters
    ----------
    x
        Positions of the first slice, shape ``(n, 2)`` or ``(n, 3)``.
    fx
        States of its spots, shape ``(n, d)``.
    y
        Positions of the second slice in the same frame, shape ``(m, 2)`` or ``(m, 3)``.
    fy
        States of its spots, shape ``(m, d)``.
    spatial_weight
        Weight `w` of the positions, above 0 and up to 1.
    partial
        Whether spots may be left out. Otherwise all are coupled where slices are small enough for every pair to be considered.

    Returns
    -------
    The coupling. Every pair is considered up to 400,000 of them. Larger slices are coupled coarsely first, by the means of
    groups of spots, and a spot then with those near the place where its group goes: exactly up to 10,000 spots in both slices
    together, and beyond within one tile of the first slice after the other. Time and memory grow in proportion to the
    number of spots.
    """
    px, py = _joint_points(x, fx, y, fy, spatial_weight)
    return _couple(
        x, px, np.full(len(x), 1.0 / len(x)), y, py, np.full(len(y), 1.0 / len(y)), partial=partial
    )


def scale_of(*groups: np.ndarray) -> float:
    """Root mean squared distance to the mean of the own group; 1 where all points coincide."""
    squares = [((g - g.mean(axis=0)) ** 2).sum(axis=1) for g in groups]
    scale = float(np.sqrt(np.concatenate(squares).mean()))
    return scale if scale > 0 else 1.0


def _joint_points(
    x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, spatial_weight: float
) -> tuple[np.ndarray, np.ndarray]:
    centre = x.mean(axis=0)
    space = np.sqrt(spatial_weight) / scale_of(x, y)
    state = np.sqrt(1 - spatial_weight) / scale_of(fx, fy)
    return (
        np.hstack([(x - centre) * space, (fx - fx.mean(axis=0)) * state]),
        np.hstack([(y - centre) * space, (fy - fy.mean(axis=0)) * state]),
    )


def _couple(
    x: np.ndarray,
    px: np.ndarray,
    wx: np.ndarray,
    y: np.ndarray,
    py: np.ndarray,
    wy: np.ndarray,
    *,
    partial: bool,
) -> SliceCoupling:
    """Couple spots, or groups of them: from coarse to fine."""
    if len(x) * len(y) <= _N_PAIRS or max(len(x), len(y)) <= _N_METASPOTS:
        rows, cols = (index.ravel() for index in np.indices((len(x), len(y))))
    else:
        gx, gy = _groups(x, px, wx), _groups(y, py, wy)
        rows, cols = _near_pairs(x, y, gx[0], gy[0], _couple(*gx, *gy, partial=partial))
    return _solve(x, px, py, rows, cols, wx, wy, partial=partial)


def _near_pairs(
    x: np.ndarray, y: np.ndarray, gx: np.ndarray, gy: np.ndarray, coarse: SliceCoupling
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of spots that are near each other once the coarse displacement is undone, in order."""
    from scipy.spatial import cKDTree

    there = x + _shift(x, gx, gy, coarse.rows, coarse.cols, coarse.shares)
    back = y + _shift(y, gy, gx, coarse.cols, coarse.rows, coarse.shares)
    k = min(_N_NEIGHBORS, len(x), len(y))
    to_y = cKDTree(y).query(there, k)[1]
    to_x = cKDTree(x).query(back, k)[1]
    codes = np.concatenate(
        [
            (np.arange(len(x))[:, None] * len(y) + to_y).ravel(),
            (to_x * len(y) + np.arange(len(y))[:, None]).ravel(),
        ]
    )
    rows, cols = np.divmod(np.unique(codes), len(y))
    return rows, cols


def _groups(
    positions: np.ndarray, points: np.ndarray, masses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of positions and of points, and masses, of groups of neighbours."""
    n = len(positions)
    order, count = principal_order(positions), min(n, max(_N_METASPOTS, n // _N_TOGETHER))
    starts = np.searchsorted(np.arange(n) * count // n, np.arange(count))
    own = masses[order]
    total = np.add.reduceat(own, starts)
    means = [
        np.add.reduceat(values[order] * own[:, None], starts) / total[:, None]
        for values in (positions, points)
    ]
    return means[0], means[1], total


def _shift(
    positions: np.ndarray,
    own: np.ndarray,
    other: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    shares: np.ndarray,
) -> np.ndarray:
    """Displacement of spots: the mean over the groups next to them."""
    from scipy.spatial import cKDTree

    mass = np.bincount(rows, shares, minlength=len(own))
    moved = np.zeros_like(own)
    np.add.at(moved, rows, shares[:, None] * (other[cols] - own[rows]))
    known = np.flatnonzero(mass > 0)
    if len(known) == 0:
        return np.zeros_like(positions)
    shifts = moved[known] / mass[known, None]
    near = cKDTree(own[known]).query(positions, list(range(1, min(_N_SHIFTS, len(known)) + 1)))[1]
    return shifts[near].mean(axis=1)


def _solve(
    x: np.ndarray,
    px: np.ndarray,
    py: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    partial: bool,
) -> SliceCoupling:
    """Transport over the pairs given; what is dear is left."""
    n, m = len(px), len(py)
    costs = np.concatenate(
        [
            ((px[rows[i : i + _CHUNK]] - py[cols[i : i + _CHUNK]]) ** 2).sum(axis=1)
            for i in range(0, len(rows), _CHUNK)
        ]
    )
    # Without pairs left out, leaving one is dearer than any detour: only where the pairs given have no coupling it happens.
    price = (_MAX_COST if partial else 10 * max(float(costs.max()), _MAX_COST) * min(n, m)) / 2
    if n + m <= _N_EXACT:
        flow = exact_flow(rows, cols, costs, wx, wy, price=price)
    else:
        flow = tiled_flow(rows, cols, costs, wx, wy, price=price, positions=x, n_tile=_N_TILE)
    used = np.flatnonzero(flow)
    rows, cols, flow = rows[used], cols[used], flow[used]
    return SliceCoupling(rows, cols, flow, _left(wx, rows, flow), _left(wy, cols, flow))


def _left(masses: np.ndarray, index: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Mass that is not in pairs, but for rounding."""
    left = masses - np.bincount(index, flow, minlength=len(masses))
    left[left < 1e-9 * masses] = 0.0
    return left
