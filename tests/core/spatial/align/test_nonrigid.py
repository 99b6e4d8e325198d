"""Deformation of slices."""

from __future__ import annotations

import numpy as np
import pytest
from _tissue import random_pose, tissue

from scdiffot.core.spatial.align.nonrigid import fit_warp


def _bend(p):
    return p + np.column_stack([0.25 * np.sin(1.2 * p[:, 1]), 0.25 * np.sin(1.1 * p[:, 0])])


@pytest.fixture(scope="module")
def bent():
    rng = np.random.default_rng(0)
    (x, fx), (y, fy) = tissue(600, rng, noise=0.15), tissue(600, rng, noise=0.15)
    return _bend(x), fx, y, fy


def test_a_bent_section_is_straightened(bent):
    x, fx, y, fy = bent
    warp = fit_warp(x, fx, y, fy)
    before = np.linalg.norm(_bend(y) - y, axis=1)
    after = np.linalg.norm(_bend(y) - warp.apply(y), axis=1)
    assert np.sqrt((after**2).mean()) < 0.65 * np.sqrt((before**2).mean())
    np.testing.assert_allclose(warp.invert(warp.apply(y)), y, atol=1e-6)


@pytest.mark.slow
def test_the_deformation_turns_with_the_slices(bent):
    x, fx, y, fy = bent
    pose = random_pose(np.random.default_rng(1), reflected=True)
    here, there = fit_warp(x, fx, y, fy), fit_warp(100 * pose.apply(x), fx, 100 * pose.apply(y), fy)
    assert there.smoothing == here.smoothing
    np.testing.assert_allclose(
        there.apply(100 * pose.apply(y)), 100 * pose.apply(here.apply(y)), atol=1e-4
    )


def test_sections_that_fit_are_left_alone():
    rng = np.random.default_rng(2)
    x, fx = tissue(400, rng)
    y, fy = tissue(400, rng)
    assert fit_warp(x, fx, y, fy) is None
