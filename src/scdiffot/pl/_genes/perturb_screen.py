"""Plot of a perturbation screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_count, suggest
from scdiffot._data.write.perturbation import read_screen
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import background, finish, make_axes
from scdiffot.pl._base.points import draw_legend
from scdiffot.pl._base.shares import class_colors

from .perturb import SIGNIFICANCE_LEVEL, Z_95

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData


@fill_parameters
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

    Points are effects, with 95 % confidence intervals of the simulation; they are filled where the
    corrected p value is below 0.05. The colour is that of the fate with the largest increase.

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.perturb_screen` was run.
    n_genes
        Number of the highest-ranked genes or pairs to draw.
    fate
        Fate whose change is drawn, with its sign, instead of the effect by which the screen is
        ranked. The genes with the largest changes of this fate are selected; points are filled
        where the 95 % interval excludes zero.
    %(key)s
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, screen or fate of this name.
    ValueError
        If `n_genes` is below 1.

    See Also
    --------
    scdiffot.tl.perturb_screen : run the screen.
    scdiffot.pl.perturb : draw the effects of a single perturbation.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=20)
    >>> figure = sdo.pl.perturb_screen(adata, return_fig=True)
    """
    check_count("n_genes", n_genes, 1)
    result = read_screen(adata, key)
    fates = [str(name) for name in result["fates"]]
    if fate is not None and not (isinstance(fate, str) and fate in fates):
        raise KeyError(f"`fate` is {fate!r}, which is none of the screen. {suggest(fate, fates)}")
    colors = class_colors(adata, str(result["cell_key"]), fates)
    shift = np.asarray(result["shift"])
    effect, se, significant = (
        np.asarray(result["effect"]),
        np.asarray(result["se"]),
        result["p_adjusted"] < SIGNIFICANCE_LEVEL,
    )
    rows = np.arange(len(effect))[:n_genes]
    target_fate = fate or str(result["fate"])
    if fate is not None and fate != str(result["fate"]):
        k = fates.index(fate)
        effect, se = shift[:, k], np.asarray(result["shift_se"])[:, k]
        # corrected p values exist only for the effect by which the screen is ranked
        significant = np.abs(effect) > Z_95 * se
        rows = np.argsort(-np.abs(effect), kind="stable")[:n_genes]
    figure, axes = make_axes(ax, width=1.2, height=0.35 + 0.045 * len(rows))
    gains = shift[rows].argmax(axis=1)
    shades = [colors[fates[gain]] for gain in gains]
    _draw_effects(axes[0], effect[rows], se[rows], significant[rows], shades)
    axes[0].set_yticks(-np.arange(len(rows)), [_label(result, row) for row in rows])
    axes[0].set_ylim(-len(rows) + 0.4, 0.6)
    kind_texts = {
        "knockout": "knock-out",
        "knockdown": "knock-down",
        "overexpress": "over-expression",
    }
    duration = "sustained" if result["sustained"] else "at the start"
    axes[0].set(
        title=f"{kind_texts[str(result['kind'])]}, {duration}",
        xlabel=f"change of the share of {target_fate}"
        if target_fate
        else "share of the descendants with another fate",
        ylabel="gene",
    )
    axes[0].spines[["top", "right", "left"]].set_visible(False)
    axes[0].tick_params(axis="y", length=0)
    draw_legend(axes[0], "gains most", {fates[k]: colors[fates[k]] for k in np.unique(gains)})
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_effects(
    ax: Axes, effect: np.ndarray, se: np.ndarray, significant: np.ndarray, colors: list[Any]
) -> None:
    """Draw effects with 95 % confidence intervals, from top to bottom."""
    ax.axvline(0, color="#808080", lw=0.8, zorder=0)
    for i, color in enumerate(colors):
        ax.plot([0, effect[i]], [-i, -i], color=color, lw=1.2, alpha=0.5, zorder=1)
        ax.errorbar(
            effect[i],
            -i,
            xerr=Z_95 * se[i],
            fmt="o",
            ms=5.5,
            color=color,
            mfc=color if significant[i] else background(),
            lw=1.2,
        )


def _label(result: dict, row: int) -> str:
    partner = str(result["partner"][row])
    return f"{result['gene'][row]} + {partner}" if partner else str(result["gene"][row])
