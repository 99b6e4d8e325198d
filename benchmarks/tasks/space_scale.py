"""Part K: seconds and memory of large slices, each step in a separate process.

Called as ``python -m benchmarks.tasks.space_scale JSON``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.probe import peak_mib

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

N_SPOTS, N_SPOTS_QUICK = 50_000, 3000
N_DIMS, N_GENES = 30, 200
STEPS = ("embedding and domains", "alignment", "interpolation")
LAYERS = 7


def run(settings: Settings) -> Iterator[Row]:
    """One row for every step."""
    n_spots = settings.n_obs or (N_SPOTS_QUICK if settings.quick else N_SPOTS)
    for step in STEPS:
        command = [sys.executable, "-m", __name__, json.dumps({"step": step, "n_spots": n_spots})]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        root = Path(__file__).parents[2]
        result = subprocess.run(
            command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        measured = json.loads(result.stdout.splitlines()[-1])
        yield {"method": "scdiffot", "task": step, "seed": 0, "n_cells": n_spots, **measured}


def slices(n_spots: int, n_slices: int) -> AnnData:
    """Slices of `n_spots` each through one layered tissue, with smooth expression and noise.

    Every slice is turned by another 40 degrees.
    """
    import anndata as ad
    from scipy.sparse import random_array

    rng = np.random.default_rng(0)
    waves, phases = rng.normal(size=(2, N_DIMS)), rng.uniform(0, 2 * np.pi, size=N_DIMS)
    levels = 2 * rng.normal(size=(LAYERS, N_DIMS))
    strength = np.linspace(1.0, 0.1, N_DIMS)
    places, states, layers = [], [], []
    for k in range(n_slices):
        # The outline is wider at one end, so it identifies the pose as well.
        p = rng.uniform(size=(n_spots, 2)) * [2.0, 1.0]
        p[:, 1] *= 0.6 + 0.3 * p[:, 0]
        layer = np.digitize(
            p[:, 0] + 0.1 * np.sin(6 * p[:, 1]), np.linspace(0, 2, LAYERS + 1)[1:-1]
        )
        noise = rng.normal(size=(n_spots, N_DIMS))
        states.append((levels[layer] + np.sin(3 * p @ waves + phases) + noise) * strength)
        angle = np.radians(40.0 * k)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        places.append(1000 * (p @ turn.T))
        layers.append(layer)
    n = n_spots * n_slices
    genes = random_array((n, N_GENES), density=0.1, format="csr", rng=rng, dtype=np.float32)
    adata = ad.AnnData(
        genes, obsm={"spatial": np.concatenate(places), "X_pca": np.concatenate(states)}
    )
    adata.obs["slice"] = np.repeat([f"{k}" for k in range(n_slices)], n_spots)
    adata.obs["layer"] = np.concatenate(layers).astype(str)
    return adata


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds and peak memory of one step, and a check of its result."""
    import scdiffot as sdo

    step = job["step"]
    adata = slices(job["n_spots"], 1 if step == STEPS[0] else 2)
    if step == STEPS[2]:
        angle = np.radians(-40.0)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        adata.obsm["spatial"][job["n_spots"] :] @= turn.T
    initial_peak, cpu_start, wall_start = peak_mib(), time.process_time(), time.perf_counter()
    if step == STEPS[0]:
        sdo.pp.spatial_embedding(adata)
        sdo.tl.spatial_domains(adata, LAYERS)
    elif step == STEPS[1]:
        sdo.tl.align_slices(adata, "slice", "0", show_progress=False)
    else:
        virtual = sdo.tl.interpolate_slices(
            adata, ["0", "1"], 0.5, library_key="slice", cell_keys="layer"
        )
    cost = {"cpu_s": time.process_time() - cpu_start, "seconds": time.perf_counter() - wall_start}
    cost |= {"peak_mib": peak_mib(), "before_mib": initial_peak}
    if step == STEPS[0]:
        from sklearn.metrics import adjusted_rand_score

        return cost | {
            "check": float(adjusted_rand_score(adata.obs["layer"], adata.obs["scdiffot_domain"]))
        }
    if step == STEPS[1]:
        estimate: Any = sdo.get.alignment(adata).table.set_index("slice").loc["1", "angle"]
        return cost | {"check": float(abs(estimate + 40.0))}
    return cost | {"check": float(virtual.n_obs)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
