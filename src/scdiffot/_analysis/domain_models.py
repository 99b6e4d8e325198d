"""Models that divide the spots of a tissue into domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._utils.logging import logger
from scdiffot._utils.optional import require
from scdiffot._utils.rng import global_generators

if TYPE_CHECKING:
    from collections.abc import Callable

# Spots on which starts compete. More make the winner no better, but every start slower.
MAX_START = 5000
# To choose their number, fewer spots and starts will do.
MAX_CHOICE, CHOICE_INIT = 2000, 5
# Numbers of domains without a gain after which no more are tried, and the largest.
PATIENCE, MAX_ROUNDS = 2, 20
# Single spots of a domain are more independent than the means of m spots, but not quite: n of them count as n / m^(2/3).
DEPENDENCE = 2 / 3
# Resolutions of leiden between which a number of domains is looked for, and how often.
RESOLUTIONS, N_BISECTIONS = (1e-3, 10.0), 14
# Neighbours in the representation, for leiden.
N_NEIGHBORS = 15


def mixture(
    features: np.ndarray,
    n_domains: int | None,
    *,
    n_init: int,
    n_averaged: float,
    states: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a mixture of normal distributions of one covariance.

    Parameters
    ----------
    features
        Shape ``(n, d)``.
    n_domains
        Number of domains; None for the least BIC.
    n_init
        Starts by k-means.
    n_averaged
        Spots that one independent observation amounts to, for the BIC.
    states
        States of the spots themselves, shape ``(n, q)``, that the features are means of; for the choice.
    rng
        Generator of the starts.

    Returns
    -------
    Probabilities, shape ``(n, k)``, and what to say about the fit: ``log_likelihood`` per spot, that of all starts, and
    ``bic`` of the numbers that were tried, ``bic_spots`` with `states`.
    """
    scaled = features - features.mean(axis=0)
    scaled /= np.sqrt((scaled**2).mean()) or 1.0
    table: dict[str, Any] = {}
    if n_domains is None:
        rows = _some(len(scaled), MAX_CHOICE, rng)
        n_domains, table = _least_bic(
            scaled[rows],
            None if states is None else states[rows],
            n_spots=len(scaled),
            n_averaged=n_averaged,
            n_init=min(n_init, CHOICE_INIT),
            rng=rng,
        )
    runs = _starts(scaled[_some(len(scaled), MAX_START, rng)], n_domains, n_init, rng)
    likelihoods = np.array([run.lower_bound_ for run in runs])
    found = _all_spots(runs[int(likelihoods.argmax())], scaled)
    info = {
        "log_likelihood": float(found.lower_bound_),
        "log_likelihoods": np.sort(likelihoods)[::-1],
        **table,
    }
    return found.predict_proba(scaled), info


