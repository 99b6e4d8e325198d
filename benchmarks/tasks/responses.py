"""Part J: what treatments do to cells, against simulated responses and for a donor that was not seen."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import scdiffot as sdo
from benchmarks.peers._job import ResponseJob
from benchmarks.peers.environments import run_script
from benchmarks.tasks.response_methods import FITS, WITHOUT_MODEL, Cells, Predicted, predict
from scdiffot.core.scores.response_scores import score_response
from scdiffot.metrics import unexplained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("simulation", "death", "kang", "scale")
# Run only when they are asked for: CellOT did about eight iterations a second.
PEERS = ("cellot",)
# A tenth or a fifth of the published iterations, for time: all of them take more than three hours a fit. Batches of 64, as a fifth of
# a donor's cells is set aside and the rest would not fill one of 256.
CELLOT_ITERATIONS = {"simulation": 10_000, "kang": 20_000}
CELLOT_BATCH = 64
TIMEOUT = 6 * 3600.0
N_OBS, N_OBS_DEATH, N_OBS_QUICK = 4000, 10_000, 1500
DEATH = 0.3
FLOOR = "treated cells, halves"
N_HALVES, N_NEIGHBOURS = 5, 15
N_FIT, N_PREDICT = 10_000, 100_000


def run(name: str, settings: Settings) -> Iterator[Row]:
    """For every seed, a row of every method."""
    if name == "scale":
        yield from _scale(settings)
        return
    task = {"simulation": _simulation, "death": _death, "kang": _kang}[name]
    for seed in range(settings.n_seeds):
        for row in task(seed, settings):
            yield {"seed": seed, **row}


def _simulation(seed: int, settings: Settings) -> Iterator[Row]:
    cells = simulated(N_OBS_QUICK if settings.quick else N_OBS, 0.0, seed)
    for method, found in _predictions("simulation", cells, seed, settings):
        if isinstance(found, str):
            yield {"method": method, "error": found}
            continue
        yield {"method": method, **_judged(found, cells, seed), **found.cost}
    yield {"method": FLOOR, **floor(cells.states("test", cells.target), seed)}


def _predictions(
    dataset: str, cells: Cells, seed: int, settings: Settings
) -> Iterator[tuple[str, Predicted | str]]:
    """What every method predicts, CellOT with the first seed if it is asked for; or why it cannot."""
    for method in _methods(settings):
        yield method, predict(method, cells, seed, settings)
    if "cellot" in settings.peers and seed == 0:
        yield from _cellot(CELLOT_ITERATIONS[dataset], cells, seed, settings)


def _methods(settings: Settings) -> list[str]:
    """All methods; a first look leaves out the one that takes a minute."""
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
        found = predict(method, cells, seed, settings, **options)
        yield {"method": name, **_judged(found, cells, seed), **found.cost}


def simulated(n_obs: int, death: float, seed: int) -> Cells:
    """One half of simulated cells to train on, and the other to test on."""
    adata = sdo.datasets.perturbation_response(n_obs, death=death, rng=seed)
    first = np.random.default_rng(seed).random(adata.n_obs) < 0.5
    return Cells(adata[first].copy(), adata[~first].copy(), "control", "drug", "donor")


def _judged(found: Predicted, cells: Cells, seed: int) -> Row:
    """Scores against the cells that were treated, and against the truth of every cell."""
    from sklearn.neighbors import KNeighborsClassifier

    row = distribution(found, cells, seed)
    test = cells.test[cells.test.obs["condition"] == cells.control]
    true = np.asarray(test.obsm["true_response"])
    response = found.states - np.asarray(test.obsm["X_pca"])
    types = test.obs["subpopulation"].astype(str).to_numpy()
    treated = cells.train[cells.train.obs["condition"] == cells.target]
    classifier = KNeighborsClassifier(N_NEIGHBOURS)
    classifier.fit(np.asarray(treated.obsm["X_pca"]), treated.obs["subpopulation"].astype(str))
    row["unexplained"] = unexplained(response, true)
    row["identity_kept"] = float(np.mean(classifier.predict(found.states) == types))
    row["mean_error"] = float(
        np.linalg.norm((response - true).mean(axis=0)) / np.linalg.norm(true.mean(axis=0))
    )
    if found.survival is not None:
        row |= survival_errors(found.survival, test.obs["true_survival"].to_numpy(), types)
    return row


def survival_errors(predicted: np.ndarray, true: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Largest error of the mean survival (n,) of a type, and the correlation of the survival of single cells."""
    errors = [
        abs(predicted[types == name].mean() - true[types == name].mean())
        for name in np.unique(types)
    ]
    return {
        "survival_error": float(max(errors)),
        "survival_r": float(np.corrcoef(predicted, true)[0, 1]),
    }


