"""Rigid motions and metaspots."""

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
def test_procrustes_recovers_the_motion(points, reflected):
    pose = _pose(2.2, reflected, [30.0, -4.0])
    result = procrustes(pose.apply(points), points)
    np.testing.assert_allclose(result.rotation, pose.rotation, atol=1e-12)
    np.testing.assert_allclose(result.shift, pose.shift, atol=1e-10)
    assert result.reflected == reflected
    assert result.angle == pytest.approx(np.degrees(2.2))


def test_procrustes_can_exclude_reflections(points):
    assert not procrustes(_pose(0.3, True, [0, 0]).apply(points), points, reflected=False).reflected


def test_procrustes_ignores_points_without_weight(points):
    pose = _pose(1.0, False, [3.0, 2.0])
    target = pose.apply(points)
    target[:50] += 100.0
    weights = np.r_[np.zeros(50), np.ones(250)]
    np.testing.assert_allclose(
        procrustes(target, points, weights).rotation, pose.rotation, atol=1e-12
    )


def test_motions_are_inverted_and_composed(points):
    first, second = _pose(0.7, True, [1.0, 2.0]), _pose(-2.0, False, [5.0, -1.0])
    np.testing.assert_allclose(first.inverse.apply(first.apply(points)), points, atol=1e-12)
    np.testing.assert_allclose(first.invert(first.apply(points)), points, atol=1e-12)
    np.testing.assert_allclose(
        second.compose(first).apply(points), second.apply(first.apply(points)), atol=1e-12
    )


def test_points_and_their_mirror_image_have_the_same_principal_coordinates(points):
    pose = _pose(2.0, True, [7.0, 7.0])
    coordinates, mirror_coordinates = (
        principal_frame(p, mirror=True).apply(p) for p in (points, pose.apply(points))
    )
    np.testing.assert_allclose(coordinates, mirror_coordinates, atol=1e-9)
    assert not principal_frame(pose.apply(points)).reflected


def test_metaspots_preserve_mass_and_rotate_with_the_slice(points):
    features = np.column_stack([points[:, 0] ** 2, np.sin(points)])
    spots = metaspots(points, features, 40)
    assert 20 <= len(spots) <= 40
    assert spots.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(spots.weights @ spots.positions, points.mean(axis=0))
    np.testing.assert_allclose(spots.weights @ spots.features, features.mean(axis=0))
    pose = _pose(1.3, True, [100.0, -20.0])
    transformed = metaspots(pose.apply(points), features, 40)
    order, transformed_order = np.lexsort(spots.features.T), np.lexsort(transformed.features.T)
    np.testing.assert_allclose(
        transformed.positions[transformed_order], pose.apply(spots.positions)[order], atol=1e-9
    )


def test_small_slices_are_unchanged(points):
    spots = metaspots(points, points, 300)
    assert spots.positions is points


def test_thin_slices_have_metaspots():
    line = np.column_stack([np.arange(1000.0), np.zeros(1000)])
    assert 50 < len(metaspots(line, line, 100)) <= 100


def test_spacing_of_a_grid_with_duplicates():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 55
    assert spacing(np.vstack([grid, grid[:5]])) == pytest.approx(55, rel=0.05)


def test_spacing_of_random_positions():
    cells = np.random.default_rng(0).uniform(size=(4000, 2))
    assert spacing(cells) == pytest.approx(4000**-0.5, rel=0.1)
