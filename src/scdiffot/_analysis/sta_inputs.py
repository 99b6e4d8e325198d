"""What both directions of stochastic trajectory analysis read and check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_flag, some
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


@dataclass(frozen=True)
class StaInputs:
    """A fit and the cells it is asked about.

    Parameters
    ----------
    model
        The fit.
    times, states
        Of all cells.
    cell_key, names, codes
        Column of the types, their names, and the type of every cell (-1 if missing, which a type of the name "unknown"
        takes over).
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
        """Names of the types and of the classes of cells without a type and of what is far from every cell."""
        return np.array([*self.names, UNKNOWN, OUTSIDE])

    def class_codes(self, cells: np.ndarray) -> np.ndarray:
        """Types that some cells have; if some have none, then the class of these."""
        codes = self.codes[cells]
        return np.unique(np.where(codes < 0, len(self.names), codes))

    def classifier(
        self, cells: np.ndarray, estimator: Any, n_neighbors: int, rng: np.random.Generator
    ) -> Classifier:
        """Classifier of the types of some cells, with a generator of its own: the paths do not depend on it."""
        return Classifier(
            self.states[cells],
            self.codes[cells],
            n_types=len(self.names),
            estimator=estimator,
            n_neighbors=n_neighbors,
            rng=np.random.default_rng(rng.integers(2**63)),
        )

    def warn_single_cells(self, cells: np.ndarray, classifier: Classifier) -> None:
        """Warn of types with one of some cells, whose shares among neighbours are too small."""
        single = np.flatnonzero(classifier.n_cells == 1)
        if len(single) and len(cells) > 1 and classifier.n_neighbors > 1:
            logger.warning(
                "At time %s, %s of obs[%r] have a single cell: one cell does not show how far its type reaches, so a state beside "
                "it counts as this type in part only, from 1 / %d on, even where the truth is 1. Merge such types with related "
                "ones, or pass `n_neighbors=1` to take the type of the nearest cell.",
                number_text(self.times.values[cells[0]]),
                some([self.names[code] for code in single]),
                self.cell_key,
                classifier.n_neighbors,
            )

    def warn_untyped(self, time: float, share: float, what: str) -> None:
        """Warn that some cells of a time have no type, and how many of the descendants or ancestors are among them."""
        cells = self.times.cells(time)
        n_untyped = int((self.codes[cells] < 0).sum())
        if n_untyped:
            logger.warning(
                "%d of the %d cells of time %s have no type in obs[%r]: %.1f %% of the %s are among them and count as %r. "
                "Give these cells a type, or leave them out.",
                n_untyped,
                len(cells),
                number_text(time),
                self.cell_key,
                100 * share,
                what,
                UNKNOWN,
            )

    def find_time(self, time: float | str | None, default: float, argument: str) -> float:
        """Time at which cells were observed, within the fit."""
        if time is None:
            self._check_default(default, argument)
        found = self.times.find(default if time is None else time, argument)
        low, high = self.model.times[[0, -1]]
        if not low <= found <= high:
            raise ValueError(
                f"`{argument}` is {number_text(found)}: the fit covers the times from {number_text(low)} to {number_text(high)}."
            )
        return found

    def _check_default(self, time: float, argument: str) -> None:
        """Refuse a time of the fit that no cell has, as in a subset of its cells."""
        if self.times.nearest(time) is None:
            which = "first" if time == self.model.times[0] else "last"
            raise KeyError(
                f"`{argument}` is by default the {which} time of the fit, {number_text(time)}, of which `adata` has no cells: pass "
                f"`{argument}` (there are cells of {some(self.times.points.tolist())}), or all cells of the fit."
            )

    def typed_cells(self, time: float, argument: str) -> np.ndarray:
        """Cells of a time, of which some must have a type."""
        cells = self.times.cells(time)
        if not (self.codes[cells] >= 0).any():
            raise ValueError(
                f"`{argument}` is {number_text(time)}, but no cell of that time has a type in obs[{self.cell_key!r}]: name another time, "
                "or another `cell_key`."
            )
        return cells

    def find_cells(self, adata: AnnData | MuData, source: Any, default: float) -> np.ndarray:
        """Cells that a selection names, each once, in the order of `adata`; all of a time by default."""
        if source is None:
            self._check_default(default, "source")
        return np.unique(select_cells(adata, default if source is None else source, self.times))

    def find_earlier_cells(self, adata: AnnData | MuData, source: Any, target: float) -> np.ndarray:
        """The same; by default all cells from the first time of the fit to before the target."""
        if source is not None:
            return self.find_cells(adata, source, target)
        cells = np.flatnonzero(
            (self.times.values >= self.model.times[0]) & (self.times.values < target)
        )
        if len(cells) == 0:
            raise ValueError(
                f"`source` is by default all cells before `target_time`, {number_text(target)}, and within the fit, which begins at "
                f"{number_text(self.model.times[0])}: `adata` has none; pass a later `target_time`, or all cells of the fit."
            )
        return cells

    def times_of(self, cells: np.ndarray) -> np.ndarray:
        """Times of some cells, which must lie within the fit."""
        found = np.unique(self.times.values[cells])
        low, high = self.model.times[[0, -1]]
        wrong = found[(found < low) | (found > high)]
        if len(wrong):
            raise ValueError(
                f"`source` has cells of the times {some(wrong.tolist())}: the fit covers the times from {number_text(low)} to {number_text(high)}."
            )
        return found

    def check_growth(self, asked: bool | None, argument: str) -> bool:
        """Whether to weight by growth."""
        asked = None if asked is None else check_flag(argument, asked)
        there = self.model.config.growth
        if asked and not there:
            raise ValueError(
                f"`{argument}` is True, but the fit has no growth, so cells neither divide nor die in it: "
                f"leave `{argument}` out, or fit with growth=True."
            )
        return there if asked is None else asked
