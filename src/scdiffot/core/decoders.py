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


def identity(n_genes: int) -> LinearDecoder:
    """The decoder of states that are expression profiles themselves."""
    return LinearDecoder(torch.eye(n_genes), torch.zeros(n_genes))


def decoded_velocity(decoder: Decoder, z: Tensor, velocity: Tensor) -> Tensor:
    """Velocity of genes (n, G) of states (n, d) that move at a velocity (n, d)."""
    if isinstance(decoder, LinearDecoder):
        return velocity @ decoder.loadings.T
    return torch.func.jvp(decoder.decode, (z,), (velocity,))[1]
