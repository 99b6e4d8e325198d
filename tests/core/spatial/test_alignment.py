"""Rigid alignment of two slices."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.agreement import Agreement
from scdiffot.core.spatial.alignment import AlignConfig, align_pair, refine_pair
from scdiffot.core.spatial.metaspots import metaspots, spacing
from scdiffot.core.spatial.pose import Pose

from .tissue import errors, pattern, random_pose, tissue


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return tissue(200, rng), tissue(200, rng)


@pytest.mark.parametrize("reflected", [False, True])
def test_whole_sections(pair, reflected):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(1), reflected=reflected)
    found = align_pair(x, fx, pose.apply(y), fy)
    angle, distance = errors(found.pose, pose, y)
    # two samples of 200 spots place their centres within radius / sqrt(100), half a spacing
    assert angle < 3
    assert distance < spacing(x)
    assert not found.partial
    assert found.overlap > 0.95
    assert 0.6 < found.score <= 1


def test_the_answer_depends_on_neither_pose_nor_units(pair):
    (x, fx), (y, fy) = pair
    rng = np.random.default_rng(2)
    here = align_pair(x, fx, y, fy)
    a, b = random_pose(rng), random_pose(rng)
    there = align_pair(1000 * a.apply(x), 7 * fx + 3, 1000 * b.apply(y), 7 * fy - 50)
    expected = 1000 * a.apply(here.pose.apply(y))
    np.testing.assert_allclose(there.pose.apply(1000 * b.apply(y)), expected, atol=1000 * 1e-6)
    assert there.score == pytest.approx(here.score)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_third_of_a_section_is_missing(pair, seed):
    (x, fx), (y, fy) = pair
    rng = np.random.default_rng(seed)
    side = y @ rng.normal(size=2)
    keep = side > np.quantile(side, 0.3)
    pose = random_pose(rng)
    found = align_pair(x, fx, pose.apply(y[keep]), fy[keep])
    angle, distance = errors(found.pose, pose, y[keep])
    assert found.partial
    assert angle < 5
    assert distance < spacing(x)
    # whole sections on each other are off by about a quarter of the cut
    whole = align_pair(x, fx, pose.apply(y[keep]), fy[keep], AlignConfig(partial=False))
    assert errors(whole.pose, pose, y[keep])[1] > 1.5 * distance


def test_a_section_upside_down_stays_so_without_reflections(pair):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(3), reflected=True)
    found = align_pair(x, fx, pose.apply(y), fy, AlignConfig(reflections=False))
    assert not found.pose.reflected
    assert found.score < align_pair(x, fx, pose.apply(y), fy).score


def test_growing_tissue_with_changing_features(pair):
    x, fx = pair[0]
    rng = np.random.default_rng(4)
    y, _ = tissue(300, rng)
    fy = 1.5 * pattern(y) + 0.3 * y[:, :1] + 0.3 * rng.normal(size=(len(y), 4))
    pose = random_pose(rng, reflected=False)
    found = align_pair(x, fx, pose.apply(1.15 * y), fy)
    assert errors(found.pose, pose, 1.15 * y)[0] < 3


@pytest.mark.slow
def test_more_spots_than_are_coupled():
    rng = np.random.default_rng(5)
    (x, fx), (y, fy) = tissue(6000, rng), tissue(2500, rng)
    pose = random_pose(rng)
    angle, distance = errors(align_pair(x, fx, pose.apply(y), fy).pose, pose, y)
    assert angle < 1.5
    assert distance < 0.1


def test_refinement_stays_near_the_start(pair):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(6))
    start = pose.inverse.after(Pose.turn(np.radians(8)))
    found = refine_pair(x, fx, pose.apply(y), fy, start)
    assert errors(found.pose, pose, y)[0] < 3


def test_features_without_pattern_leave_the_outline(pair):
    (x, fx), (y, _) = pair
    found = align_pair(x, np.zeros_like(fx), y, np.zeros((len(y), 4)))
    assert errors(found.pose, Pose.identity(), y)[1] < 2 * spacing(x)


def test_equal_slices_agree_fully(pair):
    x, fx = pair[0]
    spots = metaspots(x, fx, len(x))
    agreed = Agreement(spots, spots).of(Pose.identity())
    shifted = Agreement(spots, spots).of(Pose(np.eye(2), np.array([100.0, 0.0])))
    assert agreed.overlap == pytest.approx(1)
    assert 0.9 < agreed.score <= 1
    assert (shifted.score, shifted.overlap) == (0.0, 0.0)
