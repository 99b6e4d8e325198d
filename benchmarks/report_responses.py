"""The section of the page about responses to treatments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tables import number, spread, table
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
    found = [
        text
        for part, name in zip(parts, ("simulation", "death", "kang", "scale"), strict=True)
        if (text := part(store.of("J", data=name)))
    ]
    return "\n".join(["## Responses\n", *found]) if found else ""


def _methods(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by method, ours first; the others as they were run."""
    names = dict.fromkeys(row["method"] for row in rows)
    first = [name for name in names if name.startswith("scdiffot")]
    order = [*first, *(name for name in names if name not in first)]
    return {name: [row for row in rows if row["method"] == name] for name in order}


def _lines(rows: Sequence[Row], columns: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        (name, *(_value(found, key) for key in columns)) for name, found in _methods(rows).items()
    ]


def _metric(rows: Sequence[Row]) -> str:
    """In how many fits the default took which metric."""
    chosen = [row["metric"] for row in rows if row["method"] == "scdiffot" and "metric" in row]
    parts = [f"{chosen.count(name)} {name}" for name in dict.fromkeys(chosen)]
    return (
        f"The metric that scdiffot chose, by number of fits: {', '.join(parts)}." if parts else ""
    )


def _value(rows: Sequence[Row], key: str) -> str:
    known = [row for row in rows if row.get(key) is not None and np.isfinite(row[key])]
    return spread(known, lambda row: row[key])


def _simulation(rows: list[Row]) -> str:
    if not rows:
        return ""
    good = [row for row in rows if "error" not in row]
    return f"""\
Simulated cells of three donors and five subpopulations that respond differently, in 50 dimensions
({{func}}`scdiffot.datasets.perturbation_response`; a law of its own for every seed), where the response of every cell is known. Half of
the cells train; scores are those of the other half. *Unexplained* is the squared error of the responses of single cells, relative to
predicting none; identity kept is the share of predicted cells whose nearest treated training cells are of their subpopulation.
Energy distance and squared MMD are unbiased, so that sampling alone gives zero; they do not tell whether each cell went to the right
place. The Euclidean flow differs from scdiffot in the metric alone; all fits of scdiffot compare cells within donors. The entropic
map takes {EPSILON:g} of the mean squared distance, and Gaussian OT is the closed form; these pool the donors. {_metric(good)}

{table(("prediction", *SIMULATION.values()), _lines(good, SIMULATION))}
{_remarks(rows)}"""


def _death(rows: list[Row]) -> str:
    if not rows:
        return ""
    return f"""\
The same, with more cells, of which the treatment kills {DEATH:.0%}, selectively by subpopulation and by state. Error of the mean: length
of the error of the mean response over that of the mean response. Survival of a type: largest error of the mean survival of a
subpopulation; r: Pearson correlation with the true probability of every cell. What takes the masses to be equal can only explain death
as displacement.

{table(("prediction", *DEATHS.values()), _lines(rows, DEATHS))}
"""


def _kang(rows: list[Row]) -> str:
    if not rows:
        return ""
    good = [row for row in rows if "error" not in row]
    shifts = {
        (row["variant"], row["seed"]): row["energy_distance"]
        for row in good
        if row["method"] == "mean shift"
    }
    good = [
        row | {"relative": row["energy_distance"] / shifts[row["variant"], row["seed"]]}
        for row in good
    ]
    donors = " and ".join(sorted({row["variant"] for row in rows}))
    return f"""\
Interferon beta on blood cells ({{func}}`scdiffot.datasets.kang`): trained on one donor, predicted for the untreated cells of the other,
which no method has seen (tested: {donors}; ranges are over donors and seeds). The 50 principal components, too, are computed from the training
donor alone. Means are compared in all genes as they were measured, and the mean change is that from the untreated cells of the test donor.
Enrichment is the share of treated cells among the neighbours of predicted ones: 0.5 is well mixed. Spread is the total standard deviation
of the prediction over that of the treated cells. The halves of the treated cells are half as many. The rule that picks
the metric was made after a look at these two donors. {_metric(good)}

{table(("prediction", *KANG.values()), _lines(good, KANG))}
{_remarks(rows)}"""


def _remarks(rows: Sequence[Row]) -> str:
    """What could not be run, and how long CellOT was trained, if it was."""
    failed = {
        f"- {row['method']}{', donor ' + row['variant'] if 'variant' in row else ''}: `{row['error']}`"
        for row in rows
        if "error" in row
    }
    text = "\nWhat could not be run:\n\n" + "\n".join(sorted(failed)) + "\n" if failed else ""
    for n in sorted({row["n_iters"] for row in rows if "n_iters" in row}):
        text += f"\nCellOT trained for {n:,} iterations of the published 100,000, in its own loop, with one seed.\n"
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
