"""The first table of the page: every part in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks import quoted
from benchmarks.tables import number, table
from benchmarks.tasks import speed

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.store import Row, Store


def relative_w1(row: Row) -> float:
    """Mean over times of W1 to the test half over W1 between the halves."""
    return float(np.mean(np.divide(row["w1"], row["floor"])))


def section(store: Store) -> str:
    """Means over data sets of the means over seeds, and the worst of them."""
    lines = []

    def line(
        name: str, rows: list[Row], value: Callable[[Row], float], *, high_is_bad: bool = True
    ) -> None:
        groups: dict[tuple, list[float]] = {}
        for row in rows:
            groups.setdefault((row["data"], row.get("time")), []).append(value(row))
        if groups:
            means = {key: float(np.mean(values)) for key, values in groups.items()}
            data, time = worst = (max if high_is_bad else min)(means, key=means.__getitem__)
            where = data if time is None else f"{data} at {time:g}"
            lines.append(
                (
                    name,
                    number(float(np.mean(list(means.values())))),
                    f"{number(means[worst])} ({where})",
                )
            )

    a, b, c, d, e = (store.of(letter, method="scdiffot") for letter in "ABCDE")
    f = [row for row in store.of("F", method="scdiffot") if not row.get("n_cells")]
    line("held-out cells: W1 / sampling floor", a, relative_w1)
    line(
        "left-out snapshots: W1 / displacement interpolation",
        c,
        lambda row: row["w1"] / row["w1_mccann"],
    )
    known = [row for row in b if row["data"] in quoted.DEEPRUOT_SHIPPED]
    line(
        "training snapshots: W1 / DeepRUOT's shipped weights",
        known,
        lambda row: float(np.mean(row["w1"]) / np.mean(quoted.DEEPRUOT_SHIPPED[row["data"]])),
    )
    line(
        "relative mass error, from cells not trained on", a, lambda row: max(row["mass_error_test"])
    )
    autonomous = [row for row in d if row["autonomous"]]
    line(
        "drift cosine with the truth",
        autonomous,
        lambda row: float(np.mean(row["drift_cosine"])),
        high_is_bad=False,
    )
    default = [row for row in d if not row["autonomous"]]
    line(
        "growth correlation with the truth", default, lambda row: row["growth_r"], high_is_bad=False
    )
    for key, name in (
        ("velocity_cosine", "velocity cosine"),
        ("growth_spearman", "growth Spearman"),
    ):
        line(
            f"refits: {name}", e, lambda row, key=key: float(np.median(row[key])), high_is_bad=False
        )
    line("CPU seconds of a fit", f, lambda row: row["cpu_s"])
    lines += _scale(store)
    header = ("what", "mean over data", "worst")
    return f"## At a glance\n\n{table(header, lines)}\n" if lines else ""


def _scale(store: Store) -> list[tuple[str, str, str]]:
    rows = {
        row["n_cells"]: row
        for row in store.of("F", method="scdiffot", level="core")
        if row.get("n_cells")
    }
    few, many = speed.SIZES[0], max(rows, default=0)
    if few not in rows or many <= few:
        return []
    ratio = number(rows[many]["cpu_s"] / rows[few]["cpu_s"])
    memory = number(rows[many]["peak_mib"] / 2**10)
    return [(f"{many:,} cells a snapshot: time / that of {few:,}; peak GiB", ratio, memory)]
