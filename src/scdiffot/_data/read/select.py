"""Resolve a selection of cells to positions."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import format_list
from .queries import query_mask
from .times.labels import NUMBER

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from .times.columns import CellTimes


def select_cells(
    adata: AnnData | MuData, source: Any, times: CellTimes | None, *, argument: str = "source"
) -> np.ndarray:
    """Positions of the cells that a selection names.

    Parameters
    ----------
    adata
        The data.
    source
        A time (number) or its label, the name of a cell, a query of `adata.obs`, names of cells,
        or a boolean mask. A string is looked up in this order; one that looks like a number is a
        time. A Series of pandas is aligned by name.
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
    if isinstance(source, np.ndarray) and source.ndim == 0:
        source = source.item()
    if isinstance(source, str):
        cells = _find_by_text(adata, source, times, argument)
    elif isinstance(source, Real) and not isinstance(source, bool | np.bool_):
        if times is None:
            raise TypeError(
                f"`{argument}` is a number: pass a query of obs, names of cells, or a boolean mask."
            )
        cells = times.cells(times.find(float(source), argument))
    else:
        cells = _find_by_array(adata, source, argument)
    if len(cells) == 0:
        raise ValueError(
            f"`{argument}` selects no cell: check "
            f"{source if isinstance(source, str) else 'the mask'!r}."
        )
    return cells


def _find_by_text(
    adata: AnnData | MuData, source: str, times: CellTimes | None, argument: str
) -> np.ndarray:
    if times is not None and source in times.labels:
        return times.cells(times.labels[source])
    if source in adata.obs_names:
        return np.array([adata.obs_names.get_loc(source)])
    if NUMBER.fullmatch(source.strip()):
        if times is not None:
            return times.cells(times.find(source, argument))
        raise KeyError(f"`{argument}` is {source!r}, which is not the name of a cell.")
    try:
        return np.flatnonzero(query_mask(adata, source))
    except Exception as error:  # evaluating an expression can raise any error
        label = "" if times is None else f"a time label ({format_list(times.labels)}), nor "
        reason = error.args[0] if error.args else type(error).__name__
        raise ValueError(
            f"`{argument}` is {source!r}, which is neither {label}the name of a cell, "
            f"nor a query of obs ({reason})."
        ) from error


def _find_by_array(adata: AnnData | MuData, source: Any, argument: str) -> np.ndarray:
    import pandas as pd

    if isinstance(source, str | bytes | dict) or not hasattr(source, "__iter__"):
        raise TypeError(
            f"`{argument}` is a {type(source).__name__}: "
            "pass a time, a query of obs, names of cells, or a boolean mask."
        )
    if isinstance(source, pd.Series):
        source = _align(adata, source, argument)
    values = np.asarray(source if hasattr(source, "__array__") else list(source))
    if values.ndim != 1:
        raise TypeError(
            f"`{argument}` has shape {values.shape}: "
            "pass a time, a query of obs, names of cells, or a boolean mask."
        )
    kinds = {type(v) for v in values.tolist()} if values.dtype == object else set()
    if bool in kinds and kinds <= {bool, type(None), float, type(pd.NA)}:
        n_missing = int(pd.isna(values).sum())
        if n_missing:
            raise ValueError(
                f"`{argument}` is a mask without a value for {n_missing} of {len(values)} cells: "
                "fill them, with False for instance."
            )
        values = values.astype(bool)
    if values.dtype.kind == "b":
        if len(values) != adata.n_obs:
            raise ValueError(
                f"`{argument}` is a mask of length {len(values)}: `adata` has {adata.n_obs} cells."
            )
        return np.flatnonzero(values)
    if values.dtype.kind not in "OUT" or not kinds <= {str, np.str_}:
        contents = (
            values.dtype
            if values.dtype != object
            else format_list(sorted(kind.__name__ for kind in kinds))
        )
        raise TypeError(
            f"`{argument}` holds {contents}: pass names of cells, or a boolean mask "
            "(adata.obs_names[i] are the names at positions i; "
            "for several times use a query, 'time in [0, 1]')."
        )
    cells = adata.obs_names.get_indexer(values)
    if (cells < 0).any():
        raise KeyError(
            f"`{argument}` names cells that `adata` does not have: "
            f"{format_list(values[cells < 0].tolist())}."
        )
    return cells


def _align(adata: AnnData | MuData, source: pd.Series, argument: str) -> Any:
    """Reorder a mask to the cells by name; masks with a default index keep their order."""
    import pandas as pd

    if not pd.api.types.is_bool_dtype(source.dtype) or isinstance(source.index, pd.RangeIndex):
        return source.to_numpy()
    if (
        not source.index.is_unique
        or len(source) != adata.n_obs
        or not source.index.isin(adata.obs_names).all()
    ):
        raise ValueError(
            f"`{argument}` is a mask whose index is not that of the cells: "
            "pass one with adata.obs_names as index, or an array."
        )
    return source.reindex(adata.obs_names).to_numpy()
