"""Partial optimal transport on candidate pairs; unmatched mass on either side has a cost."""

from __future__ import annotations

import numpy as np

from .spatial_order import principal_order

# Entropies, in multiples of the median difference between the mean and the smallest cost of a row.
_ENTROPIES = (0.8, 0.2, 0.05)
# Scaling iterations at each entropy.
_N_ITERATIONS = 100
# Iterations after which scaling factors are absorbed into the potentials, before they overflow.
_ABSORPTION_INTERVAL = 10
# Smallest flow of a pair relative to the largest in its row; smaller flows are set to zero.
_MIN_RELATIVE_FLOW = 1e-3
# Smallest divisor, and largest exponent in double precision.
_MIN_DIVISOR = 1e-300
_MAX_EXPONENT = 690.0
# Smallest cost of an arc, relative to the cost of unmatched mass: a sparse matrix omits zeros.
_MIN_RELATIVE_COST = 1e-12
# Smallest flow relative to the mean mass of a row; the simplex leaves smaller rounding errors.
_FLOW_TOLERANCE = 1e-9


def exact_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    unmatched_cost: float,
) -> np.ndarray:
    r"""Exact partial optimal transport by the network simplex :cite:p:`Bonneel2011,Flamary2021`.

    .. math::
        \min_P \sum_p c_p P_p + \lambda \Big(\sum_i a_i - \sum_p P_p\Big)
        + \lambda \Big(\sum_j b_j - \sum_p P_p\Big), \qquad P 1 \leq a, \quad P^T 1 \leq b.

    Parameters
    ----------
    rows, cols
        Distinct pairs, ordered by row, then by column, shape ``(p,)``.
    costs
        Costs of the pairs, shape ``(p,)``.
    wx, wy
        Masses `a` and `b`, shapes ``(n,)`` and ``(m,)``.
    unmatched_cost
        Cost of a unit of unmatched mass on either side.

    Returns
    -------
    Mass of every pair, shape ``(p,)``.

    Raises
    ------
    RuntimeError
        If the network simplex stops before the optimum.
    """
    import ot
    from scipy import sparse

    n, m = len(wx), len(wy)
    min_cost = _MIN_RELATIVE_COST * unmatched_cost
    # An additional point on either side receives unmatched mass.
    arcs = sparse.coo_array(
        (
            np.concatenate(
                [np.maximum(costs, min_cost), np.full(n + m, unmatched_cost), [min_cost]]
            ),
            (
                np.concatenate([rows, np.arange(n), np.full(m, n), [n]]),
                np.concatenate([cols, np.full(n, m), np.arange(m), [m]]),
            ),
        ),
        shape=(n + 1, m + 1),
    )
    plan, log = ot.emd(
        np.append(wx, wy.sum()),
        np.append(wy, wx.sum()),
        arcs,
        numItermax=100_000_000,
        log=True,
        check_marginals=False,
    )
    if log["warning"] is not None:
        raise RuntimeError(f"The coupling of two slices was not found: {log['warning']}")
    plan = sparse.coo_array(plan)
    matched = (plan.row < n) & (plan.col < m) & (plan.data > _FLOW_TOLERANCE * wx.mean())
    codes = plan.row[matched].astype(np.int64) * m + plan.col[matched]
    flow = np.zeros(len(rows))
    flow[np.searchsorted(rows * m + cols, codes)] = plan.data[matched]
    return flow


