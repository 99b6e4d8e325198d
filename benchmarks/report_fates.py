"""The section of the page about fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.tables import by_course, spread, table
from benchmarks.tasks import fates

if TYPE_CHECKING:
    from benchmarks.store import Store


def section(store: Store) -> str:
    """Part H."""
    courses = by_course(store.of("H"), fates.COURSES)
    if not courses:
        return ""
    lines = []
    for name, rows in courses.items():
        for autonomous in (False, True):
            for prior in (False, True):
                here = [
                    row for row in rows if row["autonomous"] is autonomous and row["prior"] is prior
                ]
                fit = ("autonomous" if autonomous else "default") + (
                    ", true growth as prior" if prior else ""
                )
                for method in fates.METHODS if here else ():
                    found = [row for row in here if row["method"] == method]
                    values = (
                        spread(found, lambda row, k=k: row[k])
                        for k in ("squared_error", "reliability", "bias", "r", "population")
                    )
                    lines.append((f"{name}, {fit}", method, *values))
    header = ("data, fit", "fates", "squared error", "reliability", "bias", "r", "population")
    return f"""\
## Fates

Cells of all times but the last, and what becomes of their descendants: predicted from a fit to the snapshots, against
{fates.N_TRUE} paths of every cell by the law behind the data, weighted by its growth. Squared error is summed over the types
(as in the score of Brier) and reliability is the mean distance between predicted and true shares over ten bins of the prediction; both are 0
at best. Bias is the largest error of the mean share of a type. The second row of each fit leaves the growth out; the third adds noise
to the velocity of the ODE, which holds its effect already, and leaves the growth out, as a published code does. *Population* is the error (total variation) of the
composition of all descendants together, by how many each cell has. Where cells of one kind have one fate, as nearly all of the gene network, growth changes
the composition of the population only. Nor does it change that of single cells where a fit has explained by motion what grew, as it can with the four
snapshots of MISA, without a prior or one law for all times.

{table(header, lines)}
"""
