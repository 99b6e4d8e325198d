"""Smooth deformation of a slice that rigid motion has brought into place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .agreement import Agreement
from .alignment import FINE_EPS, MISMATCH_COST, AlignConfig, AlignmentProblem, leading
from .metaspots import Spots, metaspots
from .pose import Pose, principal_frame, procrustes

# Stiffness of the plate, with coordinates in radii of the slice, from stiff to soft.
SMOOTHING = (10.0, 1.0, 0.1, 0.01)
N_KNOTS = 200
N_ROUNDS = 2
# By how much a deformation must raise the agreement of spots that it was not fitted to.
MARGIN = 0.015
# Share of its mass that a spot must be coupled with to say where it belongs.
COUPLED = 0.3
N_INVERSE = 100


@dataclass(frozen=True)
class Warp:
    """A smooth displacement of the plane.

    Parameters
    ----------
    knots
        Places of known displacement, shape ``(k, 2)``.
    displacements
        The displacements, shape ``(k, 2)``.
    smoothing
        How much the plate smooths them.
    scale
        Length that counts as 1 in this.
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
        """Move points, shape ``(n, 2)``."""
        return np.asarray(points + self._shift(points))

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Move points back, by fixed-point iterations that converge where the deformation does not fold."""
        found = np.array(points, dtype=np.float64)
        for _ in range(N_INVERSE):
            update = points - self._shift(found)
            change = float(np.abs(update - found).max(initial=0.0))
            found = update
            if change < 1e-9 * self.scale:
                break
        return found


def fit_warp(
    x: np.ndarray,
    fx: np.ndarray,
    y: np.ndarray,
    fy: np.ndarray,
    *,
    partial: bool = False,
    config: AlignConfig | None = None,
) -> Warp | None:
    """Find a smooth deformation of the slice `y` onto the slice `x`, if there is one.

    Every spot is drawn to the mean of the spots it is coupled with, less what a coupling with its own slice would do, and a
    thin-plate spline :cite:p:`Duchon1977` smooths this. Its stiffness, and whether to deform at all, is decided by the agreement
    of spots that the deformation was not fitted to.

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
        Settings.

    Returns
    -------
    The deformation, or None where rigid motion does as well.
    """
    config = config or AlignConfig()
    frame = principal_frame(y, mirror=True)
    fx, fy = leading(fx, fy)
    fixed, moving = (
        metaspots(frame.apply(x), fx, config.n_fine),
        metaspots(frame.apply(y), fy, config.n_fine),
    )
    price = MISMATCH_COST if partial else np.inf
    halves = _halves(moving)
    agreements = [Agreement(fixed, half) for half in halves]
    scores = []
    for smoothing in SMOOTHING:
        warps = [_fit(fixed, half, smoothing, price, config) for half in halves]
        # each half judges the deformation of the other
        scores.append([_judge(a, w) for a, w in zip(agreements, warps[::-1], strict=True)])
        if smoothing == SMOOTHING[0]:
            rigid = [_rigid(w) for w in warps[::-1]]
    # what a further rigid motion gains is no deformation
    before = np.array(
        [
            max(a.of(p).score for p in (Pose.identity(), r))
            for a, r in zip(agreements, rigid, strict=True)
        ]
    )
    gains = (np.array(scores) - before).mean(axis=1)
    if gains.max() < MARGIN:
        return None
    warp = _fit(fixed, moving, SMOOTHING[int(np.argmax(gains))], price, config)
    back = frame.inverse
    return replace(
        warp, knots=back.apply(warp.knots), displacements=warp.displacements @ frame.rotation
    )


def _halves(spots: Spots) -> list[Spots]:
    """Every other spot along the long axis, and the rest."""
    order = np.lexsort(spots.positions.T[::-1])
    parts = []
    for rows in (np.sort(order[::2]), np.sort(order[1::2])):
        weights = spots.weights[rows]
        parts.append(Spots(spots.positions[rows], spots.features[rows], weights / weights.sum()))
    return parts


def _judge(agreement: Agreement, warp: Warp) -> float:
    x, y = agreement.slices
    return agreement.at(warp.apply(y.positions), warp.invert(x.positions)).score


def _rigid(warp: Warp) -> Pose:
    return procrustes(warp.knots + warp.displacements, warp.knots, reflected=False)


def _fit(x: Spots, y: Spots, smoothing: float, price: float, config: AlignConfig) -> Warp:
    centre = y.weights @ y.positions
    scale = float(np.sqrt(y.weights @ ((y.positions - centre) ** 2).sum(axis=1)))
    moved = y.positions
    for _ in range(N_ROUNDS):
        placed = replace(y, positions=moved)
        onto_x, mass = _drawn(x, placed, price, config)
        onto_itself, _ = _drawn(placed, placed, price, config)
        wanted = onto_x - (onto_itself - moved)
        sure = mass > COUPLED * mass.max()
        knots = metaspots(y.positions[sure], (wanted - y.positions)[sure], N_KNOTS)
        warp = Warp(knots.positions, knots.features, smoothing, scale)
        moved = warp.apply(y.positions)
    return warp


def _drawn(x: Spots, y: Spots, price: float, config: AlignConfig) -> tuple[np.ndarray, np.ndarray]:
    """Mean place of what every spot of `y` is coupled with, and the share of its mass that is."""
    plan = AlignmentProblem(x, y, config).coupling(Pose.identity(), FINE_EPS[-1], price)
    mass = plan.sum(axis=0)
    return plan.T @ x.positions / np.maximum(mass, 1e-300)[:, None], mass / y.weights
