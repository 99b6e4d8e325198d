"""One fit in a separate process, which reports its CPU seconds and peak memory.

Called by the speed benchmark as ``python -m benchmarks.probe JSON``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import scores
from .data import Dataset, load


def peak_mib() -> float:
    """Peak memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the memory of the process that started this one.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def clouds(n_cells: int, n_dims: int = 10) -> Dataset:
    """Three Gaussian snapshots that move along the first axis."""
    rng = np.random.default_rng(0)
    states = []
    for k in range(3):
        x = rng.standard_normal((n_cells, n_dims), dtype=np.float32)
        x[:, 0] += k
        states.append(x)
    return Dataset(f"clouds of {n_cells}", np.arange(3.0), tuple(states))


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Fit a data set, or clouds of ``n_cells``, by ``tl.fit`` or by the core alone."""
    dataset = clouds(job["n_cells"]) if job.get("n_cells") else load(job["data"])
    initial_peak = peak_mib()
    if job["level"] == "tl.fit":
        _, cpu = scores.fit(dataset, seed=0, **job["options"])
    else:
        from scdiffot.core import FitConfig, fit

        snapshots = dataset.snapshots
        start = time.process_time()
        fit(snapshots, FitConfig(**job["options"].get("config", {})), rng=0, device="cpu")
        cpu = time.process_time() - start
    return {"cpu_s": cpu, "peak_mib": peak_mib(), "before_mib": initial_peak}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
