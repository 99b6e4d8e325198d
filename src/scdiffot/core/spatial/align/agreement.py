"""Agreement of two slices under a pose: the score that selects an alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .metaspots import Spots, spacing
from .pose import Pose

# Number of spots that features are interpolated from.
N_NEIGHBORS = 6
# Distance to the nearest spot, in spacings, up to which a position is on the tissue, and the width
# of the decay beyond.
MAX_OFFSET, EDGE_WIDTH = 0.7, 0.5
# Weight of tissue overlap, relative to the correlation of features.
OVERLAP_WEIGHT = 0.3
# Number of compact blocks of a slice for the jackknife.
N_BLOCKS = 16


@dataclass(frozen=True)
class AgreementScore:
    """Agreement under one pose.

    Parameters
    ----------
    score
        Score, at most 1.
    overlap
        Share of the spots of both slices that lie on the other slice.

    See Also
    --------
    Agreement.evaluate : Compute the score of a pose.
    """

    score: float
    overlap: float


class Agreement:
    """Agreement of two slices under any pose.

    A spot is compared with the mean of the nearest spots of the other slice at its position. The
    score of a slice is its overlap, the share of its spots that lie on the other slice, times the
    sum of the correlation and `overlap_weight`. The correlation is pooled over features, which are
    centred in the overlap. The sum is normalised by its value for equal slices, and both slices
    have equal weight. Because features are centred in the overlap, the score does not depend on
    batch effects that shift a whole slice, or on tissue outside of the overlap.

    Parameters
    ----------
    x, y
        The fixed and the moving slice.
    overlap_weight
        Weight of the overlap, relative to the correlation.

    See Also
    --------
    scdiffot.core.spatial.align.alignment.align_pair : Align two slices.
    AgreementScore : The result.
    """

    def __init__(self, x: Spots, y: Spots, *, overlap_weight: float = OVERLAP_WEIGHT) -> None:
        from scipy.spatial import cKDTree

        self.slices = (x, y)
        self.overlap_weight = overlap_weight
        self.width = max(spacing(s.positions) for s in self.slices)
        self.trees = [cKDTree(s.positions) for s in self.slices]

    def evaluate(self, pose: Pose) -> AgreementScore:
        """Agreement if a pose moves the second slice."""
        x, y = self.slices
        return self.evaluate_positions(pose.apply(y.positions), pose.invert(x.positions))

    def evaluate_positions(self, y_in_x: np.ndarray, x_in_y: np.ndarray) -> AgreementScore:
        """Agreement from the positions of each slice in the frame of the other slice."""
        x, y = self.slices
        y_score, x_score = self._score_slice(y, 0, y_in_x), self._score_slice(x, 1, x_in_y)
        return AgreementScore(
            *(float(np.mean(values)) for values in zip(y_score, x_score, strict=True))
        )

    def polish(self, pose: Pose, step: float, *, n_evaluations: int = 80) -> Pose:
        """Maximise the score near a pose, by the simplex method with an initial step length."""
        from scipy.optimize import minimize

        y = self.slices[1]
        centre = y.weights @ y.positions
        radius = math.sqrt(float(y.weights @ ((y.positions - centre) ** 2).sum(axis=1)))

        def perturb(v: np.ndarray) -> Pose:
            rotation = Pose.turn(v[0] / radius).rotation @ pose.rotation
            return Pose(rotation, pose.apply(centre) + v[1:] - rotation @ centre)

        result = minimize(
            lambda v: -self.evaluate(perturb(v)).score,
            np.zeros(3),
            method="Nelder-Mead",
            options={
                "initial_simplex": step * np.vstack([np.zeros(3), np.eye(3)]),
                "maxfev": n_evaluations,
                "xatol": 0.02 * self.width,
                "fatol": 1e-4,
            },
        )
        return perturb(result.x)

    def difference(self, first: Pose, second: Pose) -> tuple[float, float]:
        """Difference of the scores of two poses, and its standard error.

        The block jackknife leaves out one compact block of each slice in turn, because neighbouring
        spots share the noise of a section and are not independent.
        """
        x, y = self.slices
        sides = (
            (y, 0, first.apply(y.positions), second.apply(y.positions)),
            (x, 1, first.invert(x.positions), second.invert(x.positions)),
        )
        totals, errors = [], []
        for spots, target, *places in sides:
            features = [self._interpolate(target, positions) for positions in places]
            weights = [_leave_out(spots.weights, rows) for rows in blocks(spots.positions)]
            total, *replicates = [
                _score(spots, w, *features[0], self.overlap_weight)[0]
                - _score(spots, w, *features[1], self.overlap_weight)[0]
                for w in (spots.weights, *weights)
            ]
            n = len(replicates)
            totals.append(total)
            errors.append(math.sqrt((n - 1) * float(np.var(replicates))) if n > 1 else math.inf)
        # the errors of both sides are those of the same tissue, so they do not average out
        return float(np.mean(totals)), float(np.mean(errors))

    def _score_slice(self, spots: Spots, target: int, positions: np.ndarray) -> tuple[float, float]:
        features = self._interpolate(target, positions)
        return _score(spots, spots.weights, *features, self.overlap_weight)

    def _interpolate(self, target: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Degree to which positions lie on a slice, and features of the slice there."""
        spots = self.slices[target]
        distances, neighbors = self.trees[target].query(positions, k=min(N_NEIGHBORS, len(spots)))
        excess = np.maximum(distances[:, 0] / self.width - MAX_OFFSET, 0.0)
        kernel = (
            np.exp(-0.5 * (distances**2 - distances[:, :1] ** 2) / self.width**2)
            * spots.weights[neighbors]
        )
        values = np.einsum(
            "nk,nkd->nd", kernel / kernel.sum(axis=1, keepdims=True), spots.features[neighbors]
        )
        return np.exp(-0.5 * (excess / EDGE_WIDTH) ** 2), values


def _score(
    spots: Spots, weights: np.ndarray, on_tissue: np.ndarray, values: np.ndarray, constant: float
) -> tuple[float, float]:
    """Score and overlap of weighted spots, from interpolated features at their positions."""
    w = weights * on_tissue
    overlap = float(w.sum())
    if overlap < 1e-9:
        return 0.0, 0.0
    w = w / overlap
    a, b = spots.features - w @ spots.features, values - w @ values
    ab, aa, bb = (float(np.einsum("n,nd,nd->", w, u, v)) for u, v in ((a, b), (a, a), (b, b)))
    correlation = ab / math.sqrt(aa * bb) if aa * bb > 0 else 0.0
    return overlap * (correlation + constant) / (1 + constant), overlap


def blocks(positions: np.ndarray) -> list[np.ndarray]:
    """Rows of compact blocks of similar size, by repeated halving along the longer side.

    See Also
    --------
    Agreement.difference : Standard error of a difference, by leaving out blocks.
    """
    parts = [np.arange(len(positions))]
    while len(parts) < N_BLOCKS and len(parts[0]) >= 4:
        parts = [half for part in parts for half in _split(positions, part)]
    return parts


def _split(positions: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    axis = int(np.argmax(np.ptp(positions[rows], axis=0)))
    return np.array_split(rows[np.argsort(positions[rows, axis], kind="stable")], 2)


def _leave_out(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    remaining = weights.copy()
    remaining[rows] = 0.0
    return remaining / remaining.sum()
