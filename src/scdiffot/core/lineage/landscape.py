"""The landscape ``U = -log p`` in the plane: its heights, its wells and the passes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core.nets.model import RUOTModel

# Points are counted on this many bins a side before they are smoothed.
N_BINS = 400
# A point of the plane is far from the cells if the nearest is twice as far as nearly all cells are from their own tenth.
N_NEAR, MASS_SHARE, FAR = 10, 0.99, 2.0
Axes = tuple[np.ndarray, np.ndarray]


def model_landscape(
    model: RUOTModel, x: np.ndarray, y: np.ndarray, time: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Landscape of a model of two dimensions.

    Parameters
    ----------
    model
        A fitted model.
    x, y
        Axes of the grid, shapes ``(n_x,)`` and ``(n_y,)``.
    time
        Time, in the user's unit.

    Returns
    -------
    ``-log p`` with p normalised to the mass of the population, and ``lambda = alpha g`` (None without growth), of shape
    ``(n_y, n_x)``.
    """
    xx, yy = np.meshgrid(x, y)
    fields = model.fields(np.column_stack([xx.ravel(), yy.ravel()]), time)
    price = model.alpha * fields["growth"].reshape(xx.shape) if model.config.growth else None
    return fields["potential"].reshape(xx.shape).astype(np.float64), price


