"""Creation and return of figures and axes, following the conventions of scanpy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADLESS_BACKENDS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


def make_axes(
    ax: Axes | Sequence[Axes] | np.ndarray | None,
    n_panels: int = 1,
    *,
    n_columns: int = 4,
    width: float = 1.0,
    height: float = 1.0,
    projection: str | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return the axes to draw on: those of the user, or the panels of a new figure.

    Parameters
    ----------
    ax
        Axes that the user passed, or None for a new figure.
    n_panels
        Number of panels of a new figure.
    n_columns
        Largest number of panels in a row.
    width, height
        Size of a panel relative to ``rcParams["figure.figsize"]``, which scanpy's settings change.
    projection
        Projection of the panels, such as ``"3d"``.

    Raises
    ------
    TypeError
        If `ax` contains objects that are not axes.
    ValueError
        If `ax` is empty, has several axes for a single panel, or axes of another projection.
    """
    import matplotlib.pyplot as plt

    axes: list[Any]
    if ax is not None:
        axes = flatten_axes(ax)
        if n_panels == 1 and len(axes) > 1:
            raise ValueError(
                f"`ax` has {len(axes)} axes, but there is one panel to draw: pass one of them."
            )
        _check_projection(axes, projection or "rectilinear")
        return axes[0].figure, axes
    w, h = plt.rcParams["figure.figsize"]
    rows = -(-n_panels // n_columns)
    columns = -(-n_panels // rows)
    scale = 1.0 if n_panels == 1 else 0.7
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(w * width * scale * columns, h * height * scale * rows),
        layout="constrained",
        squeeze=False,
        subplot_kw={"projection": projection},
    )
    axes = grid.ravel().tolist()
    for ax_ in axes[n_panels:]:
        ax_.remove()
    return figure, axes[:n_panels]


def _check_projection(axes: list[Any], projection: str) -> None:
    """Raise an error if axes have another projection than the plot."""
    for ax in axes:
        if ax.name != projection:
            remedy = (
                "plt.subplots()"
                if projection == "rectilinear"
                else f"plt.subplots(subplot_kw={{'projection': {projection!r}}})"
            )
            raise ValueError(
                f"`ax` has the projection {ax.name!r}, and this plot needs {projection!r}: pass "
                f"axes of {remedy}."
            )


def flatten_axes(ax: Any) -> list[Any]:
    """Flatten axes, any nested sequence of them or the array of `plt.subplots` to a list."""
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return [ax]
    if not isinstance(ax, list | tuple | np.ndarray):
        raise TypeError(
            f"`ax` is a {type(ax).__name__}: pass axes of matplotlib, such as those of "
            "plt.subplots()."
        )
    axes = [axis for item in ax for axis in flatten_axes(item)]
    if not axes:
        raise ValueError("`ax` is empty: pass axes, or leave it out.")
    return axes


def finish(
    figure: Figure, axes: list[Axes], *, external: bool, show: bool | None, return_fig: bool
) -> Figure | Axes | list[Axes] | None:
    """Return the figure, show it, or return the axes.

    Parameters
    ----------
    figure
        The figure.
    axes
        Axes of the figure that have been drawn on.
    external
        Whether the user passed the axes. The figure is not shown in that case.
    show
        Choice of the user; None for scanpy's `settings.autoshow`, which is True without scanpy.
    return_fig
        Whether to return the figure.
    """
    if return_fig:
        return figure
    if external:
        return axes[0] if len(axes) == 1 else axes
    if show is None:
        show = bool(_scanpy_setting("autoshow", default=True))
    if show:
        import matplotlib.pyplot as plt

        if plt.get_backend().lower() not in HEADLESS_BACKENDS:
            plt.show()
        return None
    return axes[0] if len(axes) == 1 else axes


def foreground() -> str:
    """Return the colour of text and lines in the user's style: white on dark backgrounds."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def background() -> str:
    """Return the colour behind the data in the user's style."""
    import matplotlib as mpl

    return str(mpl.rcParams["axes.facecolor"])


def _scanpy_setting(name: str, *, default: Any) -> Any:
    # a user who changed a setting has imported scanpy; an import here would take seconds
    scanpy = sys.modules.get("scanpy")
    return getattr(getattr(scanpy, "settings", None), name, default)
