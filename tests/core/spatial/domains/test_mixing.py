"""Mixing of slices in a representation."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.domains.mixing import mixing


@pytest.mark.parametrize("sizes", [(400, 400), (600, 150, 50)])
def test_limits_whatever_the_sizes(sizes):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    states = rng.normal(size=(len(codes), 3))
    # 800 neighbourhoods of 30 that overlap: the share is known to a few per cent
    assert mixing(states, codes) == pytest.approx(1, abs=0.05)
    assert mixing(states + 100 * codes[:, None], codes) == 0


def test_half_of_a_slice_apart():
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 1], 500)
    states = rng.normal(size=(1000, 2))
    # half of either slice has neighbours of its own slice only; the other halves mix
    alone = np.tile([True, False], 500)
    states[alone] += 50 * (1 + codes[alone, None])
    assert mixing(states, codes) == pytest.approx(0.5, abs=0.04)


def test_copies_and_few_spots():
    codes = np.array([0, 0, 1, 1])
    assert mixing(np.zeros((4, 2)), codes) == pytest.approx(1)
    assert mixing(np.array([[0.0], [0.1], [9.0], [9.1]])[:, [0, 0]], codes) == pytest.approx(1)
    # more copies than neighbours
    copies = mixing(np.zeros((200, 2)), np.tile([0, 1], 100))
    assert 0.5 < copies < 1.5
