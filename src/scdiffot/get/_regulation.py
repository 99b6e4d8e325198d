"""Regulation between genes, as one table or as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_flag
from scdiffot._data.write.regulation import Regulations, read_regulation
from scdiffot._data.write.store import read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    import networkx as nx
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def regulation(
    adata: AnnData | MuData,
    *,
    group: str | Iterable[str] | None = None,
    time: float | str | None = None,
    all: bool = False,
    as_graph: bool = False,
    key: str = DEFAULT,
) -> pd.DataFrame | nx.DiGraph:
    """Get the regulation between genes as a table of groups and edges, or as a graph.

    Parameters
    ----------
    adata
        Cells with regulation by :func:`scdiffot.tl.regulation`, also if read from a file.
    group
        Groups; all of them by default.
    time
        Time of the groups, if there is one group for every time; all by default.
    all
        Whether to return all edges instead of the stable ones only.
    as_graph
        Whether to return a directed graph of NetworkX, from regulators to targets. It needs a
        single group.
    %(key)s

    Returns
    -------
    Columns ``regulator``, ``target``, ``group`` (categories), ``time`` (if there is one group for
    every time), ``weight`` (mean over the cells, per time), ``sd`` over the cells, ``stability``
    (share of cells with the sign of the mean) and ``sign`` (1 or -1). In every group, edges are
    sorted by decreasing absolute weight. Self-regulation is included.

    If `as_graph`, the graph: its nodes are all genes; its edges have ``weight``, ``sd``,
    ``stability`` and ``sign``.

    Raises
    ------
    KeyError
        If there is no fit, group or time, or the regulation has not been computed.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `group` is empty, or a graph is requested of several groups.

    See Also
    --------
    scdiffot.tl.regulation : Compute the regulation.
    scdiffot.pl.regulation : Draw the regulation.
    scdiffot.tl.perturb : Predict the effect of changing genes on fates.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.regulation(adata)
    >>> table = sdo.get.regulation(adata, all=True)
    >>> list(table.columns)
    ['regulator', 'target', 'group', 'weight', 'sd', 'stability', 'sign']
    >>> sdo.get.regulation(adata, as_graph=True).number_of_nodes()
    2
    """
    import networkx as nx
    import pandas as pd

    all, as_graph = check_flag("all", all), check_flag("as_graph", as_graph)
    regulations = read_regulation(adata, key)
    resolved_time = None if time is None else read_times(adata, key).find(time, "time")
    groups = regulations.find(group, resolved_time)
    if not as_graph:
        return pd.concat([_edges(regulations, int(k), all=all) for k in groups], ignore_index=True)
    if len(groups) != 1:
        raise ValueError(
            f"`as_graph` needs a single group, but `group` and `time` choose {len(groups)} "
            f"({', '.join(regulations.labels)}): name one."
        )
    graph = nx.from_pandas_edgelist(
        _edges(regulations, int(groups[0]), all=all),
        "regulator",
        "target",
        ["weight", "sd", "stability", "sign"],
        create_using=nx.DiGraph,
    )
    graph.add_nodes_from(regulations.genes.tolist())
    return graph


def _edges(regulations: Regulations, k: int, *, all: bool) -> pd.DataFrame:
    import pandas as pd

    weights = regulations.mean[k]
    target, regulator = np.nonzero(np.ones_like(weights, bool) if all else regulations.edge_mask(k))
    order = np.argsort(-np.abs(weights[target, regulator]), kind="stable")
    target, regulator = target[order], regulator[order]
    group = pd.Categorical(
        np.repeat(regulations.groups[k], len(order)), categories=pd.unique(regulations.groups)
    )
    time = {} if np.isnan(regulations.times[k]) else {"time": regulations.times[k]}
    genes = regulations.genes.astype(object)
    return pd.DataFrame(
        {"regulator": genes[regulator], "target": genes[target], "group": group}
        | time
        | {
            "weight": weights[target, regulator].astype(np.float64),
            "sd": regulations.sd[k][target, regulator].astype(np.float64),
            "stability": regulations.stability[k][target, regulator].astype(np.float64),
            "sign": np.sign(weights[target, regulator]).astype(np.int64),
        }
    )
