"""Vectors over the slices of a tissue, as streamlines or arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.extract import MAX_VALUE, locate
from scdiffot.pl._base.field import grid_field
from scdiffot.pl._base.points import random_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

ARROW_COLOR = "#222222"
# length of the 90 % quantile of vectors, as a fraction of the window
ARROW_LENGTH = 0.07
# density of streamlines, and the window size (inches) below which it is reduced
STREAM_DENSITY, REFERENCE_WINDOW = 1.1, 4.0


def read_arrows(adata: AnnData | MuData, arrows: str) -> np.ndarray:
    """Return vectors of the spots, shape ``(n, 2)``; NaN where there are none."""
    vectors = np.asarray(locate(adata, arrows, argument="arrows").array)
    if vectors.ndim != 2 or vectors.shape[1] < 2 or vectors.dtype.kind not in "iuf":
        raise ValueError(
            f"`arrows` {arrows!r} has shape {vectors.shape}: pass numbers in two columns, one row "
            "per spot."
        )
    vectors = vectors[:, :2].astype(np.float64)
    finite_vectors = vectors[np.isfinite(vectors).all(axis=1)]
    if len(finite_vectors) == 0:
        raise ValueError(f"`arrows` {arrows!r} is NaN in all spots: name other vectors.")
    if np.abs(finite_vectors).max() > MAX_VALUE:
        raise ValueError(
            f"`arrows` {arrows!r} has values up to {np.abs(finite_vectors).max():.3g}: rescale it "
            f"below {MAX_VALUE:g}."
        )
    return vectors


def draw_vectors(
    axes: Sequence[Axes],
    positions: np.ndarray,
    vectors: np.ndarray,
    panels: list[np.ndarray],
    kind: str,
    extent: float,
    n_grid: int,
    n_max: int,
) -> None:
    """Draw vectors on all panels, on a common scale."""
    finite = np.isfinite(vectors).all(axis=1)
    rows = [part[finite[part]] for part in panels]
    speed = np.linalg.norm(vectors[np.concatenate(rows)], axis=1)
    typical_speed = float(np.quantile(speed, 0.9)) if len(speed) else 0.0
    for ax, part in zip(axes, rows, strict=True):
        if len(part) < 2 or typical_speed == 0:
            continue
        if kind == "cells":
            part = part[random_subset(len(part), n_max)]
            points, arrow_vectors = positions[part], vectors[part]
        else:
            x, y, u, v = grid_field(positions[part], vectors[part], n_grid)
            if kind == "stream":
                width = 0.4 + 1.2 * np.nan_to_num(np.hypot(u, v) / typical_speed).clip(0, 1)
                # the distance between streamlines in inches does not depend on the size of panels
                size_factor = min(
                    1.0, max(ax.get_window_extent().size) / ax.figure.dpi / REFERENCE_WINDOW
                )
                density = max(
                    STREAM_DENSITY * size_factor * max(np.ptp(x), np.ptp(y)) / extent, 0.1
                )
                arrow_size = 0.9 * size_factor**0.5
                ax.streamplot(
                    x,
                    y,
                    u,
                    v,
                    density=density,
                    color=ARROW_COLOR,
                    linewidth=width * size_factor**0.5,
                    arrowsize=arrow_size,
                )
                continue
            xx, yy = np.meshgrid(x, y)
            occupied = np.isfinite(u)
            points, arrow_vectors = (
                np.c_[xx[occupied], yy[occupied]],
                np.c_[u[occupied], v[occupied]],
            )
        ax.quiver(
            *points.T,
            *arrow_vectors.T,
            angles="xy",
            scale_units="xy",
            scale=typical_speed / (ARROW_LENGTH * extent),
            width=0.004,
            color=ARROW_COLOR,
        )
