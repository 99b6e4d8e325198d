"""Plot of the landscape of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, check_count, format_list
from scdiffot._data.read.times.values import as_list, closest
from scdiffot._data.write import fingerprints
from scdiffot._data.write.derived import fit_digest
from scdiffot._data.write.fingerprints import check_fingerprint
from scdiffot._data.write.store import read_table
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, LANDSCAPE
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.paths import check_paths
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.points import draw_legend, random_subset
from scdiffot.pl._base.relief import Relief, draw_contours, draw_surface
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from scdiffot.core import Trajectories
    from scdiffot.pl._base.plane import Plane

# upper limit of the potential above its minimum (nats): at 8 nats, density is 3e-4 of its maximum
MAX_DEPTH = 8.0


@fill_parameters
def landscape(
    adata: AnnData | MuData,
    *,
    kind: Literal["contour", "surface"] = "contour",
    quantity: Literal["potential", "lambda"] = "potential",
    times: Sequence[float | str] | None = None,
    paths: Trajectories | xr.Dataset | None = None,
    n_max: int = 50,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    r"""Draw the landscape of the cells, one panel for each time.

    All panels have the same scale. Regions with almost no cells have no landscape and stay empty.
    The deepest point of each cell type is marked in the colour of the type,
    ``adata.uns["<cell_key>_colors"]``, if the landscape was computed with cell types.

    Parameters
    ----------
    adata
        Cells with a fit and a landscape of :func:`scdiffot.tl.landscape`.
    kind
        ``"contour"``: filled contours. ``"surface"``: a surface in three dimensions.
    quantity
        ``"potential"``, :math:`U = -\log p` above its minimum (nats), or ``"lambda"``,
        :math:`\alpha g`, which is high where cells divide.
    times
        Times (numbers or labels) to draw; by default all times of the landscape.
    paths
        Trajectories returned by :func:`scdiffot.tl.simulate`, or their dataset. Each panel shows
        the trajectories since the time of the previous panel.
    n_max
        Maximum number of trajectories to draw, sampled at random.
    %(key)s
    ax
        Axes to draw on, one for each time. A surface needs axes with the projection ``"3d"``.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit or landscape, or it lacks the time or the quantity.
    ValueError
        If an option is unknown, or the number or projection of the axes does not match.

    See Also
    --------
    scdiffot.tl.landscape : compute the landscape.
    scdiffot.tl.simulate : simulate trajectories to draw on it.
    scdiffot.pl.trajectories : draw trajectories over the cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.landscape(adata)
    >>> figure = sdo.pl.landscape(adata, return_fig=True)
    """
    check_choice("kind", kind, ("contour", "surface"))
    check_choice("quantity", quantity, ("potential", "lambda"))
    check_count("n_max", n_max, 1)
    result = read_table(adata, key, LANDSCAPE, source="tl.landscape(adata)")
    if quantity not in result:
        raise KeyError(
            f"`quantity` is {quantity!r}, which a fit without growth does not have: "
            "draw the 'potential'."
        )
    plane = _read_plane(adata, result, key)
    if paths is not None:
        paths = check_paths(paths, plane.states.shape[1], fit_digest(adata, key))
    indices = _time_indices(result["times"], times, plane)
    flat = kind == "contour"
    size = {"n_columns": 4} if flat else {"n_columns": 2 if len(indices) <= 4 else 3, "height": 1.2}
    figure, axes = make_axes(ax, len(indices), projection=None if flat else "3d", **size)
    if len(axes) != len(indices):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {len(indices)}, one for every time, or choose "
            "`times`."
        )
    heights, scale, cmap, label = _scale(
        np.asarray(result[quantity], dtype=np.float64)[indices], quantity
    )
    colors = (
        class_colors(adata, str(result["cell_key"]), result["basins"]["type"].unique())
        if "basins" in result
        else {}
    )
    max_potential = float(np.nanmin(result["potential"][indices])) + MAX_DEPTH
    previous_time = -np.inf
    for ax_, k, height in zip(axes, indices, heights, strict=True):
        time = float(result["times"][k])
        lines = (
            None if paths is None else _trajectory_lines(plane, paths, previous_time, time, n_max)
        )
        marks = _basin_marks(result, time, max_potential, colors)
        relief = Relief(result["x"], result["y"], height, scale, cmap, lines, marks)
        _draw_panel(ax_, plane, relief, time, flat=flat)
        previous_time = time
    _add_colorbar(figure, axes, scale, cmap, label, flat=flat)
    if colors:
        parent = figure if ax is None else axes[-1]
        draw_legend(parent, str(result["cell_key"]), colors, n_rows=10 if flat else 16)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _read_plane(adata: AnnData | MuData, result: Any, key: str) -> Plane:
    """Read the plane of a landscape, which must not have changed since."""
    plane = find_plane(adata, str(result["basis"]), key=key)
    check_fingerprint(
        adata,
        key,
        fingerprints.LANDSCAPE,
        plane.basis.points,
        source=f"`basis` {result['basis']!r}",
        result="the landscape",
        remedy=f"Run scdiffot.tl.landscape(adata, basis={result['basis']!r}, key={key!r}) again.",
    )
    return plane


def _draw_panel(ax: Any, plane: Plane, relief: Relief, time: float, *, flat: bool) -> None:
    (draw_contours if flat else draw_surface)(ax, relief)
    # the grid sets the limits, since trajectories may leave it
    if flat:
        ax.dataLim.set_points(np.column_stack([relief.x[[0, -1]], relief.y[[0, -1]]]))
        plane.label_axes(ax)
    else:
        ax.set(xlim=(relief.x[0], relief.x[-1]), ylim=(relief.y[0], relief.y[-1]))
    ax.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    ax.set_title(f"{plane.times.column} {plane.times.label(time)}")


def _add_colorbar(
    figure: Figure,
    axes: list[Axes],
    scale: tuple[float, float],
    cmap: str,
    label: str,
    *,
    flat: bool,
) -> None:
    """Add one colour bar for all panels."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.colorbar(
        ScalarMappable(Normalize(*scale), cmap),
        ax=axes,
        label=label,
        shrink=0.7 if flat else 0.4,
        aspect=25,
        pad=0.02 if flat else 0.08,
    )


