"""Types of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import as_groups, read_column

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
        If `cell_key` is not a string, or the column holds numbers with a fraction, lists or dicts.
    ValueError
        If no cell has a type, or two types read the same.
    """
    column = read_column(adata, cell_key, argument)
    if getattr(column.dtype, "kind", "O") in "fc":
        raise TypeError(f"`{argument}` obs[{cell_key!r}] holds {column.dtype}: pass a column of labels.")
    values = as_groups(column, f"`{argument}` obs[{cell_key!r}]").remove_unused_categories()
    if len(values.categories) == 0:
        raise ValueError(f"`{argument}` obs[{cell_key!r}] is NaN in all cells: pass a column of labels.")
    return np.asarray(values.codes, dtype=np.intp), [str(name) for name in values.categories]
