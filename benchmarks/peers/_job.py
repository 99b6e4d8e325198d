"""What the harness and the scripts of the peers hand each other: a folder of arrays. Needs numpy only."""

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
        Where the job lies.
    times
        Times of the snapshots, shape (T,).
    states
        T arrays of shape (n_k, d).
    start
        Which snapshot the particles start from.
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

    def answer(self, states: list[np.ndarray], weights: list[np.ndarray] | None, cpu_s: float) -> None:
        """Write the prediction at every time: states, and weights (a balanced method has none)."""
        for k, x in enumerate(states):
            np.save(self.folder / f"predicted_{k}.npy", x)
            if weights is not None:
                np.save(self.folder / f"weights_{k}.npy", weights[k])
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        (self.folder / "done.json").write_text(json.dumps({"cpu_s": cpu_s, "peak_mib": peak}))

    def read_answer(self) -> tuple[list[tuple[np.ndarray, np.ndarray | None]], dict[str, float]]:
        """Predictions, and what making them took."""
        predictions = []
        for k in range(len(self.predict)):
            weights = self.folder / f"weights_{k}.npy"
            states = np.load(self.folder / f"predicted_{k}.npy")
            predictions.append((states, np.load(weights) if weights.exists() else None))
        return predictions, json.loads((self.folder / "done.json").read_text())


def read_job() -> Job:
    """Read the job in the folder that the command line names."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    times = np.array(job.pop("times"))
    states = [np.load(folder / f"states_{k}.npy") for k in range(len(times))]
    return Job(folder, times, states, **job)


class Stopwatch:
    """CPU seconds of this process, of all its threads, since the stopwatch was made."""

    def __init__(self) -> None:
        self.start = time.process_time()

    @property
    def seconds(self) -> float:
        """CPU seconds so far."""
        return time.process_time() - self.start
