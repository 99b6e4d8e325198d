"""Alluvial diagram: cell types over time, as bands whose height is mass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.number_text import distinct_texts
from scdiffot.pl._base.figure import background
from scdiffot.pl._base.points import draw_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# width of a column, as a fraction of the shortest interval
COLUMN_WIDTH = 0.12
N_POINTS = 40


def draw_alluvial(
    ax: Axes, times: np.ndarray, masses: np.ndarray, flows: np.ndarray, *, colors: dict[str, Any]
) -> None:
    """Draw columns of types at every time, and the flows between them as bands.

    A band has the colour of the earlier type.

    Parameters
    ----------
    ax
        Axes to draw on.
    times
        Times of the columns, shape ``(S,)``.
    masses
        Mass of each class at each time, shape ``(S, K)``.
    flows
        Mass of class j at the next time that descends from class i, shape ``(S - 1, K, K)``. The
        height of a band at its start is the mass of its ancestors.
    colors
        Colour of each class, in the order of the classes.
    """
    shades = list(colors.values())
    half_width = COLUMN_WIDTH * float(np.diff(times).min()) / 2
    ease = np.linspace(0, 1, N_POINTS)
    ease = ease**2 * (3 - 2 * ease)
    for s, flow in enumerate(flows):
        outflow = flow.sum(axis=1, keepdims=True)
        starts = masses[s][:, None] * np.divide(
            flow, outflow, out=np.zeros_like(flow), where=outflow > 0
        )
        # bands start in the order of their targets and end in the order of their sources, which
        # reduces crossings
        start_top = np.cumsum(starts.ravel()).reshape(flow.shape)
        end_top = np.cumsum(flow.T.ravel()).reshape(flow.shape).T
        x = np.linspace(times[s] + half_width, times[s + 1] - half_width, N_POINTS)
        for i, j in zip(*np.nonzero(flow > 0), strict=True):
            top = start_top[i, j] + ease * (end_top[i, j] - start_top[i, j])
            width = starts[i, j] + ease * (flow[i, j] - starts[i, j])
            ax.fill_between(x, top - width, top, color=shades[i], alpha=0.45, linewidth=0)
    for time, column in zip(times, masses, strict=True):
        bottom = np.cumsum(column) - column
        present = column > 0
        ax.bar(
            np.full(present.sum(), time),
            column[present],
            width=2 * half_width,
            bottom=bottom[present],
            color=[shade for shade, flag in zip(shades, present, strict=True) if flag],
            edgecolor=background(),
            linewidth=0.6,
        )
    ax.set_xticks(times, distinct_texts(times))
    ax.set_xlim(times[0] - 2 * half_width, times[-1] + 2 * half_width)
    ax.set_ylim(0, 1.02 * masses.sum(axis=1).max())
    ax.spines[["top", "right"]].set_visible(False)
    is_used = masses.sum(axis=0) > 0
    # the legend is reversed, since the first class is at the bottom
    draw_legend(
        ax,
        "",
        {
            name: c
            for (name, c), flag in reversed([*zip(colors.items(), is_used, strict=True)])
            if flag
        },
    )
