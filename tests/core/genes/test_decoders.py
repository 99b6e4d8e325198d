"""Decoders: pairs of maps, and velocities through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scdiffot.core.genes.decoders import (
    CallableDecoder,
    Decoder,
    LinearDecoder,
    decoded_velocity,
    identity,
)


@pytest.fixture
def linear():
    rng = np.random.default_rng(0)
    loadings = np.linalg.qr(rng.normal(size=(7, 3)))[0]
    return LinearDecoder(torch.tensor(loadings), torch.tensor(rng.normal(size=7)))


def _curved_decoder(linear: LinearDecoder) -> CallableDecoder:
    return CallableDecoder(
        lambda x: linear.encode(torch.asinh(x)), lambda z: torch.sinh(linear.decode(z))
    )


def test_encoding_inverts_decoding_for_a_linear_decoder(linear):
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(linear.encode(linear.decode(z)), z)
    # profiles are projected: the residual outside of the components does not change the state
    x = torch.randn(20, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(linear.encode(linear.decode(linear.encode(x))), linear.encode(x))


def test_identity_changes_nothing():
    x = torch.randn(5, 4)
    assert torch.equal(identity(4).decode(identity(4).encode(x)), x)


@pytest.mark.parametrize("curved", [False, True])
def test_velocities_are_derivatives_of_decoded_states(linear, curved):
    decoder = _curved_decoder(linear) if curved else linear
    generator = torch.Generator().manual_seed(0)
    z, v = (torch.randn(20, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    step = 1e-5
    slope = (decoder.decode(z + step * v) - decoder.decode(z - step * v)) / (2 * step)
    # the error of central differences is of order step^2
    torch.testing.assert_close(decoded_velocity(decoder, z, v), slope, rtol=1e-7, atol=1e-7)


def test_only_decoders_satisfy_the_protocol(linear):
    assert isinstance(linear, Decoder)
    assert isinstance(_curved_decoder(linear), Decoder)
    assert not isinstance(object(), Decoder)
