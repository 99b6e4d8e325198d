"""Telling cell types from states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import some
from scdiffot._utils.logging import logger
from scdiffot.core.lineage.neighbor_shares import neighbor_shares

from .nearest import Nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# Share of the cells of every class on which a classifier is judged, and how many cells of each class calibration takes.
HELD_OUT = 0.2
N_CALIBRATION = 10
# Cells on which neighbours are tested: in all, and at least of every type.
N_TEST, N_TEST_TYPE = 5000, 100


class Classifier:
    """Tells types from states among the cells of one time.

    By default the types have the shares that they have among the nearest neighbours of the cell that is nearest: looked up
    once for every cell, this takes a single nearest neighbour of a state. Types of few cells have a scale of their own
    (:func:`~scdiffot.core.lineage.neighbor_shares.neighbor_shares`). Shares among neighbours are calibrated as they are. Another
    classifier is calibrated by cross-validation where every type has enough cells.

    Cells without a type are a class of their own, with the share that they have among the neighbours; another classifier
    divides the rest.

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
    accuracy_by_type
        The same for the cells of every type, shape ``(n_types,)``; NaN without such a cell.
    n_cells
        Number of cells of every type, shape ``(n_types,)``.
    n_neighbors
        Number of neighbours among which shares are taken; 1 for another classifier.
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
        known = np.flatnonzero(codes >= 0)
        self._n_types = n_types
        self._nearest = Nearest(states, rng, codes)
        self._estimator: Any = None
        self.accuracy, self.accuracy_by_type = 1.0, np.full(n_types, np.nan)
        self.n_cells = np.bincount(codes[known], minlength=n_types)
        classes = np.where(codes < 0, n_types, codes)
        neighbors = _Neighbors(states, classes, n_classes=n_types + 1, n_neighbors=n_neighbors)
        self._shares = neighbors.shares(self._nearest.cells)
        self.n_neighbors = neighbors.n_neighbors if estimator is None else 1
        if estimator is None or len(np.unique(codes[known])) == 1:
            if len(codes) > 1:
                self._test_neighbors(neighbors, codes, known, rng)
        else:
            self._fit_estimator(states[known], codes[known], estimator, rng)

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the types and last of none (N, n_types + 1), and which states are far from every cell (N,)."""
        distance, index = self._nearest(x)
        probability = self._shares[index]
        if self._estimator is not None:
            known = 1 - probability[:, -1:]
            probability[:, :-1] = 0
            probability[:, self._estimator.classes_] = known * self._estimator.predict_proba(x)
        return probability, distance > self._nearest.radius

    def accuracy_table(self, names: Sequence[str]) -> pd.DataFrame:
        """Accuracy and number of cells of the types that occur."""
        import pandas as pd

        present = np.flatnonzero(self.n_cells)
        columns = {"accuracy": self.accuracy_by_type[present], "n_cells": self.n_cells[present]}
        return pd.DataFrame(columns, index=np.array(names, dtype=object)[present])

    def log_accuracy(self, names: Sequence[str]) -> None:
        """Log how well types are told from states, overall and by type, the worst first."""
        table = self.accuracy_table(names).sort_values("accuracy", kind="stable")
        by_type = [f"{name}: {row.accuracy:.2f} of {row.n_cells}" for name, row in table.iterrows()]
        logger.info(
            "The classifier tells the types of unseen cells with an accuracy of %.2f (share of the cells of each type: %s).",
            self.accuracy,
            some(by_type),
        )

    def _test_neighbors(
        self, neighbors: _Neighbors, codes: np.ndarray, known: np.ndarray, rng: np.random.Generator
    ) -> None:
        random, rare = _test_rows(codes, known, rng)
        rows = np.append(random, rare)
        shares = neighbors.shares(rows, leave_out=True)[:, :-1]
        correct = (shares.argmax(axis=1) == codes[rows]) & shares.any(axis=1)
        self._set_accuracy(correct, codes[rows], n_random=len(random))

    def _fit_estimator(
        self, states: np.ndarray, codes: np.ndarray, estimator: Any, rng: np.random.Generator
    ) -> None:
        held_out = np.concatenate(
            [rng.permutation(rows)[: int(HELD_OUT * len(rows))] for rows in _rows_by_code(codes)]
        ).astype(np.intp)
        kept = np.ones(len(codes), bool)
        kept[held_out] = False
        seed = int(rng.integers(2**31))
        if len(held_out):
            judged = _calibrated(estimator, states[kept], codes[kept], seed)
            correct = judged.predict(states[held_out]) == codes[held_out]
            self._set_accuracy(correct, codes[held_out], n_random=len(held_out))
        self._estimator = _calibrated(estimator, states, codes, seed)

    def _set_accuracy(self, correct: np.ndarray, codes: np.ndarray, *, n_random: int) -> None:
        """Set both accuracies; only the first cells are a random sample of all types."""
        self.accuracy = float(correct[:n_random].mean())
        counts = np.bincount(codes, minlength=self._n_types)
        hits = np.bincount(codes, correct, minlength=self._n_types)
        np.divide(hits, counts, out=self.accuracy_by_type, where=counts > 0)


class _Neighbors:
    """Nearest neighbours of cells, and the shares of classes among them."""

    def __init__(
        self, states: np.ndarray, classes: np.ndarray, *, n_classes: int, n_neighbors: int
    ) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._states, self._classes, self._n_classes = states, classes, n_classes
        self.n_neighbors = max(min(n_neighbors, len(states) // 10), 1)
        # one more than neighbours to compare scales with, and the cell itself
        self._index = NearestNeighbors(n_neighbors=min(self.n_neighbors + 2, len(states))).fit(
            states
        )

    def shares(self, rows: np.ndarray, *, leave_out: bool = False) -> np.ndarray:
        """Shares of the classes around some cells, with or without the cells themselves."""
        lists = self._index.kneighbors(self._states[rows], return_distance=False)
        if leave_out:
            own = lists == rows[:, None]
            # of many cells in one place, a cell may not be among its neighbours
            own[~own.any(axis=1), -1] = True
            lists = lists[~own].reshape(len(rows), -1)
        return neighbor_shares(
            self._states,
            self._classes,
            lists[:, : self.n_neighbors + 1],
            n_classes=self._n_classes,
            n_neighbors=self.n_neighbors,
        )


def _test_rows(
    codes: np.ndarray, known: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cells on which to test a classifier: random ones, and more of the types of which these have few."""
    if len(known) <= N_TEST:
        return known, known[:0]
    random = rng.choice(known, N_TEST, replace=False)
    left = np.setdiff1d(known, random)
    counts = np.bincount(codes[random], minlength=codes.max() + 1)
    more = [
        members[: max(N_TEST_TYPE - counts[codes[members[0]]], 0)]
        for members in (left[r] for r in _rows_by_code(codes[left]))
    ]
    return random, np.concatenate([*more, left[:0]])


def _calibrated(estimator: Any, states: np.ndarray, codes: np.ndarray, seed: int) -> Any:
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV

    fresh = clone(estimator)
    unset = {
        name: seed
        for name, v in fresh.get_params().items()
        if name.split("__")[-1] == "random_state" and v is None
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
    lacks = [
        name for name in ("fit", "predict_proba", "get_params") if not hasattr(estimator, name)
    ]
    if estimator is not None and (lacks or isinstance(estimator, type)):
        raise TypeError(
            f"`classifier` is a {type(estimator).__name__}{f' without {some(lacks)}' if lacks else ''}: pass an instance of a classifier "
            "of scikit-learn that has `predict_proba`, or None for nearest neighbours."
        )
