"""Part E: agreement of fits that differ in the seed only."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import scores
from benchmarks.data import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("emt", "mouse", "misa")
N_REFITS = 5


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row with all pairs of five refits (two in a quick run)."""
    from scipy.stats import spearmanr

    n_fits = 2 if settings.quick else N_REFITS
    velocities, growths = [], []
    for seed in range(n_fits):
        adata, _ = scores.fit(load(name), seed=seed, **settings.fit)
        velocities.append(np.asarray(adata.obsm["scdiffot_velocity"]))
        growths.append(adata.obs["scdiffot_growth"].to_numpy())
    pairs = list(combinations(range(n_fits), 2))
    yield {
        "method": "scdiffot",
        "seed": 0,
        "n_fits": n_fits,
        "velocity_cosine": [scores.cosine(velocities[i], velocities[j]) for i, j in pairs],
        "growth_spearman": [float(spearmanr(growths[i], growths[j]).statistic) for i, j in pairs],
    }
