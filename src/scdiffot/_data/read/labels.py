"""Labels of cells, and their names as columns of tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.keys import OUTSIDE
from scdiffot._utils.names import unsafe_name

from .checks import some
from .columns import as_groups, read_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData


def cell_labels(
    adata: AnnData | MuData, cell_key: str, *, argument: str = "cell_key"
) -> tuple[np.ndarray, list[str]]:
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
        raise TypeError(
            f"`{argument}` obs[{cell_key!r}] holds {column.dtype}: pass a column of labels."
        )
    values = as_groups(column, f"`{argument}` obs[{cell_key!r}]").remove_unused_categories()
    if len(values.categories) == 0:
        raise ValueError(
            f"`{argument}` obs[{cell_key!r}] is NaN in all cells: pass a column of labels."
        )
    return np.asarray(values.codes, dtype=np.intp), [str(name) for name in values.categories]


def check_names(
    names: Sequence[str],
    place: str,
    *,
    argument: str = "cell_key",
    kind: str = "types",
    reserved: Sequence[str] = (OUTSIDE,),
    prefix: str = "",
    remedy: str = "rename them with .cat.rename_categories",
) -> None:
    """Refuse names of types, groups or genes that files cannot hold as columns, or that are alike or reserved there.

    A `prefix` stands before the names in columns, so that names which mean a place in a file are allowed; `place` is where the
    user keeps the names.

    Raises
    ------
    ValueError
        If there are such.
    """
    columns = column_names(names)
    unsafe = {
        name: reason
        for name, key in zip(names, columns, strict=True)
        if (reason := unsafe_name(prefix + key))
    }
    if unsafe:
        reasons = some(sorted(set(unsafe.values()))).replace("'", "")
        raise ValueError(
            f"`{argument}` {place} has the {kind} {some(unsafe)}, which files of AnnData cannot hold as columns ({reasons}): "
            f"{remedy}, or leave them out."
        )
    counts = Counter(columns)
    wrong = [
        name for name, key in zip(names, columns, strict=True) if key in reserved or counts[key] > 1
    ]
    if wrong:
        own = (
            f", and {some(reserved)} is the class of what is far from every cell"
            if reserved
            else ""
        )
        raise ValueError(
            f"`{argument}` {place} has the {kind} {some(wrong)}: names must differ as text, and in more than '/' and '|'{own}; "
            f"{remedy}."
        )


def column_names(names: Sequence[str]) -> list[str]:
    """Names of classes as columns: files of AnnData refuse slashes there, and old writers all but plain strings."""
    return [str(name).replace("/", "|").replace("\\", "|") for name in names]
