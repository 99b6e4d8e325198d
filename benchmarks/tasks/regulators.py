"""Part I: drivers of fates and signed edges of simulated networks."""

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
# Genes among which drivers are counted, trees of a random forest, cells of the true effects
N_TOP, N_TREES, N_TRUE_CELLS = 10, 100, 300
# Cells of a screen, and trajectories of each
N_SOURCE, N_PATHS = 150, 20


def run(name: str, settings: Settings) -> Iterator[Row]:
    """Rows of every method for drivers and edges, or the rows of the markers for EMT.

    Every seed draws another network. EMT is the epithelial-mesenchymal transition.
    """
    import scanpy as sc

    if name == "emt":
        yield from markers.run(settings)
        return
    n_obs = 60 if settings.quick else 300
    for seed in range(settings.n_seeds):
        adata = sdo.datasets.regulatory_network(n_obs, rng=seed)
        sc.pp.pca(adata, n_comps=10)
        # The simulated dynamics do not change with time. An autonomous drift has no potential, so
        # its Jacobian can be asymmetric.
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
    """Scores ``(G,)`` of the genes, by the screens, by trends and by correlation at the end."""
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
        screen = adata.uns["scdiffot"]["perturb_screen"]
        columns = adata.var_names.get_indexer(screen["gene"])
        for name, effect in (
            (method, np.abs(screen["effect"])),
            (f"{method}, by fate", _by_fate(screen)),
        ):
            scores[name] = np.zeros(adata.n_vars)
            scores[name][columns] = effect
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


def _by_fate(screen: Any) -> np.ndarray:
    """Largest change ``(G,)`` of the share of one fate, in units of its standard deviation.

    With this unit, rare fates have as much influence as frequent ones.
    """
    fates = np.char.startswith(np.asarray(screen["fates"]).astype(str), "fate")
    share = np.asarray(screen["control"])[fates]
    return (np.abs(screen["shift"])[:, fates] / np.sqrt(share * (1 - share))).max(axis=1)


def enrichment(driver: np.ndarray, score: np.ndarray) -> dict[str, float | int]:
    """Area under the receiver operating characteristic curve, and drivers among the top ten."""
    from sklearn.metrics import roc_auc_score

    top = np.argsort(-score, kind="stable")[:N_TOP]
    return {"auroc": float(roc_auc_score(driver, score)), "in_top": int(driver[top].sum())}


def true_effects(seed: int) -> np.ndarray:
    """Effects ``(G,)`` of the genes in the network itself.

    An effect is the total variation between the fates with the gene set to zero at the start and
    the fates without the change.
    """
    network = draw_network(50, 3, np.random.default_rng(seed))
    law = network_law(network, sigma=SIGMA)
    start = law.initial(N_TRUE_CELLS, np.random.default_rng(1000))
    names = np.array(["fate_1", "fate_2", "fate_3", "progenitor"])

    def fates(gene: int | None) -> np.ndarray:
        x = start.copy()
        if gene is not None:
            x[:, gene] = 0
        # Common noise makes the effect of an irrelevant gene exactly zero.
        end, log_w = evolve(law, x, 0, 5, dt=0.05, rng=np.random.default_rng(2000), branch=False)
        w = np.exp(log_w)
        types = cell_types(end, network)
        return np.array([w[types == name].sum() for name in names]) / w.sum()

    control = fates(None)
    return np.array([np.abs(fates(gene) - control).sum() / 2 for gene in range(50)])


def edge_weights(adata: AnnData, seed: int) -> dict[str, np.ndarray]:
    """Signed weights ``(G, G)``, targets by regulators."""
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
    regulation = adata.uns["scdiffot"]["regulation"]
    weights = np.zeros((adata.n_vars, adata.n_vars))
    columns = adata.var_names.get_indexer(regulation["genes"])
    weights[np.ix_(columns, columns)] = regulation["mean"][0]
    return weights


def forest_importance(x: np.ndarray, seed: int) -> np.ndarray:
    """Importances ``(G, G)`` of all other genes in random forests that predict a gene (GENIE3)."""
    from sklearn.ensemble import RandomForestRegressor

    scaled = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    importance = np.zeros((x.shape[1], x.shape[1]))
    for target in range(x.shape[1]):
        predictors = np.delete(np.arange(x.shape[1]), target)
        forest = RandomForestRegressor(
            N_TREES, max_features="sqrt", min_samples_leaf=5, random_state=seed
        )
        importance[target, predictors] = forest.fit(
            scaled[:, predictors], scaled[:, target]
        ).feature_importances_
    return importance


def edge_precision(edges: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Average precision of signed edges, of activations and of repressions, and the chance level.

    Every pair of different genes counts twice: as an activation with its weight, and as a
    repression with minus its weight.
    """
    from sklearn.metrics import average_precision_score

    off = ~np.eye(len(edges), dtype=bool)
    truth, weight = edges[off], weights[off]
    signed_truth = np.concatenate([truth > 0, truth < 0])
    return {
        "auprc": float(average_precision_score(signed_truth, np.concatenate([weight, -weight]))),
        "auprc_activation": float(average_precision_score(truth > 0, weight)),
        "auprc_repression": float(average_precision_score(truth < 0, -weight)),
        "chance": float(signed_truth.mean()),
    }


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation of the columns of two arrays; zero for constant columns."""
    a, b = (
        v - v.mean(axis=0)
        for v in (np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    )
    norm = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    return np.divide(a.T @ b, norm, out=np.zeros(norm.shape), where=norm > 0)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)
