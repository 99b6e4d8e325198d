"""What both directions of stochastic trajectory analysis read and check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.checks import some
from scdiffot._data.labels import cell_labels
from scdiffot._data.number_text import number_text
from scdiffot._data.select import select_cells
from scdiffot._data.shares import check_names
from scdiffot._data.store import read_fit, read_states, read_times
from scdiffot._keys import STATE
from scdiffot.core import RUOTModel

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.times import CellTimes


@dataclass(frozen=True)
class Setting:
    """A fit and the cells it is asked about.

    Parameters
    ----------
    model
        The fit.
    times, states
        Of all cells.
    cell_key, names, codes
        Column of the types, their names, and the type of every cell (-1 if missing).
    """

    model: RUOTModel
    times: CellTimes
    states: np.ndarray
    cell_key: str
    names: list[str]
    codes: np.ndarray

    @classmethod
    def read(cls, adata: AnnData | MuData, cell_key: str, key: str) -> Setting:
        """Read everything from an AnnData with a fit."""
        model = RUOTModel.from_arrays(read_fit(adata, key)[STATE])
        codes, names = cell_labels(adata, cell_key)
        check_names(names, cell_key)
        return cls(model, read_times(adata, key), read_states(adata, key), cell_key, names, codes)

    def find_time(self, time: float | str | None, default: float, argument: str) -> float:
        """Time at which cells were observed, within the fit."""
        found = self.times.find(default if time is None else time, argument)
        low, high = self.model.times[[0, -1]]
        if not low <= found <= high:
            raise ValueError(
                f"`{argument}` is {number_text(found)}: the fit covers the times from {number_text(low)} to {number_text(high)}."
            )
        return found

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
        return np.unique(select_cells(adata, default if source is None else source, self.times))

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
        there = self.model.config.growth
        if asked and not there:
            raise ValueError(
                f"`{argument}` is True, but the fit has no growth, so cells neither divide nor die in it: "
                f"leave `{argument}` out, or fit with growth=True."
            )
        return there if asked is None else bool(asked)