def _some(n: int, most: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def _starts(values: np.ndarray, k: int, n_init: int, rng: np.random.Generator) -> list[Any]:
    from sklearn.mixture import GaussianMixture

    seeds = rng.integers(2**31, size=n_init)
    return [
        _quiet_fit(GaussianMixture(k, covariance_type="tied", random_state=int(s)), values)
        for s in seeds
    ]


def _all_spots(start: Any, values: np.ndarray) -> Any:
    """Go on with all spots from where the start was."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        start.n_components,
        covariance_type="tied",
        weights_init=start.weights_ / start.weights_.sum(),
        means_init=start.means_,
        precisions_init=start.precisions_,
        tol=1e-4,
    )
    return _quiet_fit(model, values)


def _quiet_fit(model: Any, values: np.ndarray) -> Any:
    """A start that has not settled after 100 steps is one among many."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(values)


def _least_bic(
    values: np.ndarray,
    states: np.ndarray | None,
    *,
    n_spots: int,
    n_averaged: float,
    n_init: int,
    rng: np.random.Generator,
) -> tuple[int, dict[str, Any]]:
    """Choose the number of domains.

    Surroundings across a border lie between two domains, and a mixture spends domains of its own on them. Single spots do not:
    given the domains, they tell how many there are. The smaller number of the two is chosen.
    """
    d = values.shape[1]
    n_means, n_single = (max(n_spots / n_averaged**power, 2.0) for power in (1, DEPENDENCE))
    scores: list[float] = []
    spot_scores: list[float] = []
    for k in range(1, min(MAX_ROUNDS, len(values) // 2) + 1):
        best = max(
            _starts(values, k, n_init if k > 1 else 1, rng), key=lambda run: run.lower_bound_
        )
        n_parameters = k - 1 + k * d + d * (d + 1) / 2
        scores.append(float(n_parameters * np.log(n_means) - 2 * n_means * best.lower_bound_))
        if states is not None:
            rest = _log_spread(states, best.predict(values))
            spot_scores.append(float(k * states.shape[1] * np.log(n_single) + n_single * rest))
        leaders = [int(np.argmin(s)) for s in (scores, spot_scores) if s]
        if k - 1 - min(leaders) >= PATIENCE:
            break
    chosen = min(leaders) + 1
    logger.info("%d domains have the least BIC, of 1 to %d.", chosen, len(scores))
    table = {"bic": np.array(scores)}
    return chosen, table | ({"bic_spots": np.array(spot_scores)} if spot_scores else {})


def _log_spread(states: np.ndarray, labels: np.ndarray) -> float:
    """Logarithm of the determinant of the covariance within domains."""
    members = np.eye(labels.max() + 1)[labels]
    means = (members.T @ states) / np.maximum(members.sum(axis=0), 1)[:, None]
    rest = states - means[labels]
    floor = 1e-9 * max(float(states.var(axis=0).max()), np.finfo(np.float64).tiny)
    return float(np.linalg.slogdet(rest.T @ rest / len(rest) + floor * np.eye(states.shape[1]))[1])


def leiden(
    features: np.ndarray, n_domains: int | None, *, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, Any]]:
    """Find communities among the neighbours in the representation.

    Parameters
    ----------
    features
        Shape ``(n, d)``.
    n_domains
        Number of communities, for which a resolution is looked for; None for resolution 1.
    rng
        Generator.

    Returns
    -------
    Probabilities, shape ``(n, k)``: half a spot's own community, half those of its neighbours; and the ``resolution``.
    """
    import pandas as pd

    scanpy = require("scanpy", extra="scanpy")
    require("igraph", extra="spatial")
    seed = int(rng.integers(2**31))
    graph = AnnData(
        obs=pd.DataFrame(index=np.arange(len(features)).astype(str)), obsm={"features": features}
    )
    n_neighbors = min(N_NEIGHBORS, len(features) - 1)
    with global_generators():
        scanpy.pp.neighbors(graph, n_neighbors=n_neighbors, use_rep="features", random_state=seed)

    def communities(resolution: float) -> np.ndarray:
        with global_generators():
            scanpy.tl.leiden(
                graph,
                resolution=resolution,
                flavor="igraph",
                directed=False,
                n_iterations=-1,
                random_state=seed,
            )
        return graph.obs["leiden"].cat.codes.to_numpy(dtype=np.intp)

    resolution, labels = 1.0, communities(1.0)
    if n_domains is not None:
        resolution, labels = _bisect(communities, n_domains)
    own = np.eye(labels.max() + 1)[labels]
    around = graph.obsp["connectivities"] @ own
    around /= np.maximum(around.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    # a little more than half, so that a spot stays in its community
    probabilities = 0.501 * own + 0.499 * around
    return probabilities / probabilities.sum(axis=1, keepdims=True), {"resolution": resolution}


def _bisect(communities: Callable[[float], np.ndarray], n_domains: int) -> tuple[float, np.ndarray]:
    """Resolution with a number of communities, or the nearest number that comes up."""
    low, high = np.log(RESOLUTIONS)
    tried: list[tuple[int, float, np.ndarray]] = []
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        labels = communities(float(np.exp(middle)))
        found = int(labels.max()) + 1
        tried.append((abs(found - n_domains), float(np.exp(middle)), labels))
        if found == n_domains:
            break
        low, high = (middle, high) if found < n_domains else (low, middle)
    miss, resolution, labels = min(tried, key=lambda entry: entry[0])
    if miss:
        logger.warning(
            "No resolution gives %d domains: %d were found.", n_domains, labels.max() + 1
        )
    return resolution, labels
