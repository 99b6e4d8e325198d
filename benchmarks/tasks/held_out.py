"""Part A: train on half of the cells of every snapshot, and compare with the other half."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import scores
from benchmarks.data import load
from scdiffot.metrics import wasserstein

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = (
    "emt",
    "mouse",
    "misa",
    "zebrafish",
    "gene_network",
    "gaussian_10",
    "gaussian_20",
    "gaussian_100",
)


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every split."""
    for seed in range(settings.n_seeds):
        train, test = load(name).halves(seed)
        adata, cpu = scores.fit(train, seed=seed, **settings.fit)
        predictions = scores.roll_out(adata, train.times)
        # The masses are calibrated on the training cells, so only other cells test the growth.
        test_predictions = scores.roll_out_cells(adata, test.states[0], train.times)
        yield {
            "method": "scdiffot",
            "seed": seed,
            "times": train.times[1:].tolist(),
            "w1": scores.distances(predictions, test.states[1:]),
            "spread": scores.spreads(predictions, test.states[1:]),
            "floor": [
                wasserstein(x, y) for x, y in zip(train.states[1:], test.states[1:], strict=True)
            ],
            "mass_error": scores.mass_errors(predictions, len(train.states[0]), train.masses[1:]),
            "mass_error_test": scores.mass_errors(
                test_predictions, len(test.states[0]), train.masses[1:]
            ),
            "cpu_s": cpu,
        }
