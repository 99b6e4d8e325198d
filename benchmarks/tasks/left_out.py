"""Part C: leave an inner snapshot out and predict it; compare with predictions without a model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.data import load
from scdiffot.core import FitConfig, leave_one_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("gene_network", "emt", "mouse", "misa", "zebrafish")


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every seed and inner snapshot."""
    dataset = load(name)
    for seed in range(settings.n_seeds):
        for t in dataset.times[1:-1]:
            start = time.process_time()
            (result,) = leave_one_out(
                dataset.snapshots, FitConfig(**settings.fit.get("config", {})), times=[t], rng=seed
            )
            yield {
                "method": "scdiffot",
                "seed": seed,
                **result,
                "cpu_s": time.process_time() - start,
            }
