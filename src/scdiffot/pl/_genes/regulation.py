"""How genes act on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, check_count, choose_names
from scdiffot._data.write.regulation import Regulations, read_regulation
from scdiffot._data.write.store import read_times
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.optional import require
from scdiffot.pl._base.figure import background, finish, foreground, make_axes

from .growth_genes import DOWN, UP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

UNKEPT = "#ececec"


def regulation(
    adata: AnnData | MuData,
    *,
    kind: Literal["heatmap", "network"] = "heatmap",
    group: str | Iterable[str] | None = None,
    time: float | str | None = None,
    genes: str | Sequence[str] | None = None,
    n_edges: int = 40,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw how genes act on each other, a panel for every group.

    Only edges that are stable enough are drawn (see :func:`scdiffot.tl.regulation`); what activates is red, what represses blue.

    Parameters
    ----------
    adata
        Cells for which :func:`scdiffot.tl.regulation` was run.
    kind
        ``"heatmap"``: targets in rows, regulators in columns, in an order in which similar genes are neighbours; edges that are not
        kept are grey. ``"network"``: arrows activate, bars repress, and wide lines are large weights; genes that act on themselves
        have no line.
    group
        Groups to draw; all of them by default.
    time
        Time of the groups, if there is one group for every time; all by default.
    genes
        Genes to draw; by default those of the largest edges in any of the groups.
    n_edges
        Number of edges that choose the genes, and the number of edges of every network.
    key
        Name of the fit.
    ax
        Axes to draw on, one for every group.
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
        If there is no fit, group, time or gene, or the regulation has not been computed.
    ValueError
        If `kind` is neither of the two, `n_edges` is not positive, no gene is named, no edge is kept, or the number of axes does not match.
    ImportError
        If a network is asked for, and NetworkX is not installed.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.regulation(adata, stability=0.5)
    >>> figure = sdo.pl.regulation(adata, return_fig=True)
    """
    check_choice("kind", kind, ("heatmap", "network"))
    check_count("n_edges", n_edges, 1)
    found = read_regulation(adata, key)
    at = None if time is None else read_times(adata, key).find(time, "time")
    chosen = found.find(group, at)
    weights = np.where([found.kept(k) for k in chosen], found.mean[chosen], np.nan)
    shown = _largest(weights, n_edges) if genes is None else _named(found, genes)
    weights = weights[:, shown][:, :, shown]
    if np.isnan(weights).all():
        raise ValueError(
            f"No edge has one sign in {found.threshold:.0%} of the cells: run tl.regulation with a lower `stability`."
        )
    names = found.genes[shown]
    n = len(chosen)
    longest = max(len(name) for name in names)
    size = max(0.7, 0.045 * len(names) + 0.025 * longest + 0.25) if kind == "heatmap" else 1.1
    # heatmaps are square, and the colour bar takes some width
    figure, axes = make_axes(
        ax, n, height=size, width=0.8 * size + 0.2 / n if kind == "heatmap" else 1.0
    )
    if len(axes) != n:
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {n}, one for every group, or choose a `group`."
        )
    titles = ["" if label == "all" else label for label in np.array(found.labels)[chosen]]
    unit = f"effect on velocity\n(1 / {found.time_key})"
    if kind == "heatmap":
        _draw_heatmaps(axes, weights, names, titles=titles, unit=unit, ordered=genes is None)
    else:
        _draw_networks(axes, weights, names, titles=titles, n_edges=n_edges)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _largest(weights: np.ndarray, n_edges: int) -> np.ndarray:
    """Genes of the largest edges of any group, also between two of the same gene."""
    size = np.nan_to_num(np.abs(weights)).max(axis=0)
    order = np.argsort(-size, axis=None, kind="stable")[:n_edges]
    target, regulator = np.unravel_index(order[size.ravel()[order] > 0], size.shape)
    return np.union1d(target, regulator)


def _named(found: Regulations, genes: str | Sequence[str]) -> np.ndarray:
    known = {str(name): i for i, name in enumerate(found.genes)}
    chosen = choose_names("genes", genes, known, reason="which tl.regulation was run without")
    return np.array([known[gene] for gene in chosen], dtype=np.intp)


