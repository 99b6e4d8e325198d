"""The section of the page about genes: drivers, edges and markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report.tables import methods_in_order, number, spread, table
from benchmarks.tasks.markers import MARKERS, REGULATION
from benchmarks.tasks.regulators import N_PATHS, N_SOURCE

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def section(store: Store) -> str:
    """Everything of part I."""
    parts = (_drivers(store.of("I", task="drivers")), _edges(store.of("I", task="edges")))
    texts = [*parts, _markers(store.of("I", task="markers"))]
    tables = [text for text in texts if text]
    return "\n".join(["## Genes\n", *tables]) if tables else ""


def _by_method(rows: list[Row]) -> dict[str, list[Row]]:
    methods = methods_in_order(rows)
    return {method: [row for row in rows if row["method"] == method] for method in methods}


def _drivers(rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = [
        (
            method,
            spread(of_method, lambda row: row["auroc"]),
            spread(of_method, lambda row: row["in_top"]),
            spread(of_method, lambda row: row["effect_spearman"]),
        )
        for method, of_method in _by_method(rows).items()
    ]
    first = rows[0]
    header = (
        "ranked by",
        "AUROC of the drivers",
        f"of {first['n_drivers']} drivers in the top 10",
        "rank correlation with the truth",
    )
    return f"""\
Simulated networks of {first["n_genes"]} genes and 3 fates
({{func}}`scdiffot.datasets.regulatory_network`, another network for every seed), represented by 10
principal components. Drivers decide the fate; their targets separate the fates equally well, but
have no effect on them. `tl.perturb_screen` knocks out every gene in {N_SOURCE} cells of the first
time, with {N_PATHS} trajectories each, at the start or during the whole time. Effects are total
variation or, by fate, the largest change of one fate in units of its standard deviation, because
rare fates contribute little to total variation. `tl.trajectory_genes` ranks by divergence between
fates. The baseline is the largest correlation of a gene with a fate among the cells of the last
time. The truth is the change of the fates in the network itself when the gene is knocked out at
the start. AUROC is the area under the receiver operating characteristic curve.

{table(header, lines)}
"""


def _edges(rows: list[Row]) -> str:
    if not rows:
        return ""
    names = ("auprc", "auprc_activation", "auprc_repression")
    lines = [
        (method, *(spread(of_method, lambda row, name=name: row[name]) for name in names))
        for method, of_method in _by_method(rows).items()
    ]
    lines.append(("chance", number(float(np.mean([row["chance"] for row in rows]))), "–", "–"))
    n_edges = "/".join(str(n) for n in sorted({row["n_edges"] for row in rows}))
    header = ("edges by", "AUPRC of signed edges", "of activations", "of repressions")
    return f"""\
The same networks: area under the precision-recall curve (AUPRC, average precision) of the {n_edges}
true edges between different genes. Edges are ranked by the mean of the Jacobian (`tl.regulation`)
over all cells, by co-expression (Pearson), or by the importance of a gene in a random forest that
predicts another gene, as in GENIE3, with the sign of their correlation. In principal components,
the decay of all genes makes genes with similar loadings appear to repress each other; the Jacobian
is therefore also shown without the decay (`decay="auto"`).

{table(header, lines)}
"""


def _markers(rows: list[Row]) -> str:
    if not rows:
        return ""
    return f"""\
Epithelial-mesenchymal transition of lung cancer cells under TGF-beta
({{func}}`scdiffot.datasets.emt`, the treated cells; two components of 38 markers): change of a
marker along the trajectories from epithelial to mesenchymal cells, in the unit of the data, and
between the observed cells of both ends. Where the data contradict the literature, the model does
so too.

{_marker_table(rows)}

Regulation by the transcription factors, averaged over all cells. With two components all genes
change along two directions only, so single edges are hardly identified here:

{_regulation_table(rows)}
"""


def _marker_table(rows: list[Row]) -> str:
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
    header = (
        "marker",
        "literature",
        "change along trajectories",
        "standard error",
        "observed",
        "agrees",
    )
    return table(header, lines)


def _regulation_table(rows: list[Row]) -> str:
    lines = []
    for i, ((regulator, target), sign) in enumerate(REGULATION.items()):
        weights = [row["weight"][i] for row in rows]
        lines.append(
            (
                f"{regulator} to {target}",
                "activates" if sign > 0 else "represses",
                spread(rows, lambda row, i=i: row["weight"][i]),
                spread(rows, lambda row, i=i: row["stability"][i]),
                "yes" if all(np.sign(weight) == sign for weight in weights) else "**no**",
            )
        )
    header = ("regulation", "literature", "mean Jacobian", "stability", "agrees")
    return table(header, lines)
