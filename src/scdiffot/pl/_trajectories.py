"""Paths of particles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._keys import DEFAULT

from ._figure import finish, make_axes
from ._plane import find_plane
from ._points import GREY, TIME_MAP, draw_cells, draw_colorbar, draw_coloured_cells, thinned

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from scdiffot.core import Trajectories


def trajectories(
    adata: AnnData | MuData,
    paths: Trajectories,
    *,
    basis: str | None = None,
    color: str | None = None,
    n_max: int = 100,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw simulated paths, coloured by time, over the cells.

    Parameters
    ----------
    adata
        Cells with a fit.
    paths
        What :func:`scdiffot.tl.simulate` returned.
    basis
        Embedding, on which a path follows the cells nearest to it; by default the representation of the fit. Its first two
        dimensions are drawn; a state of one dimension is drawn over time.
    color
        Column of `adata.obs` that colours the cells. They are grey by default.
    n_max
        Largest number of paths to draw; the others are left out at random.
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
        If there is no fit, embedding or column.
    ValueError
        If the paths have another dimension than the fit, or `n_max` is not positive.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> paths = sdo.tl.simulate(adata, t0=0, t1=6)
    >>> figure = sdo.pl.trajectories(adata, paths, return_fig=True)
    """
    from matplotlib.collections import LineCollection

    plane = find_plane(adata, basis, key=key)
    check_paths(paths, plane.states.shape[1])
    if n_max < 1:
        raise ValueError(f"`n_max` is {n_max}: draw at least one path.")
    figure, axes = make_axes(ax, width=1.0 if color is None else 1.3)
    ax_ = axes[0]
    if color is None:
        draw_cells(ax_, plane, c=GREY, alpha=0.5)
    else:
        draw_coloured_cells(ax_, adata, plane, color=color, alpha=0.35)
    chosen = thinned(paths.states.shape[1], n_max)
    n_times, n, d = paths.states[:, chosen].shape
    lines = plane.place(paths.states[:, chosen].reshape(-1, d), np.repeat(paths.times, n)).reshape(n_times, n, 2)
    segments = np.stack([lines[:-1], lines[1:]], axis=2).reshape(-1, 2, 2)
    middle = np.repeat((paths.times[:-1] + paths.times[1:]) / 2, n)
    bundle = LineCollection(list(segments), cmap=TIME_MAP, lw=1.1, alpha=0.8, rasterized=True, zorder=3)
    bundle.set_array(middle)
    bundle.set_clim(plane.times.points[0], plane.times.points[-1])
    ax_.add_collection(bundle)
    style: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.6, "s": 14, "zorder": 4}
    ax_.scatter(lines[0, :, 0], lines[0, :, 1], c="white", marker="o", label="start", **style)
    ax_.scatter(lines[-1, :, 0], lines[-1, :, 1], c="black", marker="o", label="end", **style)
    if not plane.over_time:
        draw_colorbar(ax_, bundle, plane.times.column)
    if color is None:
        ax_.legend(frameon=False, loc="best")
    plane.dress(ax_)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def check_paths(paths: Trajectories, n_dims: int) -> None:
    """Refuse paths of another space.

    Raises
    ------
    TypeError
        If these are no trajectories.
    ValueError
        If their dimension is not that of the fit.
    """
    if not hasattr(paths, "log_weights"):
        raise TypeError(f"`paths` is a {type(paths).__name__}: pass what scdiffot.tl.simulate returned.")
    if paths.states.shape[2] != n_dims:
        raise ValueError(
            f"`paths` has {paths.states.shape[2]} dimensions and the fit {n_dims}: pass paths of the same fit, or its `key`."
        )
