"""Rigid alignment of two slices."""

from __future__ import annotations

import numpy as np
import pytest
from _tissue import errors, pattern, random_pose, symmetric_tissue, tissue

from scdiffot.core.spatial.align.agreement import Agreement
from scdiffot.core.spatial.align.alignment import AlignConfig, align_pair, refine_pair
from scdiffot.core.spatial.align.metaspots import metaspots, spacing
from scdiffot.core.spatial.align.pose import Pose


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


@pytest.mark.parametrize("seed", range(4))
def test_symmetric_sections_are_not_mirrored(seed):
    rng = np.random.default_rng(100 + seed)
    (x, fx), (y, fy) = symmetric_tissue(120, rng), symmetric_tissue(120, rng)
    pose = random_pose(rng, reflected=False)
    found = align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=False))
    assert errors(found.pose, pose, y)[0] < 5
    # the mirror image is as good, up to noise: its pose undoes the motion and mirrors the second axis
    assert found.runner_up.pose.reflected
    mirrored = found.runner_up.pose.after(pose).apply(y)
    assert np.sqrt(((mirrored - y * [1, -1]) ** 2).sum(axis=1).mean()) < 0.4
    assert abs(found.margin) < found.min_margin
    assert found.margin == pytest.approx(found.score - found.runner_up.score)


def test_half_a_turn_of_a_section_that_allows_it_comes_second():
    rng = np.random.default_rng(7)
    (x, fx), (y, fy) = symmetric_tissue(150, rng, axes=2), symmetric_tissue(150, rng, axes=2)
    found = align_pair(x, fx, y, fy, AlignConfig(partial=False, reflections=False))
    turn = abs(found.runner_up.pose.after(found.pose.inverse).angle)
    assert turn == pytest.approx(180, abs=6)
    assert abs(found.margin) < found.min_margin


@pytest.mark.parametrize("partial", [False, True])
def test_a_mirror_image_with_evidence(pair, partial):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(8), reflected=True)
    found = align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=partial))
    assert found.pose.reflected
    assert errors(found.pose, pose, y)[0] < 3
    assert not found.runner_up.pose.reflected
    assert found.margin > found.min_margin
    assert found.margin > 0.1


@pytest.mark.slow
def test_chance_mirrors_no_symmetric_section():
    """Another simulator than the one on which the margin was chosen; the higher score would mirror every other section."""
    rng = np.random.default_rng(11)
    for _ in range(40):
        n, noise = int(rng.choice([60, 120])), rng.choice([0.2, 0.8])
        (x, fx), (y, fy) = (
            symmetric_tissue(n, rng, noise=noise),
            symmetric_tissue(n, rng, noise=noise),
        )
        pose = random_pose(rng, reflected=False)
        assert not align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=False)).pose.reflected


def test_the_standard_error_of_a_margin_is_that_of_new_draws():
    """Spread of the difference over draws, and its jackknife from each: 100 draws know the spread to 7 %."""
    rng = np.random.default_rng(9)
    poses = Pose.identity(), Pose.turn(0, reflected=True)
    drawn = []
    for _ in range(100):
        slices = [symmetric_tissue(150, rng, noise=0.6) for _ in range(2)]
        drawn.append(Agreement(*(metaspots(*part, 150) for part in slices)).difference(*poses))
    differences, standard_errors = np.transpose(drawn)
    assert abs(differences.mean()) < 3 * differences.std() / np.sqrt(len(drawn))
    # a jackknife is conservative, and both sides count as if they were one
    assert 0.9 < np.sqrt((standard_errors**2).mean()) / differences.std() < 1.8
