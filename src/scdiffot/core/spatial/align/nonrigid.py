"""Smooth deformation of a slice after rigid alignment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .agreement import Agreement
from .alignment import FINE_EPS, MISMATCH_COST
from .alignment_problem import AlignConfig, AlignmentProblem, common_components
from .metaspots import Spots, metaspots
from .pose import Pose, principal_frame, procrustes

# Smoothing parameters of the thin-plate spline, for coordinates in radii of the slice.
SMOOTHING = (10.0, 1.0, 0.1, 0.01)
N_KNOTS = 200
N_ITERATIONS = 2
# Smallest increase of the agreement of held-out spots by a deformation.
MIN_GAIN = 0.015
# Spots are knots if their coupled share is above this fraction of the maximum.
MIN_COUPLED_SHARE = 0.3
MAX_INVERSE_STEPS = 100


@dataclass(frozen=True)
class Warp:
    """A smooth displacement of the plane.

    Parameters
    ----------
    knots
        Positions of the knots, shape ``(k, 2)``.
    displacements
        Displacements at the knots, shape ``(k, 2)``.
    smoothing
        Smoothing parameter of the thin-plate spline.
    scale
        Unit of length of the spline.

    See Also
    --------
    fit_warp : Fit a deformation.
    scdiffot.core.spatial.align.pose.Pose : A rigid motion.
    """

    knots: np.ndarray
    displacements: np.ndarray
    smoothing: float
    scale: float

    def _shift(self, points: np.ndarray) -> np.ndarray:
        from scipy.interpolate import RBFInterpolator

        centre = self.knots.mean(axis=0)
        plate = RBFInterpolator(
            (self.knots - centre) / self.scale, self.displacements, smoothing=self.smoothing
        )
        return np.asarray(plate((points - centre) / self.scale))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Displace points, shape ``(n, 2)``."""
        return np.asarray(points + self._shift(points))

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Invert by fixed-point iterations, which converge where the deformation does not fold."""
        solution = np.array(points, dtype=np.float64)
        for _ in range(MAX_INVERSE_STEPS):
            update = points - self._shift(solution)
            change = float(np.abs(update - solution).max(initial=0.0))
            solution = update
            if change < 1e-9 * self.scale:
                break
        return solution


def fit_warp(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    *,
    partial: bool = False,
    config: AlignConfig | None = None,
) -> Warp | None:
    """Fit a smooth deformation of the slice `y` onto the slice `x`.

    The target of a spot is the mean position of the spots it is coupled with, corrected for the
    displacement by a coupling with its own slice. A thin-plate spline :cite:p:`Duchon1977` smooths
    the displacements. Its smoothing, and whether to deform at all, is selected by the agreement of
    held-out spots.

    Parameters
    ----------
    x
        Positions of the fixed slice, shape ``(n, 2)``.
    fx
        Its features, shape ``(n, d)``.
    y
        Positions of the moving slice, shape ``(m, 2)``, rigidly aligned with it.
    fy
        Its features, shape ``(m, d)``.
    partial
        Whether the slices overlap partly.
    config
        Options.

    Returns
    -------
    The deformation, or None if it does not improve on a rigid motion.

    See Also
    --------
    scdiffot.core.spatial.align.alignment.align_pair : Rigid alignment.
    Warp : The result.
    """
    config = config or AlignConfig()
    frame = principal_frame(y, mirror=True)
    fx, fy = common_components(fx, fy)
    fixed = metaspots(frame.apply(x), fx, config.n_fine)
    moving = metaspots(frame.apply(y), fy, config.n_fine)
    mismatch_cost = MISMATCH_COST if partial else np.inf
    halves = _split_alternately(moving)
    agreements = [Agreement(fixed, half) for half in halves]
    scores = []
    for smoothing in SMOOTHING:
        warps = [_fit(fixed, half, smoothing, mismatch_cost, config) for half in halves]
        # cross-validation: each half evaluates the deformation of the other half
        scores.append([_evaluate(a, w) for a, w in zip(agreements, warps[::-1], strict=True)])
        if smoothing == SMOOTHING[0]:
            rigid = [_fit_rigid(w) for w in warps[::-1]]
    # gains of a further rigid motion are excluded
    baseline = np.array(
        [
            max(a.evaluate(p).score for p in (Pose.identity(), r))
            for a, r in zip(agreements, rigid, strict=True)
        ]
    )
    gains = (np.array(scores) - baseline).mean(axis=1)
    if gains.max() < MIN_GAIN:
        return None
    warp = _fit(fixed, moving, SMOOTHING[int(np.argmax(gains))], mismatch_cost, config)
    inverse = frame.inverse
    return replace(
        warp, knots=inverse.apply(warp.knots), displacements=warp.displacements @ frame.rotation
    )


def _split_alternately(spots: Spots) -> list[Spots]:
    """Split spots alternately along the long axis."""
    order = np.lexsort(spots.positions.T[::-1])
    parts = []
    for rows in (np.sort(order[::2]), np.sort(order[1::2])):
        weights = spots.weights[rows]
        parts.append(Spots(spots.positions[rows], spots.features[rows], weights / weights.sum()))
    return parts


def _evaluate(agreement: Agreement, warp: Warp) -> float:
    x, y = agreement.slices
    return agreement.evaluate_positions(warp.apply(y.positions), warp.invert(x.positions)).score


def _fit_rigid(warp: Warp) -> Pose:
    return procrustes(warp.knots + warp.displacements, warp.knots, reflected=False)


def _fit(x: Spots, y: Spots, smoothing: float, mismatch_cost: float, config: AlignConfig) -> Warp:
    centre = y.weights @ y.positions
    scale = float(np.sqrt(y.weights @ ((y.positions - centre) ** 2).sum(axis=1)))
    positions = y.positions
    for _ in range(N_ITERATIONS):
        warped = replace(y, positions=positions)
        target, mass = _barycentres(x, warped, mismatch_cost, config)
        self_target, _ = _barycentres(warped, warped, mismatch_cost, config)
        target = target - (self_target - positions)
        rows = mass > MIN_COUPLED_SHARE * mass.max()
        knots = metaspots(y.positions[rows], (target - y.positions)[rows], N_KNOTS)
        warp = Warp(knots.positions, knots.features, smoothing, scale)
        positions = warp.apply(y.positions)
    return warp


def _barycentres(
    x: Spots, y: Spots, mismatch_cost: float, config: AlignConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Mean position of the spots that each spot of `y` is coupled with, and its coupled share."""
    plan = AlignmentProblem(x, y, config).coupling(Pose.identity(), FINE_EPS[-1], mismatch_cost)
    mass = plan.sum(axis=0)
    return plan.T @ x.positions / np.maximum(mass, 1e-300)[:, None], mass / y.weights
