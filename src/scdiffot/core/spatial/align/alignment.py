"""Rigid alignment of two slices by optimal transport."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np

from .agreement import Agreement
from .metaspots import Spots, metaspots
from .pose import Pose, from_moments, principal_frame
from .pose_kinds import PoseScore, best_score, kinds, other_kinds

# Temperatures of the coupling, in shares of the mean cost: from a few broad parts of the tissue to single spots.
COARSE_EPS = (0.1, 0.05)
FINE_EPS = (0.03, 0.01, 0.005, 0.003)
# Price of leaving out a unit of mass where slices overlap partly, in shares of the mean cost.
MISMATCH_COST = 0.03
# By how much the score of a pose must exceed that of another kind of pose, a mirror image above all, to be no chance: three
# standard errors, within limits, of which the upper one is wider for few spots. In 100 pairs of sections of tissues with mirror
# symmetry, of 60 to 300 spots, with noise, batch fields and cuts, standardised differences had a root mean square of 1.1.
MIN_STANDARD_ERRORS, MIN_MARGIN, MAX_MARGIN, MAX_MARGIN_ONE_SPOT = 3.0, 0.03, 0.12, 2.0
N_INNER = 20
N_OUTER = 2
# Poses of the search that are refined, and of these the ones that climb the score.
N_KEPT = 3
N_POLISHED = 3
N_SHIFTED = 6
# Components of the features that are compared.
N_FEATURES = 15


@dataclass(frozen=True)
class AlignConfig:
    """Settings of an alignment.

    Parameters
    ----------
    reflections
        Whether a slice may be turned over, where its score as a mirror image leaves no doubt.
    partial
        Whether to try couplings that leave out what only one of the slices has.
    feature_weight
        Share of the features in the cost of a coupling; the rest is distance in the tissue.
    n_starts
        Number of angles to start from, spread over the circle.
    n_coarse
        Number of metaspots of a slice in the search.
    n_fine
        Number of metaspots of a slice in the refinement.
    n_score
        Number of metaspots of a slice in the score.
    """

    reflections: bool = True
    partial: bool = True
    feature_weight: float = 0.2
    n_starts: int = 12
    n_coarse: int = 120
    n_fine: int = 800
    n_score: int = 2000


@dataclass(frozen=True)
class Alignment:
    """A slice placed on another.

    Parameters
    ----------
    pose
        Motion of the moving slice into the frame of the fixed one.
    score
        Agreement of the slices, at most 1, as :class:`~scdiffot.core.spatial.align.agreement.Agreement` measures it.
    overlap
        Share of the spots of both slices that lie on the other one.
    partial
        Whether the coupling that was chosen leaves out what only one of the slices has.
    runner_up
        Best pose of another kind: a mirror image, or another rotation; None if none was considered.
    min_margin
        Margin between the scores of both that chance alone could give.
    """

    pose: Pose
    score: float
    overlap: float
    partial: bool
    runner_up: PoseScore | None = None
    min_margin: float = 0.0

    @property
    def margin(self) -> float:
        """Score less that of the runner-up, NaN without one; negative where a better mirror image lacks evidence."""
        return math.nan if self.runner_up is None else self.score - self.runner_up.score


def align_pair(
    x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, config: AlignConfig | None = None
) -> Alignment:
    """Find the rigid motion of the slice `y` onto the slice `x`.

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
    The alignment. It depends neither on the poses that the slices come in nor on the units of positions and features.
    """
    config = config or AlignConfig()
    pair = _Pair(x, fx, y, fy, config)
    return pair.finish(_search(pair.placed, config))


def refine_pair(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    start: Pose,
    config: AlignConfig | None = None,
) -> Alignment:
    """Improve a motion of the slice `y` onto the slice `x` that is about right; arguments as of :func:`align_pair`."""
    config = config or AlignConfig()
    pair = _Pair(x, fx, y, fy, config)
    to_x, to_y = pair.frames
    return pair.finish([to_x.after(start).after(to_y.inverse)])


class _Pair:
    """Two slices in frames of their own, which makes the answer blind to the poses that they come in."""

    def __init__(
        self, x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, config: AlignConfig
    ) -> None:
        self.config = config
        self.frames = [principal_frame(p, mirror=config.reflections) for p in (x, y)]
        features = leading(fx, fy)
        self.placed = [
            (frame.apply(p), f) for frame, p, f in zip(self.frames, (x, y), features, strict=True)
        ]

    def finish(self, candidates: list[Pose]) -> Alignment:
        """Refine poses by couplings and the score, and choose."""
        placed, config = self.placed, self.config
        agreement = Agreement(*(metaspots(p, f, config.n_score) for p, f in placed))
        fixed, moving = (metaspots(p, f, config.n_fine) for p, f in placed)
        fine = AlignmentProblem(fixed, moving, config)
        scores = [_scored(agreement, fine.refine(pose, FINE_EPS, math.inf)) for pose in candidates]
        if config.partial:
            parts = _ranked(
                agreement,
                [fine.refine(pose, FINE_EPS, MISMATCH_COST) for pose in candidates] + candidates,
            )
            polished = parts[:N_POLISHED] + [
                p for p in kinds(parts) if all(p is not q for q in parts[:N_POLISHED])
            ]
            polished = [agreement.polish(pose, 0.8 * agreement.width) for pose in polished]
            scores += [_scored(agreement, pose, partial=True) for pose in polished]
        best = self._choose(agreement, scores)
        chosen = Alignment(self._measured(best.pose), best.score, best.overlap, best.partial)
        others = other_kinds(best.pose, scores)
        if not others:
            return chosen
        runner_up = best_score(others)
        return replace(
            chosen,
            runner_up=replace(runner_up, pose=self._measured(runner_up.pose)),
            min_margin=_min_margin(agreement, best, runner_up),
        )

    def _measured(self, pose: Pose) -> Pose:
        """A pose between both frames as one between both slices as measured."""
        return self.frames[0].inverse.after(pose).after(self.frames[1])

    def _choose(self, agreement: Agreement, scores: list[PoseScore]) -> PoseScore:
        """The best pose; a mirror image only if its score exceeds the other by more than chance could give."""
        sides = [
            [s for s in scores if self._measured(s.pose).reflected is mirrored]
            for mirrored in (False, True)
        ]
        if not all(sides):
            return best_score(scores)
        plain, mirrored = (best_score(side) for side in sides)
        evident = mirrored.score - plain.score > _min_margin(agreement, mirrored, plain)
        return mirrored if evident else plain


def leading(fx: np.ndarray, fy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leading common components of features around the mean of each slice.

    Batches shift whole slices, and a common pattern is what tells where a spot belongs.
    """
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    if fx.shape[1] <= N_FEATURES:
        return fx, fy
    _, axes = np.linalg.eigh(fx.T @ fx / len(fx) + fy.T @ fy / len(fy))
    return fx @ axes[:, -N_FEATURES:], fy @ axes[:, -N_FEATURES:]


