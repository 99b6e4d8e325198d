"""Part J: responses to treatments, simulated and of an unseen donor."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import scdiffot as sdo
from benchmarks.peers._job import ResponseJob
from benchmarks.peers.environments import run_script
from benchmarks.tasks.response_methods import FITS, WITHOUT_MODEL, Cells, Prediction, predict
from scdiffot.core.scores.response_scores import score_response
from scdiffot.metrics import unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("simulation", "death", "kang", "scale")
# These run only when named on the command line: CellOT runs about eight iterations a second.
PEERS = ("cellot",)
# A tenth or a fifth of the published iterations, because all of them take more than three hours a
# fit. Batches of 64, because CellOT sets a fifth of a donor's cells aside, and the others are fewer
# than the published batch of 256.
CELLOT_ITERATIONS = {"simulation": 10_000, "kang": 20_000}
CELLOT_BATCH = 64
TIMEOUT = 6 * 3600.0
N_OBS, N_OBS_DEATH, N_OBS_QUICK = 4000, 10_000, 1500
# Share of the cells that the treatment kills
DEATH = 0.3
FLOOR = "treated cells, halves"
# Random halves of the floor; neighbours of the classifier of subpopulations
N_HALVES, N_NEIGHBOURS = 5, 15
# Cells of the fit and of the prediction whose cost is measured
N_FIT, N_PREDICT = 10_000, 100_000


def run(name: str, settings: Settings) -> Iterator[Row]:
    """One row for every seed and method."""
    if name == "scale":
        yield from _scale(settings)
        return
    task = {"simulation": _simulation, "death": _death, "kang": _kang}[name]
    for seed in range(settings.n_seeds):
        for row in task(seed, settings):
            yield {"seed": seed, **row}


def _simulation(seed: int, settings: Settings) -> Iterator[Row]:
    cells = simulated(N_OBS_QUICK if settings.quick else N_OBS, 0.0, seed)
    for method, result in _predictions("simulation", cells, seed, settings):
        if isinstance(result, str):
            yield {"method": method, "error": result}
            continue
        yield {"method": method, **_scores(result, cells, seed), **result.cost}
    yield {"method": FLOOR, **floor(cells.states("test", cells.target), seed)}


def _predictions(
    dataset: str, cells: Cells, seed: int, settings: Settings
) -> Iterator[tuple[str, Prediction | str]]:
    """The prediction of every method, or its error message; CellOT with the first seed only."""
    for method in _methods(settings):
        yield method, predict(method, cells, seed, settings)
    if "cellot" in settings.peers and seed == 0:
        yield from _cellot(CELLOT_ITERATIONS[dataset], cells, seed, settings)


def _methods(settings: Settings) -> list[str]:
    """All methods; a quick run leaves out the convex network, which takes a minute."""
    return [
        name
        for name in (*FITS, *WITHOUT_MODEL)
        if not (settings.quick and name == "convex network")
    ]


def _death(seed: int, settings: Settings) -> Iterator[Row]:
    cells = simulated(N_OBS_QUICK if settings.quick else N_OBS_DEATH, DEATH, seed)
    entries = {
        "scdiffot": ("scdiffot", {"unbalanced": True}),
        "plan + flow, Euclidean": ("plan + flow, Euclidean", {"unbalanced": True}),
        "scdiffot, taken as balanced": ("scdiffot", {}),
        "Gaussian OT": ("Gaussian OT", {}),
        "mean shift": ("mean shift", {}),
    }
    for name, (method, options) in entries.items():
        prediction = predict(method, cells, seed, settings, **options)
        yield {"method": name, **_scores(prediction, cells, seed), **prediction.cost}


def simulated(n_obs: int, death: float, seed: int) -> Cells:
    """Simulated cells, half of them for training and half for testing."""
    adata = sdo.datasets.perturbation_response(n_obs, death=death, rng=seed)
    train = np.random.default_rng(seed).random(adata.n_obs) < 0.5
    return Cells(adata[train].copy(), adata[~train].copy(), "control", "drug", "donor")


def _scores(prediction: Prediction, cells: Cells, seed: int) -> Row:
    """Scores against the treated cells, and against the true response of every cell."""
    from sklearn.neighbors import KNeighborsClassifier

    row = distribution_scores(prediction, cells, seed)
    test = cells.test[cells.test.obs["condition"] == cells.control]
    true = np.asarray(test.obsm["true_response"])
    response = prediction.states - np.asarray(test.obsm["X_pca"])
    types = test.obs["subpopulation"].astype(str).to_numpy()
    treated = cells.train[cells.train.obs["condition"] == cells.target]
    classifier = KNeighborsClassifier(N_NEIGHBOURS)
    classifier.fit(np.asarray(treated.obsm["X_pca"]), treated.obs["subpopulation"].astype(str))
    row["unexplained"] = unexplained(response, true)
    row["identity_kept"] = float(np.mean(classifier.predict(prediction.states) == types))
    row["mean_error"] = float(
        np.linalg.norm((response - true).mean(axis=0)) / np.linalg.norm(true.mean(axis=0))
    )
    if prediction.survival is not None:
        row |= survival_errors(prediction.survival, test.obs["true_survival"].to_numpy(), types)
    return row


def survival_errors(predicted: np.ndarray, true: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Largest error of the mean survival of a type, and the correlation over cells.

    `predicted`, `true` and `types` have the shape ``(n,)``.
    """
    errors = [
        abs(predicted[types == name].mean() - true[types == name].mean())
        for name in np.unique(types)
    ]
    return {
        "survival_error": float(max(errors)),
        "survival_r": float(np.corrcoef(predicted, true)[0, 1]),
    }


