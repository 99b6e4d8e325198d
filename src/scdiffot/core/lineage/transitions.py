"""A Markov chain on observed cells that approximates the stochastic differential equation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Maximum number of elements in an array of displacements (cells x neighbours x dimensions).
CHUNK_SIZE = 20_000_000
# Quantile of the step durations of cells that becomes the step duration of the chain.
STEP_QUANTILE = 0.25
# Smallest number of neighbours within the noise of a step; narrower noise would reach none.
MIN_NEIGHBORS = 5


def transition_matrix(
    states: np.ndarray,
    drift: np.ndarray,
    sigma: float,
    *,
    neighbors: np.ndarray,
    links: np.ndarray | None = None,
    connectivity_weight: float = 0.2,
) -> csr_matrix:
    """Compute transition probabilities between cells, from drift and noise at each cell.

    A cell moves to itself or to a neighbour, with Gaussian weights around ``x + b tau`` of variance
    ``sigma^2 tau`` in every direction. The duration tau of a cell makes the root mean square length
    of its step equal to that of the displacements to its neighbours. If the drift is so large that
    the noise would cover fewer than five neighbours, the variance is widened to cover five. The
    mean displacement under the weights without drift is subtracted: a random walk on cells
    otherwise drifts to dense regions by ``sigma^2 grad log p`` of the sample, which is not part of
    the dynamics.

    A step of the chain has the same duration for every cell, the lower quartile of tau. A cell with
    a longer tau stays with the probability that makes up for it, so that slow modes of the chain
    are slow in time and not only in dense regions. Absorption probabilities do not depend on the
    step duration.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    drift
        Drift at the cells, shape ``(n, d)``, state per time.
    sigma
        Diffusion, in state per square root of time.
    neighbors
        Nearest cells of every cell, without itself, nearest first, shape ``(n, k)``.
    links
        Pairs of cells that connect the components of the neighbour graph, shape ``(m, 2)``.
    connectivity_weight
        Share of the symmetric connectivities in the mixture. With any positive share the chain is
        irreducible if neighbours and links connect all cells. It is aperiodic because cells may
        stay.

    Returns
    -------
    Transition probabilities, shape ``(n, n)``; rows sum to one.

    See Also
    --------
    scdiffot.core.lineage.fate.descend : Fates by simulation, without a chain.
    scdiffot.core.lineage.ancestry.ancestors : Simulate the process back in time.

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
    probabilities, affinities = np.empty(columns.shape), np.empty(columns.shape)
    tau = np.empty(n)
    size = max(CHUNK_SIZE // (k * states.shape[1]), 1)
    for first in range(0, n, size):
        part = slice(first, first + size)
        neighbor_states = states[columns[part]].astype(np.float64)
        displacements = neighbor_states - neighbor_states[:, :1]
        probabilities[part], affinities[part], tau[part] = _step_weights(
            displacements, np.asarray(drift[part], np.float64), sigma
        )
    row_starts = np.arange(n + 1) * (k + 1)
    dynamics = sparse.csr_matrix((probabilities.ravel(), columns.ravel(), row_starts), shape=(n, n))
    connectivities = sparse.csr_matrix(
        (affinities.ravel(), columns.ravel(), row_starts), shape=(n, n)
    )
    if links is not None and len(links):
        # the affinity of a cell to its last neighbour
        connectivities = connectivities + sparse.csr_matrix(
            (np.full(len(links), np.exp(-2.0)), tuple(links.T)), shape=(n, n)
        )
    connectivities = connectivities + connectivities.T
    connectivities = (
        sparse.diags(1 / np.asarray(connectivities.sum(axis=1)).ravel()) @ connectivities
    )
    # tau is zero for cells that coincide with all their neighbours
    duration = float(np.quantile(tau[tau > 0], STEP_QUANTILE)) if tau.any() else 0.0
    move_probability = np.divide(duration, tau, out=np.ones(n), where=tau > duration)
    chain = (1 - connectivity_weight) * dynamics + connectivity_weight * connectivities
    chain = (sparse.diags(move_probability) @ chain + sparse.diags(1 - move_probability)).tocsr()
    chain.sort_indices()
    return chain


def _step_weights(
    displacements: np.ndarray, drift: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Step probabilities and affinities of neighbours, and step durations tau.

    Displacements to the neighbours have shape ``(n, k + 1, d)``, probabilities and affinities
    ``(n, k + 1)``, and tau ``(n,)``.
    """
    tiny = np.finfo(np.float64).tiny
    squares = np.square(displacements).sum(axis=2)
    k = displacements.shape[1] - 1
    mean_square = squares.sum(axis=1) / k
    # effective dimension of the neighbours: the participation ratio of their second moments
    squared_moments = np.square(displacements @ displacements.transpose(0, 2, 1)).sum(axis=(1, 2))
    n_dims = np.clip(
        squares.sum(axis=1) ** 2 / np.maximum(squared_moments, tiny), 1, displacements.shape[2]
    )
    # tau solves |b|^2 tau^2 + n_dims sigma^2 tau = mean_square
    noise_rate = n_dims * sigma**2
    denominator = noise_rate + np.sqrt(
        noise_rate**2 + 4 * np.square(drift).sum(axis=1) * mean_square
    )
    tau = np.divide(
        2 * mean_square, denominator, out=np.zeros_like(mean_square), where=denominator > 0
    )
    spacing = mean_square / n_dims * (min(MIN_NEIGHBORS, k) / k) ** (2 / n_dims)
    variance = np.maximum(np.maximum(sigma**2 * tau, spacing), tiny)
    log_isotropic = -squares / (2 * variance[:, None])
    isotropic = _softmax(log_isotropic)
    mean = np.einsum("nk,nkd->nd", isotropic, displacements)
    local_variance = (
        np.einsum("nk,nk->n", isotropic, np.square(displacements - mean[:, None]).sum(axis=2))
        / n_dims
    )
    tilt = drift * (tau / variance)[:, None] - mean / np.maximum(local_variance, tiny)[:, None]
    probabilities = _softmax(log_isotropic + np.einsum("nkd,nd->nk", displacements, tilt))
    bandwidth = np.maximum(squares.max(axis=1, keepdims=True) / 4, tiny)
    return probabilities, np.exp(-squares / (2 * bandwidth)), tau


def _softmax(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
