"""Projection of states onto an embedding of their cells, and graphs of neighbours."""

from __future__ import annotations

import numpy as np


def embed(
    points: np.ndarray, states: np.ndarray, embedding: np.ndarray, *, n_neighbors: int = 30
) -> np.ndarray:
    """Place states on an embedding, at the mean of their nearest cells.

    The mean is weighted by a Gaussian of the distance in the state space.

    Parameters
    ----------
    points
        States, shape ``(m, d)``.
    states
        Cells in the same space, shape ``(n, d)``.
    embedding
        The same cells on the embedding, shape ``(n, e)``.
    n_neighbors
        Number of cells to average over. The width of the Gaussian is half the distance to the
        farthest of them.

    Returns
    -------
    Shape ``(m, e)``.
    """
    from scipy.spatial import cKDTree

    k = min(n_neighbors, len(states))
    distance, cells = cKDTree(states).query(points, k=k, workers=-1)
    distance, cells = distance.reshape(-1, k), cells.reshape(-1, k)
    width = np.maximum(distance[:, -1:] / 2, np.finfo(np.float64).tiny)
    weight = np.exp(-0.5 * (distance**2 - distance[:, :1] ** 2) / width**2)
    return np.einsum("mk,mke->me", weight / weight.sum(axis=1, keepdims=True), embedding[cells])


def embed_vectors(
    vectors: np.ndarray, states: np.ndarray, embedding: np.ndarray, *, n_neighbors: int = 30
) -> np.ndarray:
    """Project vectors at cells onto an embedding.

    Every cell is displaced along its vector, forwards and backwards. The projected vector is the
    difference of both points on the embedding, divided by the displacement.

    Parameters
    ----------
    vectors
        Vectors at the cells, shape ``(n, d)``.
    states
        The cells, shape ``(n, d)``.
    embedding
        The same cells on the embedding, shape ``(n, e)``.
    n_neighbors
        Number of cells to average over. A cell is displaced by the distance to the farthest of its
        own neighbours.

    Returns
    -------
    Shape ``(n, e)``, in units of the embedding per unit of time if `vectors` are velocities.
    """
    from scipy.spatial import cKDTree

    k = min(n_neighbors, len(states))
    radius = cKDTree(states).query(states, k=[k], workers=-1)[0]
    speed = np.linalg.norm(vectors, axis=1, keepdims=True)
    moving = np.flatnonzero((speed > 0) & (radius > 0))
    direction = vectors[moving] / speed[moving]
    ahead, behind = (
        embed(states[moving] + side * radius[moving] * direction, states, embedding, n_neighbors=k)
        for side in (1, -1)
    )
    projected = np.zeros((len(states), embedding.shape[1]))
    projected[moving] = (ahead - behind) * speed[moving] / (2 * radius[moving])
    return projected


def neighbor_graph(states: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest cells of every cell, and links between unconnected parts of their graph.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    n_neighbors
        Number of neighbours, less than the number of cells.

    Returns
    -------
    Neighbours, nearest first, without the cell itself, shape ``(n, n_neighbors)``; and linked pairs
    of cells, shape ``(m, 2)``. The smallest part is linked to the nearest cell outside it until one
    part remains, so that there is one pair less than parts.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    n = len(states)
    neighbors = (
        NearestNeighbors(n_neighbors=n_neighbors).fit(states).kneighbors(return_distance=False)
    )
    graph = sparse.csr_matrix(
        (np.ones(neighbors.size, bool), neighbors.ravel(), np.arange(n + 1) * n_neighbors),
        shape=(n, n),
    )
    links = np.empty((0, 2), dtype=np.intp)
    while True:
        linked = graph + sparse.csr_matrix(
            (np.ones(len(links), bool), tuple(links.T)), shape=(n, n)
        )
        n_parts, part = connected_components(linked, directed=False)
        if n_parts == 1:
            return neighbors, links
        smallest = part == np.bincount(part).argmin()
        inside, outside = np.flatnonzero(smallest), np.flatnonzero(~smallest)
        distance, nearest = (
            NearestNeighbors(n_neighbors=1).fit(states[outside]).kneighbors(states[inside])
        )
        a = int(distance.argmin())
        links = np.vstack([links, [inside[a], outside[nearest[a, 0]]]])