def entropic_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    unmatched_cost: float,
) -> np.ndarray:
    """Approximate partial transport by scaling at decreasing entropy :cite:p:`Benamou2015`.

    The number of iterations is fixed, so that time is proportional to the number of pairs. At the
    end, flows that exceed a marginal are scaled down to it. Parameters and result are those of
    :func:`exact_flow`; every row must have a pair.
    """
    from scipy import sparse

    n, m = len(wx), len(wy)
    starts = np.searchsorted(rows, np.arange(n))
    sizes = np.diff(np.append(starts, len(rows)))
    lowest = np.minimum.reduceat(costs, starts)
    scale = float(np.median(np.add.reduceat(costs, starts) / sizes - lowest))
    if scale <= 0:
        scale = max(float(costs.mean()), _MIN_DIVISOR)
    by_column = np.argsort(cols, kind="stable")
    indptr, indptr_t = (
        np.append(starts, len(rows)),
        np.searchsorted(cols[by_column], np.arange(m + 1)),
    )
    f, g = np.minimum(lowest, unmatched_cost), np.zeros(m)
    unit = 1.0 / max(n, m)
    kernel = np.empty(0)

    def exponential(values: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(values / epsilon, -_MAX_EXPONENT, _MAX_EXPONENT))

    for entropy in _ENTROPIES:
        epsilon = entropy * scale
        for _ in range(_N_ITERATIONS // _ABSORPTION_INTERVAL):
            kernel = exponential(f[rows] + g[cols] - costs)
            forward = sparse.csr_array((kernel, cols, indptr), shape=(n, m))
            backward = sparse.csr_array(
                (kernel[by_column], rows[by_column], indptr_t), shape=(m, n)
            )
            # Potentials are at most the cost of unmatched mass.
            max_u, max_v = exponential(unmatched_cost - f), exponential(unmatched_cost - g)
            v = np.ones(m)
            for _ in range(_ABSORPTION_INTERVAL):
                u = np.minimum(wx / unit / np.maximum(forward @ v, _MIN_DIVISOR), max_u)
                v = np.minimum(wy / unit / np.maximum(backward @ u, _MIN_DIVISOR), max_v)
            f, g = (
                f + epsilon * np.log(np.maximum(u, _MIN_DIVISOR)),
                g + epsilon * np.log(np.maximum(v, _MIN_DIVISOR)),
            )
    flow = unit * exponential(f[rows] + g[cols] - costs)
    flow[flow < _MIN_RELATIVE_FLOW * np.maximum.reduceat(flow, starts).repeat(sizes)] = 0.0
    flow *= np.minimum(1.0, wx / np.maximum(np.bincount(rows, flow, minlength=n), _MIN_DIVISOR))[
        rows
    ]
    flow *= np.minimum(1.0, wy / np.maximum(np.bincount(cols, flow, minlength=m), _MIN_DIVISOR))[
        cols
    ]
    return flow


def tiled_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    unmatched_cost: float,
    positions: np.ndarray,
    n_tile: int,
) -> np.ndarray:
    """Partial transport by domain decomposition :cite:p:`Bonafini2021`.

    The entropic flow is replaced by the exact one in each tile of `n_tile` neighbouring points of
    the first slice, given the flows of the other tiles. A second pass uses shifted tiles. Time is
    proportional to the number of pairs, and each step lowers the cost.

    Parameters
    ----------
    rows, cols, costs, wx, wy, unmatched_cost
        As in :func:`exact_flow`.
    positions
        Positions of the points of the first slice, shape ``(n, d)``.
    n_tile
        Number of points in a tile.

    Returns
    -------
    Mass of every pair, shape ``(p,)``.
    """
    flow = entropic_flow(rows, cols, costs, wx, wy, unmatched_cost=unmatched_cost)
    residual = wy - np.bincount(cols, flow, minlength=len(wy))
    rank = np.empty(len(wx), dtype=np.intp)
    rank[principal_order(positions)] = np.arange(len(wx))
    # Borders of the first tiles are in the interior of the second ones.
    for shift in (0, n_tile // 2):
        tiles = ((rank + shift) // n_tile)[rows]
        order = np.argsort(tiles, kind="stable")
        for tile in np.split(order, np.flatnonzero(np.diff(tiles[order])) + 1):
            points, i = np.unique(rows[tile], return_inverse=True)
            columns, j = np.unique(cols[tile], return_inverse=True)
            capacity = np.maximum(residual[columns] + np.bincount(j, flow[tile]), 0.0)
            flow[tile] = exact_flow(
                i, j, costs[tile], wx[points], capacity, unmatched_cost=unmatched_cost
            )
            residual[columns] = capacity - np.bincount(j, flow[tile])
    return flow
