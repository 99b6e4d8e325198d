"""Plot of the slices of a tissue, in separate panels or overlaid."""

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
from scdiffot._data.read.slices import read_slices
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.logging import logger
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import axis_names

from .slice_vectors import draw_vectors, read_arrows
from .spot_colors import find_colors
from .tissue import add_color_key, draw_spots, neighbor_distances, slice_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# width of a legend or a colour bar (inches)
LEGEND_WIDTH = 1.5
# relative diameter of spots in an overlay
OVERLAY_SCALE = 0.6


@fill_parameters
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
    """Draw the slices of a tissue, one panel for each, with common length and colour scales.

    Colours of categories are those of ``adata.uns["<color>_colors"]``. Quantities with both signs,
    such as growth rates, have a colour scale that is symmetric around zero. Panels show the same
    window if all slices lie in one frame, as after :func:`scdiffot.tl.align_slices`; otherwise,
    windows of equal size surround each slice. Spots without a value are grey. Spots without a
    position are not drawn; a slice without positions has an empty panel.

    Parameters
    ----------
    adata
        Spots with coordinates, of which the first two are drawn.
    library_key
        Column of `obs` with the slice of each spot; None draws all spots in one panel.
    color
        Column of `obs`, gene, or array with a value for each spot; the slices by default.
    gene_symbols
        Column of `var` with gene names to use instead of `var_names`.
    spatial_key
        Key of `obsm` with the coordinates, for example ``"scdiffot_aligned"``.
    slices
        Names of the slices to draw, in this order; all by default.
    overlay
        Whether to overlay all slices in one panel, for example to check an alignment.
    arrows
        Key of `obsm` with vectors in the frame of the coordinates, for example
        ``"scdiffot_migration"``. Vectors with NaN are not drawn.
    kind
        ``"stream"``: streamlines of the mean vectors on a grid, with a width that grows with their
        length. ``"grid"``: arrows of the mean vectors on a grid. ``"cells"``: arrows at spots. All
        panels have the same scale of arrows.
    size
        Diameter of spots, relative to the distance between neighbours.
    alpha
        Opacity of the spots; by default 0.5 under arrows or in an overlay, and 1 otherwise.
    n_grid
        Number of grid points along the longer axis, for ``"stream"`` and ``"grid"``.
    n_max
        Maximum number of spots with an arrow in a panel, for ``"cells"``.
    ncols
        Maximum number of panels in a row.
    ax
        Axes to draw on: one for each slice, or a single one with `overlay`.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no such column, gene, slice or key.
    TypeError
        If `color` is neither a name nor an array, or coordinates are not numbers.
    ValueError
        If coordinates are NaN in all spots or have one dimension, `kind` is none of the three, a
        number is out of range, or the number of axes or the shape of an array does not match.

    See Also
    --------
    scdiffot.tl.align_slices : align slices in one frame.
    scdiffot.datasets.spatial_slices : simulate slices of a tissue.

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
    n_grid, n_max = check_count("n_grid", n_grid, 2), check_count("n_max", n_max, 1)
    ncols = check_count("ncols", ncols, 1)
    size, overlay = check_number("size", size, 0, above=True), check_flag("overlay", overlay)
    alpha = None if alpha is None else check_number("alpha", alpha, 0, 1)
    tissue = read_slices(adata, library_key, spatial_key=spatial_key, incomplete=True)
    names = _selected_names(tissue.names, slices)
    positions = tissue.positions[:, :2]
    panels = _select_located(
        {name: tissue.rows(name) for name in names}, positions, tissue.spatial_key
    )
    colors = find_colors(adata, color, library_key, gene_symbols)
    vectors = None if arrows is None else read_arrows(adata, arrows)
    parts = list(panels.values())
    diameters = _spot_diameters(positions, parts, size=size, overlay=overlay)
    visible_rows = np.concatenate(parts)
    if overlay:
        panels, parts = {"": visible_rows}, [visible_rows]
    margin = 1.5 * diameters[visible_rows].max()
    edges = slice_windows([positions[rows] for rows in parts], margin)
    extent = np.diff(edges[0], axis=0)[0]
    n_rows = -(-len(panels) // ncols)
    n_columns = -(-len(panels) // n_rows)
    has_key = bool(colors.table) or colors.numeric
    width, height = _panel_size(extent, n_columns, n_rows, has_key=has_key)
    figure, axes = make_axes(ax, len(panels), n_columns=n_columns, width=width, height=height)
    if len(axes) != len(panels):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {len(panels)}, one for every slice, or one and "
            "`overlay=True`."
        )
    if alpha is None:
        alpha = 1.0 if arrows is None and not overlay else 0.5
    mappable = None
    for panel, rows in zip(axes, parts, strict=True):
        if len(rows):
            mappable = draw_spots(panel, positions, colors, rows, diameters=diameters, alpha=alpha)
    titles = list(panels) if library_key is not None else [""] * len(panels)
    labels = axis_names(adata, tissue.spatial_key)
    _format_panels(axes, edges, titles, labels, n_columns=None if ax is not None else n_columns)
    if vectors is not None:
        scale = float(extent.max())
        draw_vectors(axes, positions, vectors, parts, kind, scale, n_grid, n_max)
    add_color_key(figure, axes, mappable, colors, external=ax is not None)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _selected_names(available: list[str], slices: Sequence[str] | None) -> list[str]:
    """Return the names of the slices to draw."""
    if slices is None:
        return available
    names = list(dict.fromkeys(listed_names("slices", slices, numbers=True)))
    if not names:
        raise ValueError(f"`slices` is empty: pass some of {', '.join(map(repr, available))}.")
    for name in names:
        if name not in available:
            raise KeyError(f"`slices` has {name!r}, which is no slice. {suggest(name, available)}")
    return names


def _select_located(
    panels: dict[str, np.ndarray], positions: np.ndarray, spatial_key: str
) -> dict[str, np.ndarray]:
    """Select the spots of each panel that have a position."""
    finite = np.isfinite(positions).all(axis=1)
    located_panels = {name: rows[finite[rows]] for name, rows in panels.items()}
    n_all, n_located = (
        sum(len(rows) for rows in part.values()) for part in (panels, located_panels)
    )
    if n_located == 0:
        raise ValueError(
            f"`spatial_key` {spatial_key!r} is NaN or infinite in all {n_all} spots to draw: name "
            "other coordinates or slices."
        )
    if n_located < n_all:
        logger.info(
            "%d of %d spots have no position in %r and are left out.",
            n_all - n_located,
            n_all,
            spatial_key,
        )
    return located_panels


def _panel_size(
    extent: np.ndarray, n_columns: int, n_rows: int, *, has_key: bool
) -> tuple[float, float]:
    """Return width and height of panels, relative to the figure size of the user."""
    import matplotlib.pyplot as plt

    width, height = plt.rcParams["figure.figsize"]
    side = height * (0.9 if n_columns == n_rows == 1 else 0.65 if n_rows == 1 else 0.55)
    # panels have equal areas and the aspect ratio of the window, within limits
    shape = float(np.clip(extent[0] / extent[1], 0.4, 2.5)) ** 0.5
    # the legend or colour bar shares its width among columns; titles and labels need 0.45 inches
    key_width = LEGEND_WIDTH / n_columns if has_key else 0.0
    # compensates for the scaling of several panels by `make_axes`
    scale = 1.0 if n_columns == n_rows == 1 else 0.7
    return (side * shape + key_width) / width / scale, (side / shape + 0.45) / height / scale


def _spot_diameters(
    positions: np.ndarray, parts: list[np.ndarray], *, size: float, overlay: bool
) -> np.ndarray:
    """Return the diameters of spots, relative to the distance between neighbours in a slice."""
    diameters = np.empty(len(positions))
    distances = neighbor_distances([positions[rows] for rows in parts])
    for rows, distance in zip(parts, distances, strict=True):
        diameters[rows] = 0.9 * size * distance
    if overlay and len(parts) > 1:
        diameters *= OVERLAY_SCALE
    return diameters


def _format_panels(
    axes: Sequence[Axes],
    edges: np.ndarray,
    titles: Sequence[str],
    labels: tuple[str, str],
    *,
    n_columns: int | None,
) -> None:
    """Set windows, titles and labels; in a grid of panels, only the outer ones have labels."""
    for i, (panel, window, title) in enumerate(zip(axes, edges, titles, strict=True)):
        panel.set_xlim(*window[:, 0])
        panel.set_ylim(*window[:, 1])
        panel.set_aspect("equal", adjustable="box")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_title(title)
        is_bottom = n_columns is None or i + n_columns >= len(axes)
        is_left = n_columns is None or i % n_columns == 0
        panel.set_xlabel(labels[0] if is_bottom else "")
        panel.set_ylabel(labels[1] if is_left else "")
