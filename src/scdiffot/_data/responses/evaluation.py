"""Held-out cells for the evaluation of responses, and the scores on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import format_list, listed_names, suggest
from scdiffot._data.read.extract import locate
from scdiffot._utils.keys import Keys
from scdiffot.core.response.evaluation import HeldOutCells

from .groups import MIN_CELLS
from .predictions import read_response_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.response import ContextPair

    from .groups import ResponseCells


@dataclass(frozen=True)
class Fold:
    """A split of cells into training and test cells, as masks ``(n,)``."""

    name: str
    training: np.ndarray
    test: np.ndarray

    def training_pairs(
        self, cells: ResponseCells, mass: str | Mapping[str, float] | None
    ) -> list[ContextPair]:
        """Training cells of every context and condition.

        Raises
        ------
        KeyError, ValueError
            As :meth:`.ResponseCells.context_pairs`, with the name of the fold.
        """
        try:
            return cells.context_pairs(mass, self.training)
        except ValueError as error:
            raise ValueError(f"Without the cells of fold {self.name!r}: {error}") from error

    def test_cells(
        self, cells: ResponseCells, truth: np.ndarray | None = None
    ) -> list[HeldOutCells]:
        """Test cells of every condition that occurs among them.

        Contexts without control or without treated cells are left out.

        Parameters
        ----------
        cells
            All cells.
        truth
            True responses of all cells, shape ``(n, d)``.

        Raises
        ------
        ValueError
            If too few cells remain for a comparison, or true responses are missing.
        """
        result = []
        for i, target in enumerate(cells.targets.condition_names):
            test_cells = self.test & (cells.context >= 0)
            control, treated_cells = test_cells & cells.control, test_cells & (cells.condition == i)
            if not treated_cells.any():
                continue
            shared_contexts = np.intersect1d(cells.context[control], cells.context[treated_cells])
            x, y = (
                np.flatnonzero(side & np.isin(cells.context, shared_contexts))
                for side in (control, treated_cells)
            )
            for group, rows in (("control", x), (target, y)):
                if len(rows) < MIN_CELLS:
                    raise ValueError(
                        f"Fold {self.name!r} has {len(rows)} {group!r} cells to test on (with "
                        "their counterpart in the same context): scores need at least "
                        f"{MIN_CELLS}. Raise `test_size`, or name what to hold out in `held_out`."
                    )
            counts = np.bincount(cells.context[y]), np.bincount(cells.context[x])
            shares = (counts[0] / np.maximum(counts[1], 1))[cells.context[x]]
            responses = None if truth is None else truth[x]
            if responses is not None and not (np.isfinite(responses).all() and responses.any()):
                raise ValueError(
                    "`truth` is NaN, infinite or zero throughout in control cells of fold "
                    f"{self.name!r}: pass true responses."
                )
            result.append(HeldOutCells(i, cells.states[x], cells.states[y], shares, responses))
        return result


def random_folds(
    cells: ResponseCells, n_splits: int, test_size: float, rng: np.random.Generator
) -> list[Fold]:
    """Independent random splits, stratified by context and group."""
    group = np.where(cells.control, -2, cells.condition)
    usable = (group != -1) & (cells.context >= 0)
    folds = []
    for i in range(n_splits):
        test = np.zeros(len(group), dtype=bool)
        for context in range(len(cells.context_names)):
            for code in np.unique(group[usable & (cells.context == context)]):
                rows = np.flatnonzero(usable & (cells.context == context) & (group == code))
                test[rng.permutation(rows)[: round(test_size * len(rows))]] = True
        folds.append(Fold(str(i + 1), usable & ~test, test))
    return folds


def class_folds(
    cells: ResponseCells,
    codes: np.ndarray,
    names: list[str],
    *,
    held_out: str | float | Iterable[str | float] | None = None,
    column: str,
) -> list[Fold]:
    """Hold out each class of cells in turn; cells without a class are in neither part.

    Raises
    ------
    KeyError
        If there is no such class.
    ValueError
        If a class has no control or no treated cells, or no training cells remain.
    """
    usable = (cells.control | (cells.condition >= 0)) & (cells.context >= 0) & (codes >= 0)
    complete_names = [
        name
        for k, name in enumerate(names)
        if (usable & (codes == k) & cells.control).any()
        and (usable & (codes == k) & ~cells.control).any()
    ]
    held_out_names = (
        complete_names
        if held_out is None
        else list(dict.fromkeys(listed_names("held_out", held_out, numbers=True)))
    )
    unknown_names = [name for name in held_out_names if name not in names]
    if unknown_names:
        raise KeyError(
            f"`held_out` names {format_list(unknown_names)}, not in obs[{column!r}]. "
            f"{suggest(unknown_names[0], names)}"
        )
    incomplete_names = [name for name in held_out_names if name not in complete_names]
    if incomplete_names:
        raise ValueError(
            f"`held_out` names {format_list(incomplete_names)}, where control or treated cells are "
            "missing: nothing can be compared. Both are there in "
            f"{format_list(complete_names) or 'none'}."
        )
    if not held_out_names or len(complete_names) < 2:
        raise ValueError(
            f"obs[{column!r}] has control and treated cells in "
            f"{format_list(complete_names) or 'no class'}: holding out one of them needs two, and "
            "one to hold out."
        )
    return [
        Fold(name, usable & (codes != names.index(name)), usable & (codes == names.index(name)))
        for name in held_out_names
    ]


def read_truth(adata: AnnData | MuData, truth: str, cells: ResponseCells) -> np.ndarray:
    """Read true responses of all cells, shape ``(n, d)``, in the coordinates of the states.

    Raises
    ------
    KeyError
        If there is no such representation.
    ValueError
        If there are several conditions, or too few columns.
    """
    n_dims = cells.states.shape[1]
    if len(cells.targets.labels) > 1:
        raise ValueError(
            "`truth` is the response to one treatment at one dose, and there are "
            f"{len(cells.targets.labels)}: evaluate one at a time, or leave it out."
        )
    values = np.asarray(locate(adata, truth, argument="truth").array)
    if values.ndim != 2 or values.shape[1] < n_dims:
        raise ValueError(
            f"`truth` {truth!r} has shape {values.shape}: "
            f"pass {n_dims} columns, those of the states."
        )
    return values[:, :n_dims]


def write_evaluation(adata: AnnData | MuData, keys: Keys, table: pd.DataFrame) -> None:
    """Write the scores of an evaluation."""
    adata.uns[keys.response_evaluation] = table


def read_evaluation(adata: AnnData | MuData, key: str) -> pd.DataFrame:
    """Read the scores of an evaluation.

    Raises
    ------
    KeyError
        If there are none.
    """
    name = Keys(key, "key").response_evaluation
    return read_response_table(
        adata, key, name, source="tl.evaluate_response(adata, condition_key, control, target)"
    )