def particle_landscape(
    points: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    *,
    y: np.ndarray,
    values: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Landscape of weighted particles in the plane, by a Gaussian kernel density estimate.

    The width of the kernel is the one under which either half of the particles makes the other most likely.

    Parameters
    ----------
    points
        Particles, shape ``(n, 2)``.
    weights
        Their masses, shape ``(n,)``.
    x, y
        Axes of the grid.
    values
        Numbers to average over the particles, shape ``(n,)``.
    rng
        Generator that splits the particles.

    Returns
    -------
    ``-log p`` with p normalised to the sum of the weights (infinite where there is none), and the local mean of the values, of
    shape ``(n_y, n_x)``.
    """
    count, edges = _binned(points, weights, (x, y))
    width = _best_width(points, weights, (x, y), rng)
    mass = _smoothed(count, edges, width)
    total, _ = _binned(points, weights * values, (x, y))
    xx, yy = np.meshgrid(x, y)
    grid = np.column_stack([xx.ravel(), yy.ravel()])
    density = mass(grid).reshape(xx.shape)
    mean = _smoothed(total, edges, width)(grid).reshape(xx.shape)
    there = density > 0
    potential = np.full(xx.shape, np.inf)
    potential[there] = -np.log(density[there])
    return potential, np.divide(mean, density, out=np.full(xx.shape, np.nan), where=there)


def near_points(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of a grid have cells (n, 2) nearby, shape ``(n_y, n_x)``: about as near as the sparsest cells have neighbours."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    k = min(N_NEAR, len(points) - 1) + 1
    own = tree.query(points, k=[k])[0]
    step = max(x[1] - x[0], y[1] - y[0])
    radius = max(FAR * float(np.quantile(own, MASS_SHARE)), step)
    xx, yy = np.meshgrid(x, y)
    distance = tree.query(np.column_stack([xx.ravel(), yy.ravel()]))[0]
    return (distance <= radius).reshape(xx.shape)


def passes(potential: np.ndarray, wells: np.ndarray) -> np.ndarray:
    """Heights of the passes between wells: the highest point of the path whose highest point is lowest.

    Parameters
    ----------
    potential
        Heights on a grid, NaN where there are none, shape ``(n_y, n_x)``.
    wells
        Flat indices of grid points, shape ``(K,)``.

    Returns
    -------
    Shape ``(K, K)``, infinite between wells that no path connects; the diagonal holds the heights of the wells.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.lineage.landscape import passes
    >>> passes(np.array([[0.0, 9.0, 1.0], [3.0, 5.0, 2.0]]), np.array([0, 2]))
    array([[0., 5.],
           [5., 1.]])
    """
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    height = potential.ravel()
    order = np.argsort(height)
    rank = np.empty(height.size)
    # ranks in place of heights: a sparse graph takes an edge of weight zero for none
    rank[order] = np.arange(1, height.size + 1)
    node = np.arange(height.size).reshape(potential.shape)
    shifts = (
        (node[:, :-1], node[:, 1:]),
        (node[:-1], node[1:]),
        (node[:-1, :-1], node[1:, 1:]),
        (node[:-1, 1:], node[1:, :-1]),
    )
    a, b = (np.concatenate([pair[i].ravel() for pair in shifts]) for i in (0, 1))
    there = np.isfinite(height[a]) & np.isfinite(height[b])
    a, b = a[there], b[there]
    graph = sparse.csr_matrix(
        (np.maximum(rank[a], rank[b]), (a, b)), shape=(height.size, height.size)
    )
    # paths on the minimum spanning tree are the lowest in this sense
    tree = minimum_spanning_tree(graph)
    found = np.full((len(wells), len(wells)), np.inf)
    for i, well in enumerate(wells):
        reached, before = breadth_first_order(tree, well, directed=False)
        highest = np.full(height.size, np.inf)
        highest[well] = height[well]
        for here in reached[1:]:
            highest[here] = max(highest[before[here]], height[here])
        found[i] = highest[wells]
    return found


def _binned(
    points: np.ndarray, weights: np.ndarray, axes: Axes
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Weights in square bins that cover grid and points, and the edges of the bins along both axes."""
    low = np.minimum(points.min(axis=0), [a[0] for a in axes])
    high = np.maximum(points.max(axis=0), [a[-1] for a in axes])
    # room for the kernels at the margin
    side = 1.2 * float((high - low).max()) / N_BINS
    middle, half = (low + high) / 2, side * N_BINS / 2
    edges = [np.linspace(m - half, m + half, N_BINS + 1) for m in middle]
    count = np.histogramdd(points, bins=edges, weights=weights)[0]
    return count, edges


def _smoothed(
    count: np.ndarray, edges: list[np.ndarray], width: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The density of binned weights under a Gaussian kernel, as a function of points (m, 2)."""
    from scipy.interpolate import RegularGridInterpolator
    from scipy.ndimage import gaussian_filter

    side = edges[0][1] - edges[0][0]
    density = gaussian_filter(count, width / side, mode="constant", truncate=6) / side**2
    return RegularGridInterpolator(
        [(e[1:] + e[:-1]) / 2 for e in edges], density, bounds_error=False, fill_value=0.0
    )


def _best_width(
    points: np.ndarray, weights: np.ndarray, axes: Axes, rng: np.random.Generator
) -> float:
    """Width of the kernel, by the likelihood of either half of the particles under the other."""
    weights = weights / weights.sum()
    scott = (weights**2).sum() ** (1 / 6) * float(
        np.sqrt(np.cov(points.T, aweights=weights).trace() / 2)
    )
    _, edges = _binned(points, weights, axes)
    side = edges[0][1] - edges[0][0]
    half = rng.permutation(len(points)) % 2 == 0
    # some mass far and wide, so that no single particle decides
    wide = 0.01 / (side * N_BINS) ** 2
    widths, gains = np.maximum(scott * 2.0 ** -np.arange(0, 4.5, 0.5), side), []
    for width in widths:
        gain = 0.0
        for one in (half, ~half):
            count = np.histogramdd(
                points[one], bins=edges, weights=weights[one] / weights[one].sum()
            )[0]
            likely = 0.99 * _smoothed(count, edges, width)(points[~one]) + wide
            gain += float(weights[~one] @ np.log(likely))
        gains.append(gain)
    # twice the particles allow a kernel narrower by this factor
    return max(float(widths[int(np.argmax(gains))]) * 2 ** (-1 / 6), side)
