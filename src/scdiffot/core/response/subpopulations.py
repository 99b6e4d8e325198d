"""Summaries of responses by group: effect sizes, survival, and heterogeneous features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


def summarise_groups(
    responses: np.ndarray,
    effect: np.ndarray,
    survival: np.ndarray | None,
    codes: np.ndarray,
    *,
    n_boot: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Summarise the responses of the cells of every group.

    Parameters
    ----------
    responses
        Displacement of every cell, shape ``(n, d)``.
    effect
        Effect size of every cell, shape ``(n,)``.
    survival
        Expected survival of every cell, shape ``(n,)``; None for balanced responses.
    codes
        Group of every cell, shape ``(n,)``, from 0; no group is empty.
    n_boot
        Number of bootstrap samples of cells for the interval of the mean effect.
    level
        Coverage of the interval.
    rng
        Generator of the bootstrap samples.

    Returns
    -------
    Arrays of one value per group: ``n_cells``; ``effect_size`` with ``effect_low``
    and ``effect_high``; ``response_length``, the length of the mean response; ``coherence``, this
    length over the mean length of responses; and ``rank``, 1 for the largest effect. With
    `survival`, also ``survival`` and ``survival_sd``, mean and standard deviation over cells.
    Undefined values are NaN.

    See Also
    --------
    summarise_features : Responses of single features.
    scdiffot.core.response.model.ResponseModel.predict : Predict responses.
    """
    groups = [np.flatnonzero(codes == k) for k in range(int(codes.max()) + 1)]
    mean = np.array([effect[cells].mean() for cells in groups])
    intervals = np.array(
        [_bootstrap_interval(effect[cells], n_boot, level, rng) for cells in groups]
    )
    length = np.array([np.linalg.norm(responses[cells].mean(axis=0)) for cells in groups])
    lengths = np.linalg.norm(responses, axis=1)
    # coherence is undefined without a response
    mean_length = np.array([lengths[cells].mean() or np.nan for cells in groups])
    rank = np.empty(len(groups), dtype=np.int64)
    rank[np.argsort(-mean, kind="stable")] = np.arange(1, len(groups) + 1)
    summary = {
        "n_cells": np.array([len(cells) for cells in groups]),
        "rank": rank,
        "effect_size": mean,
        "effect_low": intervals[:, 0],
        "effect_high": intervals[:, 1],
        "response_length": length,
        "coherence": length / mean_length,
    }
    if survival is None:
        return summary
    # no standard error and no test: predictions of one fit for many cells are pseudo-replicates
    survival_sd = [survival[cells].std(ddof=1) if len(cells) > 1 else np.nan for cells in groups]
    return summary | {
        "survival": np.array([survival[cells].mean() for cells in groups]),
        "survival_sd": np.array(survival_sd),
    }


def _bootstrap_interval(
    values: np.ndarray, n_boot: int, level: float, rng: np.random.Generator
) -> np.ndarray:
    means = [rng.choice(values, len(values)).mean() for _ in range(n_boot)]
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


def summarise_features(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], n_groups: int
) -> dict[str, np.ndarray]:
    r"""Summarise the responses of single features, over all cells and in every group.

    Parameters
    ----------
    chunks
        Responses of m cells, shape ``(m, G)``, and their groups, shape ``(m,)``, from 0.
    n_groups
        Number K of groups; no group is empty.

    Returns
    -------
    ``mean`` and ``sd``, shape ``(K + 1, G)``, with all cells in the last row; and
    ``heterogeneity``, shape ``(G,)``, the share :math:`\eta^2` of the variance over cells that lies
    between groups. It is zero for a feature with the same response in all cells.

    See Also
    --------
    summarise_groups : Effect sizes and survival of groups.
    """
    count = np.zeros(n_groups)
    total: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    for values, codes in chunks:
        indicators = np.zeros((n_groups, len(codes)))
        indicators[codes, np.arange(len(codes))] = 1
        count += indicators.sum(axis=1)
        total = total + indicators @ values
        squares = squares + indicators @ np.square(values, dtype=np.float64)
    n = np.append(count, count.sum())[:, None]
    sums = np.vstack([total, np.sum(total, axis=0)])
    mean = sums / n
    mean_square = np.vstack([squares, np.sum(squares, axis=0)]) / n
    variance = np.maximum(mean_square - mean**2, 0)
    # rounding errors of constant features
    variance[variance <= 1e-10 * mean_square] = 0
    between_variance = (count[:, None] * (mean[:-1] - mean[-1]) ** 2).sum(axis=0) / count.sum()
    share = np.divide(
        between_variance, variance[-1], out=np.zeros_like(between_variance), where=variance[-1] > 0
    )
    return {"mean": mean, "sd": np.sqrt(variance), "heterogeneity": np.minimum(share, 1)}