def distribution(found: Predicted, cells: Cells, seed: int, **genes: np.ndarray) -> Row:
    """Scores that need no pairs: of the predicted cells, by their survival, against the treated cells of the test."""
    treated = cells.states("test", cells.target)
    row: Row = score_response(found.states, found.survival, treated, rng=seed, **genes)
    row["spread"] = float(np.sqrt(found.states.var(axis=0).sum() / treated.var(axis=0).sum()))
    return row


def floor(treated: np.ndarray, seed: int, **genes: np.ndarray) -> Row:
    """Scores of one half of the treated cells against the other, mean over random halves."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_HALVES):
        a, b = np.array_split(rng.permutation(len(treated)), 2)
        pairs = {
            name: x[half]
            for name, x in genes.items()
            for half in [a if name == "genes_predicted" else b]
        }
        found.append(score_response(treated[a], None, treated[b], rng=seed, **pairs))
    return {name: float(np.mean([scores[name] for scores in found])) for name in found[0]}


def _kang(seed: int, settings: Settings) -> Iterator[Row]:
    """Train on one donor, and predict for the untreated cells of the other."""
    adata = sdo.datasets.kang(show_progress=False)
    donors = adata.obs["donor"].cat.categories
    for donor in donors[:1] if settings.quick else donors:
        cells, decode = unseen_donor(adata, donor)
        treated = cells.test[cells.test.obs["condition"] == cells.target]
        measured = treated.X.toarray()  # type: ignore[union-attr]
        before = decode(cells.states("test", cells.control)).mean(axis=0)
        for name, found in _kang_methods(cells, seed, settings):
            row = {"task": "unseen donor", "variant": donor, "method": name}
            if isinstance(found, str):
                yield row | {"error": found}
                continue
            genes = decode(found.states)
            scores = distribution(found, cells, seed, genes_predicted=genes, genes_treated=measured)
            change = genes.mean(axis=0) - before
            if name != "identity":
                scores["r_of_change"] = float(
                    np.corrcoef(change, measured.mean(axis=0) - before)[0, 1]
                )
            yield row | scores | found.cost
        scores = floor(
            cells.states("test", cells.target),
            seed,
            genes_predicted=measured,
            genes_treated=measured,
        )
        yield {"task": "unseen donor", "variant": donor, "method": FLOOR, **scores}


def unseen_donor(adata: AnnData, donor: str) -> tuple[Cells, Any]:
    """Cells of the other donor to train on and of this one to test on, in the components of the former, and their decoder."""
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
) -> Iterator[tuple[str, Predicted | str]]:
    yield from _predictions("kang", cells, seed, settings)
    treated = cells.states("train", cells.target)
    yield "treated cells of the training donor", Predicted(treated, None, {})


def _cellot(
    n_iters: int, cells: Cells, seed: int, settings: Settings
) -> Iterator[tuple[str, Predicted | str]]:
    """Its last state, and the one that its rule selects, here by training cells; or why there are none."""
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
        yield label, Predicted(states[name].astype(np.float64), None, facts)


def _scale(settings: Settings) -> Iterator[Row]:
    """CPU seconds of a fit to many cells, and of a prediction for many more."""
    import anndata as ad

    n_fit, n_predict = (N_OBS_QUICK, N_PREDICT // 10) if settings.quick else (N_FIT, N_PREDICT)
    adata = sdo.datasets.perturbation_response(n_fit)
    options = {"n_steps": settings.fit["n_steps"]} if "n_steps" in settings.fit else {}
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
    drawn = control[np.random.default_rng(0).integers(len(control), size=n_predict)]
    many = ad.AnnData(obsm={"X_pca": drawn})
    start = time.process_time()
    sdo.tl.predict_response(many, reference=adata)
    yield {
        "method": "scdiffot",
        "seed": 0,
        "n_cells": adata.n_obs,
        "n_predicted": n_predict,
        "n_dims": drawn.shape[1],
        "cpu_s": fit_s,
        "predict_cpu_s": time.process_time() - start,
    }
