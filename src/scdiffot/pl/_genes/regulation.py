"""Plot of gene regulation as heat maps or networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, check_count, choose_names
from scdiffot._data.write.regulation import Regulations, read_regulation
from scdiffot._data.write.store import read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import background, finish, foreground, make_axes

from .growth_genes import NEGATIVE_COLOR, POSITIVE_COLOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

UNSTABLE_COLOR = "#ececec"


@fill_parameters
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
    """Draw the effects of genes on each other, one panel for each group.

    Only stable edges are drawn (see :func:`scdiffot.tl.regulation`). Activation is red and
    repression blue.

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.regulation` was run.
    kind
        ``"heatmap"``: targets in rows and regulators in columns, ordered by hierarchical clustering
        unless `genes` is passed; unstable edges are grey. ``"network"``: arrows activate and bars
        repress; the line width grows with the weight; self-regulation is not drawn.
    group
        Groups to draw; all by default.
    time
        Time of the groups, if groups are split by time; all times by default.
    genes
        Genes to draw; by default those of the largest edges in any group.
    n_edges
        Number of edges by which genes are selected, and maximum number of edges of each network.
    %(key)s
    ax
        Axes to draw on, one for each group.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, group, time, gene or regulation.
    ValueError
        If `kind` is neither of the two, `n_edges` is not positive, `genes` is empty, no edge is
        stable, or the number of axes does not match.

    See Also
    --------
    scdiffot.tl.regulation : compute the regulation.
    scdiffot.pl.growth_genes : draw the effects of genes on growth.
    scdiffot.pl.trajectory_genes : draw gene expression along trajectories.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.regulation(adata, stability=0.5)
    >>> figure = sdo.pl.regulation(adata, return_fig=True)
    """
    check_choice("kind", kind, ("heatmap", "network"))
    check_count("n_edges", n_edges, 1)
    result = read_regulation(adata, key)
    time_point = None if time is None else read_times(adata, key).find(time, "time")
    selected_groups = result.find(group, time_point)
    weights = np.where(
        [result.edge_mask(k) for k in selected_groups], result.mean[selected_groups], np.nan
    )
    selected_genes = (
        _genes_of_largest_edges(weights, n_edges) if genes is None else _gene_indices(result, genes)
    )
    weights = weights[:, selected_genes][:, :, selected_genes]
    if np.isnan(weights).all():
        raise ValueError(
            f"No edge has one sign in {result.threshold:.0%} of the cells: run tl.regulation with "
            "a lower `stability`."
        )
    names = result.genes[selected_genes]
    n = len(selected_groups)
    longest = max(len(name) for name in names)
    size = max(0.7, 0.045 * len(names) + 0.025 * longest + 0.25) if kind == "heatmap" else 1.1
    # heat maps are square, and the colour bar adds 0.2 to the width
    figure, axes = make_axes(
        ax, n, height=size, width=0.8 * size + 0.2 / n if kind == "heatmap" else 1.0
    )
    if len(axes) != n:
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {n}, one for every group, or choose a `group`."
        )
    titles = ["" if label == "all" else label for label in np.array(result.labels)[selected_groups]]
    unit = f"effect on velocity\n(1 / {result.time_key})"
    if kind == "heatmap":
        _draw_heatmaps(axes, weights, names, titles=titles, unit=unit, sort=genes is None)
    else:
        _draw_networks(axes, weights, names, titles=titles, n_edges=n_edges)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _genes_of_largest_edges(weights: np.ndarray, n_edges: int) -> np.ndarray:
    """Return the genes of the largest edges of any group, self-regulation included."""
    size = np.nan_to_num(np.abs(weights)).max(axis=0)
    order = np.argsort(-size, axis=None, kind="stable")[:n_edges]
    target, regulator = np.unravel_index(order[size.ravel()[order] > 0], size.shape)
    return np.union1d(target, regulator)


def _gene_indices(result: Regulations, genes: str | Sequence[str]) -> np.ndarray:
    indices = {str(name): i for i, name in enumerate(result.genes)}
    selected_genes = choose_names(
        "genes", genes, indices, reason="which tl.regulation was run without"
    )
    return np.array([indices[gene] for gene in selected_genes], dtype=np.intp)


def _draw_heatmaps(
    axes: Sequence[Axes],
    weights: np.ndarray,
    names: np.ndarray,
    *,
    titles: Sequence[str],
    unit: str,
    sort: bool,
) -> None:
    from matplotlib import colormaps

    if sort:
        order = _similarity_order(np.nan_to_num(weights))
        weights, names = weights[:, order][:, :, order], names[order]
    limit = float(np.nanmax(np.abs(weights)))
    colors = colormaps["RdBu_r"].with_extremes(bad=UNSTABLE_COLOR)
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


def _similarity_order(weights: np.ndarray) -> np.ndarray:
    """Order genes by hierarchical clustering of their ingoing and outgoing weights."""
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
    import networkx as nx
    from matplotlib.lines import Line2D

    graphs = [_build_graph(nx, values, names, n_edges) for values in weights]
    # all panels share one layout
    union = nx.compose_all([graph.to_undirected() for graph in graphs])
    union.remove_nodes_from([gene for gene, degree in list(union.degree) if degree == 0])
    layout = nx.kamada_kawai_layout(union, weight=None) if len(union) else {}
    largest = max(
        (abs(w) for graph in graphs for _, _, w in graph.edges.data("weight")), default=1.0
    )
    for ax, graph, title in zip(axes, graphs, titles, strict=True):
        graph.remove_nodes_from([gene for gene in list(graph) if gene not in layout])
        _draw_network(nx, ax, graph, layout, largest)
        ax.set_title(title)
        ax.set_axis_off()
        ax.margins(0.2)
    handles = [
        Line2D([], [], color=POSITIVE_COLOR, marker=">", label="activates"),
        Line2D([], [], color=NEGATIVE_COLOR, marker="|", mew=2, ms=9, label="represses"),
    ]
    axes[0].legend(
        handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(0, 0.02), ncols=2
    )


def _build_graph(nx: Any, weights: np.ndarray, names: np.ndarray, n_edges: int) -> Any:
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
    nx: Any, ax: Axes, graph: Any, layout: dict[str, np.ndarray], largest: float
) -> None:
    nx.draw_networkx_nodes(
        graph, layout, ax=ax, node_size=220, node_color=background(), edgecolors="#8c8c8c"
    )
    # an arrow head, or a bar at the target only
    for sign, color, style in (
        (1, POSITIVE_COLOR, "-|>"),
        (-1, NEGATIVE_COLOR, "]-[,widthA=0,lengthA=0,widthB=0.35,lengthB=0"),
    ):
        edges = [(a, b, abs(w)) for a, b, w in graph.edges.data("weight") if w * sign > 0]
        if not edges:
            continue
        nx.draw_networkx_edges(
            graph,
            layout,
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
        graph, layout, ax=ax, font_size=8, font_color=foreground(), clip_on=False
    )
    for text in texts.values():
        text.set_bbox({"facecolor": background(), "alpha": 0.6, "edgecolor": "none", "pad": 0.5})
