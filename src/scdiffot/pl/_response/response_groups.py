"""Responses by group of cells: effect sizes, survival and features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot import get
from scdiffot._data.read.checks import suggest
from scdiffot._data.read.columns import find_column, read_groups
from scdiffot._data.read.gene_names import listed_genes
from scdiffot._data.responses.predictions import PredictedCells, read_cell_groups
from scdiffot._utils.keys import Keys
from scdiffot.pl._base.figure import foreground
from scdiffot.pl._base.points import draw_colorbar, palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

DEFAULT_BOX_COLOR = "#b5bcc6"


@dataclass(frozen=True)
class GroupView:
    """Values of the cells of each group, in descending order of the groups."""

    names: list[str]
    values: list[np.ndarray]
    colors: list[Any]
    title: str
    unit: str


@dataclass(frozen=True)
class FeatureView:
    """Mean responses of genes in groups, shape ``(G, K)``, and heterogeneity, shape ``(G,)``."""

    genes: list[str]
    groups: list[str]
    mean: np.ndarray
    heterogeneity: np.ndarray
    title: str


def group_view(
    adata: AnnData | MuData, cells: PredictedCells, groupby: str | None, *, survival: bool, key: str
) -> GroupView:
    """Return effect sizes or survival of the cells, by group.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If `survival` is True and the response is balanced.
    """
    if survival and cells.survival is None:
        raise ValueError(
            "`kind` is 'survival', but the response is balanced: no cell dies. "
            "Fit with tl.fit_response(..., unbalanced=True)."
        )
    keys = Keys(key, "key")
    values = cells.survival if survival and cells.survival is not None else cells.effect
    if groupby is None and keys.response_subpopulations in adata.uns:
        groupby = str(get.response(adata, "subpopulations", key=key)["groupby"].iloc[0])
    unit = "survival" if survival else "effect size (half a squared distance)"
    if groupby is None:
        return GroupView(["all cells"], [values], [DEFAULT_BOX_COLOR], "", unit)
    codes, names = read_cell_groups(adata, groupby, cells)
    colors = _colors(adata, groupby)
    parts = [values[codes == k] for k in range(len(names))]
    order = np.argsort(
        [-np.mean(part) if survival else -np.median(part) for part in parts], kind="stable"
    )
    title = "cluster of the response" if groupby == keys.response_cluster else groupby
    return GroupView(
        [names[k] for k in order],
        [parts[k] for k in order],
        [colors.get(names[k], DEFAULT_BOX_COLOR) for k in order],
        title,
        unit,
    )


def _colors(adata: AnnData | MuData, groupby: str) -> dict[str, Any]:
    holder, column = find_column(adata, groupby, "groupby")
    return palette(holder, column, read_groups(holder, column, "groupby"))


def draw_effect(ax: Axes, view: GroupView) -> None:
    """Draw quartile boxes with 5 %-95 % whiskers, one for each group, from top to bottom."""
    positions = -np.arange(len(view.names))
    for y, values, color in zip(positions, view.values, view.colors, strict=True):
        low, first_quartile, median, third_quartile, high = np.quantile(
            values, [0.05, 0.25, 0.5, 0.75, 0.95]
        )
        ax.hlines(y, low, high, color=foreground(), lw=1, zorder=1)
        ax.barh(
            y,
            third_quartile - first_quartile,
            left=first_quartile,
            height=0.65,
            color=color,
            edgecolor=foreground(),
            linewidth=0.8,
        )
        ax.vlines(median, y - 0.325, y + 0.325, color=foreground(), lw=1.6)
    _label_groups(ax, view, positions)
    ax.set_xlim(left=0)


def draw_survival(ax: Axes, view: GroupView) -> None:
    """Draw the mean of each group over quartile boxes and 5 %-95 % whiskers of its cells."""
    positions = -np.arange(len(view.names))
    ax.axvline(
        float(np.concatenate(view.values).mean()), color="#808080", lw=0.8, ls="--", zorder=0
    )
    for y, values, color in zip(positions, view.values, view.colors, strict=True):
        low, first_quartile, third_quartile, high = np.quantile(values, [0.05, 0.25, 0.75, 0.95])
        ax.hlines(y, low, high, color=color, lw=1, zorder=1)
        ax.barh(
            y,
            third_quartile - first_quartile,
            left=first_quartile,
            height=0.5,
            color=color,
            alpha=0.35,
        )
        ax.plot(values.mean(), y, "o", ms=6, color=color, mec=foreground(), mew=0.8)
    _label_groups(ax, view, positions)
    ax.set_xlim(left=0)
    ax.set_xlim(right=max(1.0, ax.get_xlim()[1]))


def _label_groups(ax: Axes, view: GroupView, positions: np.ndarray) -> None:
    labels = [
        f"{name}  ({len(values):,})" for name, values in zip(view.names, view.values, strict=True)
    ]
    ax.set_yticks(positions, labels)
    ax.set_ylim(positions[-1] - 0.6, 0.6)
    ax.set(xlabel=view.unit, ylabel=f"{view.title} (cells)".strip())
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def feature_table(
    adata: AnnData | MuData, genes: Sequence[str] | None, n_genes: int, *, key: str
) -> FeatureView:
    """Return mean responses of genes in groups.

    By default the genes are those whose response differs most between groups.

    Raises
    ------
    KeyError
        If there is no such table, or no such gene.
    ValueError
        If `genes` is empty.
    """
    groups = get.response(adata, "subpopulations", key=key)
    overall = get.response(adata, "features", key=key).set_index("gene")
    if genes is None:
        spread = np.sqrt(overall["heterogeneity"]) * overall["sd"]
        names = spread.sort_values(ascending=False, kind="stable").index[:n_genes].tolist()
    else:
        names = listed_genes(genes)
        unknown = [name for name in names if name not in overall.index]
        if unknown:
            raise KeyError(
                f"`genes` has {unknown[0]!r}, which is not in the table. "
                f"{suggest(unknown[0], overall.index)}"
            )
    parts = [
        get.response(adata, "features", group=name, key=key).set_index("gene")
        for name in groups["group"]
    ]
    title = str(groups["groupby"].iloc[0])
    return FeatureView(
        names,
        [str(name) for name in groups["group"]],
        np.column_stack([part.loc[names, "mean"] for part in parts]),
        overall.loc[names, "heterogeneity"].to_numpy(),
        "cluster of the response" if title == Keys(key, "key").response_cluster else title,
    )


def draw_features(ax: Axes, view: FeatureView) -> None:
    """Draw a heat map, with groups in descending order of sensitivity."""
    limit = float(np.abs(view.mean).max()) or 1.0
    image = ax.imshow(
        view.mean, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    draw_colorbar(ax, image, "mean response of the gene")
    long_names = max(map(len, view.groups)) > 4
    ax.set_xticks(
        range(len(view.groups)),
        view.groups,
        rotation=45 if long_names else 0,
        ha="right" if long_names else "center",
    )
    labels = [
        f"{name}  {share:.2f}" for name, share in zip(view.genes, view.heterogeneity, strict=True)
    ]
    ax.set_yticks(range(len(view.genes)), labels)
    ax.set(xlabel=f"{view.title}, most sensitive first", ylabel="gene  heterogeneity")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
