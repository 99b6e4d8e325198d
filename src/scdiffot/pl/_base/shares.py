"""Shares of cells in classes: on an embedding, and as bars."""

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

NO_TYPE = "#404040"
UNTYPED = "#969696"
# from nothing to everything, and the ends of the colours in between
PALE, DARK = 0.12, 0.55


def class_colors(adata: AnnData | MuData, cell_key: str, names: Iterable[str]) -> dict[str, Any]:
    """Colour of every class: that of its cell type, grey for cells without one, and dark grey for what is far from all.

    Classes that are no types any more, because their cells were left out or the type has another name, take colours that
    no type has.
    """
    names = [str(name) for name in names]
    table: dict[str, Any] = {UNKNOWN: UNTYPED, OUTSIDE: NO_TYPE}
    if cell_key in adata.obs.columns or ":" in cell_key:
        holder, column = find_column(adata, cell_key, "cell_key")
        table |= palette(holder, column, read_groups(holder, column, "cell_key"))
    missing = [name for name in names if name not in table]
    used = set(table.values())
    free = [color for color in default_colors(len(table) + len(missing)) if color not in used]
    table |= dict(zip(missing, free, strict=False))
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
    """Draw the cells once for every class, the darker the larger its share from 0 to 1; cells without shares are grey."""
    from matplotlib.cm import ScalarMappable

    for ax, name, title in zip(axes, shares.columns, titles, strict=True):
        values = shares[name].to_numpy()
        there = np.isfinite(values)
        size = point_size(len(values), ax)
        style: dict[str, Any] = {"linewidths": 0, "rasterized": True}
        x, y = plane.points.T
        ax.scatter(x[~there], y[~there], s=size, c=GREY, alpha=0.35, **style)
        # cells with large shares would vanish under the others
        order = np.flatnonzero(there)[np.argsort(values[there], kind="stable")]
        ax.scatter(
            x[order],
            y[order],
            s=max(size, 4),
            c=values[order],
            cmap=_ramp(colors[name]),
            vmin=0,
            vmax=1,
            **style,
        )
        ax.set_title(title)
        plane.dress(ax)
    # one bar for all: the colours differ, the shades mean the same
    bar = axes[0].figure.colorbar(
        ScalarMappable(cmap=_ramp("#8c8c8c")),
        ax=list(axes),
        label=label,
        shrink=0.6 if len(axes) <= 4 else 0.3,
        aspect=25,
    )
    bar.outline.set_visible(False)


def draw_largest(
    ax: Axes, plane: Plane, shares: pd.DataFrame, *, colors: dict[str, Any], title: str
) -> None:
    """Draw all cells on one panel, coloured by the class of the largest share, the paler the smaller it is."""
    values = shares.to_numpy()
    there = np.isfinite(values).any(axis=1)
    shown = np.empty(len(values), dtype=object)
    shown[:] = GREY
    for i in np.flatnonzero(there):
        k = int(np.nanargmax(values[i]))
        shown[i] = _ramp(colors[shares.columns[k]])(float(values[i, k]) / 2)
    draw_cells(ax, plane, c=shown)
    largest = set(np.nanargmax(values[there], axis=1))
    draw_legend(ax, title, {name: c for k, (name, c) in enumerate(colors.items()) if k in largest})
    plane.dress(ax)


def draw_bars(
    ax: Axes,
    shares: pd.DataFrame,
    errors: pd.DataFrame | None,
    *,
    colors: dict[str, Any],
    labels: Sequence[str],
    title: str,
) -> None:
    """Draw a stacked bar for every row, the first one on top, with standard errors at the ends of its parts."""
    y = -np.arange(len(shares))
    left = np.zeros(len(shares))
    # neighbouring errors lie on different heights, so that they do not cover each other
    heights = np.resize([0.18, 0.0, -0.18], shares.shape[1])
    for name, height in zip(shares.columns, heights, strict=True):
        width = shares[name].to_numpy()
        ax.barh(
            y,
            width,
            left=left,
            height=0.8,
            color=colors[name],
            edgecolor=background(),
            linewidth=0.5,
        )
        left = left + width
        if errors is not None:
            seen = width > 0.01 * shares.to_numpy().sum(axis=1).max()
            error = errors[name].to_numpy()[seen]
            ax.errorbar(
                left[seen], y[seen] + height, xerr=error, ls="", color=foreground(), lw=1, capsize=2
            )
    ax.set_yticks(y, labels)
    ax.set_xlim(0, max(float(left.max()), 1e-12))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    used = {name: colors[name] for name in shares.columns if (shares[name] > 0).any()}
    draw_legend(ax, title, used)


def _ramp(color: Any) -> Any:
    """Shades of a colour, from nearly the background over the colour itself towards the colour of lines."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    paper, ink, middle = (np.array(to_rgb(c)) for c in (background(), foreground(), color))
    shades = [
        tuple(paper + PALE * (middle - paper)),
        tuple(middle),
        tuple(ink + DARK * (middle - ink)),
    ]
    return LinearSegmentedColormap.from_list("shares", shades)
