"""The sections of the page about predictions: held-out cells, left-out and training snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks import quoted
from benchmarks.report.summary import relative_w1
from benchmarks.report.tables import by_dataset, mean, number, spread, table
from benchmarks.tasks import held_out, in_sample, left_out

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def held_out_section(store: Store) -> str:
    datasets = by_dataset(store.of("A", method="scdiffot"), held_out.DATASETS)
    if not datasets:
        return ""
    lines = [
        (
            name,
            spread(rows, relative_w1),
            number(max(max(np.divide(row["w1"], row["floor"])) for row in rows)),
            number(mean(rows, lambda row: np.mean(row["w1"]))),
            number(mean(rows, lambda row: np.mean(row["floor"]))),
            number(mean(rows, lambda row: np.mean(row["spread"]))),
            number(max(max(row["mass_error"]) for row in rows)),
            number(max(max(row["mass_error_test"]) for row in rows)),
            number(mean(rows, lambda row: row["cpu_s"])),
        )
        for name, rows in datasets.items()
    ]
    header = (
        "data",
        "W1 / floor",
        "worst time",
        "W1",
        "floor",
        "spread",
        "mass error",
        "from other cells",
        "CPU s",
    )
    return f"""\
## Cells that were held out

The model is trained on a random half of the cells of every snapshot. Particles are simulated from
the first snapshot and compared with the other half at every later time. The floor is W1 between the
two halves: a ratio of 1 is a prediction as good as a second sample. In many dimensions a cloud that
is too narrow can be nearer to a sample than a second sample is. The spread detects this: it is the
total standard deviation of the prediction over that of the test half. Mass errors are relative, and
the largest over times and seeds. The masses are calibrated on the cells of the training half, so
the errors of particles that start from the other half are the more informative ones.

{table(header, lines)}
"""


def left_out_section(store: Store) -> str:
    datasets = by_dataset(store.of("C", method="scdiffot"), left_out.DATASETS)
    if not datasets:
        return ""
    lines = []
    for name, rows in datasets.items():
        for time in sorted({row["time"] for row in rows}):
            subset = [row for row in rows if row["time"] == time]
            lines.append(
                (
                    f"{name}, {time:g}",
                    spread(subset, lambda row: row["w1"] / row["w1_mccann"]),
                    *(
                        number(subset[0][f"w1_{k}"] / subset[0]["w1_mccann"])
                        for k in ("previous", "next", "pooled")
                    ),
                    number(mean(subset, lambda row: row["w1"])),
                    number(subset[0]["w1_mccann"]),
                    number(subset[0]["w1_floor"]),
                    _published(name, time),
                    number(max(row["mass_error"] for row in subset)),
                )
            )
    all_rows = [row for rows in datasets.values() for row in rows]
    overall = number(mean(all_rows, lambda row: row["w1"] / row["w1_mccann"]))
    header = (
        "data, time",
        "ours",
        "previous",
        "next",
        "pooled",
        "our W1",
        "McCann W1",
        "floor",
        "best of others",
        "mass",
    )
    return f"""\
## Snapshots that were left out

One inner snapshot is left out, the others are fitted, and the model predicts the missing one. The
first four columns are W1 over that of displacement interpolation between the neighbours (McCann:
exact optimal transport, no model); below 1 is better. Copies of the neighbours and their mixture
need no model either. The best value of other methods on the same data is as published (Var-RUOT,
WFR-FM) or was measured earlier (DeepRUOT). The last column is the largest relative error of our
mass. Snapshots are subsampled to 3,000 cells.

{table(header, lines)}

Mean over points and seeds: {overall}.
"""


def _published(name: str, time: float) -> str:
    value, method = quoted.LEFT_OUT_PUBLISHED.get((name, time), (None, ""))
    return f"{number(value)} {method}".strip()


def in_sample_section(store: Store) -> str:
    datasets = by_dataset(store.of("B", method="scdiffot"), in_sample.DATASETS)
    if not datasets:
        return ""
    lines = []
    for name, rows in datasets.items():
        deepruot_w1 = quoted.DEEPRUOT_SHIPPED.get(name, ())
        ratio = _ratio_to(rows, float(np.mean(deepruot_w1))) if deepruot_w1 else "–"
        own_w1 = " ".join(number(v) for v in np.mean([row["w1"] for row in rows], axis=0))
        floor = " ".join(number(v) for v in rows[0]["half_floor"])
        error = number(max(max(row["mass_error"]) for row in rows))
        lines.append((name, ratio, own_w1, " ".join(number(v) for v in deepruot_w1), floor, error))
    header = (
        "data",
        "mean W1 / DeepRUOT's",
        "our W1 by time",
        "DeepRUOT's",
        "floor of halves",
        "mass error",
    )
    return f"""\
## Snapshots that were trained on

This is a sanity check only: a distance below the floor (W1 between random halves) shows that the
model has memorised the cells, not that it predicts well. DeepRUOT's values were measured earlier
from the weights that it ships, with the same metric, not in this run.

{table(header, lines)}
"""


def _ratio_to(rows: list[Row], w1: float) -> str:
    return spread(rows, lambda row: float(np.mean(row["w1"])) / w1)