def _search(placed: list[tuple[np.ndarray, np.ndarray]], config: AlignConfig) -> list[Pose]:
    """Poses that agree best at a low resolution, from all angles and several shifts."""
    x, y = (metaspots(p, f, config.n_coarse) for p, f in placed)
    agreement, problem = Agreement(x, y), AlignmentProblem(x, y, config)
    starts = problem.starts()
    found = [problem.refine(start, COARSE_EPS, math.inf) for start in starts]
    if config.partial:
        steps = problem.radius * np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
        shifts = [np.array([a, b]) for a in steps for b in steps]
        shifted = [
            Pose(start.rotation, start.shift + shift) for start in starts for shift in shifts
        ]
        shifted = _ranked(agreement, shifted)[:N_SHIFTED]
        found += [
            agreement.polish(pose, 0.2 * problem.radius, n_evaluations=60) for pose in shifted
        ]
    kept: list[Pose] = []
    corners = problem.radius * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    ranked = _ranked(agreement, found)
    for pose in ranked:
        moved = pose.apply(corners)
        if all(np.abs(moved - other.apply(corners)).max() > agreement.width for other in kept):
            kept.append(pose)
    leaders = kept[:N_KEPT]
    return leaders + [pose for pose in kinds(ranked) if all(pose is not other for other in leaders)]


