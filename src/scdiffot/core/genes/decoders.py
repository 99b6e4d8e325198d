"""Between genes and latent states: what the fields say about genes goes through these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


@runtime_checkable
class Decoder(Protocol):
    """A pair of maps that torch can differentiate.

    Any object with these two methods is a decoder: a wrapper of a model of scvi-tools, say.
    """

    def encode(self, x: Tensor) -> Tensor:
        """States (n, d) of expression profiles (n, G)."""

    def decode(self, z: Tensor) -> Tensor:
        """Expression profiles (n, G) of states (n, d)."""


@dataclass(frozen=True)
class LinearDecoder:
    """Projection on components ``loadings`` (G, d), orthonormal columns, of what deviates from ``mean`` (G,)."""

    loadings: Tensor
    mean: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """States (n, d) of expression profiles (n, G)."""
        return (x - self.mean) @ self.loadings

    def decode(self, z: Tensor) -> Tensor:
        """Expression profiles (n, G) of states (n, d)."""
        return z @ self.loadings.T + self.mean


@dataclass(frozen=True)
class CallableDecoder:
    """A pair of functions of tensors."""

    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]

    def encode(self, x: Tensor) -> Tensor:
        """States (n, d) of expression profiles (n, G)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Expression profiles (n, G) of states (n, d)."""
        return self.decoder(z)


@dataclass(frozen=True)
class LeadingDecoder:
    """The decoder of the first columns of a state; the ``n_rest`` others, positions in a tissue say, have no genes behind them."""

    decoder: Decoder
    n_rest: int

    def encode(self, x: Tensor) -> Tensor:
        """States (n, d) of expression profiles (n, G), zero in the rest."""
        z = self.decoder.encode(x)
        return torch.cat([z, torch.zeros_like(z[..., :1]).expand(*z.shape[:-1], self.n_rest)], -1)

    def decode(self, z: Tensor) -> Tensor:
        """Expression profiles (n, G) of states (n, d)."""
        return self.decoder.decode(z[..., : -self.n_rest])


def leading(decoder: Decoder, n_rest: int) -> Decoder:
    """The same decoder for states that have ``n_rest`` more columns; a linear one stays linear."""
    if isinstance(decoder, LinearDecoder):
        return LinearDecoder(torch.nn.functional.pad(decoder.loadings, (0, n_rest)), decoder.mean)
    return LeadingDecoder(decoder, n_rest)


def identity(n_genes: int) -> LinearDecoder:
    """The decoder of states that are expression profiles themselves."""
    return LinearDecoder(torch.eye(n_genes), torch.zeros(n_genes))


def decoded_velocity(decoder: Decoder, z: Tensor, velocity: Tensor) -> Tensor:
    """Velocity of genes (n, G) of states (n, d) that move at a velocity (n, d)."""
    if isinstance(decoder, LinearDecoder):
        return velocity @ decoder.loadings.T
    return torch.func.jvp(decoder.decode, (z,), (velocity,))[1]
