"""Jobs of the peers: folders of arrays that harness and scripts exchange. Needs numpy only."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Job:
    """Snapshots to learn from, and the times to predict.

    Parameters
    ----------
    folder
        Folder of the job.
    times
        Times of the snapshots, shape ``(T,)``.
    states
        T arrays of shape ``(n_k, d)``.
    start
        Index of the snapshot from which the particles start.
    predict
        Times to predict, later than that of `start`.
    seed
        Seed of everything random.
    options
        Options of the method.
    """

    folder: Path
    times: np.ndarray
    states: list[np.ndarray]
    start: int
    predict: list[float]
    seed: int
    options: dict[str, Any]

    def write(self) -> None:
        """Write the job into its folder."""
        for k, x in enumerate(self.states):
            np.save(self.folder / f"states_{k}.npy", x)
        names = ("start", "predict", "seed", "options")
        job = {"times": self.times.tolist()} | {name: getattr(self, name) for name in names}
        (self.folder / "job.json").write_text(json.dumps(job))

    def answer(
        self, states: list[np.ndarray], weights: list[np.ndarray] | None, cpu_s: float
    ) -> None:
        """Write the prediction at every time: states, and weights (a balanced method has none)."""
        for k, x in enumerate(states):
            np.save(self.folder / f"predicted_{k}.npy", x)
            if weights is not None:
                np.save(self.folder / f"weights_{k}.npy", weights[k])
        _write_cost(self.folder, cpu_s)

    def read_answer(self) -> tuple[list[tuple[np.ndarray, np.ndarray | None]], dict[str, float]]:
        """Predictions and their cost."""
        predictions = []
        for k in range(len(self.predict)):
            weights = self.folder / f"weights_{k}.npy"
            states = np.load(self.folder / f"predicted_{k}.npy")
            predictions.append((states, np.load(weights) if weights.exists() else None))
        return predictions, json.loads((self.folder / "done.json").read_text())


@dataclass(frozen=True)
class ResponseJob:
    """Untreated and treated cells of the training, and untreated cells of the prediction.

    Parameters
    ----------
    folder
        Folder of the job.
    control
        States without treatment, shape ``(n, d)``.
    treated
        States of other cells under treatment, shape ``(m, d)``.
    query
        Untreated states whose treated states are predicted, shape ``(q, d)``.
    seed
        Seed of everything random.
    options
        Options of the method.
    """

    folder: Path
    control: np.ndarray
    treated: np.ndarray
    query: np.ndarray
    seed: int
    options: dict[str, Any]

    def write(self) -> None:
        """Write the job into its folder."""
        for name in ("control", "treated", "query"):
            np.save(self.folder / f"{name}.npy", getattr(self, name))
        (self.folder / "job.json").write_text(
            json.dumps({"seed": self.seed, "options": self.options})
        )

    def save(self, name: str, predicted: np.ndarray) -> None:
        """Write one prediction ``(q, d)`` under a name; a method may make several."""
        np.save(self.folder / f"predicted_{name}.npy", predicted)

    def answer(self, cpu_s: float, **facts: Any) -> None:
        """Report that every prediction is saved, with the cost and further facts of the fit."""
        _write_cost(self.folder, cpu_s, **facts)

    def read_answer(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Predictions by name, and their cost."""
        files = sorted(self.folder.glob("predicted_*.npy"))
        predictions = {path.stem.removeprefix("predicted_"): np.load(path) for path in files}
        return predictions, json.loads((self.folder / "done.json").read_text())


def read_response_job() -> ResponseJob:
    """Read the job on a response in the folder that the command line names."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    return ResponseJob(
        folder,
        *(np.load(folder / f"{name}.npy") for name in ("control", "treated", "query")),
        **job,
    )


def _write_cost(folder: Path, cpu_s: float, **facts: Any) -> None:
    """Write the cost of an answer."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    (folder / "done.json").write_text(json.dumps({"cpu_s": cpu_s, "peak_mib": peak} | facts))


def read_job() -> Job:
    """Read the job in the folder that the command line names."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    times = np.array(job.pop("times"))
    states = [np.load(folder / f"states_{k}.npy") for k in range(len(times))]
    return Job(folder, times, states, **job)


class Stopwatch:
    """CPU seconds of this process, of all its threads, since the stopwatch was created."""

    def __init__(self) -> None:
        self.start = time.process_time()

    @property
    def seconds(self) -> float:
        """CPU seconds so far."""
        return time.process_time() - self.start
