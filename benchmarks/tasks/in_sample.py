"""Part B: distance to the training snapshots, as a sanity check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import scores
from benchmarks.data import load
from scdiffot.metrics import noise_floor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("gene_network", "mouse", "emt")


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every seed."""
    dataset = load(name)
    for seed in range(settings.n_seeds):
        adata, cpu = scores.fit(dataset, seed=seed, **settings.fit)
        predictions = scores.roll_out(adata, dataset.times)
        yield {
            "method": "scdiffot",
            "seed": seed,
            "times": dataset.times[1:].tolist(),
            "w1": scores.distances(predictions, dataset.states[1:]),
            "half_floor": [noise_floor(x) for x in dataset.states[1:]],
            "mass_error": scores.mass_errors(
                predictions, len(dataset.states[0]), dataset.masses[1:]
            ),
            "cpu_s": cpu,
        }