def _ranked(agreement: Agreement, poses: list[Pose]) -> list[Pose]:
    return sorted(poses, key=lambda pose: -agreement.of(pose).score)


def _scored(agreement: Agreement, pose: Pose, *, partial: bool = False) -> PoseScore:
    agreed = agreement.of(pose)
    return PoseScore(pose, agreed.score, agreed.overlap, partial)


def _min_margin(agreement: Agreement, first: PoseScore, second: PoseScore) -> float:
    """Difference of two scores that chance alone could give."""
    error = agreement.difference(first.pose, second.pose)[1]
    most = max(MAX_MARGIN, MAX_MARGIN_ONE_SPOT / math.sqrt(min(map(len, agreement.slices))))
    return min(max(MIN_STANDARD_ERRORS * error, MIN_MARGIN), most)


class AlignmentProblem:
    """Two slices at one resolution, and couplings between them."""

    def __init__(self, x: Spots, y: Spots, config: AlignConfig) -> None:
        from scipy.spatial.distance import cdist

        self.x, self.y, self.config = x, y, config
        self.centre, self.centre_y = x.weights @ x.positions, y.weights @ y.positions
        spread = [w @ ((p - c) ** 2).sum(axis=1) for p, c, w in self._clouds()]
        self.scale = float(sum(spread))
        self.radius = math.sqrt(self.scale / 2)
        cost = cdist(x.features, y.features, "sqeuclidean")
        mean = float(x.weights @ cost @ y.weights)
        self.features = cost / mean if mean > 0 else np.zeros_like(cost)

    def _clouds(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return [
            (self.x.positions, self.centre, self.x.weights),
            (self.y.positions, self.centre_y, self.y.weights),
        ]

    def starts(self) -> list[Pose]:
        """Turns of slices on their principal axes, with the centres on each other."""
        turns = [
            Pose.turn(2 * math.pi * k / self.config.n_starts, reflected=reflected).rotation
            for reflected in ((False, True) if self.config.reflections else (False,))
            for k in range(self.config.n_starts)
        ]
        return [Pose(turn, self.centre - turn @ self.centre_y) for turn in turns]

    def refine(self, pose: Pose, levels: tuple[float, ...], price: float) -> Pose:
        """Alternate couplings under the pose with the pose that fits the coupling best, ever more sharply."""
        for eps in levels:
            for _ in range(N_OUTER):
                pose = self._fit(self.coupling(pose, eps, price), pose.reflected)
        return pose

    def coupling(self, pose: Pose, eps: float, price: float) -> np.ndarray:
        """Entropic coupling under a pose; exact marginals for an infinite price."""
        import ot
        from scipy.spatial.distance import cdist

        weight = self.config.feature_weight
        cost = cdist(self.x.positions, pose.apply(self.y.positions), "sqeuclidean") / self.scale
        cost = (1 - weight) * cost + weight * self.features
        # Spots without a partner would have kernels of zero.
        np.minimum(cost, cost.min() + 300 * eps, out=cost)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            plan = ot.unbalanced.sinkhorn_unbalanced(
                self.x.weights, self.y.weights, cost, eps, price, numItermax=N_INNER, stopThr=1e-4
            )
        return np.asarray(plan)

    def _fit(self, plan: np.ndarray, reflected: bool) -> Pose:
        rows, columns = plan.sum(axis=1), plan.sum(axis=0)
        x, y, mass = self.x.positions, self.y.positions, rows.sum()
        centre, centre_y = rows @ x / mass, columns @ y / mass
        return from_moments(
            centre, centre_y, (x - centre).T @ plan @ (y - centre_y) / mass, reflected
        )
