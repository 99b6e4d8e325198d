"""The landscape ``U = -log p`` in the plane: its heights, and the passes between wells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core.nets.model import RUOTModel

# Bins per side of the histogram that is smoothed.
N_BINS = 400
# The plane is masked where the nearest cell is farther than RADIUS_FACTOR times the quantile
# DISTANCE_QUANTILE, over cells, of the distance to the N_NEIGHBORS-th nearest cell.
N_NEIGHBORS, DISTANCE_QUANTILE, RADIUS_FACTOR = 10, 0.99, 2.0
Axes = tuple[np.ndarray, np.ndarray]


def model_landscape(
    model: RUOTModel, x: np.ndarray, y: np.ndarray, time: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Compute the landscape of a model of two dimensions.

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
    ``-log p``, with p normalised to the mass of the population, and the growth cost
    ``lambda = alpha g`` (None without growth), both of shape ``(n_y, n_x)``.

    See Also
    --------
    particle_landscape : Landscape of simulated particles.
    pass_heights : Heights of the passes between wells.
    """
    xx, yy = np.meshgrid(x, y)
    fields = model.fields(np.column_stack([xx.ravel(), yy.ravel()]), time)
    growth_cost = model.alpha * fields["growth"].reshape(xx.shape) if model.config.growth else None
    return fields["potential"].reshape(xx.shape).astype(np.float64), growth_cost


