"""Markdown tables, and means over seeds with their range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.store import Row


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table whose first column is text and whose others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three significant digits, or a dash."""
    if value is None or not np.isfinite(value):
        return "–"
    if value != 0 and abs(value) < 1e-3:
        return "< 0.001" if value > 0 else f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float | None:
    """Mean over rows, None without any."""
    return float(np.mean([value(row) for row in rows])) if rows else None


def spread(rows: Sequence[Row], value: Callable[[Row], float]) -> str:
    """Mean over rows, with the smallest and largest value where there are several."""
    if not rows:
        return "–"
    values = [value(row) for row in rows]
    text = number(float(np.mean(values)))
    return text if len(values) == 1 else f"{text} ({number(min(values))} to {number(max(values))})"


def methods_in_order(rows: Iterable[Row]) -> list[str]:
    """Names of the methods: ours first, the others in the order of the rows."""
    names = dict.fromkeys(row["method"] for row in rows)
    return sorted(names, key=lambda name: not name.startswith("scdiffot"))


def by_dataset(rows: Sequence[Row], datasets: Iterable[str]) -> dict[str, list[Row]]:
    """Rows by data set, in the order of `datasets`; data sets without rows are left out.

    A data set that is not in `datasets` (the one for trying the harness out) comes last.
    """
    names = [*datasets, *sorted({row["data"] for row in rows} - set(datasets))]
    groups = {name: [row for row in rows if row["data"] == name] for name in names}
    return {name: group for name, group in groups.items() if group}
