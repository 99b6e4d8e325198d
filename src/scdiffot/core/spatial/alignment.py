"""Rigid alignment of two slices by optimal transport."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from .agreement import Agreement
from .metaspots import Spots, metaspots
from .pose import Pose, from_moments, principal_frame

# Temperatures of the coupling, in shares of the mean cost: from a few broad parts of the tissue to single spots.
COARSE_EPS = (0.1, 0.05)
FINE_EPS = (0.03, 0.01, 0.005, 0.003)
# Price of leaving out a unit of mass where slices overlap partly, in shares of the mean cost.
PRICE = 0.03
# By how much the score of a partial overlap must be higher than that of whole slices on each other: more where the outlines of
# the whole slices match, which is hardly by chance.
MARGIN, MARGIN_MISMATCH = 0.04, 0.01
MATCH = 0.95
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
        Whether a slice may be turned over.
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
        Agreement of the slices, at most 1, as :class:`~scdiffot.core.spatial.agreement.Agreement` measures it.
    overlap
        Share of the spots of both slices that lie on the other one.
    partial
        Whether the coupling that was chosen leaves out what only one of the slices has.
    """

    pose: Pose
    score: float
    overlap: float
    partial: bool


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
    x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, start: Pose, config: AlignConfig | None = None
) -> Alignment:
    """Improve a motion of the slice `y` onto the slice `x` that is about right; arguments as of :func:`align_pair`."""
    config = config or AlignConfig()
    pair = _Pair(x, fx, y, fy, config)
    to_x, to_y = pair.frames
    return pair.finish([to_x.after(start).after(to_y.inverse)])


class _Pair:
    """Two slices in frames of their own, which makes the answer blind to the poses that they come in."""

    def __init__(self, x: np.ndarray, fx: np.ndarray, y: np.ndarray, fy: np.ndarray, config: AlignConfig) -> None:
        self.config = config
        self.frames = [principal_frame(p, mirror=config.reflections) for p in (x, y)]
        features = leading(fx, fy)
        self.placed = [(frame.apply(p), f) for frame, p, f in zip(self.frames, (x, y), features, strict=True)]

    def finish(self, found: list[Pose]) -> Alignment:
        """Refine poses by couplings and the score, and choose."""
        placed, config = self.placed, self.config
        agreement = Agreement(*(metaspots(p, f, config.n_score) for p, f in placed))
        fixed, moving = (metaspots(p, f, config.n_fine) for p, f in placed)
        fine = Problem(fixed, moving, config)
        best = _best(agreement, [fine.refine(pose, FINE_EPS, math.inf) for pose in found], partial=False)
        if config.partial:
            parts = _ranked(agreement, [fine.refine(pose, FINE_EPS, PRICE) for pose in found] + found)[:N_POLISHED]
            parts = [agreement.polish(pose, 0.8 * agreement.width) for pose in parts]
            part = _best(agreement, parts, partial=True)
            if part.score > best.score + (MARGIN if best.overlap > MATCH else MARGIN_MISMATCH):
                best = part
        pose = self.frames[0].inverse.after(best.pose).after(self.frames[1])
        return Alignment(pose, best.score, best.overlap, best.partial)


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
    agreement, problem = Agreement(x, y), Problem(x, y, config)
    starts = problem.starts()
    found = [problem.refine(start, COARSE_EPS, math.inf) for start in starts]
    if config.partial:
        steps = problem.radius * np.array([-0.8, -0.4, 0.0, 0.4, 0.8])
        shifts = [np.array([a, b]) for a in steps for b in steps]
        shifted = [Pose(start.rotation, start.shift + shift) for start in starts for shift in shifts]
        shifted = _ranked(agreement, shifted)[:N_SHIFTED]
        found += [agreement.polish(pose, 0.2 * problem.radius, n_evaluations=60) for pose in shifted]
    kept: list[Pose] = []
    corners = problem.radius * np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    for pose in _ranked(agreement, found):
        moved = pose.apply(corners)
        if all(np.abs(moved - other.apply(corners)).max() > agreement.width for other in kept):
            kept.append(pose)
    return kept[:N_KEPT]


def _ranked(agreement: Agreement, poses: list[Pose]) -> list[Pose]:
    return sorted(poses, key=lambda pose: -agreement.of(pose).score)


def _best(agreement: Agreement, poses: list[Pose], *, partial: bool) -> Alignment:
    pose = _ranked(agreement, poses)[0]
    agreed = agreement.of(pose)
    return Alignment(pose, agreed.score, agreed.overlap, partial)


class Problem:
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
        return from_moments(centre, centre_y, (x - centre).T @ plan @ (y - centre_y) / mass, reflected)
