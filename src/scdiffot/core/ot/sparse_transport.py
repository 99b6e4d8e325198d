"""Transport over a list of pairs, where mass can be left on either side at a price."""

from __future__ import annotations

import numpy as np

from .spatial_order import principal_order

# Entropy in units of how much the costs of the pairs of a point differ; from high to low.
_ENTROPIES = (0.8, 0.2, 0.05)
_N_ITERATIONS = 100
# Scaling factors move into the potentials before they leave the range of numbers.
_N_BETWEEN = 10
_LEAST_SHARE = 1e-3
_LEAST = 1e-300
_LARGEST_EXPONENT = 690.0


def exact_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    price: float,
) -> np.ndarray:
    r"""Flow of least cost by the network simplex :cite:p:`Bonneel2011,Flamary2021`.

    .. math::
        \min_P \sum_p c_p P_p + \lambda \Big(\sum_i a_i - \sum_p P_p\Big) + \lambda \Big(\sum_j b_j - \sum_p P_p\Big),
        \qquad P 1 \leq a, \quad P^T 1 \leq b.

    Parameters
    ----------
    rows, cols
        Pairs, ordered by row, then by column, each once, shape ``(p,)``.
    costs
        Their costs, shape ``(p,)``.
    wx, wy
        Masses `a` and `b`, shapes ``(n,)`` and ``(m,)``.
    price
        Price of a unit of mass that is left on either side.

    Returns
    -------
    Mass of every pair, shape ``(p,)``.
    """
    import ot
    from scipy import sparse

    n, m = len(wx), len(wy)
    # An arc of no cost would be no entry of a sparse matrix.
    least = 1e-12 * price
    # One more point on either side takes what is left.
    arcs = sparse.coo_array(
        (
            np.concatenate([np.maximum(costs, least), np.full(n + m, price), [least]]),
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
    # Rounding leaves crumbs of mass in the flow.
    kept = (plan.row < n) & (plan.col < m) & (plan.data > 1e-9 * wx.mean())
    flow = np.zeros(len(rows))
    flow[np.searchsorted(rows * m + cols, plan.row[kept].astype(np.int64) * m + plan.col[kept])] = (
        plan.data[kept]
    )
    return flow


def entropic_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    price: float,
) -> np.ndarray:
    """Flow of nearly least cost after a fixed number of scaling iterations :cite:p:`Benamou2015`, at falling entropy.

    Takes time in proportion to the number of pairs. What breaks a constraint in the end is cut off. Parameters and what is
    returned are those of :func:`exact_flow`; every row must have a pair.
    """
    from scipy import sparse

    n, m = len(wx), len(wy)
    starts = np.searchsorted(rows, np.arange(n))
    sizes = np.diff(np.append(starts, len(rows)))
    lowest = np.minimum.reduceat(costs, starts)
    spread = float(np.median(np.add.reduceat(costs, starts) / sizes - lowest))
    if spread <= 0:
        spread = max(float(costs.mean()), _LEAST)
    by_column = np.argsort(cols, kind="stable")
    ends = np.append(starts, len(rows)), np.searchsorted(cols[by_column], np.arange(m + 1))
    f, g = np.minimum(lowest, price), np.zeros(m)
    unit = 1.0 / max(n, m)
    kernel = np.empty(0)

    def exponential(values: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(values / epsilon, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))

    for entropy in _ENTROPIES:
        epsilon = entropy * spread
        for _ in range(_N_ITERATIONS // _N_BETWEEN):
            kernel = exponential(f[rows] + g[cols] - costs)
            there = sparse.csr_array((kernel, cols, ends[0]), shape=(n, m))
            back = sparse.csr_array((kernel[by_column], rows[by_column], ends[1]), shape=(m, n))
            # A potential above the price would be mass that is better left.
            most_u, most_v = exponential(price - f), exponential(price - g)
            v = np.ones(m)
            for _ in range(_N_BETWEEN):
                u = np.minimum(wx / unit / np.maximum(there @ v, _LEAST), most_u)
                v = np.minimum(wy / unit / np.maximum(back @ u, _LEAST), most_v)
            f, g = (
                f + epsilon * np.log(np.maximum(u, _LEAST)),
                g + epsilon * np.log(np.maximum(v, _LEAST)),
            )
    flow = unit * exponential(f[rows] + g[cols] - costs)
    flow[flow < _LEAST_SHARE * np.maximum.reduceat(flow, starts).repeat(sizes)] = 0.0
    flow *= np.minimum(1.0, wx / np.maximum(np.bincount(rows, flow, minlength=n), _LEAST))[rows]
    flow *= np.minimum(1.0, wy / np.maximum(np.bincount(cols, flow, minlength=m), _LEAST))[cols]
    return flow


def tiled_flow(
    rows: np.ndarray,
    cols: np.ndarray,
    costs: np.ndarray,
    wx: np.ndarray,
    wy: np.ndarray,
    *,
    price: float,
    positions: np.ndarray,
    n_tile: int,
) -> np.ndarray:
    """Flow that is the best within every tile of a slice, given what other tiles use :cite:p:`Bonafini2021`.

    The entropic flow is solved anew exactly in one group of `n_tile` neighbours of the first slice after the other, twice. Takes time in
    proportion to the number of pairs, and each step lowers the cost.

    Parameters
    ----------
    rows, cols, costs, wx, wy, price
        As in :func:`exact_flow`.
    positions
        Positions of the points of the first slice, shape ``(n, d)``.
    n_tile
        Number of points in a tile.

    Returns
    -------
    Mass of every pair, shape ``(p,)``.
    """
    flow = entropic_flow(rows, cols, costs, wx, wy, price=price)
    free = wy - np.bincount(cols, flow, minlength=len(wy))
    place = np.empty(len(wx), dtype=np.intp)
    place[principal_order(positions)] = np.arange(len(wx))
    # The second time, what were borders lie inside.
    for shift in (0, n_tile // 2):
        tiles = ((place + shift) // n_tile)[rows]
        order = np.argsort(tiles, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(tiles[order])) + 1):
            own, i = np.unique(rows[part], return_inverse=True)
            other, j = np.unique(cols[part], return_inverse=True)
            open_to = np.maximum(free[other] + np.bincount(j, flow[part]), 0.0)
            flow[part] = exact_flow(i, j, costs[part], wx[own], open_to, price=price)
            free[other] = open_to - np.bincount(j, flow[part])
    return flow
