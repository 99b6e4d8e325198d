"""Partial optimal transport between two slices in one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scdiffot.core.ot.sparse_transport import exact_flow, tiled_flow
from scdiffot.core.ot.spatial_order import principal_order

# Number of spots per metaspot of large slices.
_METASPOT_SIZE = 10
_N_NEIGHBORS = 10
_N_SHIFTS = 4
# Cost above which a pair is not coupled in partial transport; the mean cost of two random spots of
# a slice is 2.
_MAX_COST = 1.0
_CHUNK_SIZE = 1 << 17


@dataclass(frozen=True)
class SliceSizes:
    """Sizes above which the coupling of slices is approximated.

    Parameters
    ----------
    max_pairs
        Maximum number of pairs for which all pairs are candidates. Above it, candidates are pairs
        close to each other after the displacement of metaspots.
    min_metaspots
        Smallest number of metaspots of a slice.
    max_exact_spots
        Maximum number of spots of both slices for an exact solution; above it, tiles are solved.
    tile_size
        Number of spots of a tile.

    See Also
    --------
    couple_slices : Couple slices of any size.
    """

    max_pairs: int = 400_000
    min_metaspots: int = 400
    max_exact_spots: int = 10_000
    tile_size: int = 2500


_SIZES = SliceSizes()


@dataclass(frozen=True)
class SliceCoupling:
    """Coupled and unmatched shares of the spots of two slices.

    Parameters
    ----------
    rows
        Spot of the first slice in every pair, shape ``(p,)``.
    cols
        Spot of the second slice, shape ``(p,)``.
    shares
        Share of the mass of either slice in every pair, shape ``(p,)``.
    unmatched_source
        Unmatched shares of the spots of the first slice, shape ``(n,)``. Coupled and unmatched
        shares of a spot sum to ``1 / n``.
    unmatched_target
        Unmatched shares of the spots of the second slice, shape ``(m,)``.

    See Also
    --------
    couple_slices : Compute a coupling.
    scdiffot.core.spatial.between.interpolation.interpolate_pair : Interpolate along it.
    """

    rows: np.ndarray
    cols: np.ndarray
    shares: np.ndarray
    unmatched_source: np.ndarray
    unmatched_target: np.ndarray


def couple_slices(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    *,
    spatial_weight: float = 0.9,
    partial: bool = True,
    sizes: SliceSizes = _SIZES,
) -> SliceCoupling:
    r"""Couple two slices by partial optimal transport of position and state.

    The coupling minimises the total cost with

    .. math::
        c_{ij} = w \frac{|x_i - y_j|^2}{s_x^2} + (1 - w) \frac{|f_i - g_j|^2}{s_f^2}

    where both scales are root mean squared distances to the mean of a slice, so that the result
    does not depend on units. States are centred in every slice, so that batch effects that shift
    all spots of a slice have no effect. Spots can be left out at a fixed cost, where only one slice
    has tissue :cite:p:`Caffarelli2010`.

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
        Whether spots may be left out. Otherwise all spots are coupled if slices are small enough
        for all pairs to be candidates.
    sizes
        Sizes above which the coupling is approximated.

    Returns
    -------
    The coupling. All pairs are candidates if there are at most 400,000. Larger
    slices are first coupled at a lower resolution, by means of groups of spots. Candidates are then
    the pairs that are close to each other after the displacement of their groups. The solution is
    exact for up to 10,000 spots in both slices together; larger problems are solved in tiles of the
    first slice. Time and memory are proportional to the number of spots.

    See Also
    --------
    scdiffot.core.spatial.between.interpolation.interpolate_pair : Interpolate along the coupling.
    SliceCoupling : The result.
    """
    px, py = _joint_points(x, fx, y, fy, spatial_weight)
    wx, wy = (np.full(len(z), 1.0 / len(z)) for z in (x, y))
    return _couple(x, px, wx, y, py, wy, partial=partial, sizes=sizes)


def scale_of(*groups: np.ndarray) -> float:
    """Compute the root mean squared distance to the mean of each group; 1 if all points coincide.

    See Also
    --------
    couple_slices : Uses scales of positions and states.
    """
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
    sizes: SliceSizes,
) -> SliceCoupling:
    """Couple spots, or groups of spots, from coarse to fine."""
    if len(x) * len(y) <= sizes.max_pairs or max(len(x), len(y)) <= sizes.min_metaspots:
        rows, cols = (index.ravel() for index in np.indices((len(x), len(y))))
    else:
        gx = _average_groups(x, px, wx, sizes.min_metaspots)
        gy = _average_groups(y, py, wy, sizes.min_metaspots)
        coarse = _couple(*gx, *gy, partial=partial, sizes=sizes)
        rows, cols = _candidate_pairs(x, y, gx[0], gy[0], coarse)
    return _solve(x, px, py, rows, cols, wx, wy, partial=partial, sizes=sizes)


def _candidate_pairs(
    x: np.ndarray, y: np.ndarray, gx: np.ndarray, gy: np.ndarray, coarse: SliceCoupling
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of spots close to each other after the coarse displacement, sorted."""
    from scipy.spatial import cKDTree

    moved_x = x + _interpolate_shift(x, gx, gy, coarse.rows, coarse.cols, coarse.shares)
    moved_y = y + _interpolate_shift(y, gy, gx, coarse.cols, coarse.rows, coarse.shares)
    k = min(_N_NEIGHBORS, len(x), len(y))
    to_y = cKDTree(y).query(moved_x, k)[1]
    to_x = cKDTree(x).query(moved_y, k)[1]
    codes = np.concatenate(
        [
            (np.arange(len(x))[:, None] * len(y) + to_y).ravel(),
            (to_x * len(y) + np.arange(len(y))[:, None]).ravel(),
        ]
    )
    rows, cols = np.divmod(np.unique(codes), len(y))
    return rows, cols


