"""Kinds of poses: mirror images, and rotations by different angles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pose import Pose

# Rotations that differ by less, in degrees, are of the same kind.
MAX_ANGLE = 30.0
# Number of kinds per handedness: the best rotation, and an alternative.
N_ROTATIONS = 2
# Smallest difference between the scores of a partial and a full overlap, for a full overlap above
# and below MIN_MATCH. Outlines of whole slices rarely match by chance.
MARGIN, MARGIN_MISMATCH = 0.04, 0.01
MIN_MATCH = 0.95


@dataclass(frozen=True)
class PoseScore:
    """A pose, and the agreement of the slices under it.

    Parameters
    ----------
    pose
        Motion of the moving slice into the frame of the fixed one.
    score
        Agreement of the slices, at most 1.
    overlap
        Share of the spots of both slices that lie on the other slice.
    partial
        Whether the pose is from a partial-overlap coupling.

    See Also
    --------
    best_score : The highest score.
    scdiffot.core.spatial.align.agreement.Agreement : Computes scores.
    """

    pose: Pose
    score: float
    overlap: float
    partial: bool


def same_kind(first: Pose, second: Pose) -> bool:
    """Test whether two poses have the same handedness and similar rotations.

    See Also
    --------
    kinds : The first pose of every kind.
    """
    return (
        first.reflected == second.reflected and abs(first.compose(second.inverse).angle) < MAX_ANGLE
    )


def kinds(ranked: list[Pose]) -> list[Pose]:
    """Return the first pose of every kind, for the first two kinds of either handedness.

    See Also
    --------
    same_kind : Whether two poses are of one kind.
    other_kinds : Poses of another kind.
    """
    leaders: list[Pose] = []
    for pose in ranked:
        if any(same_kind(pose, leader) for leader in leaders):
            continue
        if sum(leader.reflected == pose.reflected for leader in leaders) < N_ROTATIONS:
            leaders.append(pose)
    return leaders


def other_kinds(pose: Pose, scores: list[PoseScore]) -> list[PoseScore]:
    """Return the scores of poses of another kind.

    See Also
    --------
    kinds : The first pose of every kind.
    best_score : The highest score.
    """
    return [score for score in scores if not same_kind(score.pose, pose)]


def best_score(scores: list[PoseScore]) -> PoseScore:
    """Return the highest score; a partial overlap must exceed a full overlap by a margin.

    See Also
    --------
    other_kinds : Poses of another kind.
    """
    full, partial_overlap = (
        max((s for s in scores if s.partial is partial), key=lambda s: s.score, default=None)
        for partial in (False, True)
    )
    if full is None or partial_overlap is None:
        best = partial_overlap if full is None else full
        assert best is not None
        return best
    margin = MARGIN if full.overlap > MIN_MATCH else MARGIN_MISMATCH
    return partial_overlap if partial_overlap.score > full.score + margin else full
