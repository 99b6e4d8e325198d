"""Groups of cells by their response: how strongly they respond, who survives, and which features differ."""

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
        Share that is left of every cell, shape ``(n,)``; None where none die.
    codes
        Group of every cell, shape ``(n,)``, from 0 on, none of them empty.
    n_boot
        Samples of cells behind the interval of the mean effect.
    level
        Coverage of that interval.
    rng
        Generator of these samples.

    Returns
    -------
    Arrays of one value per group. ``n_cells``; ``effect_size`` with ``effect_low`` and ``effect_high``;
    ``response_length``, that of the mean response; ``coherence``, this over the mean length; ``rank``, 1 where the effect
    is largest. With `survival`: ``survival`` and ``survival_sd``, mean and standard deviation over cells. NaN where a value
    is not defined.
    """
    groups = [np.flatnonzero(codes == k) for k in range(int(codes.max()) + 1)]
    mean = np.array([effect[cells].mean() for cells in groups])
    ends = np.array([_interval(effect[cells], n_boot, level, rng) for cells in groups])
    length = np.array([np.linalg.norm(responses[cells].mean(axis=0)) for cells in groups])
    lengths = np.linalg.norm(responses, axis=1)
    # cells that do not respond have no direction to agree on
    usual = np.array([lengths[cells].mean() or np.nan for cells in groups])
    rank = np.empty(len(groups), dtype=np.int64)
    rank[np.argsort(-mean, kind="stable")] = np.arange(1, len(groups) + 1)
    found = {
        "n_cells": np.array([len(cells) for cells in groups]),
        "rank": rank,
        "effect_size": mean,
        "effect_low": ends[:, 0],
        "effect_high": ends[:, 1],
        "response_length": length,
        "coherence": length / usual,
    }
    if survival is None:
        return found
    # no standard error and no test: predictions of one fit for many cells are no replicates
    spread = [survival[cells].std(ddof=1) if len(cells) > 1 else np.nan for cells in groups]
    return found | {
        "survival": np.array([survival[cells].mean() for cells in groups]),
        "survival_sd": np.array(spread),
    }


def _interval(
    values: np.ndarray, n_boot: int, level: float, rng: np.random.Generator
) -> np.ndarray:
    means = [rng.choice(values, len(values)).mean() for _ in range(n_boot)]
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


def summarise_features(
    portions: Iterable[tuple[np.ndarray, np.ndarray]], n_groups: int
) -> dict[str, np.ndarray]:
    r"""Summarise the responses of single features, over all cells and in every group.

    Parameters
    ----------
    portions
        Responses of some cells, shape ``(m, G)``, and their groups, shape ``(m,)``, from 0 on.
    n_groups
        Number K of groups, none of them empty.

    Returns
    -------
    ``mean`` and ``sd``, shape ``(K + 1, G)``, of all cells in the last row; and ``heterogeneity``, shape ``(G,)``, the share
    :math:`\eta^2` of the variance over cells that lies between the groups. It is zero for a feature that responds the same in
    all cells.
    """
    count = np.zeros(n_groups)
    total: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0
    for values, codes in portions:
        member = np.zeros((n_groups, len(codes)))
        member[codes, np.arange(len(codes))] = 1
        count += member.sum(axis=1)
        total = total + member @ values
        squares = squares + member @ np.square(values, dtype=np.float64)
    n = np.append(count, count.sum())[:, None]
    sums = np.vstack([total, np.sum(total, axis=0)])
    mean = sums / n
    second = np.vstack([squares, np.sum(squares, axis=0)]) / n
    variance = np.maximum(second - mean**2, 0)
    # what is left of a constant after rounding
    variance[variance <= 1e-10 * second] = 0
    between = (count[:, None] * (mean[:-1] - mean[-1]) ** 2).sum(axis=0) / count.sum()
    share = np.divide(between, variance[-1], out=np.zeros_like(between), where=variance[-1] > 0)
    return {"mean": mean, "sd": np.sqrt(variance), "heterogeneity": np.minimum(share, 1)}
