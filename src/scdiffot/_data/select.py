"""Which cells the user means."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import some

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from .times import CellTimes


def select_cells(
    adata: AnnData | MuData, source: Any, times: CellTimes | None, *, argument: str = "source"
) -> np.ndarray:
    """Positions of the cells that a selection names.

    Parameters
    ----------
    adata
        The data.
    source
        A time (number) or its label, the name of a cell, a query of `adata.obs`, names of cells, or a boolean mask.
        A string is looked up in this order.
    times
        Times of all cells; None if they have none.
    argument
        Name of the user's argument, for the messages.

    Returns
    -------
    Increasing positions for a time, a query or a mask; names keep their order.

    Raises
    ------
    KeyError
        If a time or name does not exist.
    TypeError
        If the selection is none of these.
    ValueError
        If it has the wrong length, the query cannot be read, or no cell is selected.
    """
    if isinstance(source, str):
        cells = _by_text(adata, source, times, argument)
    elif times is not None and isinstance(source, Real) and not isinstance(source, bool | np.bool_):
        cells = times.cells(times.find(float(source), argument))
    else:
        cells = _by_array(adata, np.asarray(source), argument)
    if len(cells) == 0:
        raise ValueError(f"`{argument}` selects no cell: check {source if isinstance(source, str) else 'the mask'!r}.")
    return cells


def _by_text(adata: AnnData | MuData, source: str, times: CellTimes | None, argument: str) -> np.ndarray:
    if times is not None and source in times.labels:
        return times.cells(times.labels[source])
    if source in adata.obs_names:
        return np.array([adata.obs_names.get_loc(source)])
    try:
        # positions instead of names keep the answer exact, whatever the index is called
        frame = adata.obs.reset_index(drop=True)
        return frame.query(source, engine="python").index.to_numpy()
    except Exception as error:  # a query can fail in every way that an expression can
        label = "" if times is None else f"a time label ({some(times.labels)}), nor "
        raise ValueError(
            f"`{argument}` is {source!r}, which is neither {label}the name of a cell, nor a query of obs ({error})."
        ) from error


def _by_array(adata: AnnData | MuData, source: np.ndarray, argument: str) -> np.ndarray:
    if source.ndim != 1:
        raise TypeError(
            f"`{argument}` has shape {source.shape}: pass a time, a query of obs, names of cells, or a boolean mask."
        )
    if source.dtype.kind == "b":
        if len(source) != adata.n_obs:
            raise ValueError(f"`{argument}` is a mask of length {len(source)}: `adata` has {adata.n_obs} cells.")
        return np.flatnonzero(source)
    if source.dtype.kind not in "OUT":
        raise TypeError(f"`{argument}` holds {source.dtype}: pass names of cells, or a boolean mask.")
    cells = adata.obs_names.get_indexer(source)
    if (cells < 0).any():
        raise KeyError(f"`{argument}` names cells that `adata` does not have: {some(source[cells < 0].tolist())}.")
    return cells
