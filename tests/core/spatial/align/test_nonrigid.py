"""Smooth deformation of slices."""

from __future__ import annotations

import numpy as np
import pytest
from _tissue import random_pose, tissue

from scdiffot.core.spatial.align.nonrigid import fit_warp


def _deform(p):
    return p + np.column_stack([0.25 * np.sin(1.2 * p[:, 1]), 0.25 * np.sin(1.1 * p[:, 0])])


@pytest.fixture(scope="module")
def deformed_pair():
    rng = np.random.default_rng(0)
    (x, fx), (y, fy) = tissue(600, rng, noise=0.15), tissue(600, rng, noise=0.15)
    return _deform(x), fx, y, fy


def test_a_warp_reduces_the_error_of_a_deformed_section(deformed_pair):
    x, fx, y, fy = deformed_pair
    warp = fit_warp(x, fx, y, fy)
    initial_error = np.linalg.norm(_deform(y) - y, axis=1)
    final_error = np.linalg.norm(_deform(y) - warp.apply(y), axis=1)
    assert np.sqrt((final_error**2).mean()) < 0.65 * np.sqrt((initial_error**2).mean())
    np.testing.assert_allclose(warp.invert(warp.apply(y)), y, atol=1e-6)


@pytest.mark.slow
def test_the_warp_rotates_and_scales_with_the_slices(deformed_pair):
    x, fx, y, fy = deformed_pair
    pose = random_pose(np.random.default_rng(1), reflected=True)
    warp, transformed = (
        fit_warp(x, fx, y, fy),
        fit_warp(100 * pose.apply(x), fx, 100 * pose.apply(y), fy),
    )
    assert transformed.smoothing == warp.smoothing
    np.testing.assert_allclose(
        transformed.apply(100 * pose.apply(y)), 100 * pose.apply(warp.apply(y)), atol=1e-4
    )


def test_rigidly_aligned_sections_have_no_warp():
    rng = np.random.default_rng(2)
    x, fx = tissue(400, rng)
    y, fy = tissue(400, rng)
    assert fit_warp(x, fx, y, fy) is None
