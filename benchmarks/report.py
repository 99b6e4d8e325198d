"""The page of the docs, written from the rows alone."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import (
    quoted,
    report_fates,
    report_genes,
    report_peers,
    report_responses,
    report_space,
    report_summary,
)
from benchmarks.report_summary import relative_w1
from benchmarks.tables import by_course, mean, number, spread, table
from benchmarks.tasks import held_out, in_sample, left_out, speed, stability, truth

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.store import Row, Store

INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks` from measurements; the raw numbers are in {download}`benchmarks.json`. One default
configuration serves all data sets. Every fit of scdiffot is `tl.fit` on one thread of a CPU; CPU seconds are those of
the process, which other work on the machine can lengthen. W1 is the exact Wasserstein distance, of the model's
weighted particles to observed cells. Ranges are the smallest and largest value over seeds.
"""


def write_page(store: Store, path: Path) -> None:
    """Write the page; parts that were not run are left out."""
    sections = [
        report_summary.section,
        _held_out,
        _left_out,
        _truth,
        _stability,
        _speed,
        _in_sample,
        report_peers.section,
        report_fates.section,
        report_genes.section,
        report_responses.section,
        report_space.section,
    ]
    texts = [INTRODUCTION, _environment(store)] + [
        text for section in sections if (text := section(store))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts))


def _environment(store: Store) -> str:
    lines = []
    for name, found in store.environments.items():
        rows = [row for row in store.rows if row["environment"] == name]
        dates = sorted({row["date"] for row in rows})
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        lines.append(
            f"- {when}: {found['machine']}; {found['system']}; {found['versions']}; parts "
            f"{', '.join(sorted({row['part'] for row in rows}))}; state of the engine `{found['core']}`."
        )
    states = {found["core"] for found in store.environments.values()}
    if len(states) > 1:
        lines += [
            "",
            f"**Preliminary: these results come from {len(states)} states of the engine.**",
        ]
    return "\n".join(lines) + "\n"


def _held_out(store: Store) -> str:
    courses = by_course(store.of("A", method="scdiffot"), held_out.COURSES)
    if not courses:
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
        for name, rows in courses.items()
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

Trained on a random half of the cells of every snapshot, rolled out from the first snapshot, and compared with the other
half at every later time. The floor is W1 between the two halves: 1 is a prediction as good as a second sample. In many
dimensions a cloud that is too narrow can be nearer to a sample than a second sample is, which shows in the spread: total
standard deviation of the prediction over that of the test half. Relative mass errors are the largest over times and
seeds; the masses are calibrated on the cells of the training half, so those of particles that start from the other half
tell more.

{table(header, lines)}
"""


def _left_out(store: Store) -> str:
    courses = by_course(store.of("C", method="scdiffot"), left_out.COURSES)
    if not courses:
        return ""
    lines = []
    for name, rows in courses.items():
        for time in sorted({row["time"] for row in rows}):
            here = [row for row in rows if row["time"] == time]
            lines.append(
                (
                    f"{name}, {time:g}",
                    spread(here, lambda row: row["w1"] / row["w1_mccann"]),
                    *(
                        number(here[0][f"w1_{k}"] / here[0]["w1_mccann"])
                        for k in ("previous", "next", "pooled")
                    ),
                    number(mean(here, lambda row: row["w1"])),
                    number(here[0]["w1_mccann"]),
                    number(here[0]["w1_floor"]),
                    _published(name, time),
                    number(max(row["mass_error"] for row in here)),
                )
            )
    every = [row for rows in courses.values() for row in rows]
    overall = number(mean(every, lambda row: row["w1"] / row["w1_mccann"]))
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

An inner snapshot is left out, the others are fitted, and it is predicted. The first four columns are W1 over that of
displacement interpolation between the neighbours (McCann: exact optimal transport, no model); below 1 is better. Copies
of the neighbours and their mixture need no model either. The best value of others on the same data is as published
(Var-RUOT, WFR-FM) or was measured earlier (DeepRUOT). The last column is our largest relative error of the mass.
Snapshots are thinned to 3,000 cells.

{table(header, lines)}

Mean over points and seeds: {overall}.
"""


def _published(name: str, time: float) -> str:
    value, method = quoted.LEFT_OUT_PUBLISHED.get((name, time), (None, ""))
    return f"{number(value)} {method}".strip()


