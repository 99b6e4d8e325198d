"""The section of the page about tissue in space and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tables import mean, number, spread, table
from benchmarks.tasks.space import COURSES, N_COMPONENTS, N_DOMAINS
from benchmarks.tasks.space_data import FILES
from benchmarks.tasks.space_slices import CUT, FLOOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.store import Row, Store

WITHIN = 5.0
COPIES = ("copy of the one before", "copy of the one after")
POOLED = "both, pooled"
TISSUE = {
    "migration": "migration",
    "velocity": "velocity",
    "growth_r": "growth r",
    "fate_error": "error of fates",
    "cpu_s": "CPU s",
}


def section(store: Store) -> str:
    """Everything of part K, and what of it needs data that were not at hand."""
    parts: dict[str, Callable[[list[Row]], str]] = {
        "domains": _domains,
        "alignment": _alignment,
        "slices": _slices,
        "rotating": _rotating,
        "tissue": _tissue,
        "scale": _scale,
    }
    found, lacking = [], []
    for name in COURSES:
        rows = store.of("K", data=name)
        if rows:
            found.append(parts[name](rows))
        elif name in FILES:
            lacking.append(f"- {name}: {', '.join(f'`spatial/{file}`' for file in FILES[name])}")
    if not found:
        return ""
    if lacking:
        found.append(
            "Not measured here; these tables need, in the folder `SCDIFFOT_DATA`:\n\n"
            + "\n".join(lacking)
            + "\n"
        )
    return "\n".join(["## Tissue in space and time\n", *found])


def _methods(rows: Sequence[Row]) -> list[str]:
    """Names, ours first; the others as they were run."""
    names = list(dict.fromkeys(row["method"] for row in rows))
    return sorted(names, key=lambda name: not name.startswith("scdiffot"))


def _over_seeds(rows: Sequence[Row], key: str) -> list[float]:
    """Mean of each seed over the slices."""
    seeds = sorted({row["seed"] for row in rows})
    return [float(np.mean([row[key] for row in rows if row["seed"] == seed])) for seed in seeds]


def _domains(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row["variant"] for row in rows))
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for method in _methods(rows):
            here = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            if not here:
                continue
            means = _over_seeds(here, "ari")
            by_section = (
                mean([r for r in here if r["variant"] == name], lambda row: row["ari"])
                for name in names
            )
            lines.append(
                (
                    f"{method}, {task}",
                    *(number(value) for value in by_section),
                    number(float(np.mean(means))),
                    number(float(np.ptp(means))) if len(means) > 1 else "–",
                    number(mean(here, lambda row: row["cpu_s"])),
                )
            )
    n_seeds = len({row["seed"] for row in rows})
    header = ("domains", *names, "mean", "spread", "CPU s")
    return f"""\
Domains of three STARmap sections of the mouse medial prefrontal cortex, {N_DOMAINS} of them, as there are layers, against the layers:
adjusted Rand index, mean over {n_seeds} seeds. Spread: largest less smallest mean over the sections. *scdiffot* is
{{func}}`scdiffot.pp.spatial_embedding` and {{func}}`scdiffot.tl.spatial_domains` as they come; the same mixture, with as many starts, and
leiden, at the resolution that gives {N_DOMAINS} communities, take {N_COMPONENTS} principal components of the spots themselves. Components were
there already. CPU seconds are those of a section, or of all three together.

{table(header, lines)}
"""


def _alignment(rows: list[Row]) -> str:
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for method in _methods(rows):
            here = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            angles = np.array([row["angle"] for row in here])
            lines.append(
                (
                    f"{method}, {task}",
                    f"{(angles <= WITHIN).sum()} of {len(angles)}",
                    number(float(np.median(angles))),
                    number(float(angles.max())),
                    number(float(np.median([row["rmse"] for row in here]))),
                    number(mean(here, lambda row: row["cpu_s"])),
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
Alignment of {pairs} pairs of consecutive breast cancer sections (her2st), the second turned, reflected (every other time, by chance) and
shifted at random, against the registration of the images by the authors: error of the angle in degrees, 180 where the wrong side is up;
RMSE in distances of neighbouring spots, over the whole section. *Cut*: {CUT:.0%} of the spots of the second section, on one side, were
removed. ICP starts from equal centroids and does not reflect.

{table(header, lines)}
"""


