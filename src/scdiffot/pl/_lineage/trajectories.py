"""Plot of simulated trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._analysis.neighbors import embed
from scdiffot._data.read.checks import check_choice, check_count
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.write.derived import fit_digest
from scdiffot._data.write.fate_tables import read_fate
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, FATE, UNKNOWN
from scdiffot._utils.number_text import number_text
from scdiffot.pl._base.figure import background, finish, foreground, make_axes
from scdiffot.pl._base.paths import check_paths
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.points import (
    GREY,
    TIME_MAP,
    draw_cells,
    draw_colorbar,
    draw_coloured_cells,
    draw_legend,
    random_subset,
)
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    import xarray as xr
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from scdiffot.core import Trajectories
    from scdiffot.pl._base.plane import Plane


@fill_parameters
def trajectories(
    adata: AnnData | MuData,
    paths: Trajectories | xr.Dataset,
    *,
    by: Literal["time", "fate"] = "time",
    basis: str | None = None,
    color: str | None = None,
    n_max: int = 100,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw simulated trajectories, coloured by time or by fate, over the cells.

    Parameters
    ----------
    %(fit)s
    paths
        Trajectories returned by :func:`scdiffot.tl.simulate`, or their dataset.
    by
        ``"time"``: trajectories are coloured by time. ``"fate"``: a trajectory has the colour
        (``adata.uns["<cell_key>_colors"]``) of the cell type that it reaches, which is the most
        frequent type among its nearest cells at the target time of :func:`scdiffot.tl.sta_forward`.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. On another embedding, a trajectory is placed at its nearest cells. One-dimensional
        states are drawn over time.
    color
        Column of `adata.obs` that colours the cells; grey by default.
    n_max
        Maximum number of trajectories to draw, sampled at random.
    %(key)s
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, embedding or column, or no fates to colour by.
    ValueError
        If `paths` belongs to another fit, has another dimension or ends before the target time of
        the fates, or an option is unknown.

    See Also
    --------
    scdiffot.tl.simulate : simulate the trajectories.
    scdiffot.pl.population : compare simulated and observed populations.
    scdiffot.pl.velocity : draw the velocities of the cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> paths = sdo.tl.simulate(adata, t0=0, t1=6)
    >>> figure = sdo.pl.trajectories(adata, paths, return_fig=True)
    """
    from matplotlib.collections import LineCollection

    check_choice("by", by, ("time", "fate"))
    check_count("n_max", n_max, 1)
    plane = find_plane(adata, basis, key=key)
    paths = check_paths(paths, plane.states.shape[1], fit_digest(adata, key))
    subset = random_subset(paths.states.shape[1], n_max)
    fates = _reached_types(adata, plane, paths, key)[subset] if by == "fate" else None
    figure, axes = make_axes(ax, width=1.0 if color is None else 1.3)
    ax_ = axes[0]
    if color is None:
        draw_cells(ax_, plane, c=GREY, alpha=0.5)
    else:
        draw_coloured_cells(ax_, adata, plane, color=color, alpha=0.35)
    n_times, n, d = paths.states[:, subset].shape
    lines = plane.place(paths.states[:, subset].reshape(-1, d), np.repeat(paths.times, n)).reshape(
        n_times, n, 2
    )
    segments = np.stack([lines[:-1], lines[1:]], axis=2).reshape(-1, 2, 2)
    bundle = LineCollection(
        list(segments), cmap=TIME_MAP, lw=1.1, alpha=0.8, rasterized=True, zorder=3
    )
    ax_.add_collection(bundle)
    style: dict[str, Any] = {"edgecolors": foreground(), "linewidths": 0.6, "s": 14, "zorder": 4}
    ax_.scatter(lines[0, :, 0], lines[0, :, 1], c=background(), marker="o", label="start", **style)
    ax_.scatter(lines[-1, :, 0], lines[-1, :, 1], c=foreground(), marker="o", label="end", **style)
    if color is None:
        ends = ax_.legend(frameon=False, loc="best")
    if fates is not None:
        cell_key = str(adata.uns[key][FATE]["cell_key"])
        colors = class_colors(adata, cell_key, sorted(set(fates)))
        bundle.set_color([colors[name] for name in np.tile(fates, n_times - 1)])
        draw_legend(ax_, f"{cell_key} at the end", colors)
        if color is None:
            ax_.add_artist(ends)
    else:
        bundle.set_array(np.repeat((paths.times[:-1] + paths.times[1:]) / 2, n))
        bundle.set_clim(plane.times.points[0], plane.times.points[-1])
        if not plane.over_time:
            draw_colorbar(ax_, bundle, plane.times.column)
    plane.label_axes(ax_)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _reached_types(
    adata: AnnData | MuData, plane: Plane, paths: Trajectories, key: str
) -> np.ndarray:
    """Return the cell type that each trajectory reaches, or ``unknown``."""
    params, _ = read_fate(adata, key)
    time = float(params["target_time"])
    low, high = np.sort(paths.times[[0, -1]])
    if not low <= time <= high:
        raise ValueError(
            f"`paths` covers the times from {number_text(low)} to {number_text(high)}, and the "
            f"fates are those at {number_text(time)}: simulate until then."
        )
    cells = plane.times.cells(time)
    if len(cells) == 0:
        raise ValueError(
            f"`adata` has no cells of the time {number_text(time)}, whose types paths are "
            "coloured by: pass all cells of the fit, or by='time'."
        )
    codes, names = cell_labels(adata, str(params["cell_key"]))
    # code -1 (no cell type) selects the last row of the identity matrix
    type_shares = embed(
        paths.at(time)[0], plane.states[cells], np.eye(len(names) + 1)[codes[cells]]
    )
    return np.asarray([*names, UNKNOWN])[type_shares.argmax(axis=1)]
