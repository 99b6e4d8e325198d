"""Shares of classes in cells, drawn on an embedding or as stacked bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.columns import find_column, read_groups
from scdiffot._utils.keys import OUTSIDE, UNKNOWN

from .figure import background, foreground
from .points import GREY, default_colors, draw_cells, draw_legend, palette, point_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

    from .plane import Plane

OUTSIDE_COLOR = "#404040"
UNKNOWN_COLOR = "#969696"
# positions of the first and last colour between the background, the class colour and the foreground
PALE_FRACTION, DARK_FRACTION = 0.12, 0.55


def class_colors(adata: AnnData | MuData, cell_key: str, names: Iterable[str]) -> dict[str, Any]:
    """Return a colour for every class.

    A class has the colour of its cell type. ``unknown`` is grey and ``outside`` dark grey. Classes
    that are not cell types of `adata`, for example after subsetting or renaming, get unused
    colours.
    """
    names = [str(name) for name in names]
    table: dict[str, Any] = {UNKNOWN: UNKNOWN_COLOR, OUTSIDE: OUTSIDE_COLOR}
    if cell_key in adata.obs.columns or ":" in cell_key:
        holder, column = find_column(adata, cell_key, "cell_key")
        table |= palette(holder, column, read_groups(holder, column, "cell_key"))
    missing_names = [name for name in names if name not in table]
    used_colors = set(table.values())
    unused_colors = [
        color
        for color in default_colors(len(table) + len(missing_names))
        if color not in used_colors
    ]
    table |= dict(zip(missing_names, unused_colors, strict=False))
    return {name: table[name] for name in names}


def draw_shares(
    axes: Sequence[Axes],
    plane: Plane,
    shares: pd.DataFrame,
    *,
    colors: dict[str, Any],
    titles: Sequence[str],
    label: str,
) -> None:
    """Draw the cells once for every class, shaded by its share; cells with NaN are grey."""
    from matplotlib.cm import ScalarMappable

    for ax, name, title in zip(axes, shares.columns, titles, strict=True):
        values = shares[name].to_numpy()
        finite = np.isfinite(values)
        size = point_size(len(values), ax)
        style: dict[str, Any] = {"linewidths": 0, "rasterized": True}
        x, y = plane.points.T
        ax.scatter(x[~finite], y[~finite], s=size, c=GREY, alpha=0.35, **style)
        # cells with large shares are drawn last, on top
        order = np.flatnonzero(finite)[np.argsort(values[finite], kind="stable")]
        ax.scatter(
            x[order],
            y[order],
            s=max(size, 4),
            c=values[order],
            cmap=_color_ramp(colors[name]),
            vmin=0,
            vmax=1,
            **style,
        )
        ax.set_title(title)
        plane.label_axes(ax)
    # one grey colour bar serves all panels, which differ in hue but not in scale
    bar = axes[0].figure.colorbar(
        ScalarMappable(cmap=_color_ramp("#8c8c8c")),
        ax=list(axes),
        label=label,
        shrink=0.6 if len(axes) <= 4 else 0.3,
        aspect=25,
    )
    bar.outline.set_visible(False)


def draw_largest(
    ax: Axes, plane: Plane, shares: pd.DataFrame, *, colors: dict[str, Any], title: str
) -> None:
    """Draw all cells on one panel, with the hue of the largest share, shaded by that share."""
    values = shares.to_numpy()
    finite = np.isfinite(values).any(axis=1)
    cell_colors = np.empty(len(values), dtype=object)
    cell_colors[:] = GREY
    for i in np.flatnonzero(finite):
        k = int(np.nanargmax(values[i]))
        cell_colors[i] = _color_ramp(colors[shares.columns[k]])(float(values[i, k]) / 2)
    draw_cells(ax, plane, c=cell_colors)
    largest = set(np.nanargmax(values[finite], axis=1))
    draw_legend(ax, title, {name: c for k, (name, c) in enumerate(colors.items()) if k in largest})
    plane.label_axes(ax)


def draw_bars(
    ax: Axes,
    shares: pd.DataFrame,
    errors: pd.DataFrame | None,
    *,
    colors: dict[str, Any],
    labels: Sequence[str],
    title: str,
) -> None:
    """Draw one stacked bar for each row, from top to bottom, with standard errors of the shares."""
    y = -np.arange(len(shares))
    offset = np.zeros(len(shares))
    # error bars of neighbouring segments are offset, so that they do not overlap
    heights = np.resize([0.18, 0.0, -0.18], shares.shape[1])
    for name, height in zip(shares.columns, heights, strict=True):
        width = shares[name].to_numpy()
        ax.barh(
            y,
            width,
            left=offset,
            height=0.8,
            color=colors[name],
            edgecolor=background(),
            linewidth=0.5,
        )
        offset = offset + width
        if errors is not None:
            visible = width > 0.01 * shares.to_numpy().sum(axis=1).max()
            error = errors[name].to_numpy()[visible]
            ax.errorbar(
                offset[visible],
                y[visible] + height,
                xerr=error,
                ls="",
                color=foreground(),
                lw=1,
                capsize=2,
            )
    ax.set_yticks(y, labels)
    ax.set_xlim(0, max(float(offset.max()), 1e-12))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    used_colors = {name: colors[name] for name in shares.columns if (shares[name] > 0).any()}
    draw_legend(ax, title, used_colors)


def _color_ramp(color: Any) -> Any:
    """Return a colour map from near the background through a colour towards the foreground."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    background_rgb, foreground_rgb, middle = (
        np.array(to_rgb(c)) for c in (background(), foreground(), color)
    )
    shades = [
        tuple(background_rgb + PALE_FRACTION * (middle - background_rgb)),
        tuple(middle),
        tuple(foreground_rgb + DARK_FRACTION * (middle - foreground_rgb)),
    ]
    return LinearSegmentedColormap.from_list("shares", shades)
