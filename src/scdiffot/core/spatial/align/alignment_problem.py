"""Couplings of two slices at one resolution, and the poses that fit them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .pose import Pose, from_moments

if TYPE_CHECKING:
    from .metaspots import Spots

# Maximum number of iterations of a coupling, and number of couplings per regularisation.
MAX_SINKHORN_STEPS = 20
N_COUPLINGS = 2
# Number of principal components of the features in the cost.
N_FEATURES = 15


@dataclass(frozen=True)
class AlignConfig:
    """Options of an alignment.

    Parameters
    ----------
    reflections
        Whether a slice may be reflected, if its score as a mirror image is significantly higher.
    partial
        Whether to try partial-overlap couplings as well.
    feature_weight
        Weight of the features in the cost of a coupling; the weight of positions is one minus this.
    n_starts
        Number of initial angles, equally spaced.
    n_coarse
        Number of metaspots of a slice in the search.
    n_fine
        Number of metaspots of a slice in the refinement.
    n_score
        Number of metaspots of a slice in the score.

    See Also
    --------
    scdiffot.core.spatial.align.alignment.align_pair : Align two slices.
    scdiffot.core.spatial.align.chains.align_chain : Align many slices.
    """

    reflections: bool = True
    partial: bool = True
    feature_weight: float = 0.2
    n_starts: int = 12
    n_coarse: int = 120
    n_fine: int = 800
    n_score: int = 2000


def common_components(fx: np.ndarray, fy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project features, centred in each slice, on common principal components.

    Features are centred because batch effects shift whole slices.

    Parameters
    ----------
    fx, fy
        Features of two slices, shapes ``(n, d)`` and ``(m, d)``.

    Returns
    -------
    Components of both slices, with at most 15 columns.

    See Also
    --------
    AlignmentProblem : Couplings by positions and features.
    """
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    if fx.shape[1] <= N_FEATURES:
        return fx, fy
    _, axes = np.linalg.eigh(fx.T @ fx / len(fx) + fy.T @ fy / len(fy))
    return fx @ axes[:, -N_FEATURES:], fy @ axes[:, -N_FEATURES:]


class AlignmentProblem:
    """Two slices at one resolution, their couplings, and the poses that fit couplings.

    Parameters
    ----------
    x, y
        The fixed and the moving slice.
    config
        Options of the alignment.

    See Also
    --------
    scdiffot.core.spatial.align.alignment.align_pair : Align two slices.
    scdiffot.core.spatial.align.agreement.Agreement : The score of a pose.
    """

    def __init__(self, x: Spots, y: Spots, config: AlignConfig) -> None:
        from scipy.spatial.distance import cdist

        self.x, self.y, self.config = x, y, config
        self.centre, self.centre_y = x.weights @ x.positions, y.weights @ y.positions
        variances = [w @ ((p - c) ** 2).sum(axis=1) for p, c, w in self._clouds()]
        self.scale = float(sum(variances))
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
        """Initial poses: rotations about the common centre."""
        rotations = [
            Pose.turn(2 * math.pi * k / self.config.n_starts, reflected=reflected).rotation
            for reflected in ((False, True) if self.config.reflections else (False,))
            for k in range(self.config.n_starts)
        ]
        return [Pose(rotation, self.centre - rotation @ self.centre_y) for rotation in rotations]

    def refine(self, pose: Pose, levels: tuple[float, ...], mismatch_cost: float) -> Pose:
        """Alternate between couplings and poses that fit them, with decreasing regularisation."""
        for eps in levels:
            for _ in range(N_COUPLINGS):
                pose = self._fit(self.coupling(pose, eps, mismatch_cost), pose.reflected)
        return pose

    def coupling(self, pose: Pose, eps: float, mismatch_cost: float) -> np.ndarray:
        """Entropic coupling under a pose; an infinite mismatch cost gives exact marginals."""
        import ot
        from scipy.spatial.distance import cdist

        weight = self.config.feature_weight
        cost = cdist(self.x.positions, pose.apply(self.y.positions), "sqeuclidean") / self.scale
        cost = (1 - weight) * cost + weight * self.features
        # an upper bound prevents kernels of zero for spots without a counterpart
        np.minimum(cost, cost.min() + 300 * eps, out=cost)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            plan = ot.unbalanced.sinkhorn_unbalanced(
                self.x.weights,
                self.y.weights,
                cost,
                eps,
                mismatch_cost,
                numItermax=MAX_SINKHORN_STEPS,
                stopThr=1e-4,
            )
        return np.asarray(plan)

    def _fit(self, plan: np.ndarray, reflected: bool) -> Pose:
        rows, columns = plan.sum(axis=1), plan.sum(axis=0)
        x, y, mass = self.x.positions, self.y.positions, rows.sum()
        centre, centre_y = rows @ x / mass, columns @ y / mass
        return from_moments(
            centre, centre_y, (x - centre).T @ plan @ (y - centre_y) / mass, reflected
        )
