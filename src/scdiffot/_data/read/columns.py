"""Columns of `obs`, of an AnnData, a MuData or a modality, in memory or read lazily."""

from __future__ import annotations

from collections.abc import Hashable
from reprlib import repr as shortened
from typing import TYPE_CHECKING

from .checks import is_mudata, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


def find_column(adata: AnnData | MuData, name: str, argument: str) -> tuple[AnnData | MuData, str]:
    """Find the object whose `obs` has a column, and the name of the column there.

    For a MuData, the object may be a modality (``"modality:column"``).

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If the name is not a string.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"`{argument}` is a {type(name).__name__}: pass the name of a column of obs."
        )
    if name in adata.obs.columns:
        return adata, name
    if is_mudata(adata):
        modality, _, column = name.partition(":")
        if modality in adata.mod and column in adata.mod[modality].obs.columns:
            return adata.mod[modality], column
    raise KeyError(
        f"`{argument}` is {name!r}, which is no column of obs. {suggest(name, list_columns(adata))}"
    )


def list_columns(adata: AnnData | MuData) -> list[str]:
    """List the columns of `obs`, for a MuData also those of the modalities."""
    modalities = adata.mod.items() if is_mudata(adata) else ()
    columns = [*adata.obs.columns, *(f"{m}:{c}" for m, a in modalities for c in a.obs.columns)]
    return list(dict.fromkeys(map(str, columns)))


def read_column(adata: AnnData | MuData, name: str, argument: str) -> pd.Series:
    """Read a column of `obs`, in the order of the cells.

    For a MuData, the column may be that of a modality (``"modality:column"``). Lazy columns are
    read into memory. Cells that a modality lacks have no value.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If the name is not a string.
    ValueError
        If there are several.
    """
    import pandas as pd

    holder, column = find_column(adata, name, argument)
    obs = holder.obs
    values = obs[column] if isinstance(obs, pd.DataFrame) else obs[[column]].to_memory()[column]
    if values.ndim > 1:
        raise ValueError(
            f"`{argument}` is {name!r}, but obs has {values.shape[1]} columns of that name: "
            "rename all but one."
        )
    return values if holder is adata else values.reindex(adata.obs_names)


def read_groups(adata: AnnData | MuData, name: str, argument: str) -> pd.Categorical:
    """Read a column of `obs` as categories.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If it holds lists, dicts or other values that are no labels.
    ValueError
        If there are several columns, or two labels read the same.
    """
    return as_groups(read_column(adata, name, argument), f"`{argument}` obs[{name!r}]")


def as_groups(values: pd.Series, source: str) -> pd.Categorical:
    """Convert values to categories; `source` names them in messages.

    Raises
    ------
    TypeError
        If they are no labels.
    ValueError
        If two labels read the same, such as 1 and ``"1"``.
    """
    import pandas as pd

    try:
        groups = pd.Categorical(values)
    except (TypeError, ValueError) as error:
        example = next(
            (value for value in values if not isinstance(value, Hashable)), values.iloc[0]
        )
        raise TypeError(
            f"{source} holds values such as {shortened(example)}, a {type(example).__name__}: "
            "pass labels (strings or numbers)."
        ) from error
    names = pd.Index([str(category) for category in groups.categories])
    if not names.is_unique:
        raise ValueError(
            f"{source} holds different values that read {names[names.duplicated()][0]!r}: "
            "make all labels strings."
        )
    return groups


def read_numbers(adata: AnnData | MuData, name: str, argument: str) -> pd.Series:
    """Read a column of `obs` as numbers, NaN where a value is missing.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If it holds anything else, or there are several.
    """
    column = read_column(adata, name, argument)
    try:
        return column.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{argument}` needs numbers in obs[{name!r}], which holds {column.dtype}: "
            "run the function that wrote this column again."
        ) from error


def drop_columns(adata: AnnData | MuData, names: Iterable[str]) -> None:
    """Drop columns of `obs`; names that are missing are ignored."""
    import pandas as pd

    obsolete_names = set(names) & set(adata.obs.columns)
    if isinstance(adata.obs, pd.DataFrame):
        for name in obsolete_names:
            del adata.obs[name]
    elif obsolete_names:
        # Lazy columns have no deletion.
        adata.obs = adata.obs[[name for name in adata.obs.columns if name not in obsolete_names]]
