"""Fits and the scores of their predictions, the same for every method."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

import scdiffot as sdo
from scdiffot.core import simulate
from scdiffot.metrics import mass_error, wasserstein

if TYPE_CHECKING:
    from anndata import AnnData

    from .data import Dataset

Prediction = tuple[np.ndarray, np.ndarray | None]


def fit(dataset: Dataset, *, seed: int, **options: Any) -> tuple[AnnData, float]:
    """Fit by `tl.fit`, with the defaults except for `options`; return the data and CPU seconds."""
    adata = dataset.to_adata()
    start = time.process_time()
    sdo.tl.fit(adata, "time", use_rep="X", rng=seed, device="cpu", show_progress=False, **options)
    return adata, time.process_time() - start


def roll_out(adata: AnnData, times: np.ndarray) -> list[Prediction]:
    """Simulate the first snapshot along the flow: weighted particles at every later time."""
    trajectories = sdo.tl.simulate(adata, t0=float(times[0]), t1=float(times[-1]), save_times=times)
    return [trajectories.at(t) for t in trajectories.times[1:]]


def roll_out_cells(adata: AnnData, cells: np.ndarray, times: np.ndarray) -> list[Prediction]:
    """Simulate other cells of the first snapshot, such as those of the test half."""
    trajectories = simulate(
        sdo.get.model(adata), cells, float(times[0]), t1=float(times[-1]), save_times=times
    )
    return [trajectories.at(t) for t in trajectories.times[1:]]


def distances(predictions: list[Prediction], observed: tuple[np.ndarray, ...]) -> list[float]:
    """W1 of every prediction to the observed cells."""
    return [wasserstein(x, y, w) for (x, w), y in zip(predictions, observed, strict=True)]


def spreads(predictions: list[Prediction], observed: tuple[np.ndarray, ...]) -> list[float]:
    """Total standard deviation of every prediction over that of the observed cells.

    In many dimensions a cloud that is too narrow has a small W1 to a finite sample; this ratio
    detects it.
    """
    ratios = []
    for (x, w), y in zip(predictions, observed, strict=True):
        centre = np.average(x, axis=0, weights=w)
        variance = np.average(np.square(x - centre).sum(axis=1), weights=w)
        ratios.append(float(np.sqrt(variance / np.var(y, axis=0, dtype=np.float64).sum())))
    return ratios


def mass_errors(predictions: list[Prediction], n_start: int, masses: np.ndarray) -> list[float]:
    """Relative errors of the masses; a balanced method predicts a constant mass."""
    totals = [1.0 if w is None else float(w.sum()) / n_start for _, w in predictions]
    return [mass_error(total, mass) for total, mass in zip(totals, masses, strict=True)]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over cells of the cosine between two vector fields ``(n, d)``."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(norms, 1e-12)).mean())