def distribution_scores(
    prediction: Prediction, cells: Cells, seed: int, **genes: np.ndarray
) -> Row:
    """Scores of the predicted cells, weighted by survival, against the treated test cells."""
    treated = cells.states("test", cells.target)
    states = prediction.states
    row: Row = score_response(states, prediction.survival, treated, rng=seed, **genes)
    row["spread"] = float(np.sqrt(states.var(axis=0).sum() / treated.var(axis=0).sum()))
    return row


def floor(treated: np.ndarray, seed: int, **genes: np.ndarray) -> Row:
    """Scores of one half of the treated cells against the other, mean over random halves."""
    rng = np.random.default_rng(seed)
    repeats = []
    for _ in range(N_HALVES):
        a, b = np.array_split(rng.permutation(len(treated)), 2)
        pairs = {
            name: x[half]
            for name, x in genes.items()
            for half in [a if name == "genes_predicted" else b]
        }
        repeats.append(score_response(treated[a], None, treated[b], rng=seed, **pairs))
    return {name: float(np.mean([scores[name] for scores in repeats])) for name in repeats[0]}


def _kang(seed: int, settings: Settings) -> Iterator[Row]:
    """Train on one donor, and predict for the untreated cells of the other."""
    adata = sdo.datasets.kang(show_progress=False)
    donors = adata.obs["donor"].cat.categories
    for donor in donors[:1] if settings.quick else donors:
        cells, decode = unseen_donor(adata, donor)
        treated = cells.test[cells.test.obs["condition"] == cells.target]
        measured = treated.X.toarray()  # type: ignore[union-attr]
        control_mean = decode(cells.states("test", cells.control)).mean(axis=0)
        for name, result in _kang_methods(cells, seed, settings):
            row = {"task": "unseen donor", "variant": donor, "method": name}
            if isinstance(result, str):
                yield row | {"error": result}
                continue
            genes = decode(result.states)
            scores = distribution_scores(
                result, cells, seed, genes_predicted=genes, genes_treated=measured
            )
            change = genes.mean(axis=0) - control_mean
            if name != "identity":
                scores["r_of_change"] = float(
                    np.corrcoef(change, measured.mean(axis=0) - control_mean)[0, 1]
                )
            yield row | scores | result.cost
        scores = floor(
            cells.states("test", cells.target),
            seed,
            genes_predicted=measured,
            genes_treated=measured,
        )
        yield {"task": "unseen donor", "variant": donor, "method": FLOOR, **scores}


def unseen_donor(adata: AnnData, donor: str) -> tuple[Cells, Any]:
    """Training cells of the other donor and test cells of this one, and a decoder.

    The principal components are those of the training cells.
    """
    import scanpy as sc

    of_donor = (adata.obs["donor"] == donor).to_numpy()
    train, test = adata[~of_donor].copy(), adata[of_donor].copy()
    sc.pp.pca(train, n_comps=50)
    mean, axes = np.asarray(train.X.mean(axis=0)).ravel(), train.varm["PCs"]
    test.obsm["X_pca"] = np.asarray((test.X - mean) @ axes)

    def decode(states: np.ndarray) -> np.ndarray:
        return states @ axes.T + mean

    return Cells(train, test, "ctrl", "stim", None), decode


def _kang_methods(
    cells: Cells, seed: int, settings: Settings
) -> Iterator[tuple[str, Prediction | str]]:
    yield from _predictions("kang", cells, seed, settings)
    treated = cells.states("train", cells.target)
    yield "treated cells of the training donor", Prediction(treated, None, {})


def _cellot(
    n_iters: int, cells: Cells, seed: int, settings: Settings
) -> Iterator[tuple[str, Prediction | str]]:
    """Predictions of the last network and of the one that CellOT selects, or the error message.

    The selection uses training cells.
    """
    arrays = (cells.states("train", cells.control), cells.states("train", cells.target))
    options = {"n_iters": n_iters, "batch_size": CELLOT_BATCH}
    with tempfile.TemporaryDirectory() as folder:
        job = ResponseJob(Path(folder), *arrays, cells.states("test", cells.control), seed, options)
        job.write()
        try:
            run_script("cellot", job.folder, env_dir=settings.env_dir, timeout=TIMEOUT)
        except RuntimeError as error:
            yield "CellOT", str(error)
            return
        states, facts = job.read_answer()
    for name, label in (
        ("last", f"CellOT, {n_iters:,} iterations"),
        ("last_selected", "CellOT, state of least MMD"),
    ):
        yield label, Prediction(states[name].astype(np.float64), None, facts)


def _scale(settings: Settings) -> Iterator[Row]:
    """CPU seconds of a fit to many cells, and of a prediction for many more."""
    import anndata as ad

    n_fit, n_predict = (N_OBS_QUICK, N_PREDICT // 10) if settings.quick else (N_FIT, N_PREDICT)
    adata = sdo.datasets.perturbation_response(n_fit)
    options = {"config": {"train": settings.fit["config"]["train"]}} if settings.fit else {}
    start = time.process_time()
    sdo.tl.fit_response(
        adata,
        "condition",
        "control",
        "drug",
        context="donor",
        device="cpu",
        show_progress=False,
        **options,
    )
    fit_s = time.process_time() - start
    control = np.asarray(adata.obsm["X_pca"])[(adata.obs["condition"] == "control").to_numpy()]
    sample = control[np.random.default_rng(0).integers(len(control), size=n_predict)]
    query = ad.AnnData(obsm={"X_pca": sample})
    start = time.process_time()
    sdo.tl.predict_response(query, reference=adata)
    yield {
        "method": "scdiffot",
        "seed": 0,
        "n_cells": adata.n_obs,
        "n_predicted": n_predict,
        "n_dims": sample.shape[1],
        "cpu_s": fit_s,
        "predict_cpu_s": time.process_time() - start,
    }
