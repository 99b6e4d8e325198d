"""Regulation between genes, as one table or as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_flag
from scdiffot._data.write.regulation import Regulations, read_regulation
from scdiffot._data.write.store import read_times
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.optional import require

if TYPE_CHECKING:
    from collections.abc import Iterable

    import networkx as nx
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


def regulation(
    adata: AnnData | MuData,
    *,
    group: str | Iterable[str] | None = None,
    time: float | str | None = None,
    all: bool = False,
    as_graph: bool = False,
    key: str = DEFAULT,
) -> pd.DataFrame | nx.DiGraph:
    """Get the regulation between genes as a tidy table, a row for every group and edge, or as a graph.

    Parameters
    ----------
    adata
        Cells for which :func:`scdiffot.tl.regulation` was run, perhaps read from a file.
    group
        Groups; all of them by default.
    time
        Time of the groups, if there is one group for every time; all by default.
    all
        Whether to return all edges, not only those that are stable enough to be kept.
    as_graph
        Whether to return a directed graph of NetworkX, from regulators to targets. It needs a single group.
    key
        Name of the fit.

    Returns
    -------
    Columns ``regulator``, ``target``, ``group`` (categories), ``time`` (if there is one group for every time), ``weight`` (mean over the
    cells, per time), ``sd`` over the cells, ``stability`` (share of cells with the sign of the mean) and ``sign`` (1 or -1). In every
    group, the largest weights come first. A gene that acts on itself is an edge, too.

    Or the graph: its nodes are all genes; its edges have ``weight``, ``sd``, ``stability`` and ``sign``.

    Raises
    ------
    KeyError
        If there is no fit, group or time, or the regulation has not been computed.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `group` is empty, or a graph is asked for, but not of a single group.
    ImportError
        If a graph is asked for, and NetworkX is not installed.

    See Also
    --------
    scdiffot.tl.regulation : Compute the regulation.
    scdiffot.pl.regulation : Draw the regulation.
    scdiffot.tl.perturb : Predict the effect of changing genes on fates.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.regulation(adata)
    >>> table = sdo.get.regulation(adata, all=True)
    >>> list(table.columns)
    ['regulator', 'target', 'group', 'weight', 'sd', 'stability', 'sign']
    >>> sdo.get.regulation(adata, as_graph=True).number_of_nodes()
    2
    """
    import pandas as pd

    all, as_graph = check_flag("all", all), check_flag("as_graph", as_graph)
    found = read_regulation(adata, key)
    at = None if time is None else read_times(adata, key).find(time, "time")
    chosen = found.find(group, at)
    if not as_graph:
        return pd.concat([_edges(found, int(k), all=all) for k in chosen], ignore_index=True)
    if len(chosen) != 1:
        raise ValueError(
            f"`as_graph` needs a single group, but `group` and `time` choose {len(chosen)} ({', '.join(found.labels)}): name one."
        )
    nx_ = require("networkx", extra="networkx")
    graph = nx_.from_pandas_edgelist(
        _edges(found, int(chosen[0]), all=all),
        "regulator",
        "target",
        ["weight", "sd", "stability", "sign"],
        create_using=nx_.DiGraph,
    )
    graph.add_nodes_from(found.genes.tolist())
    return graph


def _edges(found: Regulations, k: int, *, all: bool) -> pd.DataFrame:
    import pandas as pd

    weights = found.mean[k]
    target, regulator = np.nonzero(np.ones_like(weights, bool) if all else found.kept(k))
    order = np.argsort(-np.abs(weights[target, regulator]), kind="stable")
    target, regulator = target[order], regulator[order]
    group = pd.Categorical(
        np.repeat(found.groups[k], len(order)), categories=pd.unique(found.groups)
    )
    time = {} if np.isnan(found.times[k]) else {"time": found.times[k]}
    genes = found.genes.astype(object)
    return pd.DataFrame(
        {"regulator": genes[regulator], "target": genes[target], "group": group}
        | time
        | {
            "weight": weights[target, regulator].astype(np.float64),
            "sd": found.sd[k][target, regulator].astype(np.float64),
            "stability": found.stability[k][target, regulator].astype(np.float64),
            "sign": np.sign(weights[target, regulator]).astype(np.int64),
        }
    )
