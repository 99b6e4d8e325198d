"""Part D: fields of the fit against those of the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo
from benchmarks import scores
from benchmarks.data import load, misa_draw
from scdiffot.core.genes.regulation import jacobians
from scdiffot.datasets._simulated.laws import misa_law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("misa", "misa_draws", "gene_network")
N_CELLS = 2000
# The published table of the gene network contains two of its three genes; MISA has two.
N_GENES = 2
# Signs are compared where the absolute value of the true slope is above this.
MIN_SLOPE = 0.1


def _truth(name: str) -> tuple[AnnData, float]:
    """New cells with the true drift and growth, and the unit of the published times in theirs."""
    if name != "gene_network":
        return sdo.datasets.misa(N_CELLS, rng=1000), 1.0
    # The published table has the numbers 0, 1, ... in place of times, which are 8 apart.
    return sdo.datasets.gene_network(N_CELLS, rng=1000), 8.0


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every seed and form of the fields; for `misa_draws`, every seed is a new draw."""
    truth, unit = _truth(name)
    time = truth.obs["time"].to_numpy() / unit
    x, drift = np.asarray(truth.X)[:, :N_GENES], unit * truth.obsm["true_drift"][:, :N_GENES]
    growth = unit * truth.obs["true_growth"].to_numpy()
    for autonomous in {"misa": (False, True), "misa_draws": (True,), "gene_network": (False,)}[
        name
    ]:
        for seed in range(settings.n_seeds):
            dataset = misa_draw(seed) if name == "misa_draws" else load(name)
            adata, cpu = scores.fit(dataset, seed=seed, **settings.fit, autonomous=autonomous)
            fields = sdo.get.model(adata).fields(x, time)
            yield {
                "method": "scdiffot",
                "seed": seed,
                "autonomous": autonomous,
                "times": dataset.times.tolist(),
                "drift_cosine": [
                    scores.cosine(fields["drift"][time == t], drift[time == t])
                    for t in dataset.times
                ],
                "growth_r_by_time": [
                    float(np.corrcoef(fields["growth"][time == t], growth[time == t])[0, 1])
                    for t in dataset.times
                ],
                "growth_r": float(np.corrcoef(fields["growth"], growth)[0, 1]),
                **(_regulation(adata, x) if autonomous else {}),
                "sigma": float(sdo.get.model(adata).sigma),
                "cpu_s": cpu,
            }


def _regulation(adata: AnnData, x: np.ndarray) -> Row:
    """Compare the Jacobian of the drift at the cells with that of MISA.

    The scores are the correlation, the same without the diagonal, and the share of correct signs.
    """
    law, step = misa_law(), 1e-5 * np.eye(x.shape[1])
    x = x.astype(float)
    true = np.stack(
        [(law.drift(x + h, 0) - law.drift(x - h, 0)) / (2 * h.max()) for h in step], axis=2
    )
    fitted = jacobians(sdo.get.model(adata), x, 0.0)
    clear, between = np.abs(true) > MIN_SLOPE, ~np.eye(x.shape[1], dtype=bool)
    return {
        "jacobian_r": float(np.corrcoef(fitted.ravel(), true.ravel())[0, 1]),
        "jacobian_r_between": float(
            np.corrcoef(fitted[:, between].ravel(), true[:, between].ravel())[0, 1]
        ),
        "jacobian_signs": float((np.sign(fitted) == np.sign(true))[clear].mean()),
    }
