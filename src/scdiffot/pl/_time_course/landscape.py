"""The landscape that cells move in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, check_count, some
from scdiffot._data.read.times.values import closest, several
from scdiffot._data.write import fingerprints
from scdiffot._data.write.derived import fit_digest
from scdiffot._data.write.fingerprints import check_fingerprint
from scdiffot._data.write.store import read_table
from scdiffot._utils.keys import DEFAULT, LANDSCAPE
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.points import draw_legend, thinned
from scdiffot.pl._base.relief import Relief, draw_contours, draw_surface
from scdiffot.pl._base.shares import class_colors
from scdiffot.pl._lineage.trajectories import check_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from scdiffot.core import Trajectories
    from scdiffot.pl._base.plane import Plane

# nats above the lowest point: beyond, there are next to no cells
DEPTH = 8.0


def landscape(
    adata: AnnData | MuData,
    *,
    kind: Literal["contour", "surface"] = "contour",
    quantity: Literal["potential", "lambda"] = "potential",
    times: Sequence[float | str] | None = None,
    paths: Trajectories | None = None,
    n_max: int = 50,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    r"""Draw the landscape of the cells, a panel for every time.

    All panels have one scale. Where there are next to no cells there is no landscape, and the panel stays empty. The deepest point of
    every cell type is marked in its colour, ``adata.uns["<cell_key>_colors"]``, if the landscape knows the types.

    Parameters
    ----------
    adata
        Cells with a fit and a landscape of :func:`scdiffot.tl.landscape`.
    kind
        Contours, or a surface in three dimensions.
    quantity
        ``"potential"``, :math:`U = -\log p` above its lowest point (nats), or ``"lambda"``, :math:`\alpha g`, which is high where cells
        multiply.
    times
        Times (numbers or labels) to draw; by default all that the landscape has.
    paths
        What :func:`scdiffot.tl.simulate` returned. Every panel shows where paths have come from since the panel before.
    n_max
        Largest number of paths to draw; the others are left out at random.
    key
        Name of the fit.
    ax
        Axes to draw on, one for every time; for a surface of the projection ``"3d"``.
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
        If there is no fit, no landscape, or none at a time or of the quantity.
    ValueError
        If an option is unknown, or the number or projection of the axes does not match.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.landscape(adata)
    >>> figure = sdo.pl.landscape(adata, return_fig=True)
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    check_choice("kind", kind, ("contour", "surface"))
    check_choice("quantity", quantity, ("potential", "lambda"))
    check_count("n_max", n_max, 1)
    found = read_table(adata, key, LANDSCAPE, source="tl.landscape(adata)")
    if quantity not in found:
        raise KeyError(
            f"`quantity` is {quantity!r}, which a fit without growth does not have: draw the 'potential'."
        )
    plane = find_plane(adata, str(found["basis"]), key=key)
    check_fingerprint(
        adata,
        key,
        fingerprints.LANDSCAPE,
        plane.basis.points,
        what=f"`basis` {found['basis']!r}",
        made="the landscape",
        remedy=f"Run scdiffot.tl.landscape(adata, basis={found['basis']!r}, key={key!r}) again.",
    )
    if paths is not None:
        check_paths(paths, plane.states.shape[1], fit_digest(adata, key))
    chosen = _find_times(found["times"], times, plane)
    flat = kind == "contour"
    # surfaces need more room
    size = {"n_columns": 4} if flat else {"n_columns": 2 if len(chosen) <= 4 else 3, "height": 1.2}
    figure, axes = make_axes(ax, len(chosen), projection=None if flat else "3d", **size)
    if len(axes) != len(chosen):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {len(chosen)}, one for every time, or choose `times`."
        )
    heights, scale, cmap, label = _scale(
        np.asarray(found[quantity], dtype=np.float64)[chosen], quantity
    )
    colors = (
        class_colors(adata, str(found["cell_key"]), found["basins"]["type"].unique())
        if "basins" in found
        else {}
    )
    # what is higher is not drawn
    rim = float(np.nanmin(found["potential"][chosen])) + DEPTH
    since = -np.inf
    for ax_, k, height in zip(axes, chosen, heights, strict=True):
        time = float(found["times"][k])
        lines = None if paths is None else _lines(plane, paths, since, time, n_max)
        relief = Relief(
            found["x"], found["y"], height, scale, cmap, lines, _marks(found, time, rim, colors)
        )
        (draw_contours if flat else draw_surface)(ax_, relief)
        # paths may leave the grid
        if flat:
            ax_.dataLim.set_points(np.column_stack([relief.x[[0, -1]], relief.y[[0, -1]]]))
            plane.dress(ax_)
        else:
            ax_.set(xlim=(relief.x[0], relief.x[-1]), ylim=(relief.y[0], relief.y[-1]))
        ax_.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
        ax_.set_title(f"{plane.times.column} {plane.times.label(time)}")
        since = time
    figure.colorbar(
        ScalarMappable(Normalize(*scale), cmap),
        ax=axes,
        label=label,
        shrink=0.7 if flat else 0.4,
        aspect=25,
        pad=0.02 if flat else 0.08,
    )
    if colors:
        draw_legend(
            figure if ax is None else axes[-1],
            str(found["cell_key"]),
            colors,
            n_rows=10 if flat else 16,
        )
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _find_times(there: np.ndarray, times: Sequence[float | str] | None, plane: Plane) -> list[int]:
    """Positions of the times to draw."""
    if times is None:
        return list(range(len(there)))
    chosen = []
    for time in several(times):
        k = closest(there, plane.times.read(time, "times"))
        if k is None:
            raise KeyError(
                f"`times` has {time!r}, at which there is no landscape: pass some of {some(there.tolist())}."
            )
        chosen.append(k)
    if not chosen:
        raise ValueError("`times` is empty: pass some times, or None for all.")
    return chosen


def _scale(values: np.ndarray, quantity: str) -> tuple[np.ndarray, tuple[float, float], str, str]:
    """Heights, one scale for all panels, and the colours and the name of it."""
    if quantity == "potential":
        heights = values - np.nanmin(values)
        return heights, (0.0, DEPTH), "viridis", r"$U - \min U$ (nats)"
    limit = float(np.nanquantile(np.abs(values), 0.98)) or 1.0
    return values.clip(-limit, limit), (-limit, limit), "coolwarm", r"$\lambda = \alpha\, g$"


def _lines(
    plane: Plane, paths: Trajectories, since: float, time: float, n_max: int
) -> np.ndarray | None:
    """Paths (n_times, n, 2) between two times; None if they have not started."""
    order = np.argsort(paths.times)
    # saved times carry the rounding of the solver's unit of time
    near = 1e-6 * float(np.ptp(plane.times.points))
    order = order[(paths.times[order] >= since - near) & (paths.times[order] <= time + near)]
    if len(order) == 0:
        return None
    states = paths.states[order][:, thinned(paths.states.shape[1], n_max)]
    n_times, n, d = states.shape
    return plane.place(states.reshape(-1, d), np.repeat(paths.times[order], n)).reshape(
        n_times, n, 2
    )


def _marks(
    found: Any, time: float, rim: float, colors: dict[str, Any]
) -> tuple[np.ndarray, list[Any]]:
    """Deepest points (m, 2) of the types at a time, below a height, and their colours."""
    if "basins" not in found:
        return np.empty((0, 2)), []
    table = found["basins"]
    here = table[(table["time"] == time) & (table["depth"] <= rim)]
    return here[["x", "y"]].to_numpy(dtype=np.float64), [colors[str(name)] for name in here["type"]]
