"""Untreated cells without a treated counterpart: a type that is extinct under a treatment, or was not sampled."""

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

# A cell has no counterpart if less than this share of its mass survives where death costs little. Measured on five laws of
# the simulator and on blood cells of two donors: at most 0.2 % of the cells where all types are present under the treatment,
# 33 % where one of three types is extinct and 13 % where one in 15 of its cells is left.
MIN_SURVIVAL, MIN_SHARE = 0.05, 0.02
# Cells of a group that are compared, and chunk in which the others are assigned to the nearest of them
N_COMPARED, CHUNK_SIZE = 1500, 10_000


def separate_unmatched(
    strata: Sequence[ContextPair], root: Tensor | None
) -> tuple[list[ContextPair], np.ndarray]:
    """Split the untreated cells: strata of those with a treated counterpart, and the cells (n, d) without one.

    A balanced coupling sends every cell somewhere. Cells of a type that no treated cell is derived from would become cells of
    another type, and that change would be taken for their response. In the Euclidean metric a long response of all cells looks
    like missing counterparts, so the learned metric decides there as well.
    """
    masks = [_without_counterpart(stratum, root) for stratum in strata]
    if root is None and any(lost.any() for lost in masks):
        root = learn_metric(strata, unbalanced=False, rng=np.random.default_rng(0))
        masks = [_without_counterpart(stratum, root) for stratum in strata]
    matched = [replace(s, control=s.control[~lost]) for s, lost in zip(strata, masks, strict=True)]
    cells = np.concatenate([s.control[lost] for s, lost in zip(strata, masks, strict=True)])
    if len(cells):
        total = len(cells) + sum(len(s.control) for s in matched)
        logger.warning(
            "%.0f %% of the untreated cells have no treated counterpart: a balanced response cannot let them die, so they take the "
            "mean response of the others. If cells die under the treatment, pass `unbalanced=True`.",
            100 * len(cells) / total,
        )
    return matched, cells


def _without_counterpart(stratum: ContextPair, root: Tensor | None) -> np.ndarray:
    """Which untreated cells (n,) hardly any treated cell is derived from; none, if they are few."""
    rng = np.random.default_rng(0)
    control, treated = (torch.as_tensor(z) for z in (stratum.control, stratum.treated))
    compared = control[subsample_index(len(control), N_COMPARED, rng)]
    targets = treated[subsample_index(len(treated), N_COMPARED, rng)]
    lost = couple(compared, targets, root, 1.0, MISMATCH_COSTS[True]).survival < MIN_SURVIVAL
    if lost.double().mean() < MIN_SHARE:
        return np.zeros(len(control), dtype=bool)
    if len(compared) == len(control):
        return lost.numpy()
    control, compared = (z if root is None else z @ root for z in (control, compared))
    return np.concatenate(
        [lost[torch.cdist(part, compared).argmin(1)].numpy() for part in control.split(CHUNK_SIZE)]
    )


def add_mean_response(pairs: ConditionPairs, cells: np.ndarray, n_coupled: int) -> ConditionPairs:
    """Pair untreated cells (n, d) with themselves after the mean response of the `n_coupled` other ones."""
    if len(cells) == 0:
        return pairs
    x = torch.as_tensor(cells)
    shift = pairs.moments.mean_y - pairs.moments.mean_x
    weight = len(cells) / n_coupled
    drawn = x[torch.arange(max(round(weight * len(pairs.x)), 1)) % len(x)]
    mean, covariance = (
        x.double().mean(0),
        torch.cov(x.double().T, correction=0).reshape(x.shape[1], x.shape[1]),
    )
    added = Moments(mean, mean + shift, covariance, covariance, covariance)
    return replace(
        pairs,
        x=torch.cat([pairs.x, drawn]),
        y=torch.cat([pairs.y, drawn + shift.to(drawn.dtype)]),
        moments=_mixture(pairs.moments, added, weight / (1 + weight)),
    )


def _mixture(first: Moments, second: Moments, share: float) -> Moments:
    """Moments of the pairs of two populations, of which the second has a share of all."""

    def mix(a: Tensor, b: Tensor) -> Tensor:
        return torch.lerp(a, b, share)

    def joint(name: str, left: str, right: str) -> Tensor:
        raw = [
            getattr(m, name) + torch.outer(getattr(m, left), getattr(m, right))
            for m in (first, second)
        ]
        means = [mix(getattr(first, side), getattr(second, side)) for side in (left, right)]
        return mix(*raw) - torch.outer(*means)

    return Moments(
        mix(first.mean_x, second.mean_x),
        mix(first.mean_y, second.mean_y),
        joint("xx", "mean_x", "mean_x"),
        joint("xy", "mean_x", "mean_y"),
        joint("yy", "mean_y", "mean_y"),
    )


def add_extinct(
    pairs: ConditionPairs, strata: Sequence[ContextPair], n_landmarks: int
) -> ConditionPairs:
    """Add the survival of contexts with too few treated cells to couple: there it is known by numbers alone."""
    if not strata:
        return pairs
    rng = np.random.default_rng(0)
    n_coupled = len(pairs.cells)
    cells, survival, total, mass = (
        [pairs.cells],
        [pairs.survival],
        float(n_coupled),
        pairs.mass * n_coupled,
    )
    for stratum in strata:
        control = torch.as_tensor(
            stratum.control[subsample_index(len(stratum.control), n_landmarks, rng)]
        )
        cells.append(control)
        survival.append(torch.full((len(control),), stratum.mass, dtype=pairs.survival.dtype))
        total, mass = total + len(control), mass + stratum.mass * len(control)
    least = min(stratum.mass for stratum in strata)
    return replace(
        pairs,
        cells=torch.cat(cells),
        survival=torch.cat(survival),
        mass=mass / total,
        least_mass=least,
    )
