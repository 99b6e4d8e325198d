"""Mixing of slices in a representation."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.domains.mixing import mixing


@pytest.mark.parametrize("sizes", [(400, 400), (600, 150, 50)])
def test_limits_do_not_depend_on_the_sizes_of_slices(sizes):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    states = rng.normal(size=(len(codes), 3))
    # 800 overlapping neighbourhoods of 30 spots determine the share to a few per cent
    assert mixing(states, codes) == pytest.approx(1, abs=0.05)
    assert mixing(states + 100 * codes[:, None], codes) == 0


def test_mixing_is_one_half_if_half_of_each_slice_is_separate():
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 1], 500)
    states = rng.normal(size=(1000, 2))
    # half of each slice is separate, and the remaining halves mix
    is_separate = np.tile([True, False], 500)
    states[is_separate] += 50 * (1 + codes[is_separate, None])
    assert mixing(states, codes) == pytest.approx(0.5, abs=0.04)


def test_duplicates_and_few_spots_have_finite_mixing():
    codes = np.array([0, 0, 1, 1])
    assert mixing(np.zeros((4, 2)), codes) == pytest.approx(1)
    assert mixing(np.array([[0.0], [0.1], [9.0], [9.1]])[:, [0, 0]], codes) == pytest.approx(1)
    # more duplicates than neighbours
    copies = mixing(np.zeros((200, 2)), np.tile([0, 1], 100))
    assert 0.5 < copies < 1.5
