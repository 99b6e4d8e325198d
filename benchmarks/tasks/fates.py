"""Part H: calibration of fates, against cells simulated again under the true dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import scdiffot as sdo
from scdiffot.datasets._simulated.laws import Law, evolve, gene_network_law, misa_law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row
    from scdiffot.core import RUOTModel

DATASETS = ("misa", "gene_network")
METHODS = DEFAULT, WITHOUT_GROWTH, NOISY_FLOW = (
    "scdiffot",
    "growth left out",
    "flow stepped as SDE, growth left out",
)
# Cells, and trajectories of each in the prediction and in the truth
N_SOURCE, N_TRAJECTORIES, N_TRUE = 200, 100, 500
# Bins of the predicted shares, for the reliability
N_BINS = 10
# Steps of the noisy flow in every interval
N_STEPS = 60


def run(name: str, settings: Settings) -> Iterator[Row]:
    """Rows of the default and the autonomous fit, with and without the true growth as a prior.

    Every seed draws new data.
    """
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
                    adata,
                    "time",
                    use_rep="X",
                    rng=seed,
                    device="cpu",
                    show_progress=False,
                    **settings.fit,
                    **options,
                )
                for method, predicted in predictions(adata, cells, classes, seed).items():
                    yield {
                        "method": method,
                        "seed": seed,
                        "autonomous": autonomous,
                        "prior": prior is not None,
                        **calibration(predicted, true),
                    }


class Fates(NamedTuple):
    """Composition of the descendants of cells ``(n, K)``, and their numbers ``(n,)``."""

    shares: np.ndarray
    numbers: np.ndarray


def true_fates(
    law: Law,
    adata: AnnData,
    cells: np.ndarray,
    classes: np.ndarray,
    *,
    dt: float,
    rng: np.random.Generator,
) -> Fates:
    """Fates from many trajectories under the true dynamics, weighted by the true growth."""
    x, times = np.asarray(adata.X, dtype=np.float64), adata.obs["time"].to_numpy()
    end = float(times.max())
    fates = Fates(np.empty((len(cells), len(classes))), np.empty(len(cells)))
    for t in np.unique(times[cells]):
        rows = np.flatnonzero(times[cells] == t)
        states, log_w = evolve(
            law,
            np.repeat(x[cells[rows]], N_TRUE, axis=0),
            float(t),
            end,
            dt=dt,
            rng=rng,
            branch=False,
        )
        fates.shares[rows], fates.numbers[rows] = _descendants(
            cell_types(adata, states), classes, log_w, len(rows)
        )
    return fates


def cell_types(adata: AnnData, x: np.ndarray) -> np.ndarray:
    """Cell types ``(n,)`` of states ``(n, d)``, by the rule of the simulator."""
    if adata.n_vars == 2:
        on = x > adata.uns["true"]["params"]["threshold"]
        return np.array(["neither", "X", "Y", "both"])[on[:, 0] + 2 * on[:, 1]]
    return adata.var_names.to_numpy()[x.argmax(axis=1)]


def predictions(
    adata: AnnData, cells: np.ndarray, classes: np.ndarray, seed: int
) -> dict[str, Fates]:
    """Fates by `tl.sta_forward`, the same without growth, and by the formula of DiffusionOT."""
    source = adata.obs_names[cells]
    options = {"n_trajectories": N_TRAJECTORIES, "path": True, "rng": seed, "show_progress": False}
    sdo.tl.sta_forward(adata, "cell_type", source, **options)

    def shares(key: str) -> np.ndarray:
        return adata.obsm[key].loc[source].reindex(columns=classes, fill_value=0).to_numpy()

    equal_numbers = np.ones(len(cells))
    return {
        DEFAULT: Fates(
            shares("scdiffot_fate"), adata.obs.loc[source, "scdiffot_n_descendants"].to_numpy()
        ),
        WITHOUT_GROWTH: Fates(shares("scdiffot_fate_path"), equal_numbers),
        NOISY_FLOW: Fates(_noisy_flow(adata, cells, classes, seed), equal_numbers),
    }


def _noisy_flow(adata: AnnData, cells: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """Fates ``(n, K)`` by the formula of DiffusionOT.

    Noise is added to the velocity of the flow, which already contains its effect, and all
    trajectories have equal weights.
    """
    model: RUOTModel = sdo.get.model(adata)
    rng = np.random.default_rng(seed)
    x, times = np.asarray(adata.X, dtype=np.float64), adata.obs["time"].to_numpy()
    fates = np.empty((len(cells), len(classes)))
    for t0 in np.unique(times[cells]):
        rows = np.flatnonzero(times[cells] == t0)
        states = np.repeat(x[cells[rows]], N_TRAJECTORIES, axis=0)
        for start, end in zip(model.times[:-1], model.times[1:], strict=True):
            if start >= t0:
                dt = (end - start) / N_STEPS
                for j in range(N_STEPS):
                    noise = model.sigma * np.sqrt(dt) * rng.normal(size=states.shape)
                    states = states + model.flow(states, start + j * dt) * dt + noise
        fates[rows] = _descendants(
            cell_types(adata, states), classes, np.zeros(len(states)), len(rows)
        ).shares
    return fates


def _descendants(types: np.ndarray, classes: np.ndarray, log_w: np.ndarray, n: int) -> Fates:
    """Fates of `n` cells, from the types and log weights at the ends of their trajectories.

    Every cell has the same number of trajectories.
    """
    weights = np.exp(log_w).reshape(n, -1)
    of_class = types.reshape(n, -1, 1) == classes
    shares = (weights[:, :, None] * of_class).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    return Fates(shares, weights.mean(axis=1))


def calibration(predicted: Fates, true: Fates) -> dict[str, float]:
    """Errors of predicted fates: of single cells, of mean shares, and of the population.

    The scores of cells are the squared error, the reliability over bins of the prediction and the
    correlation; the bias is the largest error of a mean share. The population consists of all
    descendants, so a cell counts by its number of descendants; its error is the total variation.
    """
    shares = predicted.shares
    bins = np.minimum((shares * N_BINS).astype(int), N_BINS - 1).ravel()
    count = np.bincount(bins, minlength=N_BINS)
    gaps = np.abs(np.bincount(bins, (shares - true.shares).ravel(), minlength=N_BINS))
    populations = [
        np.average(fates.shares, axis=0, weights=fates.numbers) for fates in (predicted, true)
    ]
    return {
        "squared_error": float(np.square(shares - true.shares).sum(axis=1).mean()),
        "reliability": float(gaps.sum() / count.sum()),
        "r": float(np.corrcoef(shares.ravel(), true.shares.ravel())[0, 1]),
        "bias": float(np.abs((shares - true.shares).mean(axis=0)).max()),
        "population": float(np.abs(populations[0] - populations[1]).sum() / 2),
    }
