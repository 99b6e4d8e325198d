"""The section of the page about genes: drivers, edges and markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tables import number, spread, table
from benchmarks.tasks.markers import MARKERS, REGULATION
from benchmarks.tasks.regulators import N_PATHS, N_SOURCE

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def section(store: Store) -> str:
    """Everything of part I."""
    parts = (_drivers(store.of("I", task="drivers")), _edges(store.of("I", task="edges")))
    texts = [*parts, _markers(store.of("I", task="markers"))]
    found = [text for text in texts if text]
    return "\n".join(["## Genes\n", *found]) if found else ""


def _by_method(rows: list[Row]) -> dict[str, list[Row]]:
    methods = dict.fromkeys(
        row["method"]
        for row in sorted(rows, key=lambda row: not row["method"].startswith("scdiffot"))
    )
    return {method: [row for row in rows if row["method"] == method] for method in methods}


def _drivers(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [
        (
            method,
            spread(found, lambda row: row["auroc"]),
            spread(found, lambda row: row["in_top"]),
            spread(found, lambda row: row["effect_spearman"]),
        )
        for method, found in _by_method(rows).items()
    ]
    first = rows[0]
    header = (
        "ranked by",
        "AUROC of the drivers",
        f"of {first['n_drivers']} drivers in the top 10",
        "rank correlation with the truth",
    )
    return f"""\
Simulated networks of {first["n_genes"]} genes and 3 fates ({{func}}`scdiffot.datasets.regulatory_network`, a network of its own for every
seed) through a PCA of 10 dimensions. Drivers decide the fate; their targets tell fates apart as well and decide nothing.
`tl.perturb_screen` knocks every gene out in {N_SOURCE} cells of the first time, {N_PATHS} paths each, at the start or on the whole way;
effects are total variation or, by fate, the largest change of one fate in units of its standard deviation, as rare fates hardly count
in the former. `tl.trajectory_genes` ranks by divergence between fates; the baseline is the largest correlation of a gene with a fate among
the cells of the last time. The truth is the change of the fates that knocking the gene out at the start makes in the network itself.

{table(header, lines)}
"""


def _edges(rows: list[Row]) -> str:
    if not rows:
        return ""
    names = ("auprc", "auprc_activation", "auprc_repression")
    lines = [
        (method, *(spread(found, lambda row, name=name: row[name]) for name in names))
        for method, found in _by_method(rows).items()
    ]
    lines.append(("chance", number(float(np.mean([row["chance"] for row in rows]))), "–", "–"))
    header = ("edges by", "AUPRC of signed edges", "of activations", "of repressions")
    return f"""\
The same networks: area under the precision-recall curve (average precision) of the
{"/".join(str(n) for n in sorted({row["n_edges"] for row in rows}))} true edges between different genes, by the mean of the Jacobian (`tl.regulation`) over all cells, by
co-expression (Pearson), and by the importance of a gene in a random forest that predicts another, as in GENIE3, with the sign of
their correlation. Through a PCA the decay of all genes makes pairs with similar loadings look as if they repressed each other: the
Jacobian is also shown without it (`decay="auto"`).

{table(header, lines)}
"""


def _markers(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = []
    for i, (marker, sign) in enumerate(MARKERS.items()):
        changes = [row["change"][i] for row in rows]
        agrees = all(np.sign(change) == sign for change in changes)
        lines.append(
            (
                marker,
                "up" if sign > 0 else "down",
                spread(rows, lambda row, i=i: row["change"][i]),
                number(max(row["change_se"][i] for row in rows)),
                number(rows[0]["observed"][i]),
                "yes" if agrees else "**no**",
            )
        )
    edges = []
    for i, ((regulator, target), sign) in enumerate(REGULATION.items()):
        weights = [row["weight"][i] for row in rows]
        edges.append(
            (
                f"{regulator} to {target}",
                "activates" if sign > 0 else "represses",
                spread(rows, lambda row, i=i: row["weight"][i]),
                spread(rows, lambda row, i=i: row["stability"][i]),
                "yes" if all(np.sign(weight) == sign for weight in weights) else "**no**",
            )
        )
    header = (
        "marker",
        "literature",
        "change along trajectories",
        "standard error",
        "observed",
        "agrees",
    )
    header_edges = ("regulation", "literature", "mean Jacobian", "stability", "agrees")
    return f"""\
Epithelial-mesenchymal transition of lung cancer cells under TGF-beta ({{func}}`scdiffot.datasets.emt`, the treated cells; two components
of 38 markers): change of a marker along the trajectories from epithelial to mesenchymal cells, in the unit of the data, and
between the observed cells of both ends. What the data say against the literature, the model says, too.

{table(header, lines)}

Regulation by the transcription factors, averaged over all cells. Two components leave two directions in which all genes change
together, so that single edges are hardly identified here:

{table(header_edges, edges)}
"""
