"""Part H: are fates calibrated? Predictions beside those of cells re-simulated by the law behind the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo
from scdiffot.datasets._laws import Law, evolve, gene_network_law, misa_law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row
    from scdiffot.core import RUOTModel

COURSES = ("misa", "gene_network")
METHODS = OURS, BLIND, STEPPED = ("scdiffot", "growth left out", "flow stepped as SDE, growth left out")
N_SOURCE, N_PATHS, N_TRUE, N_BINS = 200, 100, 500, 10


def run(name: str, settings: Settings) -> Iterator[Row]:
    """For every seed, new data: rows of the default and the autonomous fit, without and with the true growth as a prior."""
    law, dt = (misa_law(), 0.02) if name == "misa" else (gene_network_law(), 0.2)
    n_source = 20 if settings.quick else N_SOURCE
    for seed in range(settings.n_seeds):
        adata = getattr(sdo.datasets, name)(rng=seed)
        rng = np.random.default_rng(seed)
        earlier = np.flatnonzero(adata.obs["time"] < adata.obs["time"].max())
        cells = np.sort(rng.choice(earlier, n_source, replace=False))
        classes = np.unique(adata.obs["cell_type"].astype(str))
        true = true_fates(law, adata, cells, classes, dt=dt, rng=rng)
        for autonomous in (False, True):
            for prior in (None, "true_growth"):
                options = {"autonomous": autonomous, "growth_prior": prior}
                sdo.tl.fit(
                    adata, "time", use_rep="X", rng=seed, device="cpu", show_progress=False, **settings.fit, **options
                )
                for method, shares in predictions(adata, cells, classes, seed).items():
                    yield {
                        "method": method,
                        "seed": seed,
                        "autonomous": autonomous,
                        "prior": prior is not None,
                        **calibration(shares, true),
                    }


def true_fates(
    law: Law, adata: AnnData, cells: np.ndarray, classes: np.ndarray, *, dt: float, rng: np.random.Generator
) -> np.ndarray:
    """Composition (n, K) of the descendants of cells, by many paths of the law weighted by its growth."""
    x, times = np.asarray(adata.X, dtype=np.float64), adata.obs["time"].to_numpy()
    end = float(times.max())
    fates = np.empty((len(cells), len(classes)))
    for t in np.unique(times[cells]):
        rows = np.flatnonzero(times[cells] == t)
        states, log_w = evolve(
            law, np.repeat(x[cells[rows]], N_TRUE, axis=0), float(t), end, dt=dt, rng=rng, branch=False
        )
        fates[rows] = _composition(cell_types(adata, states), classes, log_w, len(rows))
    return fates


def cell_types(adata: AnnData, x: np.ndarray) -> np.ndarray:
    """Types by the rule of the simulator."""
    if adata.n_vars == 2:
        on = x > adata.uns["true"]["params"]["threshold"]
        return np.array(["neither", "X", "Y", "both"])[on[:, 0] + 2 * on[:, 1]]
    return adata.var_names.to_numpy()[x.argmax(axis=1)]


def predictions(adata: AnnData, cells: np.ndarray, classes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Fates (n, K) as we give them, without growth, and by the formula of a peer."""
    source = adata.obs_names[cells]
    options = {"n_trajectories": N_PATHS, "path": True, "rng": seed, "show_progress": False}
    sdo.tl.sta_forward(adata, "cell_type", source, **options)

    def shares(key: str) -> np.ndarray:
        return adata.obsm[key].loc[source].reindex(columns=classes, fill_value=0).to_numpy()

    return {
        OURS: shares("scdiffot_fate"),
        BLIND: shares("scdiffot_fate_path"),
        STEPPED: _stepped_flow(adata, cells, classes, seed),
    }


def _stepped_flow(adata: AnnData, cells: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """The formula of DiffusionOT: noise on top of the velocity that already holds it, every path counted once."""
    model: RUOTModel = sdo.get.model(adata)
    rng = np.random.default_rng(seed)
    x, times = np.asarray(adata.X, dtype=np.float64), adata.obs["time"].to_numpy()
    fates = np.empty((len(cells), len(classes)))
    for t0 in np.unique(times[cells]):
        rows = np.flatnonzero(times[cells] == t0)
        states = np.repeat(x[cells[rows]], N_PATHS, axis=0)
        for start, end in zip(model.times[:-1], model.times[1:], strict=True):
            if start >= t0:
                dt = (end - start) / 60
                for j in range(60):
                    noise = model.sigma * np.sqrt(dt) * rng.normal(size=states.shape)
                    states = states + model.flow(states, start + j * dt) * dt + noise
        fates[rows] = _composition(cell_types(adata, states), classes, np.zeros(len(states)), len(rows))
    return fates


def _composition(types: np.ndarray, classes: np.ndarray, log_w: np.ndarray, n: int) -> np.ndarray:
    weights = np.exp(log_w - log_w.max()).reshape(n, -1, 1)
    shares = (weights * (types.reshape(n, -1, 1) == classes)).sum(axis=1)
    return shares / weights.sum(axis=1)


def calibration(shares: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Squared error, reliability over bins of the prediction, correlation, and the largest error of a mean share."""
    bins = np.minimum((shares * N_BINS).astype(int), N_BINS - 1).ravel()
    count = np.bincount(bins, minlength=N_BINS)
    gaps = np.abs(np.bincount(bins, (shares - true).ravel(), minlength=N_BINS))
    return {
        "squared_error": float(np.square(shares - true).sum(axis=1).mean()),
        "reliability": float(gaps.sum() / count.sum()),
        "r": float(np.corrcoef(shares.ravel(), true.ravel())[0, 1]),
        "bias": float(np.abs((shares - true).mean(axis=0)).max()),
    }
