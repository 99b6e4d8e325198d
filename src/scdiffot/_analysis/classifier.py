"""Classifier of cell types by states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list
from scdiffot._utils.logging import logger
from scdiffot.core.lineage.neighbor_shares import neighbor_shares

from .nearest import Nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# Share of the cells of every type that are held out to measure the accuracy.
HELD_OUT = 0.2
# Least number of cells of every type for calibration.
N_CALIBRATION = 10
# Number of cells on which neighbours are tested: in total, and at least of every type.
N_TEST, N_TEST_TYPE = 5000, 100


class Classifier:
    """Predicts types from states by the cells of one time.

    By default, the probabilities at a state are the shares of the types among the neighbours of the
    nearest cell. The shares are computed once for every cell, so that a state needs only its
    nearest cell. The number of neighbours is smaller for types of few cells
    (:func:`~scdiffot.core.lineage.neighbor_shares.neighbor_shares`). Shares among neighbours are
    calibrated. Another classifier is calibrated by cross-validation if every type has enough cells.

    Cells without a type are a class of their own, with their share among the neighbours; another
    classifier divides the remaining probability among the types.

    Parameters
    ----------
    states
        Cells, shape ``(n, d)``.
    codes
        Their types, shape ``(n,)``; -1 is unknown, at least one must be known.
    n_types
        Number of types, including those that do not occur among these cells.
    estimator
        Classifier of scikit-learn; None for the nearest neighbours.
    n_neighbors
        Number of neighbours, at most a tenth of the cells.
    rng
        Generator.

    Attributes
    ----------
    accuracy
        Share of cells whose type is predicted correctly from other cells: of all (or 5000) for the
        neighbours, of a held-out fifth for another classifier.
    accuracy_by_type
        Accuracy on the cells of every type, shape ``(n_types,)``; NaN without such a cell.
    n_cells
        Number of cells of every type, shape ``(n_types,)``.
    n_neighbors
        Number of neighbours; 1 for another classifier.
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
        typed = np.flatnonzero(codes >= 0)
        self._n_types = n_types
        self._nearest = Nearest(states, rng, codes)
        self._estimator: Any = None
        self.accuracy, self.accuracy_by_type = 1.0, np.full(n_types, np.nan)
        self.n_cells = np.bincount(codes[typed], minlength=n_types)
        classes = np.where(codes < 0, n_types, codes)
        neighbors = _Neighbors(states, classes, n_classes=n_types + 1, n_neighbors=n_neighbors)
        self._shares = neighbors.shares(self._nearest.cells)
        self.n_neighbors = neighbors.n_neighbors if estimator is None else 1
        if estimator is None or len(np.unique(codes[typed])) == 1:
            if len(codes) > 1:
                self._test_neighbors(neighbors, codes, typed, rng)
        else:
            self._fit_estimator(states[typed], codes[typed], estimator, rng)

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classify states of shape ``(m, d)``.

        Returns
        -------
        Probabilities of the types and, last, of no type, shape ``(m, n_types + 1)``; and which
        states are far from every cell, shape ``(m,)``.
        """
        distance, index = self._nearest(x)
        probability = self._shares[index]
        if self._estimator is not None:
            typed_share = 1 - probability[:, -1:]
            probability[:, :-1] = 0
            probability[:, self._estimator.classes_] = typed_share * self._estimator.predict_proba(
                x
            )
        return probability, distance > self._nearest.radius

    def accuracy_table(self, names: Sequence[str]) -> pd.DataFrame:
        """Accuracy and number of cells of the types that occur."""
        import pandas as pd

        present = np.flatnonzero(self.n_cells)
        columns = {"accuracy": self.accuracy_by_type[present], "n_cells": self.n_cells[present]}
        return pd.DataFrame(columns, index=np.array(names, dtype=object)[present])

    def log_accuracy(self, names: Sequence[str]) -> None:
        """Log the accuracy in total and by type, the worst type first."""
        table = self.accuracy_table(names).sort_values("accuracy", kind="stable")
        by_type = [f"{name}: {row.accuracy:.2f} of {row.n_cells}" for name, row in table.iterrows()]
        logger.info(
            "The classifier predicts the types of held-out cells with an accuracy of %.2f (share "
            "of the cells of each type: %s).",
            self.accuracy,
            format_list(by_type),
        )

    def _test_neighbors(
        self, neighbors: _Neighbors, codes: np.ndarray, typed: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Measure the accuracy of the neighbours, without the cells themselves."""
        random, rare = _test_rows(codes, typed, rng)
        rows = np.append(random, rare)
        shares = neighbors.shares(rows, leave_out=True)[:, :-1]
        correct = (shares.argmax(axis=1) == codes[rows]) & shares.any(axis=1)
        self._set_accuracy(correct, codes[rows], n_random=len(random))

    def _fit_estimator(
        self, states: np.ndarray, codes: np.ndarray, estimator: Any, rng: np.random.Generator
    ) -> None:
        """Measure the accuracy of a classifier on held-out cells, then fit it to all cells."""
        held_out = np.concatenate(
            [rng.permutation(rows)[: int(HELD_OUT * len(rows))] for rows in _rows_by_code(codes)]
        ).astype(np.intp)
        training = np.ones(len(codes), bool)
        training[held_out] = False
        seed = int(rng.integers(2**31))
        if len(held_out):
            calibrated = _fit_calibrated(estimator, states[training], codes[training], seed)
            correct = calibrated.predict(states[held_out]) == codes[held_out]
            self._set_accuracy(correct, codes[held_out], n_random=len(held_out))
        self._estimator = _fit_calibrated(estimator, states, codes, seed)

    def _set_accuracy(self, correct: np.ndarray, codes: np.ndarray, *, n_random: int) -> None:
        """Set both accuracies; only the first `n_random` cells are a random sample of all types."""
        self.accuracy = float(correct[:n_random].mean())
        counts = np.bincount(codes, minlength=self._n_types)
        hits = np.bincount(codes, correct, minlength=self._n_types)
        np.divide(hits, counts, out=self.accuracy_by_type, where=counts > 0)


