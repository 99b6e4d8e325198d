"""Observed cells nearest to states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from scipy import sparse

# Largest number of dimensions for a tree. In more dimensions, a tree compares a state with nearly
# all cells, and a matrix product is faster.
MAX_TREE_DIMS = 6
# Number of cells that are compared in many dimensions, where more cells hardly reduce the distance.
MAX_COMPARED = 2000
# Least number of compared cells of every type, so that rare types are represented.
MIN_COMPARED = 30
# Number of states that are compared at a time.
CHUNK_SIZE = 256
# The radius is this quantile of the distances to the nearest other cell, times this factor. Of new
# cells of the same population, fewer than 0.1 % (1 % if there are 60 cells) are farther away.
QUANTILE, FACTOR = 0.999, 1.25


class Nearest:
    """Finds the cell nearest to a state.

    Above six dimensions, states are compared with 2000 cells, and at least 30 of every type.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    rng
        Generator of the sample of cells.
    codes
        Their types, shape ``(n,)``, -1 for none. If None, no type has a minimum number of cells.

    Attributes
    ----------
    cells
        Positions of the compared cells, shape ``(m,)``.
    sampling
        Sampling density of the type of each compared cell, relative to the mean, shape ``(m,)``.
    radius
        Distance beyond which a state is far from every cell: 1.25 times the 99.9 % quantile of the
        distances of cells to the nearest other cell.
    """

    def __init__(
        self, states: np.ndarray, rng: np.random.Generator, codes: np.ndarray | None = None
    ) -> None:
        from scipy.spatial import cKDTree

        self._tree = cKDTree(states) if states.shape[1] <= MAX_TREE_DIMS else None
        self.cells, self.sampling = np.arange(len(states)), np.ones(len(states))
        if self._tree is None and len(states) > MAX_COMPARED:
            self.cells, self.sampling = _sample(len(states), codes, rng)
        self._centre = states.mean(axis=0, dtype=np.float64)
        # States are centred to limit the rounding of squared norms in single precision.
        self._points = (states[self.cells] - self._centre).astype(np.float32)
        self._transposed = torch.from_numpy(self._points).T
        self._half_squares = np.square(self._points).sum(axis=1) / 2
        self.radius = FACTOR * float(np.quantile(self._distances_among(states), QUANTILE)) or np.inf

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest cells of states of shape ``(m, d)``.

        Returns
        -------
        Distance to the nearest cell, and its position in `cells`, both of shape ``(m,)``.
        """
        if self._tree is not None:
            return self._tree.query(x)
        points = (x - self._centre).astype(np.float32)
        index = np.empty(len(x), dtype=np.intp)
        for start in range(0, len(x), CHUNK_SIZE):
            chunk = slice(start, start + CHUNK_SIZE)
            # The product is by torch, which respects its number of threads; argmin is faster in
            # NumPy.
            products = (torch.from_numpy(points[chunk]) @ self._transposed).numpy()
            index[chunk] = np.subtract(self._half_squares, products, out=products).argmin(axis=1)
        return np.linalg.norm(points - self._points[index], axis=1), index

    def smoothing(self, states: np.ndarray, n_neighbors: int | np.ndarray) -> sparse.csr_matrix:
        """Weights that average over the nearest cells of each state, by a Gaussian of distance.

        Parameters
        ----------
        states
            Shape ``(n, d)``.
        n_neighbors
            Number of neighbours, of all states or of each.

        Returns
        -------
        Shape ``(n, m)`` for ``m`` compared cells, with row sums of one.
        """
        from scipy import sparse
        from sklearn.neighbors import NearestNeighbors

        counts = np.minimum(n_neighbors, len(self._points))
        k = int(counts.max())
        neighbors = NearestNeighbors(n_neighbors=k).fit(self._points)
        distance, index = neighbors.kneighbors((states - self._centre).astype(np.float32))
        last = np.broadcast_to(counts, len(states))[:, None] - 1
        width = np.maximum(
            np.take_along_axis(distance, last, axis=1) / 2, np.finfo(np.float32).tiny
        )
        weight = np.where(np.arange(k) <= last, np.exp(-0.5 * (distance / width) ** 2), 0)
        weight /= weight.sum(axis=1, keepdims=True)
        rows = np.arange(len(states) + 1) * k
        return sparse.csr_matrix(
            (weight.ravel(), index.ravel(), rows), shape=(len(states), len(self._points))
        )

    def _distances_among(self, states: np.ndarray) -> np.ndarray:
        """Distances of cells to the nearest other cell."""
        if self._tree is not None:
            return self._tree.query(states, k=[min(2, len(states))], workers=-1)[0][:, 0]
        from sklearn.neighbors import NearestNeighbors

        neighbors = NearestNeighbors(n_neighbors=min(2, len(self._points))).fit(self._points)
        return neighbors.kneighbors(self._points)[0][:, -1]


def _sample(
    n: int, codes: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the cells to compare, and their sampling density relative to the mean."""
    selected = np.zeros(n, bool)
    selected[rng.choice(n, MAX_COMPARED, replace=False)] = True
    sampling = np.ones(n)
    for code in [] if codes is None else np.unique(codes):
        members = np.flatnonzero(codes == code)
        n_missing = min(MIN_COMPARED, len(members)) - int(selected[members].sum())
        if n_missing > 0:
            selected[rng.choice(members[~selected[members]], n_missing, replace=False)] = True
            sampling[members] = selected[members].mean() * n / MAX_COMPARED
    cells = np.flatnonzero(selected)
    return cells, sampling[cells]
