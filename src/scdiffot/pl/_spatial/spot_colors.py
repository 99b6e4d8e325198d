"""Colours of the spots of a tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.columns import as_groups, find_column
from scdiffot.pl._base.named_values import named_values
from scdiffot.pl._base.points import (
    GREY,
    TIME_MAP,
    clip_to_color_range,
    exceeded_limits,
    palette,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

DEFAULT_COLOR = "#4c78a8"


@dataclass(frozen=True)
class Colors:
    """Colours of spots.

    Parameters
    ----------
    title
        Name of the quantity; empty if all spots have the same colour.
    values
        Numbers, shape ``(n,)``, or colours, shape ``(n, 3)``.
    table
        Colour of each category; empty for numbers.
    style
        Colour map and limits, for numbers.
    extend
        Ends at which values exceed the limits, as in colour bars of matplotlib.
    """

    title: str
    values: np.ndarray
    table: dict[str, Any]
    style: dict[str, Any]
    extend: str = "neither"

    @property
    def numeric(self) -> bool:
        """Whether colours are explained by a colour bar, rather than by a legend."""
        return bool(self.style)


def find_colors(
    adata: AnnData | MuData,
    color: str | np.ndarray | None,
    library_key: str | None,
    gene_symbols: str | None = None,
) -> Colors:
    """Resolve the colours of spots.

    Parameters
    ----------
    adata
        The spots.
    color
        Column of `obs`, gene, or array with a value for each spot. None colours by slice if there
        is a `library_key`, and all spots alike otherwise.
    library_key
        Column of `obs` with the slice of each spot.
    gene_symbols
        Column of `var` with gene names to use instead of `var_names`.

    Raises
    ------
    KeyError
        If `color` is neither a column nor a gene.
    TypeError
        If `color` is neither a name nor an array, or contains lists or dicts.
    ValueError
        If an array has the wrong length.
    """
    import pandas as pd
    from matplotlib.colors import to_rgb

    if color is None and library_key is None:
        return Colors("", np.tile(to_rgb(DEFAULT_COLOR), (adata.n_obs, 1)), {}, {})
    source = library_key if color is None else color
    if isinstance(source, str):
        title, values = source, named_values(adata, source, gene_symbols=gene_symbols)
    else:
        title, values = "", pd.Series(_array_values(adata, source))
        title = str(getattr(color, "name", None) or "")
    # Booleans (kind "b") are categories
    if getattr(values.dtype, "kind", "O") in "iuf":
        return _numeric_colors(title, values.to_numpy(dtype=np.float64, na_value=np.nan))
    groups = as_groups(values, f"`color` {title!r}" if title else "`color`")
    holder, column = find_column(adata, title, "color") if isinstance(source, str) else (adata, "")
    table = palette(holder, column, groups)
    # spots without a category have code -1, the last colour
    colors = np.array([to_rgb(c) for c in (*table.values(), GREY)])[groups.codes]
    return Colors(title, colors, table, {})


def _array_values(adata: AnnData | MuData, values: Any) -> Any:
    if not hasattr(values, "__len__") or np.ndim(values) == 0:
        raise TypeError(
            f"`color` is a {type(values).__name__}: pass the name of a column or gene, or an array."
        )
    if np.ndim(values) != 1 or len(values) != adata.n_obs:
        raise ValueError(
            f"`color` has shape {np.shape(values)}: pass one value for each of the "
            f"{adata.n_obs} spots."
        )
    return np.asarray(values)


def _numeric_colors(title: str, values: np.ndarray) -> Colors:
    """Return colours with limits at quantiles, symmetric around zero if both signs occur."""
    values = clip_to_color_range(values)
    finite_values = values[np.isfinite(values)]
    if len(finite_values) == 0:
        raise ValueError(
            f"`color` {title!r} is NaN or infinite in all spots: name another column or gene."
        )
    if finite_values.min() < 0 < finite_values.max():
        high = float(np.quantile(np.abs(finite_values), 0.98)) or 1.0
        low, name = -high, "coolwarm"
    else:
        low, high, name = (
            float(finite_values.min()),
            float(np.quantile(finite_values, 0.99)),
            TIME_MAP,
        )
    # the quantile is zero for a gene that less than 1 % of the spots express
    high = high if high > low else float(finite_values.max())
    style = {"cmap": name, "clim": (low, high)}
    return Colors(title, values, {}, style, exceeded_limits(values, (low, high)))
