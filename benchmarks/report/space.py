"""The section of the page about tissue in space and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report.space_slices import alignment_table, rotating_table, slices_table
from benchmarks.report.tables import mean, methods_in_order, number, spread, table
from benchmarks.tasks.space import DATASETS, N_COMPONENTS, N_DOMAINS
from benchmarks.tasks.space_data import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.store import Row, Store

TISSUE = {
    "migration": "migration",
    "velocity": "velocity",
    "growth_r": "growth r",
    "fate_error": "error of fates",
    "cpu_s": "CPU s",
}


def section(store: Store) -> str:
    """Everything of part K, and a list of the tables whose data were not available."""
    parts: dict[str, Callable[[list[Row]], str]] = {
        "domains": _domains,
        "alignment": alignment_table,
        "slices": slices_table,
        "rotating": rotating_table,
        "tissue": _tissue,
        "scale": _scale,
    }
    tables, unavailable = [], []
    for name in DATASETS:
        rows = store.of("K", data=name)
        if rows:
            tables.append(parts[name](rows))
        elif name in FILES:
            unavailable.append(
                f"- {name}: {', '.join(f'`spatial/{file}`' for file in FILES[name])}"
            )
    if not tables:
        return ""
    if unavailable:
        tables.append(
            "Not measured here; these tables need files in the folder `SCDIFFOT_DATA`:\n\n"
            + "\n".join(unavailable)
            + "\n"
        )
    return "\n".join(["## Tissue in space and time\n", *tables])


def _over_seeds(rows: Sequence[Row], key: str) -> list[float]:
    """Mean of each seed over the slices."""
    seeds = sorted({row["seed"] for row in rows})
    return [float(np.mean([row[key] for row in rows if row["seed"] == seed])) for seed in seeds]


def _domains(rows: list[Row]) -> str:
    names = list(dict.fromkeys(row["variant"] for row in rows))
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for method in methods_in_order(rows):
            subset = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            if not subset:
                continue
            means = _over_seeds(subset, "ari")
            by_section = (
                mean([r for r in subset if r["variant"] == name], lambda row: row["ari"])
                for name in names
            )
            lines.append(
                (
                    f"{method}, {task}",
                    *(number(value) for value in by_section),
                    number(float(np.mean(means))),
                    number(float(np.ptp(means))) if len(means) > 1 else "–",
                    number(mean(subset, lambda row: row["cpu_s"])),
                )
            )
    n_seeds = len({row["seed"] for row in rows})
    header = ("domains", *names, "mean", "spread", "CPU s")
    return f"""\
Domains of three STARmap sections of the mouse medial prefrontal cortex are compared with the
cortical layers: {N_DOMAINS} domains, as many as layers; adjusted Rand index, mean over {n_seeds}
seeds. Spread: range over seeds of the mean over the sections. *scdiffot* is
{{func}}`scdiffot.pp.spatial_embedding` and {{func}}`scdiffot.tl.spatial_domains` with their
defaults. The baselines use {N_COMPONENTS} principal components of the spots themselves, without
their neighbourhoods: the same mixture with as many starts, and Leiden clustering at the resolution
that gives {N_DOMAINS} communities. The time of the principal components is not included. CPU
seconds are those of one section, or of all three together.

{table(header, lines)}
"""


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
        for method in methods_in_order(rows)
    ]
    angle_errors = [row["angle_error"] for row in rows if "angle_error" in row]
    angle_error = number(max(angle_errors, default=np.nan))
    return f"""\
A simulated tissue that grows, turns and differentiates
({{func}}`scdiffot.datasets.spatial_slices`), fitted with {{func}}`scdiffot.tl.fit`
(`spatial_key="spatial", autonomous=True`): cosine of the migration, without the rigid motion of
each time, and of the velocity in expression, over all cells; correlation of growth; mean absolute
error of the fates of the first slice. *Changing with time* has the default form, the least action
between consecutive snapshots; *states alone* uses the expression only. Largest error of a rotation
between slices: {angle_error} degrees.

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
Cost of large slices in 30 dimensions: one slice for the domains, two slices of that size for the
alignment and for the interpolation between them. Each step runs in a separate process.

{table(("step, spots a slice", "CPU s", "peak MiB", "before"), lines)}
"""
