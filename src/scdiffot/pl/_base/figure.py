"""Figures and axes, the way scanpy handles them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WITHOUT_WINDOW = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


def make_axes(
    ax: Axes | Sequence[Axes] | np.ndarray | None,
    n_panels: int = 1,
    *,
    n_columns: int = 4,
    width: float = 1.0,
    height: float = 1.0,
    projection: str | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return the axes to draw on: those given, or the panels of a new figure.

    Parameters
    ----------
    ax
        What the user passed.
    n_panels
        Number of panels of a new figure.
    n_columns
        Largest number of panels in a row.
    width, height
        Size of a panel relative to that in `rcParams`, which scanpy's settings change.
    projection
        Projection of the panels, such as ``"3d"``.

    Raises
    ------
    TypeError
        If `ax` holds anything but axes.
    ValueError
        If it is empty, has several axes where there is one panel, or axes of another projection.
    """
    import matplotlib.pyplot as plt

    axes: list[Any]
    if ax is not None:
        axes = flat_axes(ax)
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
    for unused in axes[n_panels:]:
        unused.remove()
    return figure, axes[:n_panels]


def _check_projection(axes: list[Any], projection: str) -> None:
    """Refuse polar, geographic and 3-D axes for a flat plot, and flat ones for a 3-D plot."""
    for ax in axes:
        if ax.name != projection:
            remedy = (
                "plt.subplots()"
                if projection == "rectilinear"
                else f"plt.subplots(subplot_kw={{'projection': {projection!r}}})"
            )
            raise ValueError(
                f"`ax` has the projection {ax.name!r}, and this plot needs {projection!r}: pass axes of {remedy}."
            )


def flat_axes(ax: Any) -> list[Any]:
    """Axes in a flat list: one of them, any nested sequence, or the array of `plt.subplots`."""
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return [ax]
    if not isinstance(ax, list | tuple | np.ndarray):
        raise TypeError(
            f"`ax` is a {type(ax).__name__}: pass axes of matplotlib, such as those of plt.subplots()."
        )
    axes = [one for part in ax for one in flat_axes(part)]
    if not axes:
        raise ValueError("`ax` is empty: pass axes, or leave it out.")
    return axes


def finish(
    figure: Figure, axes: list[Axes], *, given: bool, show: bool | None, return_fig: bool
) -> Figure | Axes | list[Axes] | None:
    """Return the figure, show it, or return the axes.

    Parameters
    ----------
    figure
        The figure.
    axes
        What was drawn on.
    given
        Whether the user passed the axes; nothing is shown then.
    show
        What the user asked for; scanpy's `settings.autoshow` (True without scanpy) if None.
    return_fig
        Whether to return the figure.
    """
    if return_fig:
        return figure
    if given:
        return axes[0] if len(axes) == 1 else axes
    if show is None:
        show = bool(_scanpy_setting("autoshow", default=True))
    if show:
        import matplotlib.pyplot as plt

        if plt.get_backend().lower() not in WITHOUT_WINDOW:
            plt.show()
        return None
    return axes[0] if len(axes) == 1 else axes


def foreground() -> str:
    """Colour of text and lines under the style of the user: white on dark backgrounds."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def background() -> str:
    """Colour behind the data under the style of the user."""
    import matplotlib as mpl

    return str(mpl.rcParams["axes.facecolor"])


def _scanpy_setting(name: str, *, default: Any) -> Any:
    # Whoever has set something has imported scanpy; importing it for others would cost seconds.
    scanpy = sys.modules.get("scanpy")
    return getattr(getattr(scanpy, "settings", None), name, default)
