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
REACH, EDGE = 0.7, 0.5
# What tissue on tissue is worth, beside features that agree there.
ON_TISSUE = 0.3


@dataclass(frozen=True)
class Agreed:
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

    def of(self, pose: Pose) -> Agreed:
        """Agreement where the second slice is moved by a pose."""
        x, y = self.slices
        return self.at(pose.apply(y.positions), pose.invert(x.positions))

    def at(self, moved: np.ndarray, moved_back: np.ndarray) -> Agreed:
        """Agreement where the second slice lies somewhere in the frame of the first, and the first in that of the second."""
        x, y = self.slices
        to_x, to_y = self._side(y, 0, moved), self._side(x, 1, moved_back)
        return Agreed(*(float(np.mean(values)) for values in zip(to_x, to_y, strict=True)))

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

    def _side(self, mine: Spots, other: int, positions: np.ndarray) -> tuple[float, float]:
        theirs = self.slices[other]
        distances, near = self.trees[other].query(positions, k=min(N_NEIGHBORS, len(theirs)))
        beyond = np.maximum(distances[:, 0] / self.width - REACH, 0.0)
        on = mine.weights * np.exp(-0.5 * (beyond / EDGE) ** 2)
        overlap = float(on.sum())
        if overlap < 1e-9:
            return 0.0, 0.0
        kernel = np.exp(-0.5 * (distances**2 - distances[:, :1] ** 2) / self.width**2) * theirs.weights[near]
        read = np.einsum("nk,nkd->nd", kernel / kernel.sum(axis=1, keepdims=True), theirs.features[near])
        on /= overlap
        a, b = mine.features - on @ mine.features, read - on @ read
        both, one, two = (float(np.einsum("n,nd,nd->", on, u, v)) for u, v in ((a, b), (a, a), (b, b)))
        correlation = both / math.sqrt(one * two) if one * two > 0 else 0.0
        return overlap * (correlation + self.on_tissue) / (1 + self.on_tissue), overlap
