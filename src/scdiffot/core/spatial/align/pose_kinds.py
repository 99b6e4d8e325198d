"""Poses of different kinds: mirror images, and rotations far from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pose import Pose

# Rotations that differ by less are the same pose up to refinement: degrees.
SAME_ANGLE = 30.0
# Kinds that are followed for each handedness: the best rotation, and one to compare it with.
N_ROTATIONS = 2
# By how much the score of a partial overlap must be higher than that of whole slices on each other: more where the outlines of
# the whole slices match, which is hardly by chance.
MARGIN, MARGIN_MISMATCH = 0.04, 0.01
MATCH = 0.95


@dataclass(frozen=True)
class PoseScore:
    """A pose and how well the slices agree under it.

    Parameters
    ----------
    pose
        Motion of the moving slice into the frame of the fixed one.
    score
        Agreement of the slices, at most 1.
    overlap
        Share of the spots of both slices that lie on the other one.
    partial
        Whether the coupling leaves out what only one of the slices has.
    """

    pose: Pose
    score: float
    overlap: float
    partial: bool


def same_kind(first: Pose, second: Pose) -> bool:
    """Whether two poses have the same handedness and nearly the same rotation."""
    return (
        first.reflected == second.reflected and abs(first.after(second.inverse).angle) < SAME_ANGLE
    )


def kinds(ranked: list[Pose]) -> list[Pose]:
    """The first pose of every kind, the two first kinds of either handedness."""
    leaders: list[Pose] = []
    for pose in ranked:
        if any(same_kind(pose, leader) for leader in leaders):
            continue
        if sum(leader.reflected == pose.reflected for leader in leaders) < N_ROTATIONS:
            leaders.append(pose)
    return leaders


def other_kinds(pose: Pose, scores: list[PoseScore]) -> list[PoseScore]:
    """Poses of another kind than this one."""
    return [score for score in scores if not same_kind(score.pose, pose)]


def best_score(scores: list[PoseScore]) -> PoseScore:
    """The highest score; a partial overlap must be better than whole slices on each other by a margin."""
    best, part = (
        max((s for s in scores if s.partial is partial), key=lambda s: s.score, default=None)
        for partial in (False, True)
    )
    if best is None or part is None:
        chosen = part if best is None else best
        assert chosen is not None
        return chosen
    return (
        part
        if part.score > best.score + (MARGIN if best.overlap > MATCH else MARGIN_MISMATCH)
        else best
    )
