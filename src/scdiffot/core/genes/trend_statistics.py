"""Weighted means over trajectories, and their standard errors over initial cells."""

from __future__ import annotations

import numpy as np


def contrast_fates(
    k: int,
    cell_weights: np.ndarray,
    time_sums: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    time_weights: np.ndarray,
    times: np.ndarray,
) -> dict[str, np.ndarray]:
    """Compare fate k with all other fates.

    Parameters
    ----------
    k
        Position of the fate.
    cell_weights
        Weights of the trajectories of every cell for every fate, shape ``(n, F)``.
    time_sums
        Weighted sums of the expression of these trajectories, averaged over time, shape
        ``(n, F, G)``.
    sums, squares
        Weighted sums of expression and squared expression over all cells, shape ``(F, S, G)``.
    time_weights
        Weights of the times in a mean over time, shape ``(S,)``.
    times
        The times, shape ``(S,)``.

    Returns
    -------
    ``difference``, ``se``, ``effect``, ``p`` and ``time``, each of shape ``(G,)``.

    See Also
    --------
    scdiffot.core.genes.trends.trends : Trends of all fates.
    mean_and_influence : Weighted means.
    """
    from scipy import stats

    complement = np.arange(cell_weights.shape[1]) != k
    w = np.stack([cell_weights[:, k], cell_weights[:, complement].sum(axis=1)], axis=1)
    n_genes = sums.shape[2]
    if not w[:, 1].any():
        return {
            name: np.full(n_genes, np.nan) for name in ("difference", "se", "effect", "p", "time")
        }
    value, influence = mean_and_influence(w[:, 0], time_sums[:, k])
    baseline, baseline_influence = mean_and_influence(w[:, 1], time_sums[:, complement].sum(axis=1))
    difference, se = value - baseline, standard_error(influence - baseline_influence)
    total = w.sum(axis=0)
    means = np.stack([sums[k] / total[0], sums[complement].sum(axis=0) / total[1]])
    second = np.stack([squares[k] / total[0], squares[complement].sum(axis=0) / total[1]])
    sd = np.sqrt(time_weights @ np.maximum(second - np.square(means), 0).mean(axis=0))
    # standard errors at the rounding error of float32 are zero: such a gene does not vary
    varies = se > 1e-6 * (np.abs(value) + np.abs(baseline))
    t = np.divide(difference, se, out=np.zeros(n_genes), where=varies)
    degrees = max(float(effective_numbers(w).min()) - 1, 1.0)
    return {
        "difference": difference,
        "se": se,
        "effect": np.divide(difference, sd, out=np.zeros(n_genes), where=varies & (sd > 0)),
        "p": 2 * stats.t.sf(np.abs(t), degrees),
        "time": times[_half_maximum(np.abs(means[0] - means[1]))],
    }


def _half_maximum(values: np.ndarray) -> np.ndarray:
    """Index of the earliest time, before the maximum, after which values stay above half of it.

    Values have shape ``(S, G)``. They may fall below half of the maximum after it.
    """
    above = values >= values.max(axis=0) / 2
    peak = values.argmax(axis=0)
    indices = np.arange(len(values))[:, None]
    below = np.where((indices < peak) & ~above, indices, -1)
    return np.minimum(below.max(axis=0) + 1, peak)


def mean_and_influence(w: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean, shape ``(G,)``, of sums of cells, and the influence of every cell on it.

    See Also
    --------
    standard_error : Standard error from influences.
    effective_numbers : Effective number of cells.
    """
    total = w.sum()
    value = sums.sum(axis=0, dtype=np.float64) / total
    return value, (sums - w[:, None] * value) / total


def standard_error(influence: np.ndarray) -> np.ndarray:
    """Standard error, shape ``(G,)``, from the influences of cells, shape ``(n, G)``.

    See Also
    --------
    mean_and_influence : Influences of cells.
    """
    n = len(influence)
    return np.sqrt(np.square(influence).sum(axis=0) * n / max(n - 1, 1))


def effective_numbers(w: np.ndarray) -> np.ndarray:
    """Effective number of cells with weights of shape ``(n, F)``, shape ``(F,)``.

    See Also
    --------
    mean_and_influence : Weighted means.
    """
    return np.square(w.sum(axis=0)) / np.maximum(np.square(w).sum(axis=0), 1e-300)


def trapezoid_weights(times: np.ndarray) -> np.ndarray:
    """Weights of times, shape ``(S,)``, in a mean over time.

    See Also
    --------
    contrast_fates : Differences of means over time.
    """
    steps = np.diff(times)
    weights = np.zeros(len(times))
    weights[1:] += steps / 2
    weights[:-1] += steps / 2
    return weights / weights.sum()
