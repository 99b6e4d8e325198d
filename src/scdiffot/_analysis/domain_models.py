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

# Number of spots to which the mixtures of all starts are fitted. More spots do not improve the best
# mixture, but slow down every start.
MAX_START = 5000
# Number of spots, and of starts, for the choice of the number of domains.
MAX_CHOICE, CHOICE_INIT = 2000, 5
# Numbers of domains without a lower BIC after which the search stops, and the largest number.
PATIENCE, MAX_ROUNDS = 2, 20
# Single spots of a domain are less dependent than means of m spots, but not independent: n spots
# are equivalent to n / m^(2/3) independent observations.
DEPENDENCE = 2 / 3
# Range of resolutions of leiden in which a number of domains is searched, and number of bisections.
RESOLUTIONS, N_BISECTIONS = (1e-3, 10.0), 14
# Number of neighbours in the representation, for leiden.
N_NEIGHBORS = 15


def mixture(
    features: np.ndarray,
    n_domains: int | None,
    *,
    n_init: int,
    n_averaged: float,
    states: np.ndarray | None,
    rng: np.random.Generator,
    max_spots: int = MAX_START,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a mixture of normal distributions with a common covariance.

    Parameters
    ----------
    features
        Shape ``(n, d)``.
    n_domains
        Number of domains; None for the least Bayesian information criterion (BIC).
    n_init
        Number of starts by k-means.
    n_averaged
        Number of spots that are equivalent to one independent observation, for the BIC.
    states
        States of single spots, shape ``(n, q)``, of which the features are means; for the choice of
        the number of domains.
    rng
        Generator of the starts.
    max_spots
        Number of spots to which the mixtures of all starts are fitted.

    Returns
    -------
    Probabilities, shape ``(n, k)``, and a dict: ``log_likelihood`` per spot, ``log_likelihoods`` of
    all starts, and ``bic`` of the numbers of domains compared, ``bic_spots`` with `states`.
    """
    scaled = features - features.mean(axis=0)
    scaled /= np.sqrt((scaled**2).mean()) or 1.0
    table: dict[str, Any] = {}
    if n_domains is None:
        rows = _sample(len(scaled), MAX_CHOICE, rng)
        n_domains, table = _least_bic(
            scaled[rows],
            None if states is None else states[rows],
            n_spots=len(scaled),
            n_averaged=n_averaged,
            n_init=min(n_init, CHOICE_INIT),
            rng=rng,
        )
    runs = _fit_starts(scaled[_sample(len(scaled), max_spots, rng)], n_domains, n_init, rng)
    likelihoods = np.array([run.lower_bound_ for run in runs])
    model = _fit_all_spots(runs[int(likelihoods.argmax())], scaled)
    info = {
        "log_likelihood": float(model.lower_bound_),
        "log_likelihoods": np.sort(likelihoods)[::-1],
        **table,
    }
    return model.predict_proba(scaled), info


def _sample(n: int, maximum: int, rng: np.random.Generator) -> np.ndarray:
    """At most `maximum` of `n` positions, at random and in their order."""
    return np.arange(n) if n <= maximum else np.sort(rng.choice(n, maximum, replace=False))


def _fit_starts(values: np.ndarray, k: int, n_init: int, rng: np.random.Generator) -> list[Any]:
    """Fit mixtures from several starts."""
    from sklearn.mixture import GaussianMixture

    seeds = rng.integers(2**31, size=n_init)
    return [
        _quiet_fit(GaussianMixture(k, covariance_type="tied", random_state=int(s)), values)
        for s in seeds
    ]


def _fit_all_spots(start: Any, values: np.ndarray) -> Any:
    """Fit a mixture to all spots, from the parameters of the best start."""
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
    """Fit a mixture without a warning if it has not converged: starts compete anyway."""
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

    Mean states of surroundings across a border lie between two domains, and a mixture assigns
    domains of their own to them. Single spots do not have this bias: given the domains, their BIC
    is computed too. The smaller number of the two is chosen.
    """
    d = values.shape[1]
    n_means, n_single = (max(n_spots / n_averaged**power, 2.0) for power in (1, DEPENDENCE))
    scores: list[float] = []
    spot_scores: list[float] = []
    for k in range(1, min(MAX_ROUNDS, len(values) // 2) + 1):
        best = max(
            _fit_starts(values, k, n_init if k > 1 else 1, rng), key=lambda run: run.lower_bound_
        )
        n_parameters = k - 1 + k * d + d * (d + 1) / 2
        scores.append(float(n_parameters * np.log(n_means) - 2 * n_means * best.lower_bound_))
        if states is not None:
            log_determinant = _log_determinant(states, best.predict(values))
            spot_scores.append(
                float(k * states.shape[1] * np.log(n_single) + n_single * log_determinant)
            )
        leaders = [int(np.argmin(s)) for s in (scores, spot_scores) if s]
        if k - 1 - min(leaders) >= PATIENCE:
            break
    n_domains = min(leaders) + 1
    logger.info("%d domains have the least BIC, of 1 to %d.", n_domains, len(scores))
    table = {"bic": np.array(scores)}
    return n_domains, table | ({"bic_spots": np.array(spot_scores)} if spot_scores else {})


def _log_determinant(states: np.ndarray, labels: np.ndarray) -> float:
    """Logarithm of the determinant of the covariance within domains."""
    members = np.eye(labels.max() + 1)[labels]
    means = (members.T @ states) / np.maximum(members.sum(axis=0), 1)[:, None]
    residuals = states - means[labels]
    floor = 1e-9 * max(float(states.var(axis=0).max()), np.finfo(np.float64).tiny)
    return float(
        np.linalg.slogdet(
            residuals.T @ residuals / len(residuals) + floor * np.eye(states.shape[1])
        )[1]
    )


def leiden(
    features: np.ndarray, n_domains: int | None, *, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, Any]]:
    """Find communities in the graph of neighbours in the representation.

    Parameters
    ----------
    features
        Shape ``(n, d)``.
    n_domains
        Number of communities, for which a resolution is searched; None for resolution 1.
    rng
        Generator.

    Returns
    -------
    Probabilities, shape ``(n, k)``: half for the community of the spot, half for those of its
    neighbours; and a dict with the ``resolution``.
    """
    import pandas as pd
    import scanpy

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
    members = np.eye(labels.max() + 1)[labels]
    neighbor_shares = graph.obsp["connectivities"] @ members
    neighbor_shares /= np.maximum(
        neighbor_shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny
    )
    # The share is slightly above one half, so that the community of the spot is the most probable.
    probabilities = 0.501 * members + 0.499 * neighbor_shares
    return probabilities / probabilities.sum(axis=1, keepdims=True), {"resolution": resolution}


def _bisect(communities: Callable[[float], np.ndarray], n_domains: int) -> tuple[float, np.ndarray]:
    """Resolution with a number of communities, or with the closest number that occurs."""
    low, high = np.log(RESOLUTIONS)
    results: list[tuple[int, float, np.ndarray]] = []
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        labels = communities(float(np.exp(middle)))
        n_communities = int(labels.max()) + 1
        results.append((abs(n_communities - n_domains), float(np.exp(middle)), labels))
        if n_communities == n_domains:
            break
        low, high = (middle, high) if n_communities < n_domains else (low, middle)
    error, resolution, labels = min(results, key=lambda entry: entry[0])
    if error:
        logger.warning(
            "No resolution gives %d domains: %d were found.", n_domains, labels.max() + 1
        )
    return resolution, labels
