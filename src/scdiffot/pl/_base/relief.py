"""A scalar field on a grid, drawn as contours or as a surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_COLOR = "#1a1a1a"
N_LEVELS = 16


@dataclass(frozen=True)
class Relief:
    """Heights, trajectories and marks of one panel.

    Parameters
    ----------
    x, y
        Axes of the grid, shapes ``(n_x,)`` and ``(n_y,)``.
    height
        Height at the nodes, shape ``(n_y, n_x)``; NaN where it is undefined.
    scale
        Lowest and highest height of the colour map.
    cmap
        Name of the colour map.
    lines
        Trajectories on the plane, shape ``(n_times, n, 2)``, or None.
    marks
        Marked points, shape ``(m, 2)``, and their colours.
    """

    x: np.ndarray
    y: np.ndarray
    height: np.ndarray
    scale: tuple[float, float]
    cmap: str
    lines: np.ndarray | None
    marks: tuple[np.ndarray, list[Any]]


def draw_contours(ax: Axes, relief: Relief) -> None:
    """Draw filled contours; heights outside the scale are not drawn."""
    from matplotlib.collections import LineCollection

    levels = np.linspace(*relief.scale, N_LEVELS + 1)
    ax.contourf(relief.x, relief.y, relief.height, levels, cmap=relief.cmap)
    ax.contour(
        relief.x,
        relief.y,
        relief.height,
        levels[1::2],
        colors=LINE_COLOR,
        linewidths=0.4,
        alpha=0.5,
        linestyles="solid",
    )
    if relief.lines is not None:
        bundle = LineCollection(
            list(relief.lines.swapaxes(0, 1)), colors=LINE_COLOR, lw=0.7, alpha=0.6, rasterized=True
        )
        ax.add_collection(bundle)
        ax.scatter(
            relief.lines[-1, :, 0],
            relief.lines[-1, :, 1],
            s=9,
            c="white",
            edgecolors=LINE_COLOR,
            linewidths=0.5,
            zorder=3,
        )
    points, colors = relief.marks
    ax.scatter(
        points[:, 0],
        points[:, 1],
        s=70,
        c=colors,
        marker="o",
        edgecolors="white",
        linewidths=1.5,
        zorder=4,
    )


def draw_surface(ax: Any, relief: Relief) -> None:
    """Draw a surface with trajectories and marks; heights outside the scale are not drawn."""
    from matplotlib.ticker import MaxNLocator
    from scipy.interpolate import RegularGridInterpolator

    # sorting by depth would hide lines behind the surface that they lie on
    ax.computed_zorder = False
    low, high = relief.scale
    height = np.where(relief.height <= high, relief.height, np.nan)
    options: dict[str, Any] = {
        "cmap": relief.cmap,
        "vmin": low,
        "vmax": high,
        "rstride": 1,
        "cstride": 1,
    }
    ax.plot_surface(
        *np.meshgrid(relief.x, relief.y), height, linewidth=0, alpha=0.9, rasterized=True, **options
    )
    surface = RegularGridInterpolator(
        (relief.y, relief.x), height, bounds_error=False, fill_value=np.nan
    )

    def project(points: np.ndarray) -> tuple[np.ndarray, ...]:
        return *points.T, surface(points[:, ::-1]) + 0.01 * (high - low)

    dots: dict[str, Any] = {"depthshade": False}
    if relief.lines is not None:
        for line in relief.lines.swapaxes(0, 1):
            ax.plot(*project(line), color=LINE_COLOR, lw=0.7, alpha=0.7, zorder=3)
        ax.scatter(
            *project(relief.lines[-1]),
            s=9,
            c="white",
            edgecolors=LINE_COLOR,
            linewidths=0.5,
            zorder=4,
            **dots,
        )
    points, colors = relief.marks
    ax.scatter(
        *project(points), s=60, c=colors, edgecolors="white", linewidths=1.5, zorder=5, **dots
    )
    ax.set_zlim(low, high)
    width, depth = np.ptp(relief.x), np.ptp(relief.y)
    ax.set_box_aspect((width, depth, 0.5 * max(width, depth)), zoom=0.95)
    ax.view_init(elev=45, azim=-60)
    ax.tick_params(labelsize="small", pad=0)
    ax.zaxis.set_major_locator(MaxNLocator(4))
