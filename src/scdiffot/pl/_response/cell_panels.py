"""Panels of control, predicted and treated cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.pl._base.figure import background, foreground
from scdiffot.pl._base.points import GREY, draw_legend, point_size, random_subset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .response_cells import EmbeddingView, GeneView

COLORS = {"control": "#8c96a3", "predicted": "#d95f02", "treated": "#1b7f9e"}


def draw_genes(ax: Axes, view: GeneView) -> None:
    """Draw a violin with its median for each gene and kind of cells."""
    width = 0.27
    for k, (kind, values) in enumerate(view.values.items()):
        positions = np.arange(len(view.names)) + (k - (len(view.values) - 1) / 2) * width
        violins = ax.violinplot(list(values.T), positions, widths=0.94 * width, showextrema=False)
        for body in violins["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=COLORS[kind], alpha=0.75, linewidth=0)
        ax.scatter(
            positions,
            np.median(values, axis=0),
            s=12,
            color=background(),
            edgecolors=foreground(),
            linewidths=0.6,
            zorder=3,
        )
    for row in range(1, len(view.names), 2):
        ax.axvspan(row - 0.5, row + 0.5, color=foreground(), alpha=0.05, lw=0, zorder=-1)
    ax.set_xlim(-0.5, len(view.names) - 0.5)
    long_names = max(map(len, view.names)) > 8
    ax.set_xticks(
        range(len(view.names)),
        view.names,
        rotation=45 if long_names else 0,
        ha="right" if long_names else "center",
    )
    ax.set(xlabel="gene", ylabel=view.label)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="x", length=0)
    draw_legend(ax, "cells", {kind: COLORS[kind] for kind in view.values})


def draw_response_embedding(ax: Axes, view: EmbeddingView) -> None:
    """Draw control, treated and predicted cells in random order, and arrows on top."""
    kinds = [kind for kind, points in view.points.items() if len(points)]
    points = np.concatenate([view.points[kind] for kind in kinds])
    colors = np.repeat([COLORS[kind] for kind in kinds], [len(view.points[kind]) for kind in kinds])
    order = random_subset(len(points), len(points))
    size = point_size(len(points) + len(view.background_points), ax)
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    ax.scatter(
        view.background_points[:, 0], view.background_points[:, 1], c=GREY, alpha=0.35, **style
    )
    ax.scatter(points[order, 0], points[order, 1], c=colors[order], alpha=0.7, **style)
    if view.arrows is not None:
        start, displacement = view.arrows[0], view.arrows[1] - view.arrows[0]
        ax.quiver(
            *start.T,
            *displacement.T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.002,
            color=foreground(),
            alpha=0.6,
        )
    ax.set(xlabel=view.labels[0], ylabel=view.labels[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.04)
    draw_legend(ax, "cells", {kind: COLORS[kind] for kind in COLORS if kind in kinds})
