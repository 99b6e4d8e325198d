"""Labels of cells, and their names as columns of tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.keys import OUTSIDE
from scdiffot._utils.names import unsafe_name

from .checks import format_list
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
    Position of the type of every cell among the types that occur, -1 where it has none, shape
    ``(n,)``; and the types, in the order of the categories.

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
    """Refuse names of types, groups or genes that cannot be columns of a file.

    Parameters
    ----------
    names
        The names.
    place
        Where the user keeps them, for the message.
    argument
        Name of the user's argument, for the message.
    kind
        Plural noun for the names, for the message.
    reserved
        Names that have another meaning.
    prefix
        Text before every name in columns, which makes names such as ``".."`` safe.
    remedy
        Advice for the message.

    Raises
    ------
    ValueError
        If a name is unsafe, duplicated as a column, or reserved.
    """
    columns = column_names(names)
    unsafe_names = {
        name: reason
        for name, key in zip(names, columns, strict=True)
        if (reason := unsafe_name(prefix + key))
    }
    if unsafe_names:
        reasons = format_list(sorted(set(unsafe_names.values()))).replace("'", "")
        raise ValueError(
            f"`{argument}` {place} has the {kind} {format_list(unsafe_names)}, which files of "
            f"AnnData cannot hold as columns ({reasons}): {remedy}, or leave them out."
        )
    counts = Counter(columns)
    conflicting_names = [
        name for name, key in zip(names, columns, strict=True) if key in reserved or counts[key] > 1
    ]
    if conflicting_names:
        reserved_hint = ""
        if reserved:
            reserved_hint = (
                f", and {format_list(reserved)} is the class of descendants far from every cell"
            )
        raise ValueError(
            f"`{argument}` {place} has the {kind} {format_list(conflicting_names)}: names must "
            f"differ as text, and in more than '/' and '|'{reserved_hint}; {remedy}."
        )


def column_names(names: Sequence[str]) -> list[str]:
    """Convert names of classes to names of columns.

    Files of AnnData refuse slashes in names of columns, and old writers accept plain strings only.
    """
    return [str(name).replace("/", "|").replace("\\", "|") for name in names]
