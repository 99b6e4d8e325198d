"""How well two slices agree under a pose: the score that alignments are chosen by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .metaspots import Spots, spacing
from .pose import Pose

# Spots that the features of a place are read from.
N_NEIGHBORS = 6
# Distance to the nearest spot, in spacings, up to which a place lies on the tissue, and the width of the edge beyond.
MAX_OFFSET, EDGE = 0.7, 0.5
# What tissue on tissue is worth, beside features that agree there.
ON_TISSUE = 0.3
# Compact parts of a slice that the jackknife leaves out in turn.
N_BLOCKS = 16


@dataclass(frozen=True)
class AgreementScore:
    """Agreement under one pose."""

    score: float
    overlap: float


class Agreement:
    """Agreement of two slices under any pose.

    A spot is compared with the mean of the nearest spots of the other slice, read at its place. The score of a slice is the share of
    its spots that lie on the other one, times the correlation of the two, pooled over features around their means in the
    overlap, plus `on_tissue`, as a share of what equal slices reach; both slices count equally. Means over the overlap alone make it blind to shifts of whole slices by
    batch effects, and to what else each slice contains.
    """

    def __init__(self, x: Spots, y: Spots, *, on_tissue: float = ON_TISSUE) -> None:
        from scipy.spatial import cKDTree

        self.slices = (x, y)
        self.on_tissue = on_tissue
        self.width = max(spacing(s.positions) for s in self.slices)
        self.trees = [cKDTree(s.positions) for s in self.slices]

    def of(self, pose: Pose) -> AgreementScore:
        """Agreement where the second slice is moved by a pose."""
        x, y = self.slices
        return self.at(pose.apply(y.positions), pose.invert(x.positions))

    def at(self, moved: np.ndarray, moved_back: np.ndarray) -> AgreementScore:
        """Agreement where the second slice lies somewhere in the frame of the first, and the first in that of the second."""
        x, y = self.slices
        to_x, to_y = self._side(y, 0, moved), self._side(x, 1, moved_back)
        return AgreementScore(*(float(np.mean(values)) for values in zip(to_x, to_y, strict=True)))

    def polish(self, pose: Pose, step: float, *, n_evaluations: int = 80) -> Pose:
        """Climb to the pose of highest score nearby, by the simplex method from steps of a length."""
        from scipy.optimize import minimize

        y = self.slices[1]
        centre = y.weights @ y.positions
        radius = math.sqrt(float(y.weights @ ((y.positions - centre) ** 2).sum(axis=1)))

        def moved(v: np.ndarray) -> Pose:
            rotation = Pose.turn(v[0] / radius).rotation @ pose.rotation
            return Pose(rotation, pose.apply(centre) + v[1:] - rotation @ centre)

        found = minimize(
            lambda v: -self.of(moved(v)).score,
            np.zeros(3),
            method="Nelder-Mead",
            options={
                "initial_simplex": step * np.vstack([np.zeros(3), np.eye(3)]),
                "maxfev": n_evaluations,
                "xatol": 0.02 * self.width,
                "fatol": 1e-4,
            },
        )
        return moved(found.x)

    def difference(self, first: Pose, second: Pose) -> tuple[float, float]:
        """Score of one pose less that of another, and its standard error over parts of the tissue.

        The jackknife leaves out one compact block of each slice after the other: neighbouring spots share what is
        peculiar to a section, and do not count as independent.
        """
        x, y = self.slices
        sides = (
            (y, 0, first.apply(y.positions), second.apply(y.positions)),
            (x, 1, first.invert(x.positions), second.invert(x.positions)),
        )
        totals, errors = [], []
        for mine, other, *places in sides:
            readings = [self._read(mine, other, positions) for positions in places]
            weights = [_without(mine.weights, rows) for rows in blocks(mine.positions)]
            total, *left = [
                _score(mine, w, *readings[0], self.on_tissue)[0]
                - _score(mine, w, *readings[1], self.on_tissue)[0]
                for w in (mine.weights, *weights)
            ]
            totals.append(total)
            errors.append(
                math.sqrt((len(left) - 1) * float(np.var(left))) if len(left) > 1 else math.inf
            )
        # Both sides see the same tissue: their errors do not average out.
        return float(np.mean(totals)), float(np.mean(errors))

    def _side(self, mine: Spots, other: int, positions: np.ndarray) -> tuple[float, float]:
        return _score(mine, mine.weights, *self._read(mine, other, positions), self.on_tissue)

    def _read(
        self, mine: Spots, other: int, positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """How much every spot lies on the other slice, and the features of the other slice at its place."""
        theirs = self.slices[other]
        distances, near = self.trees[other].query(positions, k=min(N_NEIGHBORS, len(theirs)))
        beyond = np.maximum(distances[:, 0] / self.width - MAX_OFFSET, 0.0)
        kernel = (
            np.exp(-0.5 * (distances**2 - distances[:, :1] ** 2) / self.width**2)
            * theirs.weights[near]
        )
        values = np.einsum(
            "nk,nkd->nd", kernel / kernel.sum(axis=1, keepdims=True), theirs.features[near]
        )
        return np.exp(-0.5 * (beyond / EDGE) ** 2), values


def _score(
    mine: Spots, weights: np.ndarray, on_tissue: np.ndarray, values: np.ndarray, constant: float
) -> tuple[float, float]:
    """Score and overlap of weighted spots with what was read at their places."""
    on = weights * on_tissue
    overlap = float(on.sum())
    if overlap < 1e-9:
        return 0.0, 0.0
    on = on / overlap
    a, b = mine.features - on @ mine.features, values - on @ values
    both, one, two = (float(np.einsum("n,nd,nd->", on, u, v)) for u, v in ((a, b), (a, a), (b, b)))
    correlation = both / math.sqrt(one * two) if one * two > 0 else 0.0
    return overlap * (correlation + constant) / (1 + constant), overlap


def blocks(positions: np.ndarray) -> list[np.ndarray]:
    """Rows of compact parts of a slice with about as many spots each, by halving along the longer side."""
    parts = [np.arange(len(positions))]
    while len(parts) < N_BLOCKS and len(parts[0]) >= 4:
        parts = [half for part in parts for half in _halves(positions, part)]
    return parts


def _halves(positions: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    axis = int(np.argmax(np.ptp(positions[rows], axis=0)))
    return np.array_split(rows[np.argsort(positions[rows, axis], kind="stable")], 2)


def _without(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    remaining = weights.copy()
    remaining[rows] = 0.0
    return remaining / remaining.sum()
