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
def test_whole_sections_are_aligned(pair, reflected):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(1), reflected=reflected)
    alignment = align_pair(x, fx, pose.apply(y), fy)
    angle, distance = errors(alignment.pose, pose, y)
    # the centres of two samples of 200 spots differ by radius / sqrt(100), half a spacing
    assert angle < 3
    assert distance < spacing(x)
    assert not alignment.partial
    assert alignment.overlap > 0.95
    assert 0.6 < alignment.score <= 1


def test_the_alignment_does_not_depend_on_pose_and_units(pair):
    (x, fx), (y, fy) = pair
    rng = np.random.default_rng(2)
    reference = align_pair(x, fx, y, fy)
    a, b = random_pose(rng), random_pose(rng)
    transformed = align_pair(1000 * a.apply(x), 7 * fx + 3, 1000 * b.apply(y), 7 * fy - 50)
    positions = 1000 * a.apply(reference.pose.apply(y))
    np.testing.assert_allclose(
        transformed.pose.apply(1000 * b.apply(y)), positions, atol=1000 * 1e-6
    )
    assert transformed.score == pytest.approx(reference.score)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_partial_overlap_aligns_a_section_that_lacks_a_third(pair, seed):
    (x, fx), (y, fy) = pair
    rng = np.random.default_rng(seed)
    coordinate = y @ rng.normal(size=2)
    mask = coordinate > np.quantile(coordinate, 0.3)
    pose = random_pose(rng)
    alignment = align_pair(x, fx, pose.apply(y[mask]), fy[mask])
    angle, distance = errors(alignment.pose, pose, y[mask])
    assert alignment.partial
    assert angle < 5
    assert distance < spacing(x)
    # without partial overlap, the error is about a quarter of the width of the cut
    full_overlap = align_pair(x, fx, pose.apply(y[mask]), fy[mask], AlignConfig(partial=False))
    assert errors(full_overlap.pose, pose, y[mask])[1] > 1.5 * distance


def test_without_reflections_a_mirrored_section_is_not_reflected(pair):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(3), reflected=True)
    alignment = align_pair(x, fx, pose.apply(y), fy, AlignConfig(reflections=False))
    assert not alignment.pose.reflected
    assert alignment.score < align_pair(x, fx, pose.apply(y), fy).score


def test_growing_tissue_with_changing_features_is_aligned(pair):
    x, fx = pair[0]
    rng = np.random.default_rng(4)
    y, _ = tissue(300, rng)
    fy = 1.5 * pattern(y) + 0.3 * y[:, :1] + 0.3 * rng.normal(size=(len(y), 4))
    pose = random_pose(rng, reflected=False)
    alignment = align_pair(x, fx, pose.apply(1.15 * y), fy)
    assert errors(alignment.pose, pose, 1.15 * y)[0] < 3


@pytest.mark.slow
def test_slices_with_more_spots_than_metaspots_are_aligned():
    rng = np.random.default_rng(5)
    (x, fx), (y, fy) = tissue(6000, rng), tissue(2500, rng)
    pose = random_pose(rng)
    angle, distance = errors(align_pair(x, fx, pose.apply(y), fy).pose, pose, y)
    assert angle < 1.5
    assert distance < 0.1


def test_refinement_corrects_an_approximate_start(pair):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(6))
    start = pose.inverse.compose(Pose.turn(np.radians(8)))
    alignment = refine_pair(x, fx, pose.apply(y), fy, start)
    assert errors(alignment.pose, pose, y)[0] < 3


def test_without_features_the_outline_is_aligned(pair):
    (x, fx), (y, _) = pair
    alignment = align_pair(x, np.zeros_like(fx), y, np.zeros((len(y), 4)))
    assert errors(alignment.pose, Pose.identity(), y)[1] < 2 * spacing(x)


def test_equal_slices_have_full_overlap_and_score(pair):
    x, fx = pair[0]
    spots = metaspots(x, fx, len(x))
    score = Agreement(spots, spots).evaluate(Pose.identity())
    shifted_score = Agreement(spots, spots).evaluate(Pose(np.eye(2), np.array([100.0, 0.0])))
    assert score.overlap == pytest.approx(1)
    assert 0.9 < score.score <= 1
    assert (shifted_score.score, shifted_score.overlap) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_symmetric_sections_are_not_mirrored(seed):
    rng = np.random.default_rng(100 + seed)
    (x, fx), (y, fy) = symmetric_tissue(120, rng), symmetric_tissue(120, rng)
    pose = random_pose(rng, reflected=False)
    alignment = align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=False))
    assert errors(alignment.pose, pose, y)[0] < 5
    # the mirror image has the same score, up to noise: its pose inverts the motion and mirrors the
    # second axis
    assert alignment.runner_up.pose.reflected
    mirror_image = alignment.runner_up.pose.compose(pose).apply(y)
    assert np.sqrt(((mirror_image - y * [1, -1]) ** 2).sum(axis=1).mean()) < 0.4
    assert abs(alignment.margin) < alignment.min_margin
    assert alignment.margin == pytest.approx(alignment.score - alignment.runner_up.score)


def test_the_runner_up_of_a_section_with_two_axes_is_half_a_turn():
    rng = np.random.default_rng(7)
    (x, fx), (y, fy) = symmetric_tissue(150, rng, axes=2), symmetric_tissue(150, rng, axes=2)
    alignment = align_pair(x, fx, y, fy, AlignConfig(partial=False, reflections=False))
    rotation = abs(alignment.runner_up.pose.compose(alignment.pose.inverse).angle)
    assert rotation == pytest.approx(180, abs=6)
    assert abs(alignment.margin) < alignment.min_margin


@pytest.mark.parametrize("partial", [False, True])
def test_a_mirror_image_with_a_significant_score_is_selected(pair, partial):
    (x, fx), (y, fy) = pair
    pose = random_pose(np.random.default_rng(8), reflected=True)
    alignment = align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=partial))
    assert alignment.pose.reflected
    assert errors(alignment.pose, pose, y)[0] < 3
    assert not alignment.runner_up.pose.reflected
    assert alignment.margin > alignment.min_margin
    assert alignment.margin > 0.1


@pytest.mark.slow
def test_symmetric_sections_are_not_mirrored_by_chance():
    """Sections of a simulator that was not used to choose the margin.

    Without a margin, half of them would be mirrored.
    """
    rng = np.random.default_rng(11)
    for _ in range(40):
        n, noise = int(rng.choice([60, 120])), rng.choice([0.2, 0.8])
        (x, fx), (y, fy) = (
            symmetric_tissue(n, rng, noise=noise),
            symmetric_tissue(n, rng, noise=noise),
        )
        pose = random_pose(rng, reflected=False)
        assert not align_pair(x, fx, pose.apply(y), fy, AlignConfig(partial=False)).pose.reflected


def test_the_standard_error_of_a_margin_is_that_of_new_samples():
    """The jackknife error is the standard deviation over 100 samples, which is known to 7 %."""
    rng = np.random.default_rng(9)
    poses = Pose.identity(), Pose.turn(0, reflected=True)
    results = []
    for _ in range(100):
        slices = [symmetric_tissue(150, rng, noise=0.6) for _ in range(2)]
        results.append(Agreement(*(metaspots(*part, 150) for part in slices)).difference(*poses))
    differences, standard_errors = np.transpose(results)
    assert abs(differences.mean()) < 3 * differences.std() / np.sqrt(len(results))
    # the jackknife is conservative, and treats the errors of both sides as equal
    assert 0.9 < np.sqrt((standard_errors**2).mean()) / differences.std() < 1.8
