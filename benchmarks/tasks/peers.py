"""Part G: other packages ("peers"), on the same splits and scored by the same code."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import scores
from benchmarks.data import load
from benchmarks.peers._job import Job
from benchmarks.peers.environments import run_script

from . import held_out, left_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from benchmarks.data import Dataset
    from benchmarks.settings import Settings
    from benchmarks.store import Row

TIMEOUT = 1500.0
DATASETS = held_out.DATASETS


@dataclass(frozen=True)
class Entry:
    """A configuration of a peer, and the task and data sets on which it runs.

    Parameters
    ----------
    peer
        Name of the peer.
    variant
        Name of the configuration.
    task
        ``"held_out"`` (part A) or ``"left_out"`` (part C).
    datasets
        Data sets.
    options
        Options for its script.
    n_seeds
        Maximal number of seeds.
    """

    peer: str
    variant: str
    task: str
    datasets: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    n_seeds: int = 3


ENTRIES = (
    Entry("torchcfm", "OT-CFM, 3,000 steps", "held_out", held_out.DATASETS, {"n_steps": 3000}, 1),
    Entry("torchcfm", "OT-CFM, 3,000 steps", "left_out", left_out.DATASETS, {"n_steps": 3000}, 1),
    Entry("moscot", "balanced (its default)", "left_out", left_out.DATASETS, n_seeds=1),
    Entry("moscot", "tau_a 0.95", "left_out", left_out.DATASETS, {"tau_a": 0.95}, 1),
    Entry(
        "cytobridge",
        "CRUFM, 400 of 3,000 iterations",
        "held_out",
        ("gene_network", "mouse"),
        {"n_epochs": 400},
        1,
    ),
    Entry(
        "cytobridge",
        "CRUFM, 3,000 iterations",
        "held_out",
        ("gene_network",),
        {"n_epochs": 3000},
        1,
    ),
)
PEERS = tuple(dict.fromkeys(entry.peer for entry in ENTRIES))


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every peer, configuration, seed and, in part C, left-out snapshot."""
    for entry in ENTRIES:
        if entry.peer not in settings.peers or name not in entry.datasets:
            continue
        if settings.quick and entry.options.get("n_epochs", 0) > 1000:
            continue
        run_task = _held_out if entry.task == "held_out" else _left_out
        for seed in range(min(settings.n_seeds, entry.n_seeds)):
            for row in run_task(entry, load(name), seed, settings):
                yield {
                    "method": entry.peer,
                    "variant": entry.variant,
                    "task": entry.task,
                    "seed": seed,
                    **row,
                }


def _held_out(entry: Entry, dataset: Dataset, seed: int, settings: Settings) -> Iterator[Row]:
    train, test = dataset.halves(seed)
    answer = _run_peer(entry, train, 0, list(train.times[1:]), seed, settings)
    if isinstance(answer, str):
        yield {"error": answer}
        return
    predictions, cost = answer
    yield {
        "times": train.times[1:].tolist(),
        "w1": scores.distances(predictions, test.states[1:]),
        "spread": scores.spreads(predictions, test.states[1:]),
        "mass_error": scores.mass_errors(predictions, len(train.states[0]), train.masses[1:]),
        **cost,
    }


def _left_out(entry: Entry, dataset: Dataset, seed: int, settings: Settings) -> Iterator[Row]:
    for k in range(1, len(dataset.times) - 1):
        time = float(dataset.times[k])
        answer = _run_peer(entry, dataset.without(k), k - 1, [time], seed, settings)
        if isinstance(answer, str):
            yield {"time": time, "error": answer}
            continue
        predictions, cost = answer
        (w1,) = scores.distances(predictions, dataset.states[k : k + 1])
        yield {"time": time, "w1": w1, **cost}


Answer = tuple[list[tuple["np.ndarray", "np.ndarray | None"]], dict[str, float]]


def _run_peer(
    entry: Entry, dataset: Dataset, start: int, predict: list[float], seed: int, settings: Settings
) -> Answer | str:
    """The peer's predictions and their cost, or the error message."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            Path(folder), dataset.times, list(dataset.states), start, predict, seed, entry.options
        )
        job.write()
        try:
            run_script(entry.peer, job.folder, env_dir=settings.env_dir, timeout=TIMEOUT)
        except RuntimeError as error:
            return str(error)
        return job.read_answer()
