"""The sections of the page about the fits: known dynamics, refits, speed and memory."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import quoted
from benchmarks.report.tables import by_dataset, number, spread, table
from benchmarks.tasks import held_out, speed, stability, truth

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def truth_section(store: Store) -> str:
    datasets = by_dataset(store.of("D", method="scdiffot"), truth.DATASETS)
    if not datasets:
        return ""
    lines, jacobian_lines = [], []
    for name, rows in datasets.items():
        for autonomous in (True, False):
            subset = [row for row in rows if row["autonomous"] is autonomous]
            if subset:
                lines.append(
                    (
                        f"{name}, {'autonomous' if autonomous else 'default'}",
                        spread(subset, lambda row: np.mean(row["drift_cosine"])),
                        _by_time(subset, "drift_cosine"),
                        spread(subset, lambda row: row["growth_r"]),
                        _by_time(subset, "growth_r_by_time"),
                    )
                )
        with_jacobian = [row for row in rows if "jacobian_r" in row]
        if with_jacobian:
            keys = ("jacobian_r", "jacobian_r_between", "jacobian_signs")
            values = (spread(with_jacobian, itemgetter(key)) for key in keys)
            jacobian_lines.append((name, *values))
    return f"""\
## Known dynamics

The fits are to the published snapshots or, as *misa_draws*, to draws from the simulator: one draw
for every seed, of four snapshots with 500 cells or more. They are evaluated at new cells from the
same simulator. Cosines of the drift are means over the cells of a time, then over times; growth is
correlated (Pearson) over the cells of all times. For comparison, the weights that DiffusionOT ships
for MISA reach a cosine of {quoted.DIFFUSIONOT_DRIFT_COSINE} (measured earlier). The published table
of the gene network contains two of its three genes, so its drift is not a function of the observed
state.

{table(("data, fields", "drift cosine", "by time", "growth r", "by time"), lines)}

The Jacobian of autonomous fields distinguishes regulators from targets. At the same cells: its
correlation with the true Jacobian over cells and pairs of genes, the same without the diagonal, and
the share of correct signs where the absolute value of the true slope is above {truth.MIN_SLOPE}.

{table(("data", "Jacobian r", "between genes", "correct signs"), jacobian_lines)}
"""


def _by_time(rows: list[Row], key: str) -> str:
    """Means over seeds of one score at every time."""
    return " ".join(number(value) for value in np.mean([row[key] for row in rows], axis=0))


def stability_section(store: Store) -> str:
    datasets = by_dataset(store.of("E", method="scdiffot"), stability.DATASETS)
    if not datasets:
        return ""
    lines = []
    for name, (row, *_) in datasets.items():
        values = []
        for key in ("velocity_cosine", "growth_spearman"):
            values += [number(float(np.median(row[key]))), number(min(row[key]))]
        lines.append((f"{name}, {row['n_fits']} fits", *values))
    header = (
        "data",
        "velocity cosine, median",
        "worst pair",
        "growth Spearman, median",
        "worst pair",
    )
    return f"""\
## Agreement of refits

The same cells are fitted with different seeds. For every pair of fits: the mean cosine of the
velocities and the rank correlation of the growth over all cells.

{table(header, lines)}
"""


def speed_section(store: Store) -> str:
    rows = store.of("F", method="scdiffot")
    datasets = by_dataset([row for row in rows if not row.get("n_cells")], held_out.DATASETS)
    clouds = [row for row in rows if row.get("n_cells")]
    text = "## Speed and memory\n"
    if datasets:
        lines = [
            (
                name,
                *(number(row[k]) for k in ("cpu_s", "peak_mib", "before_mib")),
                f"{row['largest_snapshot']:,}",
            )
            for name, (row, *_) in datasets.items()
        ]
        header = ("data", "CPU s", "peak MiB", "before the fit", "cells of the largest snapshot")
        text += f"\n`tl.fit` in a separate process:\n\n{table(header, lines)}\n"
    if clouds:
        smallest = {
            row["level"]: row["cpu_s"] for row in clouds if row["n_cells"] == speed.SIZES[0]
        }
        lines = []
        for row in sorted(clouds, key=lambda row: (row["level"], row["n_cells"])):
            ratio = (
                number(row["cpu_s"] / smallest[row["level"]]) if row["level"] in smallest else "–"
            )
            costs = (number(row[k]) for k in ("cpu_s", "peak_mib", "before_mib"))
            lines.append((f"{row['level']}, {row['n_cells']:,}", ratio, *costs))
        header = (
            "level, cells a snapshot",
            "time / that of 10,000",
            "CPU s",
            "peak MiB",
            "before the fit",
        )
        text += f"""
Three Gaussian clouds in ten dimensions. `core` is the training and its diagnostics; `tl.fit` also
evaluates the fields at every cell and writes them.

{table(header, lines)}
"""
    return text if rows else ""
