"""Telling cell types from states."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import some
from .nearest import Nearest

# Share of the cells of every class on which a classifier is judged, and how many cells of each class calibration takes.
HELD_OUT = 0.2
N_CALIBRATION = 10


class Classifier:
    """Tells types from states among the cells of one time.

    By default the types have the shares that they have among the nearest neighbours of the cell that is nearest: looked up once for every
    cell, this takes a single nearest neighbour of a state. Shares among neighbours are calibrated as they are. Another
    classifier is calibrated by cross-validation where every type has enough cells.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    codes
        Their types, shape ``(n,)``; -1 is unknown, and some must be known.
    n_types
        Number of types, some of which these cells may not have.
    estimator
        Classifier of scikit-learn; None for the nearest neighbours.
    n_neighbors
        Number of neighbours, at most a tenth of the cells.
    rng
        Generator.

    Attributes
    ----------
    accuracy
        Share of cells whose type is told from the others: of all (or 5000) for the neighbours, of a fifth held out for
        another classifier.
    """

    def __init__(
        self,
        states: np.ndarray,
        codes: np.ndarray,
        *,
        n_types: int,
        estimator: Any = None,
        n_neighbors: int = 30,
        rng: np.random.Generator,
    ) -> None:
        self._n_types = n_types
        self._nearest = Nearest(states, rng)
        self._estimator: Any = None
        self.accuracy = 1.0
        known = np.flatnonzero(codes >= 0)
        if estimator is None or len(np.unique(codes[known])) == 1:
            self._fit_neighbors(states, codes, known, n_neighbors, rng)
        else:
            self._fit_estimator(states[known], codes[known], estimator, rng)

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the types (N, n_types), and which states are far from every cell (N,)."""
        distance, index = self._nearest(x)
        if self._estimator is None:
            probability = self._shares[index]
        else:
            probability = np.zeros((len(x), self._n_types))
            probability[:, self._estimator.classes_] = self._estimator.predict_proba(x)
        return probability, distance > self._nearest.radius

    def _fit_neighbors(
        self, states: np.ndarray, codes: np.ndarray, known: np.ndarray, n_neighbors: int, rng: np.random.Generator
    ) -> None:
        from sklearn.neighbors import NearestNeighbors

        k = max(min(n_neighbors, len(known) // 10), 1)
        one_hot = np.eye(self._n_types)[codes[known]]
        neighbors = NearestNeighbors(n_neighbors=min(k + 1, len(known))).fit(states[known])
        found = neighbors.kneighbors(states[self._nearest.cells], return_distance=False)
        self._shares = one_hot[found[:, :k]].mean(axis=1)
        judged = known if len(known) <= 5000 else rng.choice(known, 5000, replace=False)
        # without the cell itself, its type is unseen
        others = neighbors.kneighbors(states[judged], return_distance=False)[:, 1:]
        if others.shape[1]:
            shares = one_hot[others].mean(axis=1)
            self.accuracy = float((shares.argmax(axis=1) == codes[judged]).mean())

    def _fit_estimator(self, states: np.ndarray, codes: np.ndarray, estimator: Any, rng: np.random.Generator) -> None:
        held_out = np.concatenate(
            [rng.permutation(rows)[: int(HELD_OUT * len(rows))] for rows in _rows_by_code(codes)]
        ).astype(np.intp)
        kept = np.ones(len(codes), bool)
        kept[held_out] = False
        seed = int(rng.integers(2**31))
        if len(held_out):
            judged = _calibrated(estimator, states[kept], codes[kept], seed)
            self.accuracy = float((judged.predict(states[held_out]) == codes[held_out]).mean())
        self._estimator = _calibrated(estimator, states, codes, seed)


def _calibrated(estimator: Any, states: np.ndarray, codes: np.ndarray, seed: int) -> Any:
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV

    fresh = clone(estimator)
    unset = {
        name: seed for name, v in fresh.get_params().items() if name.split("__")[-1] == "random_state" and v is None
    }
    fresh.set_params(**unset)
    if min(len(rows) for rows in _rows_by_code(codes)) >= N_CALIBRATION:
        fresh = CalibratedClassifierCV(fresh, ensemble=False)
    return fresh.fit(states, codes)


def _rows_by_code(codes: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def check_estimator(estimator: Any) -> None:
    """Refuse what is no classifier with probabilities.

    Raises
    ------
    TypeError
        If it lacks the methods of one.
    """
    lacks = [name for name in ("fit", "predict_proba", "get_params") if not hasattr(estimator, name)]
    if estimator is not None and (lacks or isinstance(estimator, type)):
        raise TypeError(
            f"`classifier` is a {type(estimator).__name__}{f' without {some(lacks)}' if lacks else ''}: pass an instance of a classifier "
            "of scikit-learn that has `predict_proba`, or None for nearest neighbours."
        )
