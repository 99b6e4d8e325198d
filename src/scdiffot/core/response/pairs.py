"""Pairs of untreated and treated cells, sampled from couplings within every context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import draw_entries
from scdiffot.core.ot.gaussian_map import GaussianMap

from .metric import MISMATCH_COSTS, couple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import ContextPair, ResponseConfig
    from .metric import Coupling


@dataclass(frozen=True)
class Moments:
    """Moments of the pairs of one treatment, in double precision.

    Parameters
    ----------
    mean_x, mean_y
        Means of untreated and treated cells, shape ``(d,)``.
    xx, xy, yy
        Covariances, shape ``(d, d)``.

    See Also
    --------
    ConditionPairs : Pairs with their moments.
    scdiffot.core.response.flow.ResponseFlow : A flow that starts from moments.
    """

    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor


@dataclass(frozen=True)
class ConditionPairs:
    """Pairs, moments and survival of one treatment, from its couplings.

    Parameters
    ----------
    x, y
        Sampled pairs, shape ``(n_pairs, d)`` each, in proportion to the transported mass.
    moments
        Moments of the full couplings.
    cells, survival
        Untreated cells, shape ``(n, d)``, and the mass that each transports, relative to its own
        mass, shape ``(n,)``.
    mass
        Total transported mass, relative to that of all untreated cells.
    min_mass
        Smallest mass of a context that is not coupled, so that only its numbers of cells are used.

    See Also
    --------
    draw_condition_pairs : Sample pairs from couplings.
    linear_pairs : Pairs by linear maps.
    """

    x: Tensor
    y: Tensor
    moments: Moments
    cells: Tensor
    survival: Tensor
    mass: float
    min_mass: float = math.inf


def draw_condition_pairs(
    contexts: Sequence[ContextPair],
    root: Tensor | None,
    config: ResponseConfig,
    rng: np.random.Generator,
) -> ConditionPairs:
    """Couple all contexts of one treatment in a metric, and sample pairs from the couplings.

    See Also
    --------
    scdiffot.core.response.metric.couple : Compute a coupling.
    linear_pairs : Pairs by linear maps.
    """
    # the optimal map between Gaussians is that of exact marginals, so balanced Euclidean couplings
    # have no cost of death
    death_cost = (
        None if root is None and not config.unbalanced else MISMATCH_COSTS[config.unbalanced]
    )
    couplings: list[tuple[Coupling, float]] = []
    for context in contexts:
        n_cells = max(len(context.control), len(context.treated))
        n_rounds = min(-(-n_cells // config.coupling.n_landmarks), config.coupling.n_rounds)
        parts = [
            _split_rounds(z, n_rounds, config.coupling.n_landmarks, rng)
            for z in (context.control, context.treated)
        ]
        for x, y in zip(*parts, strict=True):
            couplings.append(
                (couple(x, y, root, context.mass, death_cost), len(context.control) / n_rounds)
            )
    total = sum(size for _, size in couplings)
    samples = []
    for c, size in couplings:
        jitter = torch.as_tensor(rng.random(-(-int(config.coupling.n_pairs * size) // int(total))))
        i, j = draw_entries(c.plan, jitter)
        samples.append((c.x[i], c.y[j]))
    survival = torch.cat([c.survival for c, _ in couplings])
    return ConditionPairs(
        x=torch.cat([x for x, _ in samples]),
        y=torch.cat([y for _, y in samples]),
        moments=_compute_moments(couplings),
        cells=torch.cat([c.x for c, _ in couplings]),
        survival=survival,
        mass=sum(float(c.survival.mean()) * size for c, size in couplings) / total,
    )


def linear_pairs(contexts: Sequence[ContextPair]) -> ConditionPairs:
    """Pair all cells with their images under the optimal linear map of their context.

    See Also
    --------
    draw_condition_pairs : Sample pairs from couplings.
    scdiffot.core.response.metric.are_gaussian : Whether linear maps are optimal.
    """
    x = [torch.as_tensor(s.control) for s in contexts]
    y = [
        torch.as_tensor(GaussianMap.fit(s.control, s.treated).push(s.control), dtype=z.dtype)
        for s, z in zip(contexts, x, strict=True)
    ]
    control, images = torch.cat(x), torch.cat(y)
    means = control.double().mean(0), images.double().mean(0)
    u, v = control.double() - means[0], images.double() - means[1]
    n = len(u)
    moments = Moments(*means, u.T @ u / n, u.T @ v / n, v.T @ v / n)
    return ConditionPairs(control, images, moments, control, torch.ones(n), 1.0)


def _split_rounds(
    cells: np.ndarray, n_rounds: int, n: int, rng: np.random.Generator
) -> list[Tensor]:
    """At most ``n`` cells for every round, different ones as long as possible."""
    if len(cells) <= n:
        return [torch.as_tensor(cells)] * n_rounds
    order = np.concatenate(
        [rng.permutation(len(cells)) for _ in range(-(-n_rounds * n // len(cells)))]
    )
    return [torch.as_tensor(cells[np.sort(order[i * n : (i + 1) * n])]) for i in range(n_rounds)]


def _compute_moments(couplings: Sequence[tuple[Coupling, float]]) -> Moments:
    """Moments over all couplings, weighted by numbers of cells and transported mass."""
    raw = []
    for c, size in couplings:
        p = c.plan.double() * size
        x, y = c.x.double(), c.y.double()
        row, column = p.sum(1), p.sum(0)
        raw.append(
            (row.sum(), row @ x, column @ y, (x.T * row) @ x, x.T @ (p @ y), (y.T * column) @ y)
        )
    mass, x, y, xx, xy, yy = (sum(terms) for terms in zip(*raw, strict=True))
    x, y = x / mass, y / mass
    return Moments(
        x,
        y,
        xx / mass - torch.outer(x, x),
        xy / mass - torch.outer(x, y),
        yy / mass - torch.outer(y, y),
    )