def particle_landscape(
    points: np.ndarray,
    weights: np.ndarray,
    x: np.ndarray,
    *,
    y: np.ndarray,
    values: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the landscape of weighted particles in the plane, by a Gaussian kernel density.

    The bandwidth is chosen by twofold cross-validation: it maximises the likelihood of each half of
    the particles under the density of the other half.

    Parameters
    ----------
    points
        Particles, shape ``(n, 2)``.
    weights
        Their masses, shape ``(n,)``.
    x, y
        Axes of the grid.
    values
        Values to average over the particles, shape ``(n,)``.
    rng
        Generator that splits the particles into halves.

    Returns
    -------
    ``-log p``, with p normalised to the sum of the weights (infinite where p is
    zero), and the local mean of the values, both of shape ``(n_y, n_x)``.

    See Also
    --------
    model_landscape : Landscape of a model of two dimensions.
    mask_near_points : Mask of the grid points with cells nearby.
    """
    count, edges = _bin_weights(points, weights, (x, y))
    bandwidth = _select_bandwidth(points, weights, (x, y), rng)
    mass_density = _smooth(count, edges, bandwidth)
    total, _ = _bin_weights(points, weights * values, (x, y))
    xx, yy = np.meshgrid(x, y)
    grid = np.column_stack([xx.ravel(), yy.ravel()])
    density = mass_density(grid).reshape(xx.shape)
    mean = _smooth(total, edges, bandwidth)(grid).reshape(xx.shape)
    positive = density > 0
    potential = np.full(xx.shape, np.inf)
    potential[positive] = -np.log(density[positive])
    return potential, np.divide(mean, density, out=np.full(xx.shape, np.nan), where=positive)


def mask_near_points(points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mask grid points with cells nearby, shape ``(n_y, n_x)``.

    The radius is about the distance to the neighbours of the cells in the sparsest regions.

    Parameters
    ----------
    points
        Cells, shape ``(n, 2)``.
    x, y
        Axes of the grid.

    See Also
    --------
    particle_landscape : Landscape of particles on the grid.
    pass_heights : Heights of the passes between wells.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    k = min(N_NEIGHBORS, len(points) - 1) + 1
    neighbor_distances = tree.query(points, k=[k])[0]
    step = max(x[1] - x[0], y[1] - y[0])
    radius = max(RADIUS_FACTOR * float(np.quantile(neighbor_distances, DISTANCE_QUANTILE)), step)
    xx, yy = np.meshgrid(x, y)
    distance = tree.query(np.column_stack([xx.ravel(), yy.ravel()]))[0]
    return (distance <= radius).reshape(xx.shape)


def pass_heights(potential: np.ndarray, wells: np.ndarray) -> np.ndarray:
    """Compute the heights of the passes between wells.

    The pass between two wells is the highest point of the path whose highest point is lowest.

    Parameters
    ----------
    potential
        Heights on a grid, NaN where undefined, shape ``(n_y, n_x)``.
    wells
        Flat indices of grid points, shape ``(K,)``.

    Returns
    -------
    Heights, shape ``(K, K)``, infinite between wells that no path connects; the diagonal holds the
    heights of the wells.

    See Also
    --------
    model_landscape : Landscape of a model of two dimensions.
    particle_landscape : Landscape of simulated particles.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.lineage.landscape import pass_heights
    >>> pass_heights(np.array([[0.0, 9.0, 1.0], [3.0, 5.0, 2.0]]), np.array([0, 2]))
    array([[0., 5.],
           [5., 1.]])
    """
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    height = potential.ravel()
    order = np.argsort(height)
    rank = np.empty(height.size)
    # edges carry ranks, since a sparse graph drops edges of weight zero
    rank[order] = np.arange(1, height.size + 1)
    node = np.arange(height.size).reshape(potential.shape)
    edges = (
        (node[:, :-1], node[:, 1:]),
        (node[:-1], node[1:]),
        (node[:-1, :-1], node[1:, 1:]),
        (node[:-1, 1:], node[1:, :-1]),
    )
    a, b = (np.concatenate([pair[i].ravel() for pair in edges]) for i in (0, 1))
    finite = np.isfinite(height[a]) & np.isfinite(height[b])
    a, b = a[finite], b[finite]
    graph = sparse.csr_matrix(
        (np.maximum(rank[a], rank[b]), (a, b)), shape=(height.size, height.size)
    )
    # paths on the minimum spanning tree minimise the highest point
    tree = minimum_spanning_tree(graph)
    heights = np.full((len(wells), len(wells)), np.inf)
    for i, well in enumerate(wells):
        visited, predecessors = breadth_first_order(tree, well, directed=False)
        highest = np.full(height.size, np.inf)
        highest[well] = height[well]
        for grid_point in visited[1:]:
            highest[grid_point] = max(highest[predecessors[grid_point]], height[grid_point])
        heights[i] = highest[wells]
    return heights


def _bin_weights(
    points: np.ndarray, weights: np.ndarray, axes: Axes
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sum weights in square bins that cover grid and points; also returns the bin edges."""
    low = np.minimum(points.min(axis=0), [a[0] for a in axes])
    high = np.maximum(points.max(axis=0), [a[-1] for a in axes])
    # a margin for the kernel
    side = 1.2 * float((high - low).max()) / N_BINS
    middle, half = (low + high) / 2, side * N_BINS / 2
    edges = [np.linspace(m - half, m + half, N_BINS + 1) for m in middle]
    count = np.histogramdd(points, bins=edges, weights=weights)[0]
    return count, edges


def _smooth(
    count: np.ndarray, edges: list[np.ndarray], bandwidth: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Gaussian kernel density of binned weights, as a function of points of shape ``(m, 2)``."""
    from scipy.interpolate import RegularGridInterpolator
    from scipy.ndimage import gaussian_filter

    side = edges[0][1] - edges[0][0]
    density = gaussian_filter(count, bandwidth / side, mode="constant", truncate=6) / side**2
    return RegularGridInterpolator(
        [(e[1:] + e[:-1]) / 2 for e in edges], density, bounds_error=False, fill_value=0.0
    )


def _select_bandwidth(
    points: np.ndarray, weights: np.ndarray, axes: Axes, rng: np.random.Generator
) -> float:
    """Bandwidth that maximises the likelihood of each half of the particles under the other."""
    weights = weights / weights.sum()
    scott = (weights**2).sum() ** (1 / 6) * float(
        np.sqrt(np.cov(points.T, aweights=weights).trace() / 2)
    )
    _, edges = _bin_weights(points, weights, axes)
    side = edges[0][1] - edges[0][0]
    half = rng.permutation(len(points)) % 2 == 0
    # a uniform component of 1 % limits the influence of single outlying particles
    uniform = 0.01 / (side * N_BINS) ** 2
    bandwidths, scores = np.maximum(scott * 2.0 ** -np.arange(0, 4.5, 0.5), side), []
    for bandwidth in bandwidths:
        score = 0.0
        for train in (half, ~half):
            count = np.histogramdd(
                points[train], bins=edges, weights=weights[train] / weights[train].sum()
            )[0]
            density = 0.99 * _smooth(count, edges, bandwidth)(points[~train]) + uniform
            score += float(weights[~train] @ np.log(density))
        scores.append(score)
    # Scott's rule: the optimal bandwidth of all particles is smaller than that of half of them
    return max(float(bandwidths[int(np.argmax(scores))]) * 2 ** (-1 / 6), side)
