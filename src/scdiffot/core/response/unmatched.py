"""Untreated cells without a treated counterpart, of a type that is extinct or not sampled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.logging import logger
from scdiffot.core.problem.scales import subsample_index

from .metric import MISMATCH_COSTS, couple, learn_metric
from .pairs import ConditionPairs, Moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import ContextPair

# A cell has no counterpart if less than this share of its mass survives at a low cost of death.
# Cells are separated if at least a share MIN_SHARE of them has no counterpart. Measured on five
# simulated populations and on blood cells of two donors: at most 0.2 % of the cells if all types
# are present under the treatment, 33 % if one of three types is extinct, and 13 % if one in 15 of
# its cells survives.
MIN_SURVIVAL, MIN_SHARE = 0.05, 0.02
# Maximum number of cells of a group in the coupling, and cells per chunk of nearest neighbours.
MAX_CELLS, CHUNK_SIZE = 1500, 10_000


def separate_unmatched(
    contexts: Sequence[ContextPair], root: Tensor | None
) -> tuple[list[ContextPair], np.ndarray]:
    """Separate untreated cells without a treated counterpart.

    A balanced coupling transports every cell. Cells of a type without treated cells would be
    coupled with another type, and the difference between types would be part of their response. In
    the Euclidean metric, a long response of all cells resembles missing counterparts, so the
    learned metric is used for this decision even if couplings are Euclidean.

    Parameters
    ----------
    contexts
        Cells before and after one treatment.
    root
        Root of the learned metric, shape ``(d, r)``; None for the Euclidean metric.

    Returns
    -------
    Contexts without the separated cells, and these cells, shape ``(n, d)``.

    See Also
    --------
    add_mean_response : Give separated cells the mean response.
    scdiffot.core.response.metric.couple : The coupling behind the decision.
    """
    masks = [_without_counterpart(context, root) for context in contexts]
    if root is None and any(mask.any() for mask in masks):
        root = learn_metric(contexts, unbalanced=False, rng=np.random.default_rng(0))
        masks = [_without_counterpart(context, root) for context in contexts]
    matched = [
        replace(s, control=s.control[~mask]) for s, mask in zip(contexts, masks, strict=True)
    ]
    cells = np.concatenate([s.control[mask] for s, mask in zip(contexts, masks, strict=True)])
    if len(cells):
        total = len(cells) + sum(len(s.control) for s in matched)
        logger.warning(
            "%.0f %% of the untreated cells have no treated counterpart: a balanced response "
            "cannot let them die, so they take the mean response of the others. If cells die under "
            "the treatment, pass `unbalanced=True`.",
            100 * len(cells) / total,
        )
    return matched, cells


def _without_counterpart(context: ContextPair, root: Tensor | None) -> np.ndarray:
    """Mask of untreated cells without a counterpart, shape ``(n,)``; all False if they are few."""
    rng = np.random.default_rng(0)
    control, treated = (torch.as_tensor(z) for z in (context.control, context.treated))
    landmarks = control[subsample_index(len(control), MAX_CELLS, rng)]
    targets = treated[subsample_index(len(treated), MAX_CELLS, rng)]
    is_unmatched = (
        couple(landmarks, targets, root, 1.0, MISMATCH_COSTS[True]).survival < MIN_SURVIVAL
    )
    if is_unmatched.double().mean() < MIN_SHARE:
        return np.zeros(len(control), dtype=bool)
    if len(landmarks) == len(control):
        return is_unmatched.numpy()
    control, landmarks = (z if root is None else z @ root for z in (control, landmarks))
    return np.concatenate(
        [
            is_unmatched[torch.cdist(part, landmarks).argmin(1)].numpy()
            for part in control.split(CHUNK_SIZE)
        ]
    )


def add_mean_response(pairs: ConditionPairs, cells: np.ndarray, n_coupled: int) -> ConditionPairs:
    """Add untreated cells that are paired with their states after the mean response.

    Parameters
    ----------
    pairs
        Pairs of the `n_coupled` coupled cells, which define the mean response.
    cells
        Cells to add, shape ``(n, d)``.
    n_coupled
        Number of coupled cells.

    Returns
    -------
    All pairs.

    See Also
    --------
    separate_unmatched : Separate cells without a counterpart.
    add_extinct : Add contexts without treated cells.
    """
    if len(cells) == 0:
        return pairs
    x = torch.as_tensor(cells)
    shift = pairs.moments.mean_y - pairs.moments.mean_x
    weight = len(cells) / n_coupled
    sample = x[torch.arange(max(round(weight * len(pairs.x)), 1)) % len(x)]
    mean = x.double().mean(0)
    covariance = torch.cov(x.double().T, correction=0).reshape(x.shape[1], x.shape[1])
    moments = Moments(mean, mean + shift, covariance, covariance, covariance)
    return replace(
        pairs,
        x=torch.cat([pairs.x, sample]),
        y=torch.cat([pairs.y, sample + shift.to(sample.dtype)]),
        moments=_mixture(pairs.moments, moments, weight / (1 + weight)),
    )


def _mixture(first: Moments, second: Moments, share: float) -> Moments:
    """Moments of a mixture of two populations, with the share of the second."""

    def mix(a: Tensor, b: Tensor) -> Tensor:
        return torch.lerp(a, b, share)

    def joint(name: str, row_mean: str, column_mean: str) -> Tensor:
        raw = [
            getattr(m, name) + torch.outer(getattr(m, row_mean), getattr(m, column_mean))
            for m in (first, second)
        ]
        names = (row_mean, column_mean)
        means = [mix(getattr(first, key), getattr(second, key)) for key in names]
        return mix(*raw) - torch.outer(*means)

    return Moments(
        mix(first.mean_x, second.mean_x),
        mix(first.mean_y, second.mean_y),
        joint("xx", "mean_x", "mean_x"),
        joint("xy", "mean_x", "mean_y"),
        joint("yy", "mean_y", "mean_y"),
    )


def add_extinct(
    pairs: ConditionPairs, contexts: Sequence[ContextPair], n_landmarks: int
) -> ConditionPairs:
    """Add the survival of contexts with too few treated cells to couple.

    Their survival is the ratio of the numbers of cells.

    Parameters
    ----------
    pairs
        Pairs of the coupled contexts.
    contexts
        Contexts that are not coupled.
    n_landmarks
        Maximum number of cells of a context.

    Returns
    -------
    Pairs, with cells, survival and mass of all contexts.

    See Also
    --------
    add_mean_response : Add cells with the mean response.
    scdiffot.core.response.survival.fit_survival : Fit the survival.
    """
    if not contexts:
        return pairs
    rng = np.random.default_rng(0)
    n_coupled = len(pairs.cells)
    cells, survival = [pairs.cells], [pairs.survival]
    total, mass = float(n_coupled), pairs.mass * n_coupled
    for context in contexts:
        control = torch.as_tensor(
            context.control[subsample_index(len(context.control), n_landmarks, rng)]
        )
        cells.append(control)
        survival.append(torch.full((len(control),), context.mass, dtype=pairs.survival.dtype))
        total, mass = total + len(control), mass + context.mass * len(control)
    return replace(
        pairs,
        cells=torch.cat(cells),
        survival=torch.cat(survival),
        mass=mass / total,
        min_mass=min(context.mass for context in contexts),
    )
