"""Plot of the genes that affect growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_count, choose_names
from scdiffot._data.write.regulation import find_groups, group_labels, read_growth_genes
from scdiffot._data.write.store import read_params
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, foreground, make_axes
from scdiffot.pl._base.points import draw_colorbar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# colours of positive and negative effects
POSITIVE_COLOR, NEGATIVE_COLOR = "#b2182b", "#2166ac"
# maximum number of groups with horizontal labels
MAX_HORIZONTAL_LABELS = 3


@fill_parameters
def growth_genes(
    adata: AnnData | MuData,
    *,
    genes: str | Sequence[str] | None = None,
    group: str | Iterable[str] | None = None,
    n_genes: int = 20,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the genes with the largest effects on growth.

    A single group is drawn as ranked bars of the mean effect, with lines for the standard deviation
    over the cells. Several groups are drawn as dots: the colour shows the effect, and the area the
    share of cells with the sign of the effect, from one half (smallest dot) to all cells.

    Parameters
    ----------
    adata
        Cells for which :func:`scdiffot.tl.growth_genes` was run.
    genes
        Genes to draw, in this order; by default those with the largest effects.
    group
        Groups to draw; all of them by default.
    n_genes
        Number of genes if `genes` is None. The genes with the largest effects are taken from each
        group in turn.
    %(key)s
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, gene, group or analysis of growth genes.
    ValueError
        If `genes` is empty, or `n_genes` is not positive.

    See Also
    --------
    scdiffot.tl.growth_genes : compute the effects of genes on growth.
    scdiffot.pl.growth : draw the growth rates of cells.
    scdiffot.pl.regulation : draw the effects of genes on each other.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.growth_genes(adata, groupby="cell_type")
    >>> figure = sdo.pl.growth_genes(adata, return_fig=True)
    """
    check_count("n_genes", n_genes, 1)
    table = read_growth_genes(adata, key)
    time_key = read_params(adata, key)["time_key"]
    blocks = list(table.groupby(["group", "time"], sort=False, dropna=False))
    names = np.array([str(name) for (name, _), _ in blocks])
    selected_groups = find_groups(names, group)
    parts = [blocks[k][1].set_index("gene") for k in selected_groups]
    if genes is None:
        selected_genes = _select_genes(parts, n_genes)
    else:
        reason = "for which there is no effect"
        selected_genes = choose_names("genes", genes, parts[0].index, reason=reason)
    labels = group_labels(
        names[selected_groups], np.array([blocks[k][0][1] for k in selected_groups]), time_key
    )
    unit = f"effect on growth\n(1 / {time_key}, per sd of the gene)"
    longest = max(len(gene) for gene in selected_genes)
    if len(parts) == 1:
        figure, axes = make_axes(
            ax, width=max(0.8, 0.015 * longest + 0.5), height=max(0.5, 0.06 * len(selected_genes))
        )
        _draw_bars(axes[0], parts[0].loc[selected_genes], unit)
        axes[0].set_title("" if labels == ["all"] else labels[0])
    else:
        # vertical labels of groups need room for the longest name
        label_height = (
            0.02 * max(len(name) for name in labels) if len(parts) > MAX_HORIZONTAL_LABELS else 0.05
        )
        width, height = (
            0.09 * len(parts) + 0.015 * longest + 0.5,
            max(0.4, 0.055 * len(selected_genes)) + label_height + 0.25,
        )
        figure, axes = make_axes(ax, width=width, height=height)
        _draw_dots(axes[0], parts, selected_genes, labels, unit)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _select_genes(parts: list[pd.DataFrame], n_genes: int) -> list[str]:
    """Select genes from each group in turn, and sort them by their largest effect."""
    import pandas as pd

    ranks = [gene for genes in zip(*(part.index for part in parts), strict=True) for gene in genes]
    selected_genes = list(dict.fromkeys(ranks))[:n_genes]
    effects = pd.concat([part.loc[selected_genes, "effect"] for part in parts], axis=1).to_numpy()
    largest = np.take_along_axis(effects, np.abs(effects).argmax(axis=1)[:, None], axis=1)[:, 0]
    return [selected_genes[i] for i in np.argsort(-largest, kind="stable")]


def _draw_bars(ax: Axes, part: pd.DataFrame, unit: str) -> None:
    y = -np.arange(len(part))
    effect = part["effect"].to_numpy()
    mean = part["mean"].to_numpy()
    # the effect is a multiple of the mean, and so is its standard deviation
    factor = np.divide(effect, mean, out=np.zeros_like(effect), where=mean != 0)
    error = part["sd"].to_numpy() * np.abs(factor)
    ax.barh(y, effect, height=0.7, color=np.where(effect > 0, POSITIVE_COLOR, NEGATIVE_COLOR))
    ax.errorbar(effect, y, xerr=error, ls="", color=foreground(), lw=1)
    ax.axvline(0, color=foreground(), lw=0.8)
    ax.set_yticks(y, part.index)
    ax.set_ylim(y[-1] - 0.6, 0.6)
    ax.set(xlabel=unit, ylabel="gene")
    ax.locator_params(axis="x", nbins=5)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _draw_dots(
    ax: Axes, parts: list[pd.DataFrame], genes: list[str], names: list[str], unit: str
) -> None:
    from matplotlib.lines import Line2D

    effect = np.array([part.loc[genes, "effect"] for part in parts])
    agreement = np.array([part.loc[genes, "stability"] for part in parts])
    x, y = np.meshgrid(np.arange(len(parts)), -np.arange(len(genes)), indexing="ij")
    limit = float(np.abs(effect).max()) or 1.0
    points = ax.scatter(
        x,
        y,
        s=_dot_area(agreement),
        c=effect,
        cmap="coolwarm",
        vmin=-limit,
        vmax=limit,
        edgecolors=foreground(),
        lw=0.4,
    )
    ax.set_xticks(
        np.arange(len(parts)), names, rotation=90 if len(parts) > MAX_HORIZONTAL_LABELS else 0
    )
    ax.set_yticks(-np.arange(len(genes)), genes)
    ax.set_xlim(-0.6, len(parts) - 0.4)
    ax.set_ylim(-len(genes) + 0.4, 0.6)
    ax.tick_params(length=0)
    ax.set_axisbelow(True)
    ax.grid(color=foreground(), alpha=0.1, lw=0.6)
    ax.spines[:].set_visible(False)
    draw_colorbar(ax, points, unit)
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            ls="",
            color="#8c8c8c",
            ms=_dot_area(np.array(share)) ** 0.5,
            label=f"{share:.0%}",
        )
        for share in (0.6, 0.8, 1.0)
    ]
    ax.legend(
        handles=handles,
        title="cells of one sign",
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=3,
    )


def _dot_area(stability: np.ndarray) -> np.ndarray:
    """Return the area of a dot, which is smallest at the stability of random signs, one half."""
    return 4 + 200 * np.clip(stability - 0.5, 0, 0.5)
