"""The section of the page about the peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.tables import number, table
from benchmarks.tasks.peers import ENTRIES

if TYPE_CHECKING:
    from benchmarks.store import Row, Store


def section(store: Store) -> str:
    """Both tasks of the peers, ratios first, and what failed."""
    rows = store.of("G")
    if not rows:
        return ""
    text = """\
## Peers

Packages from PyPI in environments of their own, on the same splits and scored by the same code, on one thread and the
same machine. Versions are pinned in `benchmarks/peers/*.txt`; the settings are in the scripts beside them. Ratios are to
scdiffot on the same split: above 1, the peer is worse, or slower. CPU seconds of peers count what their imports do not.
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
        text += "\nWhat could not be run:\n\n" + "\n".join(failed) + "\n"
    return text


def _ordered(rows: list[Row], task: str) -> list[Row]:
    places = [
        (entry.peer, entry.variant, name)
        for entry in ENTRIES
        for name in entry.courses
        if entry.task == task
    ]
    found = [row for row in rows if row["task"] == task and "error" not in row]
    return sorted(
        found, key=lambda row: (places.index(_place(row)), row["seed"], row.get("time", 0))
    )


def _place(row: Row) -> tuple[str, str, str]:
    return row["method"], row["variant"], row["data"]


def _name(row: Row) -> str:
    return f"{row['method']} ({row['variant']}), {row['data']}"


def _held_out(row: Row, store: Store) -> tuple[str, ...]:
    ours = store.of("A", data=row["data"], seed=row["seed"], method="scdiffot")
    w1 = float(np.mean(row["w1"]))
    ratios = [None, None, None]
    if ours:
        relative = float(np.mean(np.divide(row["w1"], ours[0]["floor"])))
        ratios = [w1 / float(np.mean(ours[0]["w1"])), row["cpu_s"] / ours[0]["cpu_s"], relative]
    rest = (float(np.mean(row["spread"])), w1, max(row["mass_error"]), row["cpu_s"])
    return (_name(row), *(number(value) for value in (*ratios, *rest)))


def _left_out(row: Row, store: Store) -> tuple[str, ...]:
    ours = store.of("C", data=row["data"], seed=row["seed"], time=row["time"], method="scdiffot")
    ratios = [row["w1"] / ours[0][key] for key in ("w1", "w1_mccann")] if ours else [None, None]
    return (
        f"{_name(row)}, {row['time']:g}",
        *(number(value) for value in (*ratios, row["w1"], row["cpu_s"])),
    )
