"""The section of the page about fates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.report.tables import by_dataset, spread, table
from benchmarks.tasks import fates

if TYPE_CHECKING:
    from benchmarks.store import Store


def section(store: Store) -> str:
    """Part H."""
    datasets = by_dataset(store.of("H"), fates.DATASETS)
    if not datasets:
        return ""
    lines = []
    for name, rows in datasets.items():
        for autonomous in (False, True):
            for prior in (False, True):
                subset = [
                    row for row in rows if row["autonomous"] is autonomous and row["prior"] is prior
                ]
                fit = ("autonomous" if autonomous else "default") + (
                    ", true growth as prior" if prior else ""
                )
                for method in fates.METHODS if subset else ():
                    of_method = [row for row in subset if row["method"] == method]
                    values = (
                        spread(of_method, lambda row, k=k: row[k])
                        for k in ("squared_error", "reliability", "bias", "r", "population")
                    )
                    lines.append((f"{name}, {fit}", method, *values))
    header = ("data, fit", "fates", "squared error", "reliability", "bias", "r", "population")
    return f"""\
## Fates

The fates of the cells of all times except the last are predicted from a fit to the snapshots. They
are compared with the descendants of {fates.N_TRUE} trajectories of every cell under the true
dynamics, weighted by the true growth. The squared error is summed over the types (as in the Brier
score), and the reliability is the mean distance between predicted and true shares over ten bins of
the prediction; both are 0 at best. The bias is the largest error of the mean share of a type. The
second row of each fit leaves the growth out. The third row also adds noise to the velocity of the
ordinary differential equation, which already contains the effect of the noise, as a published code
does. *Population* is the error (total variation) of the composition of all descendants, where each
cell counts by its number of descendants. Where all cells of one kind have the same fate, as nearly
all of the gene network, growth changes the composition of the population only. It does not change
the fates of single cells either where a fit explains growth by motion. This can happen with the
four snapshots of MISA, if there is neither a prior nor one law for all times.

{table(header, lines)}
"""
