"""The observed cell that is nearest to a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from scipy import sparse

# A tree finds neighbours in few dimensions; in more it compares with nearly all cells, and a matrix product is faster.
MAX_TREE_DIMS = 6
# In many dimensions, more cells bring the nearest hardly nearer.
MAX_COMPARED = 2000
# Of every type, at least this many cells are compared with, or all that there are: a rare one would otherwise be missed.
MIN_COMPARED = 30
BLOCK = 256
# Of new cells of the same population, fewer than one in a thousand (one in a hundred, where there are 60 cells) are farther from the
# nearest cell than this quantile, times this factor.
QUANTILE, FACTOR = 0.999, 1.25


class Nearest:
    """Looks up the nearest of some cells; above six dimensions, of 2000 of them and at least 30 of every type.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    rng
        Generator that draws the cells.
    codes
        Their types, shape ``(n,)``, -1 for none; without them no type has a minimum.

    Attributes
    ----------
    cells
        Positions of the cells that are compared with, shape ``(m,)``.
    sampling
        How much denser than on average the cells around each of them were drawn, shape ``(m,)``.
    radius
        Distance beyond which a point is far from every cell: a quarter more than the distance to the nearest other cell that all but
        one in a thousand cells keep.
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
        # centred, so that squared norms cancel in single precision
        self._points = (states[self.cells] - self._centre).astype(np.float32)
        self._transposed = torch.from_numpy(self._points).T
        self._half_squares = np.square(self._points).sum(axis=1) / 2
        self.radius = FACTOR * float(np.quantile(self._distances_among(states), QUANTILE)) or np.inf

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the nearest cell (N,), and which of `cells` it is (N,)."""
        if self._tree is not None:
            return self._tree.query(x)
        points = (x - self._centre).astype(np.float32)
        index = np.empty(len(x), dtype=np.intp)
        for start in range(0, len(x), BLOCK):
            part = slice(start, start + BLOCK)
            # torch keeps to its threads, NumPy finds the least faster
            products = (torch.from_numpy(points[part]) @ self._transposed).numpy()
            index[part] = np.subtract(self._half_squares, products, out=products).argmin(axis=1)
        return np.linalg.norm(points - self._points[index], axis=1), index

    def smoothing(self, states: np.ndarray, n_neighbors: int | np.ndarray) -> sparse.csr_matrix:
        """Weights (n, m), rows of sum one, that average over the cells nearest to each of `states`, by a Gaussian of the distance.

        The number of neighbours may differ from state to state.
        """
        from scipy import sparse
        from sklearn.neighbors import NearestNeighbors

        counts = np.minimum(n_neighbors, len(self._points))
        k = int(counts.max())
        found = (
            NearestNeighbors(n_neighbors=k)
            .fit(self._points)
            .kneighbors((states - self._centre).astype(np.float32))
        )
        distance, index = found
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
        """Distance of cells to the nearest other one."""
        if self._tree is not None:
            return self._tree.query(states, k=[min(2, len(states))], workers=-1)[0][:, 0]
        from sklearn.neighbors import NearestNeighbors

        neighbors = NearestNeighbors(n_neighbors=min(2, len(self._points))).fit(self._points)
        return neighbors.kneighbors(self._points)[0][:, -1]


def _sample(
    n: int, codes: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the cells to compare with, and how much denser than on average each was drawn."""
    chosen = np.zeros(n, bool)
    chosen[rng.choice(n, MAX_COMPARED, replace=False)] = True
    sampling = np.ones(n)
    for code in [] if codes is None else np.unique(codes):
        members = np.flatnonzero(codes == code)
        n_missing = min(MIN_COMPARED, len(members)) - int(chosen[members].sum())
        if n_missing > 0:
            chosen[rng.choice(members[~chosen[members]], n_missing, replace=False)] = True
            sampling[members] = chosen[members].mean() * n / MAX_COMPARED
    cells = np.flatnonzero(chosen)
    return cells, sampling[cells]
