"""All scores of a predicted population, with bootstrap intervals."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.clouds import check_cloud, thin

from .cloud_scores import areas, correlation_of_correlations, most_variable, sort_features
from .enrichment import neighbour_order, smaller_effective_number, treated_share
from .kernels import check_pairs, discrepancy, median_bandwidth
from .mean_scores import correlation_rows, determination_rows
from .resampling import basic_interval, draw_counts, normalise_rows, weighted_means

# Neighbours in the enrichment.
N_NEIGHBOURS = 50
# Features in marginal distances and correlations; thousands of genes would take gigabytes and
# minutes.
N_FEATURES = 200
# Lower and upper bound of each score.
RANGES = {
    "l2_of_means": (0.0, np.inf),
    "pearson_of_means": (-1.0, 1.0),
    "r2_of_means": (-np.inf, 1.0),
    "energy_distance": (-np.inf, np.inf),
    "mmd": (-np.inf, np.inf),
    "enrichment": (0.0, 1.0),
    "marginal_distance": (0.0, np.inf),
    "feature_correlation_r": (-1.0, 1.0),
}


def score_response(
    predicted: np.ndarray,
    weights: np.ndarray | None,
    treated: np.ndarray,
    *,
    genes_predicted: np.ndarray | None = None,
    genes_treated: np.ndarray | None = None,
    n_max: int = 1000,
    rng: int | np.random.Generator = 0,
) -> dict[str, float]:
    """Score a predicted population against the treated one, without a pairing of cells.

    ``l2_of_means``, ``energy_distance``, ``mmd`` (maximum mean discrepancy) and ``enrichment``
    compare the states. ``pearson_of_means``, ``r2_of_means``, ``marginal_distance`` and
    ``feature_correlation_r`` compare genes, or states if no genes are given; the last two use the
    200 features of largest variance among treated cells. Scores of means use all cells, the others
    at most `n_max` of each population. ``enrichment`` uses 50 neighbours, or half of the smaller
    population if that is less.

    Parameters
    ----------
    predicted
        Predicted states, shape ``(n, d)``.
    weights
        Weights of the predicted states, for instance the predicted survival, shape ``(n,)``; None
        for equal ones.
    treated
        States of treated cells, shape ``(m, d)``.
    genes_predicted
        Predicted expression of the same cells, shape ``(n, G)``.
    genes_treated
        Expression of the treated cells, shape ``(m, G)``, with the same genes.
    n_max
        Cells of either population in the scores that compare cells with each other.
    rng
        Seed or generator of the selection of these cells.

    Returns
    -------
    The scores by the names of the functions; NaN if a score is not defined.

    Raises
    ------
    ValueError
        If shapes disagree, values are not finite, weights are negative, a population has fewer than
        two cells of positive weight, or genes are given for one population only.

    See Also
    --------
    bootstrap : The same scores with intervals.
    scdiffot.metrics.response_r2 : Score of the responses of single cells, if the truth is known.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.scores.response_scores import score_response
    >>> control, treated = np.random.default_rng(0).normal(size=(2, 100, 3)) + [[[0]], [[2]]]
    >>> untreated, shifted = (
    ...     score_response(cells, None, treated) for cells in (control, control + 2)
    ... )
    >>> shifted["energy_distance"] < 0.1 < untreated["energy_distance"]
    True
    """
    scores = _Scores(
        predicted, weights, treated, genes_predicted, genes_treated, n_max, as_generator(rng)
    )
    return {name: float(value[0]) for name, value in scores.of_samples().items()}


def bootstrap(
    predicted: np.ndarray,
    weights: np.ndarray | None,
    treated: np.ndarray,
    *,
    genes_predicted: np.ndarray | None = None,
    genes_treated: np.ndarray | None = None,
    n_boot: int = 200,
    level: float = 0.95,
    n_max: int = 1000,
    rng: int | np.random.Generator = 0,
) -> dict[str, tuple[float, float, float]]:
    """Scores of :func:`score_response` with intervals from resampled predicted and treated cells.

    Cells of both populations are drawn with replacement. A cell that is drawn twice has double
    weight and is never compared with itself. Resampling doubles the sampling noise, which biases
    scores that depend on noise, such as the distance of means. The quantiles are therefore taken
    relative to the median of the resampled scores and added to the score of the sample. Intervals
    describe the variation between cells of the same experiment, not between donors.

    Parameters
    ----------
    predicted, weights, treated, genes_predicted, genes_treated, n_max
        As in :func:`score_response`.
    n_boot
        Number of resampled pairs of populations.
    level
        Coverage of the intervals.
    rng
        Seed or generator; with the same one, the scores equal those of :func:`score_response`.

    Returns
    -------
    Score and lower and upper end of its interval, by the names of the functions.

    Raises
    ------
    ValueError
        As :func:`score_response`, or if `n_boot` is below two, or `level` not between 0 and 1.

    See Also
    --------
    score_response : The scores without intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core.scores.response_scores import bootstrap
    >>> control, treated = np.random.default_rng(0).normal(size=(2, 100, 3)) + [[[0]], [[2]]]
    >>> value, low, high = bootstrap(control, None, treated, n_boot=50)["l2_of_means"]
    >>> low < value < high
    True
    """
    if n_boot < 2:
        raise ValueError(f"`n_boot` is {n_boot}: resample at least twice, better 200 times.")
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level}: pass a coverage between 0 and 1.")
    generator = as_generator(rng)
    scores = _Scores(predicted, weights, treated, genes_predicted, genes_treated, n_max, generator)
    values = scores.of_samples()
    draws = scores.of_samples(*(draw_counts(n, n_boot, generator) for n in scores.numbers))
    return {
        name: (float(value[0]), *basic_interval(float(value[0]), draws[name], level, RANGES[name]))
        for name, value in values.items()
    }


class _Scores:
    """Quantities that are common to all resampled populations."""

    def __init__(
        self,
        predicted: np.ndarray,
        weights: np.ndarray | None,
        treated: np.ndarray,
        genes_predicted: np.ndarray | None,
        genes_treated: np.ndarray | None,
        n_max: int,
        rng: np.random.Generator,
    ) -> None:
        from scipy.spatial.distance import cdist

        x, wx = check_cloud(predicted, weights, "predicted", "weights")
        y, wy = check_cloud(treated, None, "treated", "weights")
        if x.shape[1] != y.shape[1]:
            raise ValueError(
                f"`predicted` has {x.shape[1]} dimensions and `treated` has {y.shape[1]}: "
                "pass states of the same space."
            )
        check_pairs("predicted", wx)
        check_pairs("treated", wy)
        self.numbers = len(x), len(y)
        self.states, self.weights = (x, y), (wx, wy)
        self.features = _genes(genes_predicted, genes_treated, self.numbers) or self.states

        self.subsets, self.subset_weights = zip(
            *(_thin_rows(w, n_max, rng) for w in self.weights), strict=True
        )
        (x, y), (wx, wy) = (
            (s[k] for s, k in zip(self.states, self.subsets, strict=True)),
            self.subset_weights,
        )
        self.distances = xx, xy, yy = cdist(x, x), cdist(x, y), cdist(y, y)
        bandwidth = median_bandwidth(x, wx, y, wy, rng)
        # If most cells coincide there is no bandwidth, and any is equivalent.
        scale = -2 * bandwidth**2 if bandwidth > 0 else -1.0
        self.kernels = np.exp(xx**2 / scale), np.exp(xy**2 / scale), np.exp(yy**2 / scale)
        number = smaller_effective_number(wx, wy)
        self.mass = max(min(N_NEIGHBOURS, number // 2), 1) / number
        self.order = _nearest_neighbours(neighbour_order(x, y), wx, wy, 2 * self.mass)
        p, t = (f[k] for f, k in zip(self.features, self.subsets, strict=True))
        t = np.asarray(t, dtype=np.float64)
        variable = most_variable(t, wy, N_FEATURES)
        self.variable_features = np.asarray(p[:, variable], dtype=np.float64), t[:, variable]
        self.sorted_features = sort_features(*self.variable_features)

    def of_samples(self, *counts: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of resampled populations, given the counts ``(B, n)`` and ``(B, m)`` of cells."""
        counts = counts or tuple(np.ones((1, n)) for n in self.numbers)
        full = tuple(normalise_rows(c * w) for c, w in zip(counts, self.weights, strict=True))
        a, b = (
            normalise_rows(c[:, subset] * w)
            for c, subset, w in zip(counts, self.subsets, self.subset_weights, strict=True)
        )
        states, features = (
            tuple(weighted_means(w, f) for w, f in zip(full, clouds, strict=True))
            for clouds in (self.states, self.features)
        )
        pairs = list(zip(a, b, strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):  # a single cell has no pairs
            energy = -discrepancy(self.distances, a, b, diagonal=0.0)
            mmd = discrepancy(self.kernels, a, b, diagonal=1.0)
        return {
            "l2_of_means": np.linalg.norm(states[0] - states[1], axis=1),
            "pearson_of_means": correlation_rows(*features),
            "r2_of_means": determination_rows(*features),
            "energy_distance": energy,
            "mmd": mmd,
            "enrichment": np.array(
                [treated_share(self.order, p, q, mass=self.mass) for p, q in pairs]
            ),
            "marginal_distance": np.array(
                [areas(*self.sorted_features, p, q).mean() for p, q in pairs]
            ),
            "feature_correlation_r": np.array(
                [correlation_of_correlations(*self.variable_features, p, q) for p, q in pairs]
            ),
        }


def _genes(
    predicted: np.ndarray | None, treated: np.ndarray | None, numbers: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    if predicted is None and treated is None:
        return None
    if predicted is None or treated is None:
        missing = "genes_predicted" if predicted is None else "genes_treated"
        raise ValueError(f"`{missing}` is missing: pass the genes of both populations, or of none.")
    # Checked without a copy in double precision, because expression matrices are large.
    pair = np.asarray(predicted), np.asarray(treated)
    for name, genes, n in zip(("genes_predicted", "genes_treated"), pair, numbers, strict=True):
        if genes.ndim != 2 or len(genes) != n or genes.shape[1] != pair[0].shape[-1]:
            raise ValueError(
                f"`{name}` has shape {genes.shape}: "
                f"pass a dense row for each of the {n} cells, with the same genes."
            )
        if not np.isfinite(genes).all():
            raise ValueError(f"`{name}` has values that are NaN or infinite: remove those genes.")
    return pair


def _thin_rows(
    w: np.ndarray, n_max: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of at most `n_max` cells, and their weights."""
    rows, w = thin(np.arange(len(w))[:, None], w, n_max, rng)
    return rows[:, 0], w


def _nearest_neighbours(order: np.ndarray, a: np.ndarray, b: np.ndarray, mass: float) -> np.ndarray:
    """Nearest neighbours that sum to a `mass`, twice that needed in a resampled population."""
    reaches = np.cumsum(np.concatenate([a, b])[order], axis=1) >= mass
    return order[
        :, : int(np.max(np.where(reaches.any(axis=1), reaches.argmax(axis=1) + 1, order.shape[1])))
    ]
