"""Slices of a tissue side by side, or on top of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from scdiffot._data.read.checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
    listed_names,
    suggest,
)
from scdiffot._data.read.extract import MAX_VALUE, locate
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.logging import logger
from scdiffot.pl._base.field import grid_field
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import axis_names
from scdiffot.pl._base.points import thinned

from .tissue import draw_spots, explain, find_colors, pitches, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

INK = "#222222"
# Arrows: length of a long one, as a share of the window
LENGTH = 0.07
# Streamlines per length of the axes: those of a window of this many inches, or a larger one
DENSITY, DENSE = 1.1, 4.0
# Room for a legend or a colour bar: inches
LEGEND_WIDTH = 1.5
# Spots on top of each other are smaller.
OVERLAID = 0.6


def slices(
    adata: AnnData | MuData,
    library_key: str | None = None,
    *,
    color: str | np.ndarray | None = None,
    gene_symbols: str | None = None,
    spatial_key: str = "spatial",
    slices: Sequence[str] | None = None,
    overlay: bool = False,
    arrows: str | None = None,
    kind: Literal["stream", "grid", "cells"] = "stream",
    size: float = 1.0,
    alpha: float | None = None,
    n_grid: int = 25,
    n_max: int = 300,
    ncols: int = 4,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the slices of a tissue, a panel for each, in one scale of length and of colour.

    Colours of categories are those of ``adata.uns["<color>_colors"]``. Numbers of both signs, such as growth rates, get a
    scale that is symmetric around zero. Panels show the same window if all slices lie in one frame, as after
    :func:`scdiffot.tl.align_slices`, else a window of the same size around each slice. Spots without a value are grey, and
    those without a position are left out; a slice without any has an empty panel.

    Parameters
    ----------
    adata
        Spots with coordinates. The first two are drawn.
    library_key
        Column of `obs` with the slice of every spot; None draws all spots in one panel.
    color
        Column of `obs`, gene, or array with a value for every spot; the slices by default.
    gene_symbols
        Column of `var` with names of genes to use in place of `var_names`.
    spatial_key
        Key of `obsm` with the coordinates, for example ``"scdiffot_aligned"``.
    slices
        Names of the slices to draw, in this order; all by default.
    overlay
        Whether to draw all slices in one panel, on top of each other: good for judging an alignment.
    arrows
        Key of `obsm` with vectors in the frame of the coordinates, for example ``"scdiffot_migration"``. Rows with NaN have none.
    kind
        Streamlines (thicker where vectors are longer) or arrows of their mean on a grid, or arrows at spots. The length of an arrow
        means the same in all panels.
    size
        Diameter of a spot, relative to the distance between neighbours.
    alpha
        Opacity of the spots; by default 1, but 0.5 under arrows or in an overlay.
    n_grid
        Number of grid points along the longer side, for streamlines and the grid.
    n_max
        Largest number of spots with an arrow of their own in a panel.
    ncols
        Largest number of panels in a row.
    ax
        Axes to draw on: one for every slice, or a single one with `overlay`.
    show
        Whether to show the figure; scanpy's setting by default.
    return_fig
        Whether to return the figure.

    Returns
    -------
    The figure, nothing if it is shown, or the axes.

    Raises
    ------
    KeyError
        If there is no such column, gene, slice or key.
    TypeError
        If `color` is neither a name nor an array, or coordinates are no numbers.
    ValueError
        If coordinates are NaN in all spots or have one dimension, `kind` is none of the three, a number is out of its range, or the number
        of axes or the shape of an array does not match.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.spatial_slices(100, n_paths=10)
    >>> figure = sdo.pl.slices(
    ...     adata, "slice", color="cell_type", arrows="true_migration", return_fig=True
    ... )
    >>> figure = sdo.pl.slices(
    ...     adata, "slice", spatial_key="spatial_true", overlay=True, return_fig=True
    ... )
    """
    kind = check_choice("kind", kind, ("stream", "grid", "cells"))
    n_grid, n_max, ncols = (
        check_count(name, value, least)
        for name, value, least in (("n_grid", n_grid, 2), ("n_max", n_max, 1), ("ncols", ncols, 1))
    )
    size, overlay = check_number("size", size, 0, above=True), check_flag("overlay", overlay)
    alpha = None if alpha is None else check_number("alpha", alpha, 0, 1)
    found = read_slices(adata, library_key, spatial_key=spatial_key, incomplete=True)
    names = _chosen(found.names, slices)
    positions = found.positions[:, :2]
    panels = _with_positions(
        {name: found.rows(name) for name in names}, positions, found.spatial_key
    )
    colors = find_colors(adata, color, library_key, gene_symbols)
    vectors = None if arrows is None else _vectors(adata, arrows)
    # slices may have pitches of their own
    diameters = np.empty(len(positions))
    for rows, distance in zip(
        panels.values(), pitches([positions[r] for r in panels.values()]), strict=True
    ):
        diameters[rows] = 0.9 * size * distance
    if overlay and len(panels) > 1:
        diameters *= OVERLAID
    if overlay:
        panels = {"": np.concatenate(list(panels.values()))}
    shown = np.concatenate(list(panels.values()))
    edges = windows([positions[rows] for rows in panels.values()], 1.5 * diameters[shown].max())
    extent = np.diff(edges[0], axis=0)[0]
    n_rows = -(-len(panels) // ncols)
    n_columns = -(-len(panels) // n_rows)
    explained = bool(colors.table) or colors.numeric
    width, height = _panel_size(extent, n_columns, n_rows, explained=explained)
    figure, axes = make_axes(ax, len(panels), n_columns=n_columns, width=width, height=height)
    if len(axes) != len(panels):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {len(panels)}, one for every slice, or one and `overlay=True`."
        )
    if alpha is None:
        alpha = 1.0 if arrows is None and not overlay else 0.5
    drawn = None
    labels = axis_names(adata, found.spatial_key)
    for i, (panel, (name, rows), window) in enumerate(
        zip(axes, panels.items(), edges, strict=True)
    ):
        if len(rows):
            drawn = draw_spots(panel, positions, colors, rows, diameters=diameters, alpha=alpha)
        _dress(panel, window, name if library_key is not None else "")
        # among many panels, the outer ones carry the labels
        panel.set_xlabel(labels[0] if ax is not None or i + n_columns >= len(panels) else "")
        panel.set_ylabel(labels[1] if ax is not None or i % n_columns == 0 else "")
    if vectors is not None:
        _draw_vectors(
            axes,
            positions,
            vectors,
            list(panels.values()),
            kind,
            float(extent.max()),
            n_grid,
            n_max,
        )
    explain(figure, axes, drawn, colors, given=ax is not None)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _chosen(available: list[str], slices: Sequence[str] | None) -> list[str]:
    """Names of the slices to draw."""
    if slices is None:
        return available
    names = list(dict.fromkeys(listed_names("slices", slices, numbers=True)))
    if not names:
        raise ValueError(f"`slices` is empty: pass some of {', '.join(map(repr, available))}.")
    for name in names:
        if name not in available:
            raise KeyError(f"`slices` has {name!r}, which is no slice. {suggest(name, available)}")
    return names


def _with_positions(
    panels: dict[str, np.ndarray], positions: np.ndarray, spatial_key: str
) -> dict[str, np.ndarray]:
    """Spots of every panel that have a position."""
    known = np.isfinite(positions).all(axis=1)
    placed = {name: rows[known[rows]] for name, rows in panels.items()}
    n_all, n_placed = (sum(len(rows) for rows in part.values()) for part in (panels, placed))
    if n_placed == 0:
        raise ValueError(
            f"`spatial_key` {spatial_key!r} is NaN or infinite in all {n_all} spots to draw: name other coordinates or slices."
        )
    if n_placed < n_all:
        logger.info(
            "%d of %d spots have no position in %r and are left out.",
            n_all - n_placed,
            n_all,
            spatial_key,
        )
    return placed


def _vectors(adata: AnnData | MuData, arrows: str) -> np.ndarray:
    """Two components for every spot; NaN where there are none."""
    vectors = np.asarray(locate(adata, arrows, argument="arrows").array)
    if vectors.ndim != 2 or vectors.shape[1] < 2 or vectors.dtype.kind not in "iuf":
        raise ValueError(
            f"`arrows` {arrows!r} has shape {vectors.shape}: pass numbers in two columns, one row per spot."
        )
    vectors = vectors[:, :2].astype(np.float64)
    known = vectors[np.isfinite(vectors).all(axis=1)]
    if len(known) == 0:
        raise ValueError(f"`arrows` {arrows!r} is NaN in all spots: name other vectors.")
    if np.abs(known).max() > MAX_VALUE:
        raise ValueError(
            f"`arrows` {arrows!r} has values up to {np.abs(known).max():.3g}: rescale it below {MAX_VALUE:g}."
        )
    return vectors


def _panel_size(
    extent: np.ndarray, n_columns: int, n_rows: int, *, explained: bool
) -> tuple[float, float]:
    """Width and height of panels that fit the window, relative to the figure of the user."""
    import matplotlib.pyplot as plt

    width, height = plt.rcParams["figure.figsize"]
    side = height * (0.9 if n_columns == n_rows == 1 else 0.65 if n_rows == 1 else 0.55)
    # axes of the shape of the window in the same area; extreme shapes are cut off
    shape = float(np.clip(extent[0] / extent[1], 0.4, 2.5)) ** 0.5
    # all panels make room for a legend or colour bar, and each for its name and that of the axis
    beside = LEGEND_WIDTH / n_columns if explained else 0.0
    # several panels are drawn smaller by `make_axes`
    scale = 1.0 if n_columns == n_rows == 1 else 0.7
    return (side * shape + beside) / width / scale, (side / shape + 0.45) / height / scale


def _dress(ax: Axes, window: np.ndarray, title: str) -> None:
    ax.set_xlim(*window[:, 0])
    ax.set_ylim(*window[:, 1])
    ax.set_aspect("equal", adjustable="box")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title)


