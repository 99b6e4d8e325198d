"""Rigid motions, and slices at a lower resolution."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.align.metaspots import metaspots, spacing
from scdiffot.core.spatial.align.pose import Pose, principal_frame, procrustes


def _pose(angle, reflected, shift):
    return Pose(Pose.turn(angle, reflected=reflected).rotation, np.asarray(shift))


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.gamma(2.0, 2.0, 300), rng.gamma(1.0, 0.7, 300)])


@pytest.mark.parametrize("reflected", [False, True])
def test_procrustes_finds_the_motion(points, reflected):
    pose = _pose(2.2, reflected, [30.0, -4.0])
    found = procrustes(pose.apply(points), points)
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-12)
    np.testing.assert_allclose(found.shift, pose.shift, atol=1e-10)
    assert found.reflected == reflected
    assert found.angle == pytest.approx(np.degrees(2.2))


def test_procrustes_without_the_reflection_it_would_need(points):
    assert not procrustes(_pose(0.3, True, [0, 0]).apply(points), points, reflected=False).reflected


def test_weights_count(points):
    pose = _pose(1.0, False, [3.0, 2.0])
    moved = pose.apply(points)
    moved[:50] += 100.0
    weights = np.r_[np.zeros(50), np.ones(250)]
    np.testing.assert_allclose(
        procrustes(moved, points, weights).rotation, pose.rotation, atol=1e-12
    )


def test_inverse_and_composition(points):
    one, two = _pose(0.7, True, [1.0, 2.0]), _pose(-2.0, False, [5.0, -1.0])
    np.testing.assert_allclose(one.inverse.apply(one.apply(points)), points, atol=1e-12)
    np.testing.assert_allclose(one.invert(one.apply(points)), points, atol=1e-12)
    np.testing.assert_allclose(
        two.after(one).apply(points), two.apply(one.apply(points)), atol=1e-12
    )


def test_points_and_their_mirror_image_have_one_principal_frame(points):
    pose = _pose(2.0, True, [7.0, 7.0])
    here, there = (principal_frame(p, mirror=True).apply(p) for p in (points, pose.apply(points)))
    np.testing.assert_allclose(here, there, atol=1e-9)
    assert not principal_frame(pose.apply(points)).reflected


def test_metaspots_keep_the_mass_and_turn_with_the_slice(points):
    features = np.column_stack([points[:, 0] ** 2, np.sin(points)])
    spots = metaspots(points, features, 40)
    assert 20 <= len(spots) <= 40
    assert spots.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(spots.weights @ spots.positions, points.mean(axis=0))
    np.testing.assert_allclose(spots.weights @ spots.features, features.mean(axis=0))
    pose = _pose(1.3, True, [100.0, -20.0])
    moved = metaspots(pose.apply(points), features, 40)
    order, moved_order = np.lexsort(spots.features.T), np.lexsort(moved.features.T)
    np.testing.assert_allclose(
        moved.positions[moved_order], pose.apply(spots.positions)[order], atol=1e-9
    )


def test_small_slices_stay_as_they_are(points):
    spots = metaspots(points, points, 300)
    assert spots.positions is points


def test_thin_slices_have_metaspots():
    line = np.column_stack([np.arange(1000.0), np.zeros(1000)])
    assert 50 < len(metaspots(line, line, 100)) <= 100


def test_spacing_of_a_grid_with_doubles():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 55
    assert spacing(np.vstack([grid, grid[:5]])) == pytest.approx(55, rel=0.05)


def test_spacing_of_cells_that_lie_at_random():
    cells = np.random.default_rng(0).uniform(size=(4000, 2))
    assert spacing(cells) == pytest.approx(4000**-0.5, rel=0.1)
