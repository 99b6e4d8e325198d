"""Rigid alignment of two slices by optimal transport."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .agreement import Agreement
from .alignment_problem import AlignConfig, AlignmentProblem, common_components
from .metaspots import metaspots
from .pose import Pose, principal_frame
from .pose_kinds import PoseScore, best_score, kinds, other_kinds

# Entropic regularisation of couplings, relative to the mean cost, from coarse to fine.
COARSE_EPS = (0.1, 0.05)
FINE_EPS = (0.03, 0.01, 0.005, 0.003)
# Cost of leaving out a unit of mass in partial transport, relative to the mean cost.
MISMATCH_COST = 0.03
# A mirror image, or another kind of pose, is selected only if its score is higher by a margin of
# three standard errors, within limits. The upper limit is MAX_MARGIN, or MAX_MARGIN_ONE_SPOT over
# the square root of the number of spots if that is larger. In 100 pairs of sections of tissues with
# mirror symmetry, of 60 to 300 spots, with noise, batch fields and cuts, standardised differences
# had a root mean square of 1.1.
MIN_STANDARD_ERRORS, MIN_MARGIN, MAX_MARGIN, MAX_MARGIN_ONE_SPOT = 3.0, 0.03, 0.12, 2.0
# Numbers of poses of the search that are refined, of refined poses that are polished by the score,
# and of shifted poses that are polished in the search.
N_CANDIDATES = 3
N_POLISHED = 3
N_SHIFTED = 6


@dataclass(frozen=True)
class Alignment:
    """Rigid alignment of a slice with another slice.

    Parameters
    ----------
    pose
        Motion of the moving slice into the frame of the fixed one.
    score
        Agreement of the slices, at most 1, as
        :class:`~scdiffot.core.spatial.align.agreement.Agreement` measures it.
    overlap
        Share of the spots of both slices that lie on the other slice.
    partial
        Whether the pose is from a partial-overlap coupling.
    runner_up
        Best pose of another kind: a mirror image, or another rotation; None if none was considered.
    min_margin
        Smallest difference of the two scores that is significant.

    See Also
    --------
    align_pair : Compute an alignment.
    scdiffot.core.spatial.align.chains.align_chain : Align many slices.
    """

    pose: Pose
    score: float
    overlap: float
    partial: bool
    runner_up: PoseScore | None = None
    min_margin: float = 0.0

    @property
    def margin(self) -> float:
        """Difference of the scores of the pose and the runner-up, NaN without a runner-up.

        Negative if a mirror image has a higher score that is not significantly higher.
        """
        return math.nan if self.runner_up is None else self.score - self.runner_up.score


def align_pair(
    x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, config: AlignConfig | None = None
) -> Alignment:
    """Align the slice `y` with the slice `x` by a rigid motion.

    Parameters
    ----------
    x
        Positions of the fixed slice, shape ``(n, 2)``.
    fx
        Its features, shape ``(n, d)``.
    y
        Positions of the moving slice, shape ``(m, 2)``, in the same unit.
    fy
        Its features, shape ``(m, d)``.
    config
        Settings.

    Returns
    -------
    The alignment. It does not depend on the poses of the slices or the units of positions and
    features.

    See Also
    --------
    refine_pair : Refine an approximate alignment.
    scdiffot.core.spatial.align.nonrigid.fit_warp : Deform an aligned slice.
    """
    config = config or AlignConfig()
    pair = _Pair(x, fx, y, fy, config)
    return pair.finish(_search(pair.slices, config))


def refine_pair(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    start: Pose,
    config: AlignConfig | None = None,
) -> Alignment:
    """Refine an approximate alignment, `start`; other arguments are those of :func:`align_pair`.

    See Also
    --------
    align_pair : Align without a start.
    scdiffot.core.spatial.align.chains.align_chain : Align many slices.
    """
    config = config or AlignConfig()
    pair = _Pair(x, fx, y, fy, config)
    to_x, to_y = pair.frames
    return pair.finish([to_x.compose(start).compose(to_y.inverse)])


class _Pair:
    """Two slices in their principal frames, so that the result does not depend on their poses."""

    def __init__(
        self, x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, config: AlignConfig
    ) -> None:
        self.config = config
        self.frames = [principal_frame(p, mirror=config.reflections) for p in (x, y)]
        features = common_components(fx, fy)
        self.slices = [
            (frame.apply(p), f) for frame, p, f in zip(self.frames, (x, y), features, strict=True)
        ]

    def finish(self, candidates: list[Pose]) -> Alignment:
        """Refine poses by couplings and the score, and select one."""
        slices, config = self.slices, self.config
        agreement = Agreement(*(metaspots(p, f, config.n_score) for p, f in slices))
        fixed, moving = (metaspots(p, f, config.n_fine) for p, f in slices)
        problem = AlignmentProblem(fixed, moving, config)
        scores = [
            _score_pose(agreement, problem.refine(pose, FINE_EPS, math.inf)) for pose in candidates
        ]
        if config.partial:
            poses = [problem.refine(pose, FINE_EPS, MISMATCH_COST) for pose in candidates]
            poses = _rank(agreement, poses + candidates)
            top = poses[:N_POLISHED]
            top = top + [p for p in kinds(poses) if all(p is not q for q in top)]
            top = [agreement.polish(pose, 0.8 * agreement.width) for pose in top]
            scores += [_score_pose(agreement, pose, partial=True) for pose in top]
        best = self._select(agreement, scores)
        alignment = Alignment(self._to_input(best.pose), best.score, best.overlap, best.partial)
        alternatives = other_kinds(best.pose, scores)
        if not alternatives:
            return alignment
        runner_up = best_score(alternatives)
        return replace(
            alignment,
            runner_up=replace(runner_up, pose=self._to_input(runner_up.pose)),
            min_margin=_min_margin(agreement, best, runner_up),
        )

    def _to_input(self, pose: Pose) -> Pose:
        """Convert a pose between the principal frames to one between the input slices."""
        return self.frames[0].inverse.compose(pose).compose(self.frames[1])

    def _select(self, agreement: Agreement, scores: list[PoseScore]) -> PoseScore:
        """Select the best pose; a mirror image only if its score is significantly higher."""
        groups = [
            [s for s in scores if self._to_input(s.pose).reflected is flag]
            for flag in (False, True)
        ]
        if not all(groups):
            return best_score(scores)
        direct, mirror = (best_score(group) for group in groups)
        significant = mirror.score - direct.score > _min_margin(agreement, mirror, direct)
        return mirror if significant else direct


def _search(slices: list[tuple[np.ndarray, np.ndarray]], config: AlignConfig) -> list[Pose]:
    """Find the best poses at a low resolution, from all angles and several shifts."""
    x, y = (metaspots(p, f, config.n_coarse) for p, f in slices)
    agreement, problem = Agreement(x, y), AlignmentProblem(x, y, config)
    starts = problem.starts()
    poses = [problem.refine(start, COARSE_EPS, math.inf) for start in starts]
    if config.partial:
        steps = problem.radius * np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
        shifts = [np.array([a, b]) for a in steps for b in steps]
        shifted = [
            Pose(start.rotation, start.shift + shift) for start in starts for shift in shifts
        ]
        shifted = _rank(agreement, shifted)[:N_SHIFTED]
        poses += [
            agreement.polish(pose, 0.2 * problem.radius, n_evaluations=60) for pose in shifted
        ]
    distinct: list[Pose] = []
    corners = problem.radius * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    poses = _rank(agreement, poses)
    for pose in poses:
        moved_corners = pose.apply(corners)
        distances = [np.abs(moved_corners - p.apply(corners)).max() for p in distinct]
        if all(distance > agreement.width for distance in distances):
            distinct.append(pose)
    leaders = distinct[:N_CANDIDATES]
    return leaders + [pose for pose in kinds(poses) if all(pose is not p for p in leaders)]


def _rank(agreement: Agreement, poses: list[Pose]) -> list[Pose]:
    return sorted(poses, key=lambda pose: -agreement.evaluate(pose).score)


def _score_pose(agreement: Agreement, pose: Pose, *, partial: bool = False) -> PoseScore:
    result = agreement.evaluate(pose)
    return PoseScore(pose, result.score, result.overlap, partial)


def _min_margin(agreement: Agreement, first: PoseScore, second: PoseScore) -> float:
    """Smallest significant difference of two scores."""
    error = agreement.difference(first.pose, second.pose)[1]
    n_spots = min(map(len, agreement.slices))
    upper = max(MAX_MARGIN, MAX_MARGIN_ONE_SPOT / math.sqrt(n_spots))
    return min(max(MIN_STANDARD_ERRORS * error, MIN_MARGIN), upper)
