"""Plot of velocities as streamlines or arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.basis import first_column
from scdiffot._data.read.checks import check_choice, check_count
from scdiffot._data.write.fingerprints import ARROWS, check_fingerprint, embedding_of
from scdiffot._data.write.store import read_fit, read_velocities
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.pl._base.embedding import check_options, draw_panels, panel_colors
from scdiffot.pl._base.field import grid_field
from scdiffot.pl._base.figure import finish, foreground, make_axes
from scdiffot.pl._base.plane import Plane, find_plane
from scdiffot.pl._base.points import random_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# a finer grid takes minutes and is not resolved in a figure
MAX_GRID = 1000


@fill_parameters
def velocity(
    adata: AnnData | MuData,
    *,
    basis: str | None = None,
    kind: Literal["stream", "grid", "cells"] = "stream",
    color: str | Sequence[str] | None = None,
    gene_symbols: str | None = None,
    layer: str | None = None,
    time: str | float | None = None,
    n_grid: int = 30,
    n_max: int = 500,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
    **options: Any,
) -> Figure | Axes | list[Axes] | None:
    """Draw the velocities (the drift) of the cells.

    Parameters
    ----------
    adata
        Cells with a fit. An embedding needs velocities projected by :func:`scdiffot.tl.project`.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. One-dimensional states are drawn over time; an arrow shows the displacement in a
        quarter of the shortest interval.
    kind
        ``"stream"``: streamlines of the mean velocity on a grid, with a width that grows with the
        speed. ``"grid"``: arrows of the mean velocity on a grid. ``"cells"``: arrows at cells.
    color
        Columns of `adata.obs` or genes, one panel for each; the time by default.
    gene_symbols
        Column of `adata.var` with gene names to use instead of `adata.var_names`.
    layer
        Layer with the expression of genes; `adata.X` by default.
    time
        Time point (number or label) whose velocities are drawn. By default the velocities of all
        snapshots are drawn, although the drift may depend on time.
    n_grid
        Number of grid points along the longer axis.
    n_max
        Maximum number of cells with an arrow, for ``"cells"`` and one-dimensional states.
    %(key)s
    ax
        Axes to draw on, one for each color.
    %(show)s
    options
        Options of :func:`scanpy.pl.embedding`: `cmap`, `vmin`, `vmax`, `vcenter`, `norm`, `size`,
        `alpha`, `palette`, `groups`, `frameon`, `title`, `legend_loc` and others of the legend.

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, embedding, column, gene or time, or the embedding has no projected
        velocities.
    TypeError
        If an option is unknown, or `color` holds anything else than names.
    ValueError
        If `kind` is none of the three, a number is out of range, no velocity is finite, scanpy
        refuses the value of an option, or the number of axes does not match.

    See Also
    --------
    scdiffot.tl.fit : estimate the velocities.
    scdiffot.tl.project : project the velocities onto an embedding.
    scdiffot.pl.trajectories : draw simulated trajectories.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> figure = sdo.pl.velocity(adata, color="cell_type", return_fig=True)
    """
    check_choice("kind", kind, ("stream", "grid", "cells"))
    check_count("n_grid", n_grid, 2, MAX_GRID)
    check_count("n_max", n_max, 2)
    check_options(options)
    read_fit(adata, key)
    plane = find_plane(adata, basis, key=key)
    vectors = _vectors(adata, plane, key)
    cells = (
        np.arange(len(vectors))
        if time is None
        else plane.times.cells(plane.times.find(time, "time"))
    )
    cells = cells[np.isfinite(vectors[cells]).all(axis=1)]
    if len(cells) == 0:
        raise ValueError(
            "`adata` has no finite velocities in the cells to draw: run scdiffot.tl.fit or "
            "tl.project again."
        )
    colors = panel_colors(adata, plane, color, gene_symbols=gene_symbols, layer=layer)
    figure, axes = make_axes(ax, len(colors), width=1.0 if color is None else 1.15)
    draw_panels(axes, plane, colors, options, alpha=0.35 if kind == "stream" else 0.5)
    for ax_ in axes:
        _draw_velocities(ax_, plane, vectors, cells, kind=kind, n_grid=n_grid, n_max=n_max)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_velocities(
    ax: Axes,
    plane: Plane,
    vectors: np.ndarray,
    cells: np.ndarray,
    *,
    kind: str,
    n_grid: int,
    n_max: int,
) -> None:
    """Draw the velocities of cells as streamlines or arrows."""
    if plane.over_time:
        _draw_over_time(ax, plane, vectors[:, 0], cells, n_max)
        return
    if kind == "cells":
        subset = cells[random_subset(len(cells), n_max)]
        _draw_arrows(ax, plane, plane.points[subset], vectors[subset])
        return
    x, y, u, v = grid_field(plane.points[cells], vectors[cells], n_grid)
    if kind == "grid":
        xx, yy = np.meshgrid(x, y)
        finite = np.isfinite(u)
        _draw_arrows(ax, plane, np.c_[xx[finite], yy[finite]], np.c_[u[finite], v[finite]])
        return
    speed = np.hypot(u, v)
    width = 0.5 + 1.4 * np.nan_to_num(np.sqrt(speed / (np.nanquantile(speed, 0.95) or 1.0))).clip(
        0, 1
    )
    ax.streamplot(x, y, u, v, density=1.5, color=foreground(), linewidth=width, arrowsize=1.1)


def _vectors(adata: AnnData | MuData, plane: Plane, key: str) -> np.ndarray:
    if plane.basis.exact:
        return plane.basis.columns(read_velocities(adata, key)).astype(np.float64)
    basis = plane.basis.name
    name = Keys(key, "key").projection(basis)
    if name not in adata.obsm:
        raise KeyError(
            f"`basis` {basis!r} has no velocities, adata.obsm[{name!r}]: run "
            f"scdiffot.tl.project(adata, {basis!r}, key={key!r})."
        )
    check_fingerprint(
        adata,
        key,
        ARROWS + name,
        embedding_of(adata, basis),
        source=f"`basis` {basis!r}",
        result=f"adata.obsm[{name!r}]",
        remedy=f"Run scdiffot.tl.project(adata, {basis!r}, key={key!r}) again.",
    )
    vectors = np.asarray(adata.obsm[name], dtype=np.float64)
    first = first_column(basis, vectors.shape[1])
    return vectors[:, first : first + 2]


def _draw_arrows(ax: Axes, plane: Plane, points: np.ndarray, vectors: np.ndarray) -> None:
    """Draw arrows and a reference arrow of known length."""
    speed = np.linalg.norm(vectors, axis=1)
    typical_speed = float(np.quantile(speed, 0.9)) or 1.0
    span = float(np.ptp(plane.points, axis=0).max())
    arrows = ax.quiver(
        *points.T,
        *vectors.T,
        angles="xy",
        scale_units="xy",
        scale=typical_speed / (0.06 * span),
        width=0.0025,
        color=foreground(),
    )
    # a blank title reserves space for the reference arrow
    ax.set_title(" ", loc="right")
    reference_speed = float(f"{typical_speed:.1g}")
    label = f"{reference_speed:g} per {plane.times.column}"
    ax.quiverkey(arrows, 0.93, 1.04, reference_speed, label, labelpos="W", coordinates="axes")


def _draw_over_time(
    ax: Axes, plane: Plane, vectors: np.ndarray, cells: np.ndarray, n_max: int
) -> None:
    subset = cells[random_subset(len(cells), n_max)]
    intervals = np.diff(plane.times.points)
    step = float(intervals.min()) / 4 if len(intervals) else 0.25
    ax.quiver(
        *plane.points[subset].T,
        np.full(len(subset), step),
        vectors[subset] * step,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.002,
        color=foreground(),
        alpha=0.6,
    )