def _average_groups(
    positions: np.ndarray, points: np.ndarray, masses: np.ndarray, min_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of positions and points, and masses, of groups of neighbouring spots."""
    n = len(positions)
    order, count = principal_order(positions), min(n, max(min_groups, n // _METASPOT_SIZE))
    starts = np.searchsorted(np.arange(n) * count // n, np.arange(count))
    sorted_masses = masses[order]
    total = np.add.reduceat(sorted_masses, starts)
    means = [
        np.add.reduceat(values[order] * sorted_masses[:, None], starts) / total[:, None]
        for values in (positions, points)
    ]
    return means[0], means[1], total


def _interpolate_shift(
    positions: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    shares: np.ndarray,
) -> np.ndarray:
    """Displacement of spots: the mean displacement of the nearest groups."""
    from scipy.spatial import cKDTree

    mass = np.bincount(rows, shares, minlength=len(source))
    displacements = np.zeros_like(source)
    np.add.at(displacements, rows, shares[:, None] * (target[cols] - source[rows]))
    coupled = np.flatnonzero(mass > 0)
    if len(coupled) == 0:
        return np.zeros_like(positions)
    shifts = displacements[coupled] / mass[coupled, None]
    neighbors = cKDTree(source[coupled]).query(
        positions, list(range(1, min(_N_SHIFTS, len(coupled)) + 1))
    )[1]
    return shifts[neighbors].mean(axis=1)


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
    sizes: SliceSizes,
) -> SliceCoupling:
    """Solve partial optimal transport on the candidate pairs."""
    n, m = len(px), len(py)
    costs = np.concatenate(
        [
            ((px[rows[i : i + _CHUNK_SIZE]] - py[cols[i : i + _CHUNK_SIZE]]) ** 2).sum(axis=1)
            for i in range(0, len(rows), _CHUNK_SIZE)
        ]
    )
    # without `partial`, the cost of leaving out exceeds that of any path of pairs, so spots are
    # left out only if the candidates have no complete coupling
    leave_out_cost = (
        _MAX_COST if partial else 10 * max(float(costs.max()), _MAX_COST) * min(n, m)
    ) / 2
    if n + m <= sizes.max_exact_spots:
        flow = exact_flow(rows, cols, costs, wx, wy, unmatched_cost=leave_out_cost)
    else:
        flow = tiled_flow(
            rows,
            cols,
            costs,
            wx,
            wy,
            unmatched_cost=leave_out_cost,
            positions=x,
            n_tile=sizes.tile_size,
        )
    nonzero = np.flatnonzero(flow)
    rows, cols, flow = rows[nonzero], cols[nonzero], flow[nonzero]
    return SliceCoupling(rows, cols, flow, _unmatched(wx, rows, flow), _unmatched(wy, cols, flow))


def _unmatched(masses: np.ndarray, index: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Mass that is not in pairs, without rounding errors."""
    unmatched = masses - np.bincount(index, flow, minlength=len(masses))
    unmatched[unmatched < 1e-9 * masses] = 0.0
    return unmatched
