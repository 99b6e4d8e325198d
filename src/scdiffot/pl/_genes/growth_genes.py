"""Which genes go with growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_count, choose_names
from scdiffot._data.write.regulation import find_groups, labels, read_growth_genes
from scdiffot._data.write.store import read_params
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

# What raises and what lowers.
UP, DOWN = "#b2182b", "#2166ac"
# Number of groups whose names fit side by side.
N_FLAT = 3


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
    """Draw the genes that growth depends on most.

    A single group is drawn as ranked bars, of the mean effect, with lines for the standard deviation over the cells. Several are drawn
    as dots: their colour is the effect, their area grows with the share of cells that have its sign, from half of the cells (nothing
    is left) to all.

    Parameters
    ----------
    adata
        Cells for which :func:`scdiffot.tl.growth_genes` was run.
    genes
        Genes to draw, in this order; by default those with the largest effects.
    group
        Groups to draw; all of them by default.
    n_genes
        Number of genes. Every group gives its share of them, those with its largest effects.
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
        If there is no fit, gene or group of that name, or the genes have not been computed.
    ValueError
        If no gene is named, or `n_genes` is not positive.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.growth_genes(adata, groupby="cell_type")
    >>> figure = sdo.pl.growth_genes(adata, return_fig=True)
    """
    check_count("n_genes", n_genes, 1)
    table = read_growth_genes(adata, key)
    time_key = read_params(adata, key)["time_key"]
    blocks = list(table.groupby(["group", "time"], sort=False, dropna=False))
    names = np.array([str(name) for (name, _), _ in blocks])
    chosen = find_groups(names, group)
    parts = [blocks[k][1].set_index("gene") for k in chosen]
    if genes is None:
        shown = _most(parts, n_genes)
    else:
        reason = "for which there is no effect"
        shown = choose_names("genes", genes, parts[0].index, reason=reason)
    called = labels(names[chosen], np.array([blocks[k][0][1] for k in chosen]), time_key)
    unit = f"effect on growth\n(1 / {time_key}, per sd of the gene)"
    longest = max(len(gene) for gene in shown)
    if len(parts) == 1:
        figure, axes = make_axes(
            ax, width=max(0.8, 0.015 * longest + 0.5), height=max(0.5, 0.06 * len(shown))
        )
        _draw_bars(axes[0], parts[0].loc[shown], unit)
        axes[0].set_title("" if called == ["all"] else called[0])
    else:
        # long names of groups stand upright below
        below = 0.02 * max(len(name) for name in called) if len(parts) > N_FLAT else 0.05
        width, height = (
            0.09 * len(parts) + 0.015 * longest + 0.5,
            max(0.4, 0.055 * len(shown)) + below + 0.25,
        )
        figure, axes = make_axes(ax, width=width, height=height)
        _draw_dots(axes[0], parts, shown, called, unit)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _most(parts: list[pd.DataFrame], n_genes: int) -> list[str]:
    """Genes with the largest effects of every group in turn, from the most positive effect to the most negative."""
    import pandas as pd

    # tables are ranked; the first of every group come before the second of any
    ranks = [gene for genes in zip(*(part.index for part in parts), strict=True) for gene in genes]
    found = list(dict.fromkeys(ranks))[:n_genes]
    effects = pd.concat([part.loc[found, "effect"] for part in parts], axis=1).to_numpy()
    largest = np.take_along_axis(effects, np.abs(effects).argmax(axis=1)[:, None], axis=1)[:, 0]
    return [found[i] for i in np.argsort(-largest, kind="stable")]


def _draw_bars(ax: Axes, part: pd.DataFrame, unit: str) -> None:
    y = -np.arange(len(part))
    effect = part["effect"].to_numpy()
    mean = part["mean"].to_numpy()
    # the same factor brings the mean and its spread to effects
    factor = np.divide(effect, mean, out=np.zeros_like(effect), where=mean != 0)
    error = part["sd"].to_numpy() * np.abs(factor)
    ax.barh(y, effect, height=0.7, color=np.where(effect > 0, UP, DOWN))
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
        s=_area(agreement),
        c=effect,
        cmap="coolwarm",
        vmin=-limit,
        vmax=limit,
        edgecolors=foreground(),
        lw=0.4,
    )
    ax.set_xticks(np.arange(len(parts)), names, rotation=90 if len(parts) > N_FLAT else 0)
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
            ms=_area(np.array(share)) ** 0.5,
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


def _area(stability: np.ndarray) -> np.ndarray:
    """Area of a dot; half of the cells is what chance gives."""
    return 4 + 200 * np.clip(stability - 0.5, 0, 0.5)
