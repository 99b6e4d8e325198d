"""Groups of cells over which derivatives with respect to genes are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_count, check_flag, format_list
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.read.select import select_cells
from scdiffot._data.write.decoders import GeneSpace, read_genes
from scdiffot._data.write.store import read_model, read_states, read_times
from scdiffot._utils.keys import ALL
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.times.columns import CellTimes
    from scdiffot.core.nets.model import RUOTModel

# Number of cells on which the standard deviation of genes is measured.
N_SPREAD = 5000
# Standard deviation, relative to the largest of all genes, below which a gene is constant.
MIN_SPREAD = 1e-6
# Number of cells whose genes are decoded at a time.
CHUNK_SIZE = 500


@dataclass(frozen=True)
class Group:
    """Positions of the cells of a group, at a time or at all times (NaN)."""

    name: str
    time: float
    cells: np.ndarray


@dataclass(frozen=True)
class GroupedCells:
    """A fit, its genes, and groups of cells.

    Parameters
    ----------
    model, space, times, states
        The fit, its genes, and all cells.
    genes
        Positions of the selected genes; by default all varying genes in the order of the decoder.
    spread
        Their standard deviations in the decoded expression of the cells.
    groups
        The groups with cells.
    """

    model: RUOTModel
    space: GeneSpace
    times: CellTimes
    states: np.ndarray
    genes: np.ndarray
    spread: np.ndarray
    groups: list[Group]

    @property
    def names(self) -> np.ndarray:
        """Names of the genes."""
        return self.space.names[self.genes].astype(str)


def read_grouped(
    adata: AnnData | MuData,
    key: str,
    *,
    genes: str | Iterable[str] | None,
    groupby: str | None,
    source: Any,
    per_time: bool,
    n_cells: int | None,
    decoder: Any,
    rng: np.random.Generator,
    gene_symbols: str | None = None,
) -> GroupedCells:
    """Read a fit and the selected cells and genes.

    Raises
    ------
    KeyError
        If there is no fit, gene, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If there is no decoder, a gene does not vary, no cell has a group, or cells lie outside the
        fit.
    """
    model = read_model(adata, key)
    space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
    positions = None if genes is None else space.find(genes)
    if n_cells is not None:
        n_cells = check_count("n_cells", n_cells, 1)
    codes, names = (np.zeros(adata.n_obs, np.intp), [ALL])
    per_time = check_flag("per_time", per_time)
    if groupby is not None:
        codes, names = cell_labels(adata, groupby, argument="groupby")
    times, states = read_times(adata, key), read_states(adata, key)
    cells = _cells(adata, source, times, model)
    cells = cells[codes[cells] >= 0]
    if len(cells) == 0:
        raise ValueError(
            f"`groupby` obs[{groupby!r}] is NaN in all cells of `source`: choose others."
        )
    groups = []
    for code, name in enumerate(names):
        group_cells = cells[codes[cells] == code]
        group_times = times.values[group_cells]
        parts = (
            [(float(t), group_cells[group_times == t]) for t in np.unique(group_times)]
            if per_time
            else [(np.nan, group_cells)]
        )
        groups += [Group(name, t, _sample(part, n_cells, rng)) for t, part in parts if len(part)]
    spread = _spread(space, states[_sample(cells, N_SPREAD, rng)])
    varies = spread > MIN_SPREAD * spread.max()
    if positions is None:
        positions = space.select_named(np.flatnonzero(varies))
        if len(positions) == 0:
            raise ValueError(
                f"`source` selects cells among which no gene of {space.use_rep!r} varies: choose "
                "more cells."
            )
    elif not varies[positions].all():
        constant = space.names[positions[~varies[positions]]]
        raise ValueError(
            f"`genes` names {format_list(constant)}, which do not vary over the cells in "
            f"{space.use_rep!r}, so nothing was learned about them: leave them out."
        )
    return GroupedCells(model, space, times, states, positions, spread[positions], groups)


def _cells(adata: AnnData | MuData, source: Any, times: CellTimes, model: RUOTModel) -> np.ndarray:
    """Positions of the selected cells, by default all cells within the times of the fit."""
    low, high = model.times[[0, -1]]
    inside = (times.values >= low) & (times.values <= high)
    if source is None:
        return np.flatnonzero(inside)
    cells = np.unique(select_cells(adata, source, times))
    if not inside[cells].all():
        outside = np.unique(times.values[cells[~inside[cells]]])
        raise ValueError(
            f"`source` has cells of the times {format_list(outside.tolist())}: the fit covers the "
            f"times from {number_text(low)} to {number_text(high)}."
        )
    return cells


def _sample(cells: np.ndarray, n: int | None, rng: np.random.Generator) -> np.ndarray:
    """At most `n` of the cells, at random and in their order."""
    return cells if n is None or len(cells) <= n else np.sort(rng.choice(cells, n, replace=False))


def _spread(space: GeneSpace, states: np.ndarray) -> np.ndarray:
    """Standard deviation of every gene over decoded states, in chunks to save memory."""
    first = space.decode(states[:1]).astype(np.float64)
    total, squares = np.zeros((2, first.shape[1]))
    for start in range(0, len(states), CHUNK_SIZE):
        shifted = space.decode(states[start : start + CHUNK_SIZE]) - first
        total += shifted.sum(axis=0)
        squares += (shifted**2).sum(axis=0)
    n = len(states)
    return np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0))