def _slices(rows: list[Row]) -> str:
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        triples = _triples([row for row in rows if row["task"] == task])
        for method in [name for name in _methods(rows) if name not in COPIES] + ["best copy"]:
            here = [(triple[method], triple) for triple in triples if method in triple]
            if not here:
                continue
            won = sum(
                row["joint"] < min(t["best copy"]["joint"], t[POOLED]["joint"]) for row, t in here
            )
            others = [
                f"{number(mean([row for row, _ in here], lambda row, key=key: row[key]))}, "  # type: ignore[misc]
                f"{sum(row[key] >= t['best copy'][key] for row, t in here)} of {len(here)}"
                if "gene_r" in here[0][0]
                else "–"
                for key in ("gene_r", "labels")
            ]
            ratios = (
                number(float(np.mean([row["joint"] / t[name]["joint"] for row, t in here])))
                for name in ("best copy", POOLED, FLOOR)
            )
            virtual = method.startswith("scdiffot")
            costs = (
                number(mean([row for row, _ in here], lambda row: row["cpu_s"])) if virtual else "–"
            )
            lines.append(
                (
                    f"{task}, {method}",
                    *ratios,
                    f"{won} of {len(here)}" if virtual else "–",
                    *others,
                    costs,
                )
            )
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
Sections between two others (every inner one of her2st, in the frame of the authors; of three cortical sections each in turn, in the
frame of {{func}}`scdiffot.tl.align_slices`), made from them by {{func}}`scdiffot.tl.interpolate_slices`. Distance: W2 in place and
expression together ({{func}}`scdiffot.core.spatial.between.interpolation.joint_distance`), over that of the better copy of a neighbour, of both
neighbours pooled, and of halves of the section itself, which have fewer spots. Won: below both copies and the pooled. Gene r: correlation
over the spots, mean over the variable genes, and labels: share that is right (clusters; layers), both of the nearest spot, with the number
of sections in which it is not below the best copy in that score. Averaging over neighbouring spots, which virtual sections do, helps both.

{table(header, lines)}
"""


def _triples(rows: Sequence[Row]) -> list[dict[str, Row]]:
    """Rows of every held-out section and seed by method, with the best of both copies in each score."""
    found = []
    for key in sorted({(row["variant"], row["seed"]) for row in rows}):
        triple = {row["method"]: row for row in rows if (row["variant"], row["seed"]) == key}
        copies = [triple[name] for name in COPIES]
        triple["best copy"] = {"joint": min(row["joint"] for row in copies)} | {
            name: max(row[name] for row in copies) for name in ("gene_r", "labels")
        }
        found.append(triple)
    return found


def _rotating(rows: list[Row]) -> str:
    texts = []
    for row in [row for row in rows if row["task"] == "angles"][:1]:
        found, true = (
            ", ".join(f"{value:.2f}" for value in row[key]) for key in ("angles", "true")
        )
        texts.append(
            f"A simulated tissue that turns and develops: turns between its stages in degrees, found {found}; true {true}. "
            f"Largest error {number(max(row['errors']))}, {number(row['cpu_s'])} CPU s for all stages.\n"
        )
    held = [row for row in rows if row["task"] == "held-out time"]
    lines = []
    for name in sorted({row["variant"] for row in held}, key=float):
        here = [row for row in held if row["variant"] == name]
        by_method = {
            m: [row for row in here if row["method"] == m] for m in ("scdiffot", *COPIES, "halves")
        }
        lines.append(
            (
                name,
                *(number(_ratio(by_method["scdiffot"], by_method[copy])) for copy in COPIES),
                *(number(mean(found, lambda row: row["joint"])) for found in by_method.values()),
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
            "A stage that is left out of the fit (in the frame of that alignment), and predicted: W2 in place and expression "
            f"together.\n\n{table(header, lines)}\n"
        )
    return "\n".join(texts)


def _ratio(found: Sequence[Row], others: Sequence[Row]) -> float | None:
    ours, theirs = (mean(rows, lambda row: row["joint"]) for rows in (found, others))
    return None if ours is None or theirs is None else ours / theirs


def _tissue(rows: list[Row]) -> str:
    lines = [
        (
            f"{method}, {n:,}",
            *(
                _values([r for r in rows if (r["method"], r["n_cells"]) == (method, n)], key)
                for key in TISSUE
            ),
        )
        for n in sorted({row["n_cells"] for row in rows})
        for method in _methods(rows)
    ]
    turned = [row["angle_error"] for row in rows if "angle_error" in row]
    return f"""\
A simulated tissue that grows, turns and differentiates ({{func}}`scdiffot.datasets.spatial_slices`), fitted with
{{func}}`scdiffot.tl.fit` (`spatial_key="spatial", autonomous=True`): cosine of migration, less the rigid motion of each time, and of the
velocity in expression, over all cells; correlation of growth; mean absolute error of the fates of the first slice. *Changing
with time* has the default form, the least action between each two snapshots; *states alone* knows the expression only. Largest error of a turn between slices: {number(max(turned, default=np.nan))} degrees.

{table(("fit, cells of the first slice", *TISSUE.values()), lines)}
"""


def _values(rows: Sequence[Row], key: str) -> str:
    return spread([row for row in rows if key in row], lambda row: row[key])


def _scale(rows: list[Row]) -> str:
    lines = [
        (
            f"{row['task']}, {row['n_cells']:,}",
            *(number(row[k]) for k in ("cpu_s", "peak_mib", "before_mib")),
        )
        for row in sorted(rows, key=lambda row: (row["n_cells"], row["task"]))
    ]
    return f"""\
Cost of large slices in 30 dimensions: one for domains, two of as many spots to align, and to make one between them; each in a process
of its own.

{table(("step, spots a slice", "CPU s", "peak MiB", "before"), lines)}
"""
