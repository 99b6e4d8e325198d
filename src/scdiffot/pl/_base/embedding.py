"""Cells on an embedding, drawn by scanpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._data.read.checks import suggest
from scdiffot._data.read.columns import as_groups, find_column, list_columns

from .named_values import named_values
from .points import (
    GREY,
    TIME_MAP,
    clip_to_color_range,
    draw_colorbar,
    exceeded_limits,
    palette,
    point_size,
    random_subset,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from mudata import MuData

    from .plane import Plane

# options of scanpy.pl.embedding; those that take one value for each panel come first
PANEL_OPTIONS = ("vmin", "vmax", "vcenter", "norm", "title")
OPTIONS = (
    *PANEL_OPTIONS,
    *("alpha", "cmap", "colorbar_loc", "frameon", "groups", "legend_fontoutline"),
    *("legend_fontsize", "legend_fontweight", "legend_loc", "marker", "na_color"),
    *("na_in_legend", "palette", "size", "sort_order"),
)
# the marker "." of scanpy has a quarter of the area of a circle of the same size
MARKER_SCALE = 4


@dataclass(frozen=True)
class CellColors:
    """Values that colour cells.

    Parameters
    ----------
    title
        Name of the quantity.
    values
        Numbers, shape ``(n,)``, categories, or None for cells of one colour.
    palette
        Colours of the categories; empty for numbers.
    defaults
        Options of scanpy that hold unless the user passes others.
    label
        Text at the colour bar.
    ticks
        Ticks of the colour bar; by default those of matplotlib.
    """

    title: str
    values: Any
    palette: list[Any] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    ticks: np.ndarray | None = None


def list_colors(color: Any) -> list[Any]:
    """Return one name or several as a list; None, the default colour, is one panel.

    Raises
    ------
    TypeError
        If `color` holds anything else than names.
    ValueError
        If it is empty.
    """
    if color is None or isinstance(color, str):
        return [color]
    if not isinstance(color, list | tuple) or not all(isinstance(c, str) for c in color):
        raise TypeError(
            f"`color` is a {type(color).__name__}: pass the name of a column of obs or of a gene, "
            "or a list of names."
        )
    if not color:
        raise ValueError("`color` is empty: pass names, or None for the default.")
    return list(color)


def check_options(options: Mapping[str, Any]) -> None:
    """Raise an error if an option is not one of `scanpy.pl.embedding`."""
    for name in options:
        if name not in OPTIONS:
            raise TypeError(
                f"`{name}` is no parameter, and no option of scanpy.pl.embedding that can be "
                f"passed on. {suggest(name, OPTIONS)}"
            )


def time_colors(plane: Plane) -> CellColors:
    """Return the times of the cells, which are drawn in random order."""
    ticks = plane.times.points if len(plane.times.points) <= 8 else None
    defaults: dict[str, Any] = {"sort_order": False, "title": ""}
    if plane.over_time:
        defaults["colorbar_loc"] = None
    column = plane.times.column
    return CellColors(column, plane.times.values, [], defaults, column, ticks)


def read_colors(
    adata: AnnData | MuData, name: str, *, gene_symbols: str | None, layer: str | None
) -> CellColors:
    """Read the values of a column of `obs` or of a gene.

    Raises
    ------
    KeyError
        If there is no such column, gene or layer.
    TypeError
        If the column contains lists or dicts.
    """
    import pandas as pd

    column = named_values(adata, name, gene_symbols=gene_symbols, layer=layer)
    if getattr(column.dtype, "kind", "O") in "iuf":
        return CellColors(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
    groups = as_groups(column, f"`color` obs[{name!r}]")
    table = palette(*find_column(adata, name, "color"), groups)
    if not table:
        return CellColors(name, np.full(len(groups), np.nan), [], {"colorbar_loc": None})
    categories = pd.Categorical.from_codes(groups.codes, pd.Index(list(table)))
    # scanpy names cells without a category "NA" in the legend
    defaults = {"na_in_legend": "NA" not in table}
    return CellColors(name, categories, list(table.values()), defaults)


def signed_colors(values: np.ndarray, label: str) -> CellColors:
    """Return numbers on a scale symmetric around zero, up to the 98 % quantile."""
    magnitudes = np.abs(clip_to_color_range(values)[np.isfinite(values)])
    limit = (float(np.quantile(magnitudes, 0.98)) if len(magnitudes) else 0.0) or 1.0
    # the middle of this colour map is grey, so cells near zero stay visible on white
    scale = {"cmap": "coolwarm", "vmin": -limit, "vmax": limit}
    return CellColors("", values, [], {"sort_order": False, **scale}, label)


def panel_colors(
    adata: AnnData | MuData,
    plane: Plane,
    color: str | Sequence[str] | None,
    *,
    gene_symbols: str | None,
    layer: str | None,
) -> list[CellColors]:
    """Read columns of `obs` and genes, one for each panel; None is the time.

    Raises
    ------
    KeyError
        If there is no such column, gene or layer.
    TypeError
        If `color` holds anything else than names, or a column contains lists or dicts.
    ValueError
        If `color` is empty.
    """
    time = plane.times.column
    return [
        time_colors(plane)
        if name is None or (name == time and time in list_columns(adata))
        else read_colors(adata, name, gene_symbols=gene_symbols, layer=layer)
        for name in list_colors(color)
    ]


def draw_panels(
    axes: Sequence[Axes],
    plane: Plane,
    colors: Sequence[CellColors],
    options: Mapping[str, Any],
    *,
    alpha: float,
) -> None:
    """Draw the cells once for each quantity.

    Raises
    ------
    ValueError
        If the number of axes does not match, or scanpy refuses an option.
    """
    if len(axes) != len(colors):
        raise ValueError(f"`ax` has {len(axes)} axes: pass {len(colors)}, one for every color.")
    for k, (ax, quantity) in enumerate(zip(axes, colors, strict=True)):
        draw_embedding(ax, plane, quantity, panel_options(options, k, len(axes)), alpha=alpha)
        plane.label_axes(ax)


def panel_options(options: Mapping[str, Any], panel: int, n_panels: int) -> dict[str, Any]:
    """Return the options of one of several panels: lists hold one value for each of them."""
    return {
        name: value[panel]
        if name in PANEL_OPTIONS and isinstance(value, list | tuple) and len(value) == n_panels
        else value
        for name, value in options.items()
    }


def draw_embedding(
    ax: Axes, plane: Plane, colors: CellColors, options: Mapping[str, Any], *, alpha: float = 1.0
) -> None:
    """Draw all cells by `scanpy.pl.embedding`, in random order, with a colour bar or a legend.

    Parameters
    ----------
    ax
        Axes to draw on.
    plane
        Coordinates of the cells.
    colors
        Values that colour the cells.
    options
        Options of `scanpy.pl.embedding` by the user.
    alpha
        Opacity of the cells by default.

    Raises
    ------
    ValueError
        If scanpy refuses an option.
    """
    import scanpy

    order = random_subset(len(plane.points), len(plane.points))
    cells = _companion(plane.points[order], colors, order)
    style = _style(ax, cells, colors, options, alpha)
    location = style.pop("colorbar_loc", "right")
    # scanpy removes the ticks, which show the scale of a representation
    locators = [(axis, axis.get_major_locator()) for axis in (ax.xaxis, ax.yaxis)]
    first = len(ax.collections)
    color = None if colors.values is None else "color"
    fixed: dict[str, Any] = {"ax": ax, "show": False, "colorbar_loc": None, "linewidths": 0}
    try:
        scanpy.pl.embedding(cells, "cells", color=color, **fixed, **style)
    except (AttributeError, IndexError, NotImplementedError, TypeError, ValueError) as error:
        if not options:
            raise
        text = ", ".join(f"`{name}`={shortened(value)}" for name, value in options.items())
        raise ValueError(f"scanpy.pl.embedding refuses the options {text}: {error}") from error
    for axis, locator in locators:
        axis.set_major_locator(locator)
    points = ax.collections[first]
    points.set_rasterized(True)
    if color and not colors.palette and location is not None:
        extend = exceeded_limits(cells.obs["color"].to_numpy(), points.get_clim())
        bar = draw_colorbar(ax, points, colors.label, location=location, extend=extend)
        if colors.ticks is not None:
            bar.set_ticks(colors.ticks)


def _style(
    ax: Axes, cells: AnnData, colors: CellColors, options: Mapping[str, Any], alpha: float
) -> dict[str, Any]:
    """Return the options of scanpy: those of the user, otherwise ours."""
    defaults: dict[str, Any] = {
        "alpha": alpha,
        "cmap": TIME_MAP,
        "na_color": GREY,
        "size": MARKER_SCALE * point_size(cells.n_obs, ax),
        "title": colors.title,
        **colors.defaults,
    }
    if "color" in cells.obs and not colors.palette and cells.obs["color"].isna().all():
        defaults |= {"vmin": 0.0, "vmax": 1.0}
    if "norm" in options:
        defaults = {name: v for name, v in defaults.items() if name not in ("vmin", "vmax")}
    style = defaults | dict(options)
    if np.ndim(style["size"]) == 1 and len(style["size"]) == cells.n_obs:
        style["size"] = np.asarray(style["size"])[random_subset(cells.n_obs, cells.n_obs)]
    return style


def _companion(points: np.ndarray, colors: CellColors, order: np.ndarray) -> AnnData:
    """Return an AnnData for scanpy, which may change it, with infinite numbers as NaN."""
    import pandas as pd

    obs = pd.DataFrame(index=np.arange(len(points)).astype(str))
    if colors.palette:
        obs["color"] = colors.values[order]
    elif colors.values is not None:
        values = clip_to_color_range(np.asarray(colors.values, dtype=np.float64))[order]
        obs["color"] = np.where(np.isfinite(values), values, np.nan)
    return AnnData(obs=obs, obsm={"cells": points}, uns={"color_colors": colors.palette})