def _time_indices(
    available: np.ndarray, times: Sequence[float | str] | None, plane: Plane
) -> list[int]:
    """Return the indices of the times to draw."""
    if times is None:
        return list(range(len(available)))
    indices = []
    for time in as_list(times):
        k = closest(available, plane.times.read(time, "times"))
        if k is None:
            raise KeyError(
                f"`times` has {time!r}, at which there is no landscape: pass some of "
                f"{format_list(available.tolist())}."
            )
        indices.append(k)
    if not indices:
        raise ValueError("`times` is empty: pass some times, or None for all.")
    return indices


def _scale(values: np.ndarray, quantity: str) -> tuple[np.ndarray, tuple[float, float], str, str]:
    """Return heights, the common scale of all panels, the colour map and its label."""
    if quantity == "potential":
        heights = values - np.nanmin(values)
        return heights, (0.0, MAX_DEPTH), "viridis", r"$U - \min U$ (nats)"
    limit = float(np.nanquantile(np.abs(values), 0.98)) or 1.0
    return values.clip(-limit, limit), (-limit, limit), "coolwarm", r"$\lambda = \alpha\, g$"


def _trajectory_lines(
    plane: Plane, paths: Trajectories, previous_time: float, time: float, n_max: int
) -> np.ndarray | None:
    """Return trajectories between two times, shape ``(n_times, n, 2)``.

    The result is None if no trajectory has started.
    """
    order = np.argsort(paths.times)
    # saved times are rounded when converted from the unit of the solver
    tolerance = 1e-6 * float(np.ptp(plane.times.points))
    order = order[
        (paths.times[order] >= previous_time - tolerance) & (paths.times[order] <= time + tolerance)
    ]
    if len(order) == 0:
        return None
    states = paths.states[order][:, random_subset(paths.states.shape[1], n_max)]
    n_times, n, d = states.shape
    return plane.place(states.reshape(-1, d), np.repeat(paths.times[order], n)).reshape(
        n_times, n, 2
    )


def _basin_marks(
    result: Any, time: float, max_potential: float, colors: dict[str, Any]
) -> tuple[np.ndarray, list[Any]]:
    """Return the deepest points of the types at a time, shape ``(m, 2)``, and their colours."""
    if "basins" not in result:
        return np.empty((0, 2)), []
    table = result["basins"]
    basins = table[(table["time"] == time) & (table["depth"] <= max_potential)]
    return basins[["x", "y"]].to_numpy(dtype=np.float64), [
        colors[str(name)] for name in basins["type"]
    ]
