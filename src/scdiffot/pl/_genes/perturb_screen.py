"""Which genes decide fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_count, suggest
from scdiffot._data.write.perturbation import read_screen
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import background, finish, make_axes
from scdiffot.pl._base.points import draw_legend
from scdiffot.pl._base.shares import class_colors

from .perturb import LEVEL, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData


def perturb_screen(
    adata: AnnData | MuData,
    *,
    n_genes: int = 20,
    fate: str | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the genes of a screen by their effects on the fates of cells.

    A point for every gene with a 95 % interval of the simulation, filled where the corrected p value is below 0.05. Its colour is
    that of the fate that gains most.

    Parameters
    ----------
    adata
        Cells of a :func:`scdiffot.tl.perturb_screen`.
    n_genes
        Number of genes (or pairs) to draw, those that rank first.
    fate
        A fate to draw the change of, with its sign, instead of the effect that the genes were ranked by; the genes are then those that
        change it most.
    key
        Name of the fit.
    ax
        Axes to draw on.
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
        If there is no fit under this name, no screen, or no such fate.
    ValueError
        If `n_genes` is below 1.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=20)
    >>> figure = sdo.pl.perturb_screen(adata, return_fig=True)
    """
    check_count("n_genes", n_genes, 1)
    found = read_screen(adata, key)
    fates = [str(name) for name in found["fates"]]
    if fate is not None and not (isinstance(fate, str) and fate in fates):
        raise KeyError(f"`fate` is {fate!r}, which is none of the screen. {suggest(fate, fates)}")
    colors = class_colors(adata, str(found["cell_key"]), fates)
    shift = np.asarray(found["shift"])
    effect, se, certain = (
        np.asarray(found["effect"]),
        np.asarray(found["se"]),
        found["p_adjusted"] < LEVEL,
    )
    rows = np.arange(len(effect))[:n_genes]
    asked = fate or str(found["fate"])
    if fate is not None and fate != str(found["fate"]):
        k = fates.index(fate)
        effect, se = shift[:, k], np.asarray(found["shift_se"])[:, k]
        # no p value was corrected for this choice
        certain = np.abs(effect) > WIDTH * se
        rows = np.argsort(-np.abs(effect), kind="stable")[:n_genes]
    figure, axes = make_axes(ax, width=1.2, height=0.35 + 0.045 * len(rows))
    gains = shift[rows].argmax(axis=1)
    axes[0].axvline(0, color="#808080", lw=0.8, zorder=0)
    for y, (row, gain) in enumerate(zip(rows, gains, strict=True)):
        color = colors[fates[gain]]
        axes[0].plot([0, effect[row]], [-y, -y], color=color, lw=1.2, alpha=0.5, zorder=1)
        axes[0].errorbar(
            effect[row],
            -y,
            xerr=WIDTH * se[row],
            fmt="o",
            ms=5.5,
            color=color,
            mfc=color if certain[row] else background(),
            lw=1.2,
        )
    axes[0].set_yticks(-np.arange(len(rows)), [_label(found, row) for row in rows])
    axes[0].set_ylim(-len(rows) + 0.4, 0.6)
    verbs = {"knockout": "knock-out", "knockdown": "knock-down", "overexpress": "over-expression"}
    axes[0].set(
        title=f"{verbs[str(found['kind'])]}, {'sustained' if found['sustained'] else 'at the start'}",
        xlabel=f"change of the share of {asked}"
        if asked
        else "share of the descendants with another fate",
        ylabel="gene",
    )
    axes[0].spines[["top", "right", "left"]].set_visible(False)
    axes[0].tick_params(axis="y", length=0)
    draw_legend(axes[0], "gains most", {fates[k]: colors[fates[k]] for k in np.unique(gains)})
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _label(found: dict, row: int) -> str:
    partner = str(found["partner"][row])
    return f"{found['gene'][row]} + {partner}" if partner else str(found["gene"][row])
