"""Regulation of genes and growth by genes: derivatives of the fields, expressed in genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .decoders import LinearDecoder
from .running_moments import RunningMoments, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.model import RUOTModel

    from .decoders import Decoder

# Cells per chunk of derivatives in states, and of derivatives in genes.
CHUNK_SIZE, GENE_CHUNK_SIZE = 256, 32
# Maximum number of elements in a block of cells x targets x regulators, which fits the cache.
BLOCK_SIZE = 2**19


def jacobians(
    model: RUOTModel, x: np.ndarray, t: float | np.ndarray, *, chunk_size: int = CHUNK_SIZE
) -> np.ndarray:
    r"""Compute the Jacobian of the drift at cells.

    Parameters
    ----------
    model
        A fitted model.
    x
        States, shape ``(n, d)``.
    t
        Time, a number or shape ``(n,)``. At a snapshot time, the fields are those of the interval
        that starts there.
    chunk_size
        Number of cells computed at a time.

    Returns
    -------
    Jacobians, shape ``(n, d, d)``: entry ``[:, i, j]`` is :math:`\partial b_i /
    \partial x_j`, per unit of time.

    See Also
    --------
    growth_gradients : Gradients of the growth.
    regulation : Jacobian in genes.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.genes.regulation import jacobians
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> jacobians(model, cells[0], 0.5).shape
    (60, 2, 2)
    """
    parts = [drift.numpy() for _, drift, _ in _derivatives(model, x, t, chunk_size)]
    return np.concatenate(parts) if parts else np.empty((0, model.n_dims, model.n_dims), np.float32)


def growth_gradients(model: RUOTModel, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
    """Compute the gradient of the growth at states, per unit of time and state.

    The gradient is zero where the growth is clipped to the range of the training rates.

    Parameters
    ----------
    model
        A fitted model.
    x
        States, shape ``(n, d)``.
    t
        Time, a number or shape ``(n,)``.

    Returns
    -------
    Gradients, shape ``(n, d)``.

    See Also
    --------
    jacobians : Jacobians of the drift.
    growth_regulation : Gradient in genes.
    """
    parts = [growth.numpy() for _, _, growth in _derivatives(model, x, t, CHUNK_SIZE)]
    return np.concatenate(parts) if parts else np.empty((0, model.n_dims), np.float32)


@torch.no_grad()
def regulation(
    model: RUOTModel,
    decoder: Decoder,
    x: np.ndarray,
    t: float | np.ndarray,
    *,
    genes: np.ndarray,
    decay: float = 0.0,
    chunk_size: int = GENE_CHUNK_SIZE,
    block_size: int = BLOCK_SIZE,
    progress: Callable[[int], None] | None = None,
) -> Spread:
    r"""Summarise the Jacobian of the gene velocity in the genes, over cells.

    .. math:: J = D \, \frac{\partial b}{\partial z} \, E, \qquad
        D = \frac{\partial \, \text{decode}}{\partial z}(z), \qquad
        E = \frac{\partial \, \text{encode}}{\partial x}(\text{decode}(z)).

    The matrices of single cells are computed in blocks and not stored.

    Parameters
    ----------
    model
        A fitted model.
    decoder
        Map between states and genes.
    x
        States, shape ``(n, d)``.
    t
        Time, a number or shape ``(n,)``.
    genes
        Positions of G genes among those of the decoder.
    decay
        Relaxation rate of all states, per unit of time, that is removed from the Jacobian of the
        drift.
    chunk_size
        Number of cells computed at a time.
    block_size
        Number of entries of their matrices computed at a time.
    progress
        Called with the number of cells completed since the last call.

    Returns
    -------
    Arrays of shape ``(G, G)``, targets by regulators, per unit of time.

    See Also
    --------
    jacobians : Jacobians in states.
    growth_regulation : Gradient of the growth in genes.
    fastest_relaxation : An upper bound of the decay.
    """
    positions = torch.as_tensor(genes)
    n_genes = len(genes)
    summary = RunningMoments((n_genes, n_genes))
    for z, drift, _ in _derivatives(model, x, t, chunk_size):
        decoding, encoding = _tangents(decoder, z, positions)
        decoded_drift = decoding @ (drift + decay * torch.eye(z.shape[1]))
        n_rows = max(block_size // (len(z) * n_genes), 1)
        for first in range(0, n_genes, n_rows):
            rows = slice(first, first + n_rows)
            summary.add(decoded_drift[:, rows] @ encoding, rows)
        summary.count(len(z))
        if progress is not None:
            progress(len(z))
    return summary.result()


def fastest_relaxation(model: RUOTModel, x: np.ndarray, t: float | np.ndarray) -> float:
    """Compute the largest relaxation rate of the mean Jacobian of the drift over cells.

    The rate is per unit of time, and zero if no direction relaxes. Parameters are those of
    :func:`jacobians`.

    See Also
    --------
    regulation : Jacobian in genes, with a decay removed.
    jacobians : Jacobians of single cells.
    """
    rates = np.linalg.eigvals(jacobians(model, x, t).mean(axis=0, dtype=np.float64)).real
    return max(-float(rates.min()), 0.0)


@torch.no_grad()
def growth_regulation(
    model: RUOTModel,
    decoder: Decoder,
    x: np.ndarray,
    t: float | np.ndarray,
    *,
    genes: np.ndarray,
    progress: Callable[[int], None] | None = None,
) -> Spread:
    """Summarise the gradient of the growth in the genes, over cells.

    Parameters are those of :func:`regulation`.

    Returns
    -------
    Arrays of shape ``(G,)``, per unit of time and expression.

    See Also
    --------
    growth_gradients : Gradients in states.
    regulation : Jacobian of the gene velocity.
    """
    summary = RunningMoments((len(genes),))
    positions = torch.as_tensor(genes)
    for z, _, growth in _derivatives(model, x, t, CHUNK_SIZE):
        summary.add(_pull_back(decoder, z, growth)[:, positions], slice(None))
        summary.count(len(z))
        if progress is not None:
            progress(len(z))
    return summary.result()


@torch.no_grad()
def _derivatives(
    model: RUOTModel, x: np.ndarray, t: float | np.ndarray, size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield chunks of states, Jacobians of the drift and gradients of the growth.

    Shapes are ``(m, d)``, ``(m, d, d)`` and ``(m, d)``, in the user's units.
    """
    s = model.scaling
    x = np.asarray(x)
    times = np.broadcast_to(s.time_in(t).astype(np.float32), len(x))
    for first in range(0, len(x), size):
        part = slice(first, first + size)
        chunk_times = torch.tensor(times[part])

        def total(states: Tensor, chunk_times: Tensor = chunk_times) -> Tensor:
            # rates of a cell depend on its own state only, so the derivative of the sum over cells
            # holds the derivatives of every cell
            drift, growth = model.networks.drift_and_growth(states, chunk_times)
            return torch.cat([drift.sum(0), growth.sum()[None]])

        derivatives = (
            torch.func.jacrev(total)(torch.from_numpy(s.state_in(x[part]))).transpose(0, 1)
            / s.time_scale
        )
        yield (
            torch.as_tensor(x[part], dtype=torch.float32),
            derivatives[:, :-1],
            derivatives[:, -1] / s.scale,
        )


def _tangents(decoder: Decoder, z: Tensor, genes: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of decode, shape ``(m, G, d)``, and of encode, shape ``(m, d, G)``, at states.

    Without the first axis for a linear decoder, whose derivatives are constant.
    """
    if isinstance(decoder, LinearDecoder):
        loadings = decoder.loadings[genes]
        return loadings, loadings.T
    directions = torch.eye(z.shape[1])[:, None].expand(-1, *z.shape)
    profile = decoder.decode(z)
    decoding = torch.func.vmap(lambda v: torch.func.jvp(decoder.decode, (z,), (v,))[1])(directions)
    encoding = torch.func.jacrev(lambda profiles: decoder.encode(profiles).sum(0))(profile)
    return decoding[..., genes].permute(1, 2, 0), encoding[..., genes].transpose(0, 1)


def _pull_back(decoder: Decoder, z: Tensor, gradient: Tensor) -> Tensor:
    """Gradients in all genes, shape ``(m, G)``, from gradients in states, shape ``(m, d)``."""
    if isinstance(decoder, LinearDecoder):
        return gradient @ decoder.loadings.T
    pullback = torch.func.vjp(decoder.encode, decoder.decode(z))[1]
    return pullback(gradient)[0]