def _draw_vectors(
    axes: Sequence[Axes],
    positions: np.ndarray,
    vectors: np.ndarray,
    panels: list[np.ndarray],
    kind: str,
    extent: float,
    n_grid: int,
    n_max: int,
) -> None:
    """Draw vectors over every panel, in one scale."""
    there = np.isfinite(vectors).all(axis=1)
    rows = [part[there[part]] for part in panels]
    speed = np.linalg.norm(vectors[np.concatenate(rows)], axis=1)
    typical = float(np.quantile(speed, 0.9)) if len(speed) else 0.0
    for ax, part in zip(axes, rows, strict=True):
        if len(part) < 2 or typical == 0:
            continue
        if kind == "cells":
            part = part[thinned(len(part), n_max)]
            points, shown = positions[part], vectors[part]
        else:
            x, y, u, v = grid_field(positions[part], vectors[part], n_grid)
            if kind == "stream":
                width = 0.4 + 1.2 * np.nan_to_num(np.hypot(u, v) / typical).clip(0, 1)
                # lines are as far apart on the paper in small panels and small slices as in large ones
                room = min(1.0, max(ax.get_window_extent().size) / ax.figure.dpi / DENSE)
                density = max(DENSITY * room * max(np.ptp(x), np.ptp(y)) / extent, 0.1)
                heads = 0.9 * room**0.5
                ax.streamplot(
                    x,
                    y,
                    u,
                    v,
                    density=density,
                    color=INK,
                    linewidth=width * room**0.5,
                    arrowsize=heads,
                )
                continue
            xx, yy = np.meshgrid(x, y)
            seen = np.isfinite(u)
            points, shown = np.c_[xx[seen], yy[seen]], np.c_[u[seen], v[seen]]
        ax.quiver(
            *points.T,
            *shown.T,
            angles="xy",
            scale_units="xy",
            scale=typical / (LENGTH * extent),
            width=0.004,
            color=INK,
        )
