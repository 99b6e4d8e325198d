"""Part F: CPU seconds of a fit on one thread; time and memory by number of cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import LOADERS, load

from .held_out import DATASETS as ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.settings import Settings
    from benchmarks.store import Row

SIZES = (10_000, 100_000, 1_000_000)
DATASETS = (*ALL, "clouds")


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every data set, or for every number of cells and level of the interface."""
    if name in LOADERS:
        n_cells = max(len(x) for x in load(name).states)
        measured = _probe({"data": name, "level": "tl.fit", "options": settings.fit})
        yield {
            "method": "scdiffot",
            "seed": 0,
            "level": "tl.fit",
            "largest_snapshot": n_cells,
            **measured,
        }
        return
    for n_cells in SIZES[: 2 if settings.quick else None]:
        for level in ("core", "tl.fit"):
            measured = _probe({"n_cells": n_cells, "level": level, "options": settings.fit})
            yield {"method": "scdiffot", "seed": 0, "level": level, "n_cells": n_cells, **measured}


def _probe(job: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.probe", json.dumps(job)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])
