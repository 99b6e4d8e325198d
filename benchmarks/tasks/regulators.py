"""Part I: are the drivers of fates found, and who regulates whom?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import scdiffot as sdo
from benchmarks.tasks import markers
from scdiffot.datasets._simulated.laws import evolve
from scdiffot.datasets._simulated.laws_network import draw_network, network_law
from scdiffot.datasets._simulated.regulatory_network import SIGMA, cell_types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

DATASETS = ("network", "emt")
N_TOP, N_TREES, N_TRUE_CELLS = 10, 100, 300
# Cells that a screen changes, and paths of each
N_SOURCE, N_PATHS = 150, 20


def run(name: str, settings: Settings) -> Iterator[Row]:
    """For every seed, a network of its own: rows of every method for the drivers, and for the edges. For EMT, those of the markers."""
    import scanpy as sc

    if name == "emt":
        yield from markers.run(settings)
        return
    n_obs = 60 if settings.quick else 300
    for seed in range(settings.n_seeds):
        adata = sdo.datasets.regulatory_network(n_obs, rng=seed)
        sc.pp.pca(adata, n_comps=10)
        # The law does not change with time; with this said, the drift need not have a potential, and regulation can have a direction.
        sdo.tl.fit(
            adata,
            "time",
            autonomous=True,
            rng=seed,
            device="cpu",
            show_progress=False,
            **settings.fit,
        )
        driver, truth = adata.var["driver"].to_numpy(), true_effects(seed)
        for method, score in driver_scores(adata, seed).items():
            yield {
                "task": "drivers",
                "method": method,
                "seed": seed,
                "n_drivers": int(driver.sum()),
                "n_genes": len(driver),
                **enrichment(driver, score),
                "effect_spearman": _spearman(score, truth),
            }
        edges = adata.uns["true"]["network"]
        for method, weights in edge_weights(adata, seed).items():
            yield {
                "task": "edges",
                "method": method,
                "seed": seed,
                "n_edges": int(np.abs(edges[~np.eye(len(edges), dtype=bool)]).sum()),
                **edge_precision(edges, weights),
            }


def driver_scores(adata: AnnData, seed: int) -> dict[str, np.ndarray]:
    """How much every gene (G,) has to do with fates, by the screens, by trends and by correlation at the end."""
    scores = {}
    source = adata.obs_names[adata.obs["time"] == 0][:N_SOURCE].to_numpy()
    for method, sustained in (("scdiffot", False), ("scdiffot, sustained", True)):
        sdo.tl.perturb_screen(
            adata,
            "cell_type",
            sustained=sustained,
            source=source,
            n_trajectories=N_PATHS,
            rng=seed,
            show_progress=False,
        )
        found = adata.uns["scdiffot"]["perturb_screen"]
        at = adata.var_names.get_indexer(found["gene"])
        for name, effect in (
            (method, np.abs(found["effect"])),
            (f"{method}, by fate", _by_fate(found)),
        ):
            scores[name] = np.zeros(adata.n_vars)
            scores[name][at] = effect
    sdo.tl.trajectory_genes(adata, "cell_type", rng=seed, show_progress=False)
    ranking = adata.uns["scdiffot"]["trajectory_genes"]["ranking"]
    largest = ranking["effect"].abs().groupby(ranking["gene"]).max()
    scores["trajectory_genes"] = largest.reindex(adata.var_names).to_numpy()
    last = adata[adata.obs["time"] == adata.obs["time"].max()]
    types = last.obs["cell_type"].to_numpy()
    fates = np.array(
        [types == name for name in np.unique(types) if name != "progenitor"], dtype=float
    )
    scores["correlation with fate"] = np.abs(_correlation(np.asarray(last.X), fates.T)).max(axis=1)
    return scores


def _by_fate(found: Any) -> np.ndarray:
    """Largest change (G,) of the share of one fate in units of its standard deviation, so that rare fates count as much as frequent ones."""
    fates = np.char.startswith(np.asarray(found["fates"]).astype(str), "fate")
    share = np.asarray(found["control"])[fates]
    return (np.abs(found["shift"])[:, fates] / np.sqrt(share * (1 - share))).max(axis=1)


def enrichment(driver: np.ndarray, score: np.ndarray) -> dict[str, float | int]:
    """Area under the ROC curve of the score for the drivers, and how many are among the highest ten."""
    from sklearn.metrics import roc_auc_score

    top = np.argsort(-score, kind="stable")[:N_TOP]
    return {"auroc": float(roc_auc_score(driver, score)), "in_top": int(driver[top].sum())}


def true_effects(seed: int) -> np.ndarray:
    """Total variation (G,) between the fates with each gene set to zero at the start and without, in the network itself."""
    network = draw_network(50, 3, np.random.default_rng(seed))
    law = network_law(network, sigma=SIGMA)
    start = law.initial(N_TRUE_CELLS, np.random.default_rng(1000))
    names = np.array(["fate_1", "fate_2", "fate_3", "progenitor"])

    def fates(gene: int | None) -> np.ndarray:
        x = start.copy()
        if gene is not None:
            x[:, gene] = 0
        # common noise, so that a gene without an effect has none
        end, log_w = evolve(law, x, 0, 5, dt=0.05, rng=np.random.default_rng(2000), branch=False)
        w = np.exp(log_w)
        types = cell_types(end, network)
        return np.array([w[types == name].sum() for name in names]) / w.sum()

    control = fates(None)
    return np.array([np.abs(fates(gene) - control).sum() / 2 for gene in range(50)])


def edge_weights(adata: AnnData, seed: int) -> dict[str, np.ndarray]:
    """Signed weights (G, G), targets by regulators."""
    x = np.asarray(adata.X, dtype=np.float64)
    correlation = _correlation(x, x)
    return {
        "scdiffot": _jacobian(adata, seed, 0.0),
        "scdiffot, without decay": _jacobian(adata, seed, "auto"),
        "co-expression": correlation,
        "random forest": forest_importance(x, seed) * np.sign(correlation),
    }


def _jacobian(adata: AnnData, seed: int, decay: float | Literal["auto"]) -> np.ndarray:
    sdo.tl.regulation(adata, decay=decay, rng=seed, show_progress=False)
    found = adata.uns["scdiffot"]["regulation"]
    weights = np.zeros((adata.n_vars, adata.n_vars))
    at = adata.var_names.get_indexer(found["genes"])
    weights[np.ix_(at, at)] = found["mean"][0]
    return weights


def forest_importance(x: np.ndarray, seed: int) -> np.ndarray:
    """Importance of every other gene in a random forest that predicts a gene, as in GENIE3, shape (G, G)."""
    from sklearn.ensemble import RandomForestRegressor

    scaled = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    importance = np.zeros((x.shape[1], x.shape[1]))
    for target in range(x.shape[1]):
        others = np.delete(np.arange(x.shape[1]), target)
        forest = RandomForestRegressor(
            N_TREES, max_features="sqrt", min_samples_leaf=5, random_state=seed
        )
        importance[target, others] = forest.fit(
            scaled[:, others], scaled[:, target]
        ).feature_importances_
    return importance


def edge_precision(edges: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Average precision of signed edges, of those that activate and those that repress, and what chance would give.

    Every pair of different genes counts twice, once as activation with its weight and once as repression with minus its weight.
    """
    from sklearn.metrics import average_precision_score

    off = ~np.eye(len(edges), dtype=bool)
    truth, weight = edges[off], weights[off]
    both = np.concatenate([truth > 0, truth < 0])
    return {
        "auprc": float(average_precision_score(both, np.concatenate([weight, -weight]))),
        "auprc_activation": float(average_precision_score(truth > 0, weight)),
        "auprc_repression": float(average_precision_score(truth < 0, -weight)),
        "chance": float(both.mean()),
    }


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation of the columns of two arrays, zero for one that does not vary."""
    a, b = (
        v - v.mean(axis=0)
        for v in (np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    )
    norm = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    return np.divide(a.T @ b, norm, out=np.zeros(norm.shape), where=norm > 0)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)