def _draw_heatmaps(
    axes: Sequence[Axes],
    weights: np.ndarray,
    names: np.ndarray,
    *,
    titles: Sequence[str],
    unit: str,
    ordered: bool,
) -> None:
    from matplotlib import colormaps

    if ordered:
        order = _similar(np.nan_to_num(weights))
        weights, names = weights[:, order][:, :, order], names[order]
    limit = float(np.nanmax(np.abs(weights)))
    colors = colormaps["RdBu_r"].with_extremes(bad=UNKEPT)
    ticks = np.arange(len(names))
    size = "small" if len(names) > 12 else "medium"
    for ax, values, title in zip(axes, weights, titles, strict=True):
        image = ax.imshow(values, cmap=colors, vmin=-limit, vmax=limit, interpolation="none")
        ax.set_xticks(ticks, names, rotation=90, fontsize=size)
        ax.set_yticks(ticks, names, fontsize=size)
        ax.set(xlabel="regulator", ylabel="target", title=title)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    bar = axes[0].figure.colorbar(
        image, ax=list(axes), label=unit, shrink=0.8 if len(axes) == 1 else 0.5, aspect=25
    )
    bar.outline.set_visible(False)


def _similar(weights: np.ndarray) -> np.ndarray:
    """Order in which genes that act, and are acted on, alike are neighbours."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    if weights.shape[1] < 3:
        return np.arange(weights.shape[1])
    features = np.concatenate([*weights, *weights.transpose(0, 2, 1)], axis=1)
    return leaves_list(optimal_leaf_ordering(linkage(features, "average"), features))


def _draw_networks(
    axes: Sequence[Axes],
    weights: np.ndarray,
    names: np.ndarray,
    *,
    titles: Sequence[str],
    n_edges: int,
) -> None:
    from matplotlib.lines import Line2D

    nx = require("networkx", extra="networkx")
    graphs = [_graph(nx, values, names, n_edges) for values in weights]
    # genes keep their places from panel to panel
    union = nx.compose_all([graph.to_undirected() for graph in graphs])
    union.remove_nodes_from([gene for gene, degree in list(union.degree) if degree == 0])
    places = nx.kamada_kawai_layout(union, weight=None) if len(union) else {}
    largest = max(
        (abs(w) for graph in graphs for _, _, w in graph.edges.data("weight")), default=1.0
    )
    for ax, graph, title in zip(axes, graphs, titles, strict=True):
        graph.remove_nodes_from([gene for gene in list(graph) if gene not in places])
        _draw_network(nx, ax, graph, places, largest)
        ax.set_title(title)
        ax.set_axis_off()
        ax.margins(0.2)
    handles = [
        Line2D([], [], color=UP, marker=">", label="activates"),
        Line2D([], [], color=DOWN, marker="|", mew=2, ms=9, label="represses"),
    ]
    axes[0].legend(
        handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(0, 0.02), ncols=2
    )


def _graph(nx: Any, weights: np.ndarray, names: np.ndarray, n_edges: int) -> Any:
    size = np.nan_to_num(np.abs(weights))
    np.fill_diagonal(size, 0)
    order = np.argsort(-size, axis=None, kind="stable")[:n_edges]
    target, regulator = np.unravel_index(order[size.ravel()[order] > 0], size.shape)
    graph = nx.DiGraph()
    graph.add_nodes_from(names.tolist())
    graph.add_weighted_edges_from(
        (str(names[j]), str(names[i]), float(weights[i, j]))
        for i, j in zip(target, regulator, strict=True)
    )
    return graph


def _draw_network(
    nx: Any, ax: Axes, graph: Any, places: dict[str, np.ndarray], largest: float
) -> None:
    nx.draw_networkx_nodes(
        graph, places, ax=ax, node_size=220, node_color=background(), edgecolors="#8c8c8c"
    )
    # an arrow, or a bar at the target only
    for sign, color, style in (
        (1, UP, "-|>"),
        (-1, DOWN, "]-[,widthA=0,lengthA=0,widthB=0.35,lengthB=0"),
    ):
        edges = [(a, b, abs(w)) for a, b, w in graph.edges.data("weight") if w * sign > 0]
        if not edges:
            continue
        nx.draw_networkx_edges(
            graph,
            places,
            [edge[:2] for edge in edges],
            ax=ax,
            width=[0.6 + 2.4 * w / largest for *_, w in edges],
            edge_color=color,
            arrowstyle=style,
            arrowsize=12,
            node_size=260,
            connectionstyle="arc3,rad=0.12",
        )
    texts = nx.draw_networkx_labels(
        graph, places, ax=ax, font_size=8, font_color=foreground(), clip_on=False
    )
    for text in texts.values():
        text.set_bbox({"facecolor": background(), "alpha": 0.6, "edgecolor": "none", "pad": 0.5})