def _truth(store: Store) -> str:
    courses = by_course(store.of("D", method="scdiffot"), truth.COURSES)
    if not courses:
        return ""
    lines, regulation = [], []
    for name, rows in courses.items():
        for autonomous in (True, False):
            here = [row for row in rows if row["autonomous"] is autonomous]
            if here:
                times = " ".join(
                    number(v) for v in np.mean([row["drift_cosine"] for row in here], axis=0)
                )
                cosine = spread(here, lambda row: np.mean(row["drift_cosine"]))
                growth = spread(here, lambda row: row["growth_r"])
                over = " ".join(
                    number(v) for v in np.mean([row["growth_r_by_time"] for row in here], axis=0)
                )
                lines.append(
                    (
                        f"{name}, {'autonomous' if autonomous else 'default'}",
                        cosine,
                        times,
                        growth,
                        over,
                    )
                )
        slopes = [row for row in rows if "jacobian_r" in row]
        if slopes:
            keys = ("jacobian_r", "jacobian_r_between", "jacobian_signs")
            regulation.append((name, *(spread(slopes, itemgetter(key)) for key in keys)))
    return f"""\
## Known dynamics

Fitted to the published snapshots or, as *misa_draws*, to draws from the simulator, one for every seed, of four snapshots with 500
cells and more, and evaluated at fresh cells of the law behind them. Cosines of the drift are means
over the cells of a time, then over times; growth is correlated (Pearson) over the cells of all times. For comparison:
the weights that DiffusionOT ships for MISA reach a cosine of {quoted.DIFFUSIONOT_DRIFT_COSINE} (measured earlier). The
table of the gene network keeps two of its three genes, so its drift is not a function of what is seen.

{table(("data, fields", "drift cosine", "by time", "growth r", "by time"), lines)}

The Jacobian of autonomous fields, which tells regulators from targets, at the same cells: correlation with the true one over cells and
pairs of genes, the same without the diagonal, and the share of right signs where the true slope is above {truth.CLEAR}.

{table(("data", "Jacobian r", "between genes", "right signs"), regulation)}
"""


def _stability(store: Store) -> str:
    courses = by_course(store.of("E", method="scdiffot"), stability.COURSES)
    if not courses:
        return ""
    lines = []
    for name, (row, *_) in courses.items():
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

Fits to the same cells that differ in the seed only: mean cosine of the velocities and rank correlation of the growth over
all cells, for every pair of fits.

{table(header, lines)}
"""


def _speed(store: Store) -> str:
    rows = store.of("F", method="scdiffot")
    courses = by_course([row for row in rows if not row.get("n_cells")], held_out.COURSES)
    clouds = [row for row in rows if row.get("n_cells")]
    text = "## Speed and memory\n"
    if courses:
        lines = [
            (
                name,
                *(number(row[k]) for k in ("cpu_s", "peak_mib", "before_mib")),
                f"{row['largest_snapshot']:,}",
            )
            for name, (row, *_) in courses.items()
        ]
        header = ("data", "CPU s", "peak MiB", "before the fit", "cells of the largest snapshot")
        text += f"\n`tl.fit` in a process of its own:\n\n{table(header, lines)}\n"
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
            "what, cells a snapshot",
            "time / that of 10,000",
            "CPU s",
            "peak MiB",
            "before the fit",
        )
        text += f"""
Three Gaussian clouds in ten dimensions. `core` is the training and its diagnostics; `tl.fit` also evaluates the fields
at every cell and writes them.

{table(header, lines)}
"""
    return text if rows else ""


def _ratio_to(rows: list[Row], w1: float) -> str:
    return spread(rows, lambda row: float(np.mean(row["w1"])) / w1)


def _in_sample(store: Store) -> str:
    courses = by_course(store.of("B", method="scdiffot"), in_sample.COURSES)
    if not courses:
        return ""
    lines = []
    for name, rows in courses.items():
        theirs = quoted.DEEPRUOT_SHIPPED.get(name, ())
        ratio = _ratio_to(rows, float(np.mean(theirs))) if theirs else "–"
        ours = " ".join(number(v) for v in np.mean([row["w1"] for row in rows], axis=0))
        floor = " ".join(number(v) for v in rows[0]["half_floor"])
        error = number(max(max(row["mass_error"]) for row in rows))
        lines.append((name, ratio, ours, " ".join(number(v) for v in theirs), floor, error))
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

A sanity check only: below the floor (W1 between random halves) lies memory, not skill. DeepRUOT's values were measured
earlier from the weights that it ships, with the same metric, not in this run.

{table(header, lines)}
"""
