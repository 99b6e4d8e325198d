"""A Markov chain on observed cells that moves as the stochastic differential equation does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Numbers in one array of displacements (cells x neighbours x dimensions).
CHUNK_SIZE = 20_000_000
# Share of the cells whose steps set the pace of all.
MIN_TIME_SHARE = 0.25
# The noise of a step spreads over at least as many neighbours: below that it would hit none.
N_SPREAD = 5


def transition_matrix(
    states: np.ndarray,
    drift: np.ndarray,
    sigma: float,
    *,
    neighbors: np.ndarray,
    links: np.ndarray | None = None,
    connectivity_weight: float = 0.2,
) -> csr_matrix:
    """Transition probabilities between cells, from the drift and the noise at each of them.

    A cell steps to itself or a neighbour: Gaussian weights around ``x + b tau`` with variance ``sigma^2 tau`` in every direction,
    with tau of a cell such that the step has the root mean square length of the way to its neighbours. Where the drift takes over
    so far that the noise would hit less than five of them, it is widened to that. The mean of the
    neighbours under the weights without drift is taken out: a walk among cells is otherwise drawn to where they are dense, by
    ``sigma^2 grad log p`` of the cells, which belongs to the sample and not to the motion of a cell.

    A step of the chain takes every cell the same time, the lower quartile of tau: where tau is longer a cell stays that much
    longer, so that slow modes of the chain are slow in time and not only where cells are dense. Probabilities to be absorbed here or
    there do not depend on the pace.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    drift
        Drift at the cells, shape ``(n, d)``, state per time.
    sigma
        Diffusion, in state per square root of time.
    neighbors
        Nearest cells of every cell, itself not among them, nearest first, shape ``(n, k)``.
    links
        Pairs of cells that connect what the neighbours leave apart, shape ``(m, 2)``.
    connectivity_weight
        Share of the symmetric connectivities in the mixture. Any positive share makes the chain irreducible if neighbours
        and links connect all cells; that cells may stay makes it aperiodic.

    Returns
    -------
    Shape ``(n, n)``, rows sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.lineage.transitions import transition_matrix
    >>> cells = np.arange(5.0)[:, None]
    >>> neighbors = np.array([[1, 2], [0, 2], [1, 3], [2, 4], [3, 2]])
    >>> chain = transition_matrix(cells, np.ones((5, 1)), 1.0, neighbors=neighbors)
    >>> bool(chain[2, 3] > chain[2, 1])
    True
    """
    from scipy import sparse

    n, k = neighbors.shape
    columns = np.column_stack([np.arange(n), neighbors])
    steps, nearness, tau = np.empty(columns.shape), np.empty(columns.shape), np.empty(n)
    size = max(CHUNK_SIZE // (k * states.shape[1]), 1)
    for first in range(0, n, size):
        part = slice(first, first + size)
        there = states[columns[part]].astype(np.float64)
        way = there - there[:, :1]
        steps[part], nearness[part], tau[part] = _weights(
            way, np.asarray(drift[part], np.float64), sigma
        )
    starts = np.arange(n + 1) * (k + 1)
    walk = sparse.csr_matrix((steps.ravel(), columns.ravel(), starts), shape=(n, n))
    near = sparse.csr_matrix((nearness.ravel(), columns.ravel(), starts), shape=(n, n))
    if links is not None and len(links):
        # as near as the last neighbour of a cell is to it
        near = near + sparse.csr_matrix(
            (np.full(len(links), np.exp(-2.0)), tuple(links.T)), shape=(n, n)
        )
    near = near + near.T
    near = sparse.diags(1 / np.asarray(near.sum(axis=1)).ravel()) @ near
    # cells that coincide with all their neighbours take no time
    beat = float(np.quantile(tau[tau > 0], MIN_TIME_SHARE)) if tau.any() else 0.0
    moves = np.divide(beat, tau, out=np.ones(n), where=tau > beat)
    mixed = (1 - connectivity_weight) * walk + connectivity_weight * near
    mixed = (sparse.diags(moves) @ mixed + sparse.diags(1 - moves)).tocsr()
    mixed.sort_indices()
    return mixed


def _weights(
    way: np.ndarray, drift: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of steps and nearness of neighbours (n, k + 1), and tau (n,), given the ways to them (n, k + 1, d)."""
    tiny = np.finfo(np.float64).tiny
    square = np.square(way).sum(axis=2)
    k = way.shape[1] - 1
    reach = square.sum(axis=1) / k
    # Dimensions in which the neighbours lie, by the participation ratio of their second moments.
    gram = np.square(way @ way.transpose(0, 2, 1)).sum(axis=(1, 2))
    n_dims = np.clip(square.sum(axis=1) ** 2 / np.maximum(gram, tiny), 1, way.shape[2])
    # tau solves |b|^2 tau^2 + n_dims sigma^2 tau = reach
    noise = n_dims * sigma**2
    pace = noise + np.sqrt(noise**2 + 4 * np.square(drift).sum(axis=1) * reach)
    tau = np.divide(2 * reach, pace, out=np.zeros_like(reach), where=pace > 0)
    spacing = reach / n_dims * (min(N_SPREAD, k) / k) ** (2 / n_dims)
    variance = np.maximum(np.maximum(sigma**2 * tau, spacing), tiny)
    log_still = -square / (2 * variance[:, None])
    still = _normalised(log_still)
    mean = np.einsum("nk,nkd->nd", still, way)
    spread = np.einsum("nk,nk->n", still, np.square(way - mean[:, None]).sum(axis=2)) / n_dims
    tilt = drift * (tau / variance)[:, None] - mean / np.maximum(spread, tiny)[:, None]
    steps = _normalised(log_still + np.einsum("nkd,nd->nk", way, tilt))
    width = np.maximum(square.max(axis=1, keepdims=True) / 4, tiny)
    return steps, np.exp(-square / (2 * width)), tau


def _normalised(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
