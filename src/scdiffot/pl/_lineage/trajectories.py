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
from scdiffot.pl._base.embedding import (
    CellColors,
    check_options,
    draw_panels,
    panel_colors,
)
from scdiffot.pl._base.figure import background, finish, foreground, make_axes
from scdiffot.pl._base.paths import check_paths
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.points import TIME_MAP, draw_colorbar, draw_legend, random_subset
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
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
    color: str | Sequence[str] | None = None,
    gene_symbols: str | None = None,
    layer: str | None = None,
    n_max: int = 100,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
    **options: Any,
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
        Columns of `adata.obs` or genes, one panel for each; grey by default.
    gene_symbols
        Column of `adata.var` with gene names to use instead of `adata.var_names`.
    layer
        Layer with the expression of genes; `adata.X` by default.
    n_max
        Maximum number of trajectories to draw, sampled at random.
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
        If there is no fit, embedding, column or gene, or no fates to colour by.
    TypeError
        If an option is unknown, or `color` holds anything else than names.
    ValueError
        If `paths` belongs to another fit, has another dimension or ends before the target time of
        the fates, scanpy refuses the value of an option, or the number of axes does not match.

    See Also
    --------
    scdiffot.tl.simulate : simulate the trajectories.
    scdiffot.pl.population : compare simulated and observed populations.
    scdiffot.pl.velocity : draw the velocities of the cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> paths = sdo.tl.simulate(adata, t0=0, t1=6)
    >>> figure = sdo.pl.trajectories(adata, paths, return_fig=True)
    """
    check_choice("by", by, ("time", "fate"))
    check_count("n_max", n_max, 1)
    check_options(options)
    plane = find_plane(adata, basis, key=key)
    paths = check_paths(paths, plane.states.shape[1], fit_digest(adata, key))
    subset = random_subset(paths.states.shape[1], n_max)
    fates = _reached_types(adata, plane, paths, key)[subset] if by == "fate" else None
    cell_colors = (
        [CellColors("", None)]
        if color is None
        else panel_colors(adata, plane, color, gene_symbols=gene_symbols, layer=layer)
    )
    figure, axes = make_axes(ax, len(cell_colors), width=1.0 if color is None else 1.3)
    draw_panels(axes, plane, cell_colors, options, alpha=0.5 if color is None else 0.35)
    n_times, n, d = paths.states[:, subset].shape
    lines = plane.place(paths.states[:, subset].reshape(-1, d), np.repeat(paths.times, n)).reshape(
        n_times, n, 2
    )
    for ax_ in axes:
        bundle = _draw_lines(ax_, lines, ends=color is None)
        if fates is not None:
            cell_key = str(adata.uns[key][FATE]["cell_key"])
            colors = class_colors(adata, cell_key, sorted(set(fates)))
            bundle.set_color([colors[name] for name in np.tile(fates, n_times - 1)])
            ends = ax_.get_legend()
            draw_legend(ax_, f"{cell_key} at the end", colors)
            if color is None and ends is not None:
                ax_.add_artist(ends)
        else:
            bundle.set_array(np.repeat((paths.times[:-1] + paths.times[1:]) / 2, n))
            bundle.set_clim(plane.times.points[0], plane.times.points[-1])
            if not plane.over_time:
                draw_colorbar(ax_, bundle, plane.times.column)
        plane.label_axes(ax_)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_lines(ax: Axes, lines: np.ndarray, *, ends: bool) -> LineCollection:
    """Draw trajectories, shape ``(n_times, n, 2)``, with marks, and a legend of the `ends`."""
    from matplotlib.collections import LineCollection

    segments = np.stack([lines[:-1], lines[1:]], axis=2).reshape(-1, 2, 2)
    bundle = LineCollection(
        list(segments), cmap=TIME_MAP, lw=1.1, alpha=0.8, rasterized=True, zorder=3
    )
    ax.add_collection(bundle)
    style: dict[str, Any] = {"edgecolors": foreground(), "linewidths": 0.6, "s": 14, "zorder": 4}
    ax.scatter(lines[0, :, 0], lines[0, :, 1], c=background(), marker="o", label="start", **style)
    ax.scatter(lines[-1, :, 0], lines[-1, :, 1], c=foreground(), marker="o", label="end", **style)
    if ends:
        ax.legend(frameon=False, loc="best")
    return bundle


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
