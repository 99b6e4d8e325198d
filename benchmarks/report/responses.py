"""The section of the page about responses to treatments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report.tables import methods_in_order, number, spread, table
from benchmarks.tasks.response_methods import EPSILON
from benchmarks.tasks.responses import DEATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.store import Row, Store

SIMULATION = {
    "unexplained": "unexplained",
    "energy_distance": "energy distance",
    "mmd": "squared MMD",
    "pearson_of_means": "r of means",
    "identity_kept": "identity kept",
    "cpu_s": "CPU s",
}
DEATHS = {
    "unexplained": "unexplained",
    "mean_error": "error of the mean",
    "survival_error": "survival of a type",
    "survival_r": "r of survival",
    "energy_distance": "energy distance",
    "cpu_s": "CPU s",
}
KANG = {
    "relative": "energy distance / mean shift",
    "energy_distance": "energy distance",
    "l2_of_means": "L2 of means",
    "pearson_of_means": "r of means",
    "r_of_change": "r of the mean change",
    "enrichment": "enrichment",
    "spread": "spread",
    "cpu_s": "CPU s",
}


def section(store: Store) -> str:
    """Everything of part J."""
    parts = (_simulation, _death, _kang, _scale)
    tables = [
        text
        for part, name in zip(parts, ("simulation", "death", "kang", "scale"), strict=True)
        if (text := part(store.of("J", data=name)))
    ]
    return "\n".join(["## Responses\n", *tables]) if tables else ""


def _by_method(rows: Sequence[Row]) -> dict[str, list[Row]]:
    names = methods_in_order(rows)
    return {name: [row for row in rows if row["method"] == name] for name in names}


def _lines(rows: Sequence[Row], columns: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        (name, *(_value(of_method, key) for key in columns))
        for name, of_method in _by_method(rows).items()
    ]


def _metric(rows: Sequence[Row]) -> str:
    """The number of fits in which the default selected each metric."""
    metrics = [row["metric"] for row in rows if row["method"] == "scdiffot" and "metric" in row]
    parts = [f"{metrics.count(name)} {name}" for name in dict.fromkeys(metrics)]
    return (
        f"The metric that scdiffot selected, by number of fits: {', '.join(parts)}."
        if parts
        else ""
    )


def _value(rows: Sequence[Row], key: str) -> str:
    finite = [row for row in rows if row.get(key) is not None and np.isfinite(row[key])]
    return spread(finite, lambda row: row[key])


def _simulation(rows: list[Row]) -> str:
    if not rows:
        return ""
    complete = [row for row in rows if "error" not in row]
    return f"""\
Simulated cells of three donors and five subpopulations that respond differently, in 50 dimensions
({{func}}`scdiffot.datasets.perturbation_response`; another law for every seed), where the response
of every cell is known. Methods are trained on half of the cells and scored on the other half.
*Unexplained* is the squared error of the responses of single cells, relative to predicting no
response. Identity kept is the share of predicted cells whose nearest treated training cells are of
the same subpopulation. The energy distance and the squared maximum mean discrepancy (MMD) are
unbiased, so sampling alone gives zero; they do not show whether each cell is in the right place.
The Euclidean flow differs from scdiffot in the metric only; all fits of scdiffot couple cells
within donors. The entropic map is regularised by {EPSILON:g} of the mean squared distance, and
Gaussian optimal transport (OT) is the closed form; both pool the donors.
{_metric(complete)}

{table(("prediction", *SIMULATION.values()), _lines(complete, SIMULATION))}
{_remarks(rows)}"""


def _death(rows: list[Row]) -> str:
    if not rows:
        return ""
    return f"""\
The same with more cells, of which the treatment kills {DEATH:.0%}, selectively by subpopulation and
by state. Error of the mean: length of the error of the mean response over the length of the mean
response. Survival of a type: largest error of the mean survival of a subpopulation; r: Pearson
correlation with the true survival probability of every cell. A method that assumes equal masses can
explain death by displacement only.

{table(("prediction", *DEATHS.values()), _lines(rows, DEATHS))}
"""


def _kang(rows: list[Row]) -> str:
    if not rows:
        return ""
    complete = [row for row in rows if "error" not in row]
    shifts = {
        (row["variant"], row["seed"]): row["energy_distance"]
        for row in complete
        if row["method"] == "mean shift"
    }
    complete = [
        row | {"relative": row["energy_distance"] / shifts[row["variant"], row["seed"]]}
        for row in complete
    ]
    donors = " and ".join(sorted({row["variant"] for row in rows}))
    return f"""\
Interferon beta on blood cells ({{func}}`scdiffot.datasets.kang`): methods are trained on one donor
and predict the response of the untreated cells of the other donor, which they have not seen
(tested: {donors}; ranges are over donors and seeds). The 50 principal components are also computed
from the training donor alone. Means are compared in all measured genes, and the mean change is the
one from the untreated cells of the test donor. Enrichment is the share of treated cells among the
neighbours of predicted ones: 0.5 is well mixed. Spread is the total standard deviation of the
prediction over that of the treated cells. The halves of the treated cells contain half as many
cells. The rule that selects the metric was designed after these two donors were inspected.
{_metric(complete)}

{table(("prediction", *KANG.values()), _lines(complete, KANG))}
{_remarks(rows)}"""


def _remarks(rows: Sequence[Row]) -> str:
    """The runs that failed, and the number of iterations of CellOT."""
    failed = {
        f"- {row['method']}{', donor ' + row['variant'] if 'variant' in row else ''}: "
        f"`{row['error']}`"
        for row in rows
        if "error" in row
    }
    text = "\nRuns that failed:\n\n" + "\n".join(sorted(failed)) + "\n" if failed else ""
    for n in sorted({row["n_iters"] for row in rows if "n_iters" in row}):
        text += (
            f"\nCellOT was trained for {n:,} of the published 100,000 iterations, by its own "
            "training loop, with one seed.\n"
        )
    return text


def _scale(rows: list[Row]) -> str:
    lines = [
        (
            f"{row['n_cells']:,}",
            number(row["cpu_s"]),
            f"{row['n_predicted']:,}",
            number(row["predict_cpu_s"]),
        )
        for row in sorted(rows, key=lambda row: row["n_cells"])
    ]
    if not lines:
        return ""
    header = ("cells of the fit", "CPU s", "cells predicted", "CPU s of these")
    return f"""\
Cost in {rows[0]["n_dims"]} dimensions, untreated and treated cells together:

{table(header, lines)}
"""
