"""Scatter plots of cells, with colour bars and legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from .plane import Plane

GREY = "#c9c9c9"
TIME_MAP = "viridis"
# matplotlib subtracts the limits of a colour scale, which overflows for larger numbers
MAX_COLOR_VALUE = 1e300


def point_size(n: int, ax: Axes) -> float:
    """Return the area of a point, scaled by the area of the panel per cell."""
    area = ax.bbox.width * ax.bbox.height / ax.figure.dpi**2
    return float(np.clip(1500 * area / max(n, 1), 1.2, 18))


def random_subset(n: int, n_max: int) -> np.ndarray:
    """Return at most `n_max` of `n` indices, in random order, so that no group covers another."""
    return np.random.default_rng(0).permutation(n)[:n_max]


def draw_cells(ax: Axes, plane: Plane, *, alpha: float = 1.0, **options: Any) -> Any:
    """Scatter all cells in random order; an array `c` is reordered with them."""
    order = random_subset(len(plane.points), len(plane.points))
    if isinstance(options.get("c"), np.ndarray):
        options["c"] = options["c"][order]
    size = point_size(len(order), ax)
    return ax.scatter(
        plane.points[order, 0],
        plane.points[order, 1],
        s=size,
        alpha=alpha,
        linewidths=0,
        rasterized=True,
        **options,
    )


def clip_to_color_range(values: np.ndarray) -> np.ndarray:
    """Clip finite numbers to the range of colour scales; NaN and infinity are unchanged."""
    finite = np.isfinite(values)
    if not (np.abs(values[finite]) > MAX_COLOR_VALUE).any():
        return values
    return np.where(finite, np.clip(values, -MAX_COLOR_VALUE, MAX_COLOR_VALUE), values)


def exceeded_limits(values: np.ndarray, limits: tuple[float, float]) -> str:
    """Return the ends at which numbers exceed the limits of a colour bar, as in matplotlib."""
    finite_values = values[np.isfinite(values)]
    low, high = limits
    return {
        (False, False): "neither",
        (True, False): "min",
        (False, True): "max",
        (True, True): "both",
    }[bool((finite_values < low).any()), bool((finite_values > high).any())]


def palette(adata: AnnData | MuData, color: str, column: pd.Categorical) -> dict[str, Any]:
    """Return a colour for every category: that in `uns`, or a distinct default colour.

    As in scanpy, ``uns["{color}_colors"]`` has one colour for each category, in the same order. A
    dict (category -> colour) is also accepted. Missing categories and invalid colours get default
    colours.
    """
    from matplotlib.colors import is_color_like, to_hex

    names = [str(c) for c in column.categories]
    stored = adata.uns.get(f"{color}_colors")
    stored_colors: dict[str, Any] = {}
    if hasattr(stored, "items"):
        stored_colors = {str(name): c for name, c in stored.items()}
    elif isinstance(stored, list | tuple | np.ndarray) and len(stored) >= len(names):
        stored_colors = dict(zip(names, stored, strict=False))
    colors = dict(zip(names, default_colors(len(names)), strict=False))
    return {
        name: to_hex(stored_colors[name])
        if is_color_like(stored_colors.get(name))
        else colors[name]
        for name in names
    }


def default_colors(n: int) -> list[str]:
    """Return at least `n` distinct colours."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if n <= 10:
        colors = [colormaps["tab10"](i) for i in range(10)]
    elif n <= 20:
        # saturated colours come before the light ones
        colors = [colormaps["tab20"](i) for i in (*range(0, 20, 2), *range(1, 20, 2))]
    else:
        colors = [colormaps["turbo"](u) for u in np.linspace(0.02, 0.98, n)]
    return [to_hex(c) for c in colors]


def draw_colorbar(ax: Axes, points: Any, label: str, **options: Any) -> Any:
    """Add a colour bar that is opaque even if the points are transparent."""
    bar = ax.figure.colorbar(points, ax=ax, label=label, shrink=0.8, aspect=25, **options)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    return bar


def draw_legend(
    parent: Axes | Figure, title: str, table: dict[str, Any], *, n_rows: int = 16
) -> None:
    """Add a legend beside the axes or the figure, in columns of at most `n_rows` entries."""
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    place: dict[str, Any] = {"loc": "outside right center"}
    if isinstance(parent, Axes):
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    handles = [
        Line2D([], [], marker="o", ls="", ms=6, color=c, label=name) for name, c in table.items()
    ]
    parent.legend(
        handles=handles, title=title, ncols=-(-len(handles) // n_rows), frameon=False, **place
    )
