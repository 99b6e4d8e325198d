"""Maps between genes and latent states, through which fields are expressed in genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


@runtime_checkable
class Decoder(Protocol):
    """An encoder and a decoder that torch can differentiate.

    Any object with these two methods is a decoder, for example a wrapper of a scvi-tools model.

    See Also
    --------
    LinearDecoder : Principal components.
    CallableDecoder : A decoder from two functions.
    scdiffot.core.genes.autoencoder.Autoencoder : A trained decoder.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Encode expression profiles, shape ``(n, G)``, as states, shape ``(n, d)``."""

    def decode(self, z: Tensor) -> Tensor:
        """Decode states, shape ``(n, d)``, to expression profiles, shape ``(n, G)``."""


@dataclass(frozen=True)
class LinearDecoder:
    """Projection of centred profiles on orthonormal components.

    Parameters
    ----------
    loadings
        Components as orthonormal columns, shape ``(G, d)``.
    mean
        Mean profile, shape ``(G,)``.

    See Also
    --------
    CallableDecoder : A decoder from two functions.
    identity : The decoder of expression profiles.
    """

    loadings: Tensor
    mean: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """Encode expression profiles, shape ``(n, G)``, as states, shape ``(n, d)``."""
        return (x - self.mean) @ self.loadings

    def decode(self, z: Tensor) -> Tensor:
        """Decode states, shape ``(n, d)``, to expression profiles, shape ``(n, G)``."""
        return z @ self.loadings.T + self.mean


@dataclass(frozen=True)
class CallableDecoder:
    """A decoder from two functions of tensors.

    Parameters
    ----------
    encoder, decoder
        The functions.

    See Also
    --------
    LinearDecoder : Principal components.
    decoded_velocity : Velocities of genes.
    """

    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]

    def encode(self, x: Tensor) -> Tensor:
        """Encode expression profiles, shape ``(n, G)``, as states, shape ``(n, d)``."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Decode states, shape ``(n, d)``, to expression profiles, shape ``(n, G)``."""
        return self.decoder(z)


@dataclass(frozen=True)
class LeadingDecoder:
    """The decoder of the first columns of a state.

    Parameters
    ----------
    decoder
        Decoder of the first columns.
    n_extra
        Number of columns without genes, for example positions in a tissue.

    See Also
    --------
    leading : Extend any decoder.
    LinearDecoder : Principal components.
    """

    decoder: Decoder
    n_extra: int

    def encode(self, x: Tensor) -> Tensor:
        """Encode expression profiles, shape ``(n, G)``; the last `n_extra` columns are zero."""
        z = self.decoder.encode(x)
        return torch.cat([z, torch.zeros_like(z[..., :1]).expand(*z.shape[:-1], self.n_extra)], -1)

    def decode(self, z: Tensor) -> Tensor:
        """Decode states, shape ``(n, d)``, to expression profiles, shape ``(n, G)``."""
        return self.decoder.decode(z[..., : -self.n_extra])


def leading(decoder: Decoder, n_extra: int) -> Decoder:
    """Extend a decoder to states with `n_extra` more columns; linear decoders stay linear.

    See Also
    --------
    LeadingDecoder : The extended decoder.
    identity : The decoder of expression profiles.
    """
    if isinstance(decoder, LinearDecoder):
        return LinearDecoder(torch.nn.functional.pad(decoder.loadings, (0, n_extra)), decoder.mean)
    return LeadingDecoder(decoder, n_extra)


def identity(n_genes: int) -> LinearDecoder:
    """Return the decoder of states that are expression profiles themselves.

    See Also
    --------
    LinearDecoder : Principal components.
    leading : Extend a decoder to more columns.
    """
    return LinearDecoder(torch.eye(n_genes), torch.zeros(n_genes))


def decoded_velocity(decoder: Decoder, z: Tensor, velocity: Tensor) -> Tensor:
    """Velocity of genes, shape ``(n, G)``, from states and their velocities, shape ``(n, d)``.

    See Also
    --------
    Decoder : The interface of decoders.
    scdiffot.core.genes.regulation.regulation : Derivatives of the velocity of genes.
    """
    if isinstance(decoder, LinearDecoder):
        return velocity @ decoder.loadings.T
    return torch.func.jvp(decoder.decode, (z,), (velocity,))[1]
