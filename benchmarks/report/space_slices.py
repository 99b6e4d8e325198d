"""The tables of the page about alignment, and about sections and stages that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report.tables import mean, methods_in_order, number, table
from benchmarks.tasks.space_slices import CUT, FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.store import Row

# Degrees
WITHIN = 5.0
COPIES = ("copy of the one before", "copy of the one after")
BEST_COPY = "best copy"
POOLED = "both, pooled"


def alignment_table(rows: list[Row]) -> str:
    """Errors of the poses of consecutive sections."""
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for method in methods_in_order(rows):
            subset = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            angles = np.array([row["angle"] for row in subset])
            lines.append(
                (
                    f"{method}, {task}",
                    f"{(angles <= WITHIN).sum()} of {len(angles)}",
                    number(float(np.median(angles))),
                    number(float(angles.max())),
                    number(float(np.median([row["rmse"] for row in subset]))),
                    number(mean(subset, lambda row: row["cpu_s"])),
                )
            )
    pairs = len({row["variant"] for row in rows})
    header = (
        "alignment",
        f"within {WITHIN:g}°",
        "median angle",
        "largest",
        "median RMSE",
        "CPU s a pair",
    )
    return f"""\
Alignment of {pairs} pairs of consecutive breast cancer sections (her2st), compared with the
authors' registration of the images. The second section of a pair is turned and shifted at random,
and reflected with a probability of one half. The error of the angle is in degrees, 180 where the
reflection is wrong. The root mean squared error (RMSE) is in units of the distance between
neighbouring spots, over the whole section. *Cut*: {CUT:.0%} of the spots of the second section, on
one side, were removed. Iterated closest points (ICP) start from equal centroids and do not reflect.

{table(header, lines)}
"""


def slices_table(rows: list[Row]) -> str:
    """Scores of virtual sections and of copies of the neighbours."""
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        triples = _triples([row for row in rows if row["task"] == task])
        methods = [name for name in methods_in_order(rows) if name not in COPIES]
        for method in [*methods, BEST_COPY]:
            of_method = [triple for triple in triples if method in triple]
            if of_method:
                lines.append((f"{task}, {method}", *_slice_values(method, of_method)))
    header = (
        "middle section",
        "/ best copy",
        "/ pooled",
        "/ halves",
        "won",
        "gene r",
        "labels",
        "CPU s",
    )
    return f"""\
{{func}}`scdiffot.tl.interpolate_slices` predicts sections from their two neighbours: every inner
section of her2st, in the frame of the authors, and each of three cortical sections in turn, in the
frame of {{func}}`scdiffot.tl.align_slices`. The distance is the 2-Wasserstein distance in position
and expression together
({{func}}`scdiffot.core.spatial.between.interpolation.joint_distance`), over that of the better copy
of a neighbour, of both neighbours pooled, and of halves of the section itself, which have fewer
spots. Won: the distance is below those of both copies and of the pooled neighbours. Gene r:
correlation over the spots, mean over the variable genes. Labels: share of correct labels (clusters;
layers). Both scores use the nearest predicted spot; the second number counts the sections in which
the score is not below that of the best copy. Virtual sections average over neighbouring spots,
which improves both scores.

{table(header, lines)}
"""


def _triples(rows: Sequence[Row]) -> list[dict[str, Row]]:
    """Rows of every held-out section and seed by method, with the best copy in each score."""
    triples = []
    for key in sorted({(row["variant"], row["seed"]) for row in rows}):
        triple = {row["method"]: row for row in rows if (row["variant"], row["seed"]) == key}
        copies = [triple[name] for name in COPIES]
        triple[BEST_COPY] = {"joint": min(row["joint"] for row in copies)} | {
            name: max(row[name] for row in copies) for name in ("gene_r", "labels")
        }
        triples.append(triple)
    return triples


def _slice_values(method: str, triples: Sequence[dict[str, Row]]) -> list[str]:
    """Ratios of distances, sections won, scores at the spots and seconds of one method."""
    rows = [triple[method] for triple in triples]
    values = [
        number(
            float(np.mean([triple[method]["joint"] / triple[name]["joint"] for triple in triples]))
        )
        for name in (BEST_COPY, POOLED, FLOOR)
    ]
    n_won = sum(
        triple[method]["joint"] < min(triple[BEST_COPY]["joint"], triple[POOLED]["joint"])
        for triple in triples
    )
    virtual = method.startswith("scdiffot")
    values.append(f"{n_won} of {len(rows)}" if virtual else "–")
    for key in ("gene_r", "labels"):
        if "gene_r" not in rows[0]:
            values.append("–")
            continue
        n_better = sum(triple[method][key] >= triple[BEST_COPY][key] for triple in triples)
        score = number(float(np.mean([row[key] for row in rows])))
        values.append(f"{score}, {n_better} of {len(rows)}")
    values.append(number(mean(rows, lambda row: row["cpu_s"])) if virtual else "–")
    return values


def rotating_table(rows: list[Row]) -> str:
    """Rotations of a turning tissue, and scores of its held-out stages."""
    texts = []
    for row in [row for row in rows if row["task"] == "angles"][:1]:
        estimated, true = (
            ", ".join(f"{value:.2f}" for value in row[key]) for key in ("angles", "true")
        )
        texts.append(
            "A simulated tissue that turns and develops: rotations between its stages in degrees, "
            f"estimated {estimated}; true {true}. Largest error {number(max(row['errors']))}, "
            f"{number(row['cpu_s'])} CPU s for all stages.\n"
        )
    held_out = [row for row in rows if row["task"] == "held-out time"]
    lines = []
    for name in sorted({row["variant"] for row in held_out}, key=float):
        subset = [row for row in held_out if row["variant"] == name]
        by_method = {
            method: [row for row in subset if row["method"] == method]
            for method in ("scdiffot", *COPIES, "halves")
        }
        lines.append(
            (
                name,
                *(number(_ratio(by_method["scdiffot"], by_method[copy])) for copy in COPIES),
                *(number(mean(group, lambda row: row["joint"])) for group in by_method.values()),
                number(mean(by_method["scdiffot"], lambda row: row["mass_error"])),
                number(mean(by_method["scdiffot"], lambda row: row["cpu_s"])),
            )
        )
    if lines:
        header = (
            "stage",
            "ours / before",
            "ours / after",
            "ours",
            "the one before",
            "the one after",
            "halves",
            "mass error",
            "CPU s",
        )
        texts.append(
            "A stage is left out of the fit (in the frame of that alignment) and predicted: "
            "2-Wasserstein distance in position and expression together.\n\n"
            f"{table(header, lines)}\n"
        )
    return "\n".join(texts)


def _ratio(rows: Sequence[Row], baseline: Sequence[Row]) -> float | None:
    error, baseline_error = (mean(group, lambda row: row["joint"]) for group in (rows, baseline))
    return None if error is None or baseline_error is None else error / baseline_error
