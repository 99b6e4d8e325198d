"""Part D: fields of the fit against those of the law behind the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo
from benchmarks import scores
from benchmarks.data import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

COURSES = ("misa", "gene_network")
N_CELLS = 2000


def _truth(name: str) -> tuple[AnnData, float]:
    """Fresh cells with the true drift and growth, and how many units of their time make one of the published data."""
    if name == "misa":
        return sdo.datasets.misa(N_CELLS, rng=1000), 1.0
    # The published table keeps two of the three genes, and numbers its times.
    return sdo.datasets.gene_network(N_CELLS, rng=1000), 8.0


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every seed and form of the fields."""
    course = load(name)
    truth, unit = _truth(name)
    time = truth.obs["time"].to_numpy() / unit
    x = np.asarray(truth.X)[:, : course.states[0].shape[1]]
    drift = unit * truth.obsm["true_drift"][:, : x.shape[1]]
    growth = unit * truth.obs["true_growth"].to_numpy()
    for autonomous in (False, True) if name == "misa" else (False,):
        for seed in range(settings.n_seeds):
            adata, cpu = scores.fit(course, seed=seed, **settings.fit, autonomous=autonomous)
            fields = sdo.get.model(adata).fields(x, time)
            yield {
                "method": "scdiffot",
                "seed": seed,
                "autonomous": autonomous,
                "times": course.times.tolist(),
                "drift_cosine": [scores.cosine(fields["drift"][time == t], drift[time == t]) for t in course.times],
                "growth_r_by_time": [
                    float(np.corrcoef(fields["growth"][time == t], growth[time == t])[0, 1]) for t in course.times
                ],
                "growth_r": float(np.corrcoef(fields["growth"], growth)[0, 1]),
                "sigma": float(sdo.get.model(adata).sigma),
                "cpu_s": cpu,
            }
