"""Inputs of stochastic trajectory analysis in both directions, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_flag, format_list
from scdiffot._data.read.labels import cell_labels, check_names
from scdiffot._data.read.select import select_cells
from scdiffot._data.write.store import read_model, read_states, read_times
from scdiffot._utils.keys import OUTSIDE, UNKNOWN
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text

from .classifier import Classifier

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.times.columns import CellTimes
    from scdiffot.core import RUOTModel

# Share of trajectories that end far from every cell above which a warning is logged.
MAX_SHARE_OUTSIDE = 0.1


@dataclass(frozen=True)
class StaInputs:
    """A fit and its cells.

    Parameters
    ----------
    model
        The fit.
    times, states
        Times and states of all cells.
    cell_key, names, codes
        Column of the types, their names, and the type of every cell: -1 if missing, or the type of
        the name "unknown" if there is one.
    """

    model: RUOTModel
    times: CellTimes
    states: np.ndarray
    cell_key: str
    names: list[str]
    codes: np.ndarray

    @classmethod
    def read(cls, adata: AnnData | MuData, cell_key: str, key: str) -> StaInputs:
        """Read everything from an AnnData with a fit."""
        model = read_model(adata, key)
        codes, names = cell_labels(adata, cell_key)
        check_names(names, f"obs[{cell_key!r}]")
        if UNKNOWN in names:
            codes = np.where(codes < 0, names.index(UNKNOWN), codes)
        return cls(model, read_times(adata, key), read_states(adata, key), cell_key, names, codes)

    @property
    def classes(self) -> np.ndarray:
        """Names of the types, of the class without a type, and of the class far from every cell."""
        return np.array([*self.names, UNKNOWN, OUTSIDE])

    def class_codes(self, cells: np.ndarray) -> np.ndarray:
        """Codes of the classes that occur among some cells."""
        return np.unique(self.codes_with_unknown(cells))

    def codes_with_unknown(self, cells: np.ndarray) -> np.ndarray:
        """Codes of some cells, where those without a type are a class after the last type."""
        codes = self.codes[cells]
        return np.where(codes < 0, len(self.names), codes)

    def classifier(
        self, cells: np.ndarray, estimator: Any, n_neighbors: int, rng: np.random.Generator
    ) -> Classifier:
        """Classifier of the types of some cells.

        It has a generator of its own, so that trajectories do not depend on the classifier.
        """
        return Classifier(
            self.states[cells],
            self.codes[cells],
            n_types=len(self.names),
            estimator=estimator,
            n_neighbors=n_neighbors,
            rng=np.random.default_rng(rng.integers(2**63)),
        )

    def warn_single_cells(self, cells: np.ndarray, classifier: Classifier) -> None:
        """Warn of types with a single cell, whose shares among neighbours are too small."""
        single = np.flatnonzero(classifier.n_cells == 1)
        if len(single) and len(cells) > 1 and classifier.n_neighbors > 1:
            logger.warning(
                "At time %s, %s of obs[%r] have a single cell: one cell does not show how far its "
                "type reaches, so a state next to it counts as this type only in part, from 1 / "
                "%d on, even if the truth is 1. Merge such types with related ones, or pass "
                "`n_neighbors=1` to take the type of the nearest cell.",
                number_text(self.times.values[cells[0]]),
                format_list([self.names[code] for code in single]),
                self.cell_key,
                classifier.n_neighbors,
            )

    def warn_untyped(self, time: float, share: float, relation: str) -> None:
        """Warn of cells of a time without a type.

        Parameters
        ----------
        time
            Time of the cells.
        share
            Share of the descendants or ancestors that are among them.
        relation
            ``"descendants"`` or ``"ancestors"``.
        """
        cells = self.times.cells(time)
        n_untyped = int((self.codes[cells] < 0).sum())
        if n_untyped:
            logger.warning(
                "%d of the %d cells of time %s have no type in obs[%r]: %.1f %% of the %s are "
                "among them and count as %r. Give these cells a type, or leave them out.",
                n_untyped,
                len(cells),
                number_text(time),
                self.cell_key,
                100 * share,
                relation,
                UNKNOWN,
            )

    def find_time(self, time: float | str | None, default: float, argument: str) -> float:
        """Time at which cells were observed, within the fit."""
        if time is None:
            self._check_default(default, argument)
        value = self.times.find(default if time is None else time, argument)
        low, high = self.model.times[[0, -1]]
        if not low <= value <= high:
            raise ValueError(
                f"`{argument}` is {number_text(value)}: the fit covers the times from "
                f"{number_text(low)} to {number_text(high)}."
            )
        return value

    def _check_default(self, time: float, argument: str) -> None:
        """Refuse a time of the fit without cells, which a subset of the cells may have."""
        if self.times.nearest(time) is None:
            position = "first" if time == self.model.times[0] else "last"
            raise KeyError(
                f"`{argument}` is by default the {position} time of the fit, {number_text(time)}, "
                f"of which `adata` has no cells: pass `{argument}` (there are cells of "
                f"{format_list(self.times.points.tolist())}), or all cells of the fit."
            )

    def typed_cells(self, time: float, argument: str) -> np.ndarray:
        """Cells of a time, at least one of which must have a type."""
        cells = self.times.cells(time)
        if not (self.codes[cells] >= 0).any():
            raise ValueError(
                f"`{argument}` is {number_text(time)}, but no cell of that time has a type in "
                f"obs[{self.cell_key!r}]: name another time, or another `cell_key`."
            )
        return cells

    def find_cells(self, adata: AnnData | MuData, source: Any, default: float) -> np.ndarray:
        """Unique cells of a selection, in the order of `adata`; all cells of a time by default."""
        if source is None:
            self._check_default(default, "source")
        return np.unique(select_cells(adata, default if source is None else source, self.times))

    def find_earlier_cells(self, adata: AnnData | MuData, source: Any, target: float) -> np.ndarray:
        """Unique cells of a selection; by default all cells of the fit before the target."""
        if source is not None:
            return self.find_cells(adata, source, target)
        cells = np.flatnonzero(
            (self.times.values >= self.model.times[0]) & (self.times.values < target)
        )
        if len(cells) == 0:
            raise ValueError(
                f"`source` is by default all cells before `target_time`, {number_text(target)}, "
                f"and within the fit, which begins at {number_text(self.model.times[0])}: `adata` "
                "has none; pass a later `target_time`, or all cells of the fit."
            )
        return cells

    def times_of(self, cells: np.ndarray) -> np.ndarray:
        """Times of some cells, which must lie within the fit."""
        values = np.unique(self.times.values[cells])
        low, high = self.model.times[[0, -1]]
        outside = values[(values < low) | (values > high)]
        if len(outside):
            raise ValueError(
                f"`source` has cells of the times {format_list(outside.tolist())}: the fit covers "
                f"the times from {number_text(low)} to {number_text(high)}."
            )
        return values

    def check_growth(self, growth: bool | None, argument: str) -> bool:
        """Whether to weight by growth; by default if the fit has growth."""
        growth = None if growth is None else check_flag(argument, growth)
        if growth and not self.model.config.growth:
            raise ValueError(
                f"`{argument}` is True, but the fit has no growth, so cells neither divide nor die "
                f"in it: leave `{argument}` out, or fit with growth=True."
            )
        return self.model.config.growth if growth is None else growth
