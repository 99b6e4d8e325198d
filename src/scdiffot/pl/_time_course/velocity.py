"""Velocities as streamlines or arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from scdiffot._analysis.basis import first_column
from scdiffot._data.read.checks import check_choice, check_count
from scdiffot._data.write.fingerprints import ARROWS, check_fingerprint, embedding_of
from scdiffot._data.write.store import read_fit, read_velocities
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.pl._base.field import grid_field
from scdiffot.pl._base.figure import finish, foreground, make_axes
from scdiffot.pl._base.plane import Plane, find_plane
from scdiffot.pl._base.points import draw_coloured_cells, thinned

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# A finer grid than this takes minutes and cannot be seen.
MAX_GRID = 1000


def velocity(
    adata: AnnData | MuData,
    *,
    basis: str | None = None,
    kind: Literal["stream", "grid", "cells"] = "stream",
    color: str | None = None,
    time: str | float | None = None,
    n_grid: int = 30,
    n_max: int = 500,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the velocities (the drift) of the cells.

    Parameters
    ----------
    adata
        Cells with a fit, and for an embedding with :func:`scdiffot.tl.project`.
    basis
        Embedding; by default the representation of the fit. Its first two dimensions are drawn. A state of one dimension is drawn
        over time, with arrows that point as far as cells move in a quarter of the shortest interval.
    kind
        Streamlines (thicker where cells move faster) or arrows of the mean velocity on a grid, or arrows at cells.
    color
        Column of `adata.obs` that colours the cells; the time by default.
    time
        Use the velocities at one time point (number or label) only. Fields may change with time, and by default the mean over
        all snapshots is drawn.
    n_grid
        Number of grid points along the longer side.
    n_max
        Largest number of cells with an arrow of their own.
    key
        Name of the fit.
    ax
        Axes to draw on.
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
        If there is no fit, embedding, column or time, or velocities have not been projected onto the embedding.
    ValueError
        If `kind` is none of the three, or a number is not positive.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> figure = sdo.pl.velocity(adata, color="cell_type", return_fig=True)
    """
    check_choice("kind", kind, ("stream", "grid", "cells"))
    check_count("n_grid", n_grid, 2, MAX_GRID)
    check_count("n_max", n_max, 2)
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
            "`adata` has no finite velocities in the cells to draw: run scdiffot.tl.fit or tl.project again."
        )
    figure, axes = make_axes(ax, width=1.0 if color is None else 1.15)
    draw_coloured_cells(axes[0], adata, plane, color=color, alpha=0.35 if kind == "stream" else 0.5)
    plane.dress(axes[0])
    if plane.over_time:
        _draw_over_time(axes[0], plane, vectors[:, 0], cells, n_max)
    elif kind == "cells":
        chosen = cells[thinned(len(cells), n_max)]
        _draw_arrows(axes[0], plane, plane.points[chosen], vectors[chosen])
    else:
        x, y, u, v = grid_field(plane.points[cells], vectors[cells], n_grid)
        if kind == "grid":
            xx, yy = np.meshgrid(x, y)
            there = np.isfinite(u)
            _draw_arrows(axes[0], plane, np.c_[xx[there], yy[there]], np.c_[u[there], v[there]])
        else:
            speed = np.hypot(u, v)
            width = 0.5 + 1.4 * np.nan_to_num(
                np.sqrt(speed / (np.nanquantile(speed, 0.95) or 1.0))
            ).clip(0, 1)
            axes[0].streamplot(
                x, y, u, v, density=1.5, color=foreground(), linewidth=width, arrowsize=1.1
            )
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _vectors(adata: AnnData | MuData, plane: Plane, key: str) -> np.ndarray:
    if plane.basis.exact:
        return plane.basis.columns(read_velocities(adata, key)).astype(np.float64)
    basis = plane.basis.name
    name = Keys(key, "key").projection(basis)
    if name not in adata.obsm:
        raise KeyError(
            f"`basis` {basis!r} has no velocities, adata.obsm[{name!r}]: run scdiffot.tl.project(adata, {basis!r}, key={key!r})."
        )
    check_fingerprint(
        adata,
        key,
        ARROWS + name,
        embedding_of(adata, basis),
        what=f"`basis` {basis!r}",
        made=f"adata.obsm[{name!r}]",
        remedy=f"Run scdiffot.tl.project(adata, {basis!r}, key={key!r}) again.",
    )
    vectors = np.asarray(adata.obsm[name], dtype=np.float64)
    first = first_column(basis, vectors.shape[1])
    return vectors[:, first : first + 2]


def _draw_arrows(ax: Axes, plane: Plane, points: np.ndarray, vectors: np.ndarray) -> None:
    """Arrows, with one of known length beside them."""
    speed = np.linalg.norm(vectors, axis=1)
    typical = float(np.quantile(speed, 0.9)) or 1.0
    span = float(np.ptp(plane.points, axis=0).max())
    arrows = ax.quiver(
        *points.T,
        *vectors.T,
        angles="xy",
        scale_units="xy",
        scale=typical / (0.06 * span),
        width=0.0025,
        color=foreground(),
    )
    # a title keeps the space above the axes free for the key
    ax.set_title(" ", loc="right")
    shown = float(f"{typical:.1g}")
    label = f"{shown:g} per {plane.times.column}"
    ax.quiverkey(arrows, 0.93, 1.04, shown, label, labelpos="W", coordinates="axes")


def _draw_over_time(
    ax: Axes, plane: Plane, vectors: np.ndarray, cells: np.ndarray, n_max: int
) -> None:
    chosen = cells[thinned(len(cells), n_max)]
    intervals = np.diff(plane.times.points)
    step = float(intervals.min()) / 4 if len(intervals) else 0.25
    ax.quiver(
        *plane.points[chosen].T,
        np.full(len(chosen), step),
        vectors[chosen] * step,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.002,
        color=foreground(),
        alpha=0.6,
    )
