"""Methods of part J: the fits of scdiffot, and simple baselines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import scdiffot as sdo
from scdiffot.core.ot.gaussian_map import GaussianMap

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmarks.settings import Settings

# Options of `tl.fit_response` that differ from the defaults
FITS: dict[str, dict[str, Any]] = {
    "scdiffot": {},
    "plan + flow, Euclidean": {"metric": "euclidean"},
    "convex network": {"method": "convex"},
}
WITHOUT_MODEL = ("Gaussian OT", "entropic map", "mean shift", "identity")
# Entropic regularisation in mean squared distances between untreated and treated cells
EPSILON = 0.02


class Cells(NamedTuple):
    """Training and test cells, with the names of the conditions."""

    train: AnnData
    test: AnnData
    control: str
    target: str
    context: str | None

    def states(self, part: str, condition: str) -> np.ndarray:
        """States ``(n, d)`` of the cells of one condition of ``"train"`` or ``"test"``."""
        adata = getattr(self, part)
        mask = (adata.obs["condition"] == condition).to_numpy()
        return np.asarray(adata.obsm["X_pca"], dtype=np.float64)[mask]


class Prediction(NamedTuple):
    """States of the untreated test cells after treatment, their survival, and the cost."""

    states: np.ndarray
    survival: np.ndarray | None
    cost: dict[str, Any]


def predict(method: str, cells: Cells, seed: int, settings: Settings, **options: Any) -> Prediction:
    """Train on the training cells and predict for the untreated test cells.

    Parameters
    ----------
    method
        One of `FITS` or `WITHOUT_MODEL`.
    cells
        Training and test cells.
    seed
        Seed of the fit.
    settings
        Options of the run.
    options
        Further options of `tl.fit_response`.
    """
    start = time.process_time()
    if method in FITS:
        return _fitted(cells, seed, start, settings, FITS[method] | options)
    x, y = (cells.states("train", name) for name in (cells.control, cells.target))
    query = cells.states("test", cells.control)
    if method == "identity":
        states = query
    elif method == "mean shift":
        states = query + y.mean(axis=0) - x.mean(axis=0)
    elif method == "Gaussian OT":
        states = GaussianMap.fit(x, y).push(query)
    else:
        states = entropic_map(x, y, query)
    return Prediction(states, None, {"cpu_s": time.process_time() - start})


def _fitted(
    cells: Cells, seed: int, start: float, settings: Settings, options: dict[str, Any]
) -> Prediction:
    if settings.fit:
        options = {"config": {"train": settings.fit["config"]["train"]}} | options
    train, test = cells.train, cells.test
    sdo.tl.fit_response(
        train,
        "condition",
        cells.control,
        cells.target,
        context=cells.context,
        rng=seed,
        device="cpu",
        show_progress=False,
        **options,
    )
    sdo.tl.predict_response(test, reference=train)
    untreated = (test.obs["condition"] == cells.control).to_numpy()
    survival = (
        test.obs["scdiffot_survival"].to_numpy()[untreated]
        if "scdiffot_survival" in test.obs
        else None
    )
    cost = {
        "cpu_s": time.process_time() - start,
        "metric": str(train.uns["scdiffot_response"]["history"]["metric"]),
    }
    return Prediction(np.asarray(test.obsm["scdiffot_predicted"])[untreated], survival, cost)


def entropic_map(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Barycentric map ``(q, d)`` of states ``(q, d)``, by entropic optimal transport of x to y.

    `x` ``(n, d)`` and `y` ``(m, d)`` are the training cells; `query` may contain other cells.
    """
    import ot
    from scipy.special import softmax

    cost = ot.dist(x, y)
    scale = EPSILON * cost.mean()
    weights = (np.full(len(z), 1 / len(z)) for z in (x, y))
    _, log = ot.sinkhorn(*weights, cost, scale, method="sinkhorn_log", log=True, stopThr=1e-4)
    return softmax(log["log_v"] - ot.dist(query, y) / scale, axis=1) @ y
