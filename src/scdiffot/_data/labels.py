"""Types of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import is_mudata, suggest

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def cell_labels(adata: AnnData | MuData, cell_key: str, *, argument: str = "cell_key") -> tuple[np.ndarray, list[str]]:
    """Read the type of every cell.

    Parameters
    ----------
    adata
        The data.
    cell_key
        Column of `obs` with labels; for a MuData also `"modality:column"`.
    argument
        Name of the user's argument, for the messages.

    Returns
    -------
    Position of the type of every cell among the types that occur, -1 where it has none, shape ``(n,)``; and the types, in the
    order of the categories.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If `cell_key` is not a string, or the column holds numbers with a fraction.
    ValueError
        If no cell has a type.
    """
    import pandas as pd

    if not isinstance(cell_key, str):
        raise TypeError(f"`{argument}` is a {type(cell_key).__name__}: pass the name of a column of obs.")
    column = _column(adata, cell_key, argument)
    if getattr(column.dtype, "kind", "O") in "fc":
        raise TypeError(f"`{argument}` obs[{cell_key!r}] holds {column.dtype}: pass a column of labels.")
    values = pd.Categorical(column).remove_unused_categories()
    if len(values.categories) == 0:
        raise ValueError(f"`{argument}` obs[{cell_key!r}] is NaN in all cells: pass a column of labels.")
    return np.asarray(values.codes, dtype=np.intp), [str(name) for name in values.categories]


def _column(adata: AnnData | MuData, cell_key: str, argument: str) -> Any:
    if cell_key in adata.obs.columns:
        return adata.obs[cell_key]
    columns = list(adata.obs.columns)
    if is_mudata(adata):
        modality, _, name = cell_key.partition(":")
        if modality in adata.mod and name in adata.mod[modality].obs:
            return adata.mod[modality].obs[name].reindex(adata.obs_names)
        columns += [f"{m}:{c}" for m, a in adata.mod.items() for c in a.obs.columns]
    raise KeyError(f"`{argument}` is {cell_key!r}, which is no column of obs. {suggest(cell_key, columns)}")
