"""How genes act on each other and on growth: derivatives of the fields, brought to genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .decoders import LinearDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.model import RUOTModel

    from .decoders import Decoder

# Cells that are differentiated together, and whose derivatives in the genes are taken in together.
CHUNK_SIZE, GENE_CHUNK_SIZE = 256, 32
# Numbers in a block of cells x targets x regulators: few enough to stay near the processor.
BLOCK_SIZE = 2**19


@dataclass(frozen=True)
class Spread:
    """A derivative over cells.

    Parameters
    ----------
    mean, sd
        Mean and standard deviation over the cells.
    stability
        Share of the cells in which it has the sign of the mean; zeros count half.
    """

    mean: np.ndarray
    sd: np.ndarray
    stability: np.ndarray


def jacobians(model: RUOTModel, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
    r"""Jacobian of the drift at cells.

    Parameters
    ----------
    model
        A fitted model.
    x
        States, shape ``(n, d)``.
    t
        Time, a number or shape ``(n,)``. A snapshot time counts as the start of the interval that follows it.

    Returns
    -------
    Shape ``(n, d, d)``: entry ``[:, i, j]`` is :math:`\partial b_i / \partial x_j`, per unit of time.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.genes.regulation import jacobians
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(n_steps=20, n_corrections=0),
    ... )
    >>> jacobians(model, cells[0], 0.5).shape
    (60, 2, 2)
    """
    parts = [drift.numpy() for _, drift, _ in _derivatives(model, x, t, CHUNK_SIZE)]
    return np.concatenate(parts) if parts else np.empty((0, model.n_dims, model.n_dims), np.float32)


def growth_gradients(model: RUOTModel, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
    """Gradient of the growth at states (n, d), shape ``(n, d)``, per unit of time and state.

    It is zero where the growth is held within the rates that were seen.
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
    progress: Callable[[int], None] | None = None,
) -> Spread:
    r"""Jacobian of the gene velocity in the genes, over cells.

    .. math:: J = D \, \frac{\partial b}{\partial z} \, E, \qquad
        D = \frac{\partial \, \text{decode}}{\partial z}(z), \qquad E = \frac{\partial \, \text{encode}}{\partial x}(\text{decode}(z)).

    Of the matrices of single cells only a block exists at any time.

    Parameters
    ----------
    model
        A fitted model.
    decoder
        Between states and genes.
    x
        States, shape ``(n, d)``.
    t
        Time, a number or shape ``(n,)``.
    genes
        Positions of G genes among those of the decoder.
    decay
        Rate at which all states relax, per unit of time, that is left out of the Jacobian of the drift.
    progress
        Called with the number of cells that were done since the last call.

    Returns
    -------
    Arrays of shape ``(G, G)``, targets by regulators, per unit of time.
    """
    genes_at = torch.as_tensor(genes)
    n_genes = len(genes)
    found = _Running((n_genes, n_genes))
    for z, drift, _ in _derivatives(model, x, t, GENE_CHUNK_SIZE):
        decoding, encoding = _tangents(decoder, z, genes_at)
        left = decoding @ (drift + decay * torch.eye(z.shape[1]))
        n_rows = max(BLOCK_SIZE // (len(z) * n_genes), 1)
        for first in range(0, n_genes, n_rows):
            rows = slice(first, first + n_rows)
            found.add(left[:, rows] @ encoding, rows)
        found.count(len(z))
        if progress is not None:
            progress(len(z))
    return found.result()


def fastest_relaxation(model: RUOTModel, x: np.ndarray, t: float | np.ndarray) -> float:
    """Largest rate at which the mean Jacobian of the drift over cells lets a direction relax, per unit of time; zero if none does."""
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
    """Gradient of the growth in the genes, over cells: arrays of shape ``(G,)``, per unit of time and expression.

    Parameters are those of :func:`regulation`.
    """
    found = _Running((len(genes),))
    genes_at = torch.as_tensor(genes)
    for z, _, growth in _derivatives(model, x, t, CHUNK_SIZE):
        found.add(_pulled_back(decoder, z, growth)[:, genes_at], slice(None))
        found.count(len(z))
        if progress is not None:
            progress(len(z))
    return found.result()


@torch.no_grad()
def _derivatives(
    model: RUOTModel, x: np.ndarray, t: float | np.ndarray, size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """States (m, d), Jacobians of the drift (m, d, d) and gradients of the growth (m, d), in the user's units, of some cells at a time."""
    s = model.scaling
    x = np.asarray(x)
    times = np.broadcast_to(s.time_in(t).astype(np.float32), len(x))
    for first in range(0, len(x), size):
        part = slice(first, first + size)
        at = torch.tensor(times[part])

        def total(states: Tensor, at: Tensor = at) -> Tensor:
            # cells do not act on each other, so one pass for the sum over the cells gives the derivatives of each
            drift, growth = model.networks.drift_and_growth(states, at)
            return torch.cat([drift.sum(0), growth.sum()[None]])

        found = (
            torch.func.jacrev(total)(torch.from_numpy(s.state_in(x[part]))).transpose(0, 1)
            / s.time_scale
        )
        yield torch.as_tensor(x[part], dtype=torch.float32), found[:, :-1], found[:, -1] / s.scale


def _tangents(decoder: Decoder, z: Tensor, genes: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of decode (m, G, d) at states (m, d), and of encode (m, d, G) there; without m if they are the same everywhere."""
    if isinstance(decoder, LinearDecoder):
        loadings = decoder.loadings[genes]
        return loadings, loadings.T
    directions = torch.eye(z.shape[1])[:, None].expand(-1, *z.shape)
    profile = decoder.decode(z)
    decoding = torch.func.vmap(lambda v: torch.func.jvp(decoder.decode, (z,), (v,))[1])(directions)
    encoding = torch.func.jacrev(lambda profiles: decoder.encode(profiles).sum(0))(profile)
    return decoding[..., genes].permute(1, 2, 0), encoding[..., genes].transpose(0, 1)


def _pulled_back(decoder: Decoder, z: Tensor, gradient: Tensor) -> Tensor:
    """Gradients in all genes (m, G) of what has gradients (m, d) at states (m, d)."""
    if isinstance(decoder, LinearDecoder):
        return gradient @ decoder.loadings.T
    pull = torch.func.vjp(decoder.encode, decoder.decode(z))[1]
    return pull(gradient)[0]


class _Running:
    """Mean, variance and sign of values of which some cells come at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._n = 0
        self._mean, self._squares, self._signs = torch.zeros(3, *shape)

    def add(self, values: Tensor, rows: slice) -> None:
        """Take in values (m, ...) of some rows, which are overwritten; sums merge as by Chan, without cancellation."""
        m = len(values)
        self._signs[rows] += values.sign().sum(0)
        mean = values.mean(0)
        values -= mean
        shift = mean - self._mean[rows]
        self._squares[rows] += values.square_().sum(0) + shift.square() * (
            self._n * m / (self._n + m)
        )
        self._mean[rows] += shift * (m / (self._n + m))

    def count(self, m: int) -> None:
        """All rows of some cells have been taken in."""
        self._n += m

    def result(self) -> Spread:
        stability = (1 + self._mean.sign() * self._signs / self._n) / 2
        return Spread(
            self._mean.numpy(), (self._squares / self._n).sqrt_().numpy(), stability.numpy()
        )