class _Neighbors:
    """Shares of classes among the nearest neighbours of cells."""

    def __init__(
        self, states: np.ndarray, classes: np.ndarray, *, n_classes: int, n_neighbors: int
    ) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._states, self._classes, self._n_classes = states, classes, n_classes
        self.n_neighbors = max(min(n_neighbors, len(states) // 10), 1)
        # One more than the neighbours, to compare scales with, and the cell itself.
        self._index = NearestNeighbors(n_neighbors=min(self.n_neighbors + 2, len(states))).fit(
            states
        )

    def shares(self, rows: np.ndarray, *, leave_out: bool = False) -> np.ndarray:
        """Shares of the classes around some cells, shape ``(m, n_classes)``."""
        lists = self._index.kneighbors(self._states[rows], return_distance=False)
        if leave_out:
            is_self = lists == rows[:, None]
            # If many cells coincide, a cell may not be among its neighbours.
            is_self[~is_self.any(axis=1), -1] = True
            lists = lists[~is_self].reshape(len(rows), -1)
        return neighbor_shares(
            self._states,
            self._classes,
            lists[:, : self.n_neighbors + 1],
            n_classes=self._n_classes,
            n_neighbors=self.n_neighbors,
        )


def _test_rows(
    codes: np.ndarray, typed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random cells on which to test a classifier, and extra cells of rare types."""
    if len(typed) <= N_TEST:
        return typed, typed[:0]
    random = rng.choice(typed, N_TEST, replace=False)
    untested = np.setdiff1d(typed, random)
    counts = np.bincount(codes[random], minlength=codes.max() + 1)
    extra = [
        members[: max(N_TEST_TYPE - counts[codes[members[0]]], 0)]
        for members in (untested[r] for r in _rows_by_code(codes[untested]))
    ]
    return random, np.concatenate([*extra, untested[:0]])


def _fit_calibrated(estimator: Any, states: np.ndarray, codes: np.ndarray, seed: int) -> Any:
    """Fit a copy of a classifier, calibrated if every type has enough cells."""
    from sklearn.base import clone
    from sklearn.calibration import CalibratedClassifierCV

    model = clone(estimator)
    seeds = {
        name: seed
        for name, v in model.get_params().items()
        if name.split("__")[-1] == "random_state" and v is None
    }
    model.set_params(**seeds)
    if min(len(rows) for rows in _rows_by_code(codes)) >= N_CALIBRATION:
        model = CalibratedClassifierCV(model, ensemble=False)
    return model.fit(states, codes)


def _rows_by_code(codes: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def check_estimator(estimator: Any) -> None:
    """Refuse an object that is no classifier with probabilities.

    Raises
    ------
    TypeError
        If a method is missing.
    """
    absent = [
        method
        for method in ("fit", "predict_proba", "get_params")
        if not hasattr(estimator, method)
    ]
    if estimator is not None and (absent or isinstance(estimator, type)):
        raise TypeError(
            "`classifier` is a "
            f"{type(estimator).__name__}{f' without {format_list(absent)}' if absent else ''}: "
            "pass an instance of a classifier of scikit-learn that has `predict_proba`, or None "
            "for nearest neighbours."
        )
