"""The section of the page about the peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.report.tables import number, table
from benchmarks.tasks.peers import ENTRIES

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def section(store: Store) -> str:
    """Both tasks of the peers, ratios first, and the runs that failed."""
    rows = store.of("G")
    if not rows:
        return ""
    text = """\
## Peers

Packages from the Python Package Index (PyPI), each in a separate environment, on the same splits
and scored by the same code, on one thread of the same machine. Versions are pinned in
`benchmarks/peers/*.txt`; the settings are in the scripts in the same folder. Ratios are to scdiffot
on the same split: above 1, the peer is worse or slower. CPU seconds of peers exclude their imports.
"""
    held_out = [_held_out(row, store) for row in _ordered(rows, "held_out")]
    if held_out:
        header = (
            "peer, data",
            "W1 / ours",
            "CPU / ours",
            "W1 / floor",
            "spread",
            "mean W1",
            "mass error",
            "CPU s",
        )
        text += f"\nCells that were held out:\n\n{table(header, held_out)}\n"
    left_out = [_left_out(row, store) for row in _ordered(rows, "left_out")]
    if left_out:
        header = ("peer, data, time", "W1 / ours", "W1 / McCann", "W1", "CPU s")
        text += f"\nSnapshots that were left out:\n\n{table(header, left_out)}\n"
    failed = sorted({f"- {_name(row)}: `{row['error']}`" for row in rows if "error" in row})
    if failed:
        text += "\nRuns that failed:\n\n" + "\n".join(failed) + "\n"
    return text


def _ordered(rows: list[Row], task: str) -> list[Row]:
    places = [
        (entry.peer, entry.variant, name)
        for entry in ENTRIES
        for name in entry.datasets
        if entry.task == task
    ]
    complete = [row for row in rows if row["task"] == task and "error" not in row]
    return sorted(
        complete, key=lambda row: (places.index(_place(row)), row["seed"], row.get("time", 0))
    )


def _place(row: Row) -> tuple[str, str, str]:
    return row["method"], row["variant"], row["data"]


def _name(row: Row) -> str:
    return f"{row['method']} ({row['variant']}), {row['data']}"


def _held_out(row: Row, store: Store) -> tuple[str, ...]:
    reference_rows = store.of("A", data=row["data"], seed=row["seed"], method="scdiffot")
    w1 = float(np.mean(row["w1"]))
    ratios = [None, None, None]
    if reference_rows:
        relative = float(np.mean(np.divide(row["w1"], reference_rows[0]["floor"])))
        ratios = [
            w1 / float(np.mean(reference_rows[0]["w1"])),
            row["cpu_s"] / reference_rows[0]["cpu_s"],
            relative,
        ]
    values = (float(np.mean(row["spread"])), w1, max(row["mass_error"]), row["cpu_s"])
    return (_name(row), *(number(value) for value in (*ratios, *values)))


def _left_out(row: Row, store: Store) -> tuple[str, ...]:
    reference_rows = store.of(
        "C", data=row["data"], seed=row["seed"], time=row["time"], method="scdiffot"
    )
    ratios = (
        [row["w1"] / reference_rows[0][key] for key in ("w1", "w1_mccann")]
        if reference_rows
        else [None, None]
    )
    return (
        f"{_name(row)}, {row['time']:g}",
        *(number(value) for value in (*ratios, row["w1"], row["cpu_s"])),
    )
