"""Cell types over time, as bands whose width is mass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.number_text import distinct_texts
from scdiffot.pl._base.figure import background
from scdiffot.pl._base.points import draw_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# share of the shortest interval that a column of types takes
COLUMN = 0.12
N_POINTS = 40


def draw_alluvial(
    ax: Axes, times: np.ndarray, masses: np.ndarray, flows: np.ndarray, *, colors: dict[str, Any]
) -> None:
    """Draw a column of types at every time and the bands between them, in the colour of the earlier type.

    Parameters
    ----------
    ax
        Axes to draw on.
    times
        Times of the columns, shape ``(S,)``.
    masses
        Mass of every class at every time, shape ``(S, K)``.
    flows
        Mass that has gone from class i at a time to class j at the next one, and arrived there, shape ``(S - 1, K, K)``.
        A band is as wide at its start as the cells that it comes from.
    colors
        Colour of every class, in the order of the classes.
    """
    shades = list(colors.values())
    half = COLUMN * float(np.diff(times).min()) / 2
    ease = np.linspace(0, 1, N_POINTS)
    ease = ease**2 * (3 - 2 * ease)
    for s, flow in enumerate(flows):
        # without white lines between the bands of a class, so that they add up to it
        leaving = flow.sum(axis=1, keepdims=True)
        starts = masses[s][:, None] * np.divide(
            flow, leaving, out=np.zeros_like(flow), where=leaving > 0
        )
        # leave in the order of arrival, arrive in the order of departure: bands cross as little as can be
        start_top = np.cumsum(starts.ravel()).reshape(flow.shape)
        end_top = np.cumsum(flow.T.ravel()).reshape(flow.shape).T
        x = np.linspace(times[s] + half, times[s + 1] - half, N_POINTS)
        for i, j in zip(*np.nonzero(flow > 0), strict=True):
            top = start_top[i, j] + ease * (end_top[i, j] - start_top[i, j])
            width = starts[i, j] + ease * (flow[i, j] - starts[i, j])
            ax.fill_between(x, top - width, top, color=shades[i], alpha=0.45, linewidth=0)
    for time, column in zip(times, masses, strict=True):
        bottom = np.cumsum(column) - column
        seen = column > 0
        ax.bar(
            np.full(seen.sum(), time),
            column[seen],
            width=2 * half,
            bottom=bottom[seen],
            color=[shade for shade, there in zip(shades, seen, strict=True) if there],
            edgecolor=background(),
            linewidth=0.6,
        )
    ax.set_xticks(times, distinct_texts(times))
    ax.set_xlim(times[0] - 2 * half, times[-1] + 2 * half)
    ax.set_ylim(0, 1.02 * masses.sum(axis=1).max())
    ax.spines[["top", "right"]].set_visible(False)
    used = masses.sum(axis=0) > 0
    # the first class lies at the bottom
    draw_legend(
        ax,
        "",
        {
            name: c
            for (name, c), there in reversed([*zip(colors.items(), used, strict=True)])
            if there
        },
    )
