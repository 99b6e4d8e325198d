"""Sizes and windows of the spots of a tissue, and how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.pl._base.points import (
    GREY,
    draw_legend,
    random_subset,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .spot_colors import Colors

# the distance to the fourth neighbour is the pitch of square and hexagonal arrays, and close to the
# spacing of irregular cells
PITCH_NEIGHBOR = 4
# slices share one frame if their joint extent is at most this multiple of the largest extent
MAX_RELATIVE_EXTENT = 1.5
# height of a legend row (inches)
LEGEND_ROW = 0.25


def neighbor_distances(parts: Sequence[np.ndarray]) -> list[float]:
    """Return the typical distance between neighbouring spots of each slice.

    Slices without neighbouring spots get the median distance of the others.

    Parameters
    ----------
    parts
        Coordinates of the spots of each slice, shapes ``(n, 2)``.
    """
    from scipy.spatial import cKDTree

    distances = np.zeros(len(parts))
    for i, positions in enumerate(parts):
        k = min(PITCH_NEIGHBOR, len(positions) - 1)
        if k > 0:
            distances[i] = np.median(cKDTree(positions).query(positions, k=k + 1)[0][:, -1])
    positive = distances > 0
    distances[~positive] = np.median(distances[positive]) if positive.any() else 1.0
    return distances.tolist()


def slice_windows(parts: Sequence[np.ndarray], margin: float) -> np.ndarray:
    """Return windows of equal size around slices; slices in one frame share one window.

    Parameters
    ----------
    parts
        Coordinates of the spots of each slice, shapes ``(n, 2)``. A slice without spots gets the
        window of the first slice with spots.
    margin
        Margin around the spots.

    Returns
    -------
    Lower and upper corners, shape ``(n_slices, 2, 2)``.
    """
    first = next(part for part in parts if len(part))
    parts = [part if len(part) else first for part in parts]
    corners = np.array([[part.min(axis=0), part.max(axis=0)] for part in parts])
    size = np.diff(corners, axis=1).max(axis=(0, 1))
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    if (high - low <= MAX_RELATIVE_EXTENT * size).all():
        return np.broadcast_to(np.array([low - margin, high + margin]), corners.shape)
    middle = corners.mean(axis=1, keepdims=True)
    return middle + (size / 2 + margin) * np.array([[-1.0], [1.0]])


def draw_spots(
    ax: Axes,
    positions: np.ndarray,
    colors: Colors,
    rows: np.ndarray,
    *,
    diameters: np.ndarray,
    alpha: float,
) -> Any:
    """Draw spots as circles with diameters in the unit of the coordinates; NaN is grey."""
    from matplotlib.collections import EllipseCollection

    # random order, so that no slice covers another
    rows = rows[random_subset(len(rows), len(rows))]
    values = colors.values[rows]
    finite = np.isfinite(values) if colors.numeric else np.ones(len(rows), dtype=bool)

    def add(subset: np.ndarray, **options: Any) -> Any:
        size = diameters[subset]
        circles = EllipseCollection(
            size,
            size,
            np.zeros(len(subset)),
            units="xy",
            offsets=positions[subset],
            linewidths=0,
            **options,
        )
        return ax.add_collection(circles)

    options: dict[str, Any] = {"offset_transform": ax.transData, "rasterized": True}
    if not finite.all():
        add(rows[~finite], facecolors=GREY, alpha=0.4 * alpha, **options)
    if colors.numeric:
        return add(rows[finite], array=values[finite], alpha=alpha, **colors.style, **options)
    return add(rows, facecolors=values, alpha=alpha, **options)


def add_color_key(
    figure: Figure, axes: Sequence[Axes], mappable: Any, colors: Colors, *, external: bool
) -> None:
    """Add the colour bar or the legend of all panels."""
    if colors.numeric:
        shrink = 0.8 if len(axes) <= 4 else 0.4
        bar = figure.colorbar(
            mappable,
            ax=list(axes),
            label=colors.title,
            extend=colors.extend,
            shrink=shrink,
            aspect=25,
        )
        if bar.solids is not None:
            bar.solids.set_alpha(1)
    elif colors.table:
        n_rows = max(2, int(figure.bbox.height / figure.dpi / LEGEND_ROW) - 1)
        draw_legend(
            axes[-1] if external or len(axes) == 1 else figure,
            colors.title,
            colors.table,
            n_rows=n_rows,
        )
