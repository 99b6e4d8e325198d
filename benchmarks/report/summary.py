"""The first table of the page: one line for every score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks import quoted
from benchmarks.report.tables import number, table
from benchmarks.tasks import speed

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.store import Row, Store

    Score = tuple[str, list[Row], Callable[[Row], float], bool]


def relative_w1(row: Row) -> float:
    """Mean over times of W1 to the test half over W1 between the halves."""
    return float(np.mean(np.divide(row["w1"], row["floor"])))


def section(store: Store) -> str:
    """Means over data sets of the means over seeds, and the worst data set, for every score."""
    lines = [line for score in _scores(store) if (line := _line(*score)) is not None]
    lines += _scale(store)
    header = ("what", "mean over data", "worst")
    return f"## At a glance\n\n{table(header, lines)}\n" if lines else ""


def _scores(store: Store) -> list[Score]:
    """Every score of the table: name, rows, value of a row, and whether the worst is the lowest."""
    a, b, c, d, e = (store.of(letter, method="scdiffot") for letter in "ABCDE")
    f = [row for row in store.of("F", method="scdiffot") if not row.get("n_cells")]
    with_quoted = [row for row in b if row["data"] in quoted.DEEPRUOT_SHIPPED]
    autonomous = [row for row in d if row["autonomous"]]
    default = [row for row in d if not row["autonomous"]]
    return [
        ("held-out cells: W1 / sampling floor", a, relative_w1, False),
        ("left-out snapshots: W1 / displacement interpolation", c, _relative_to_mccann, False),
        (
            "training snapshots: W1 / DeepRUOT's shipped weights",
            with_quoted,
            _relative_to_deepruot,
            False,
        ),
        (
            "relative mass error, from cells not trained on",
            a,
            lambda row: max(row["mass_error_test"]),
            False,
        ),
        (
            "drift cosine with the truth",
            autonomous,
            lambda row: float(np.mean(row["drift_cosine"])),
            True,
        ),
        ("growth correlation with the truth", default, lambda row: row["growth_r"], True),
        ("refits: velocity cosine", e, lambda row: float(np.median(row["velocity_cosine"])), True),
        ("refits: growth Spearman", e, lambda row: float(np.median(row["growth_spearman"])), True),
        ("CPU seconds of a fit", f, lambda row: row["cpu_s"], False),
    ]


def _relative_to_mccann(row: Row) -> float:
    return row["w1"] / row["w1_mccann"]


def _relative_to_deepruot(row: Row) -> float:
    return float(np.mean(row["w1"]) / np.mean(quoted.DEEPRUOT_SHIPPED[row["data"]]))


def _line(
    name: str, rows: list[Row], value: Callable[[Row], float], low_is_bad: bool
) -> tuple[str, str, str] | None:
    """Name, mean and worst of one score; None without rows."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        groups.setdefault((row["data"], row.get("time")), []).append(value(row))
    if not groups:
        return None
    means = {key: float(np.mean(values)) for key, values in groups.items()}
    data, time = worst = (min if low_is_bad else max)(means, key=means.__getitem__)
    label = data if time is None else f"{data} at {time:g}"
    return name, number(float(np.mean(list(means.values())))), f"{number(means[worst])} ({label})"


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
