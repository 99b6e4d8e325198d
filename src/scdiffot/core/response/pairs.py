"""Pairs of untreated and treated cells, drawn from couplings within every context."""

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

# Large groups are coupled in rounds of other cells.
MAX_ROUNDS = 5


@dataclass(frozen=True)
class Moments:
    """Means (d,) and covariances (d, d) of the pairs of one treatment, in double precision."""

    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor


@dataclass(frozen=True)
class ConditionPairs:
    """What couplings say of one treatment.

    Parameters
    ----------
    x, y
        Drawn pairs, shape ``(n_pairs, d)`` each; those that survive count more.
    moments
        Of all pairs, not of the drawn ones alone.
    cells, survival
        Untreated cells (n, d), and the mass each sends on, relative to its own (n,).
    mass
        Share of all untreated cells that arrives.
    least_mass
        Smallest mass of a context that is known by its numbers of cells alone.
    """

    x: Tensor
    y: Tensor
    moments: Moments
    cells: Tensor
    survival: Tensor
    mass: float
    least_mass: float = math.inf


def draw_pairs(
    strata: Sequence[ContextPair],
    root: Tensor | None,
    config: ResponseConfig,
    rng: np.random.Generator,
) -> ConditionPairs:
    """Couple all contexts of one treatment in the given metric, and draw pairs from them."""
    # The optimal map between Gaussians is that of exact marginals.
    price = None if root is None and not config.unbalanced else MISMATCH_COSTS[config.unbalanced]
    couplings: list[tuple[Coupling, float]] = []
    for stratum in strata:
        largest = max(len(stratum.control), len(stratum.treated))
        n_rounds = min(-(-largest // config.n_landmarks), MAX_ROUNDS)
        parts = [
            _parts(z, n_rounds, config.n_landmarks, rng) for z in (stratum.control, stratum.treated)
        ]
        for x, y in zip(*parts, strict=True):
            couplings.append(
                (couple(x, y, root, stratum.mass, price), len(stratum.control) / n_rounds)
            )
    total = sum(size for _, size in couplings)
    drawn = []
    for c, size in couplings:
        jitter = torch.as_tensor(rng.random(-(-int(config.n_pairs * size) // int(total))))
        i, j = draw_entries(c.plan, jitter)
        drawn.append((c.x[i], c.y[j]))
    survival = torch.cat([c.survival for c, _ in couplings])
    return ConditionPairs(
        x=torch.cat([x for x, _ in drawn]),
        y=torch.cat([y for _, y in drawn]),
        moments=_moments(couplings),
        cells=torch.cat([c.x for c, _ in couplings]),
        survival=survival,
        mass=sum(float(c.survival.mean()) * size for c, size in couplings) / total,
    )


def linear_pairs(strata: Sequence[ContextPair]) -> ConditionPairs:
    """Pair all cells with their images under the optimal linear map of their context."""
    x = [torch.as_tensor(s.control) for s in strata]
    y = [
        torch.as_tensor(GaussianMap.fit(s.control, s.treated).push(s.control), dtype=z.dtype)
        for s, z in zip(strata, x, strict=True)
    ]
    first, second = torch.cat(x), torch.cat(y)
    means = first.double().mean(0), second.double().mean(0)
    u, v = first.double() - means[0], second.double() - means[1]
    n = len(u)
    moments = Moments(*means, u.T @ u / n, u.T @ v / n, v.T @ v / n)
    return ConditionPairs(first, second, moments, first, torch.ones(n), 1.0)


def _parts(cells: np.ndarray, n_rounds: int, n: int, rng: np.random.Generator) -> list[Tensor]:
    """At most ``n`` cells for every round: each time others, as long as there are some."""
    if len(cells) <= n:
        return [torch.as_tensor(cells)] * n_rounds
    order = np.concatenate(
        [rng.permutation(len(cells)) for _ in range(-(-n_rounds * n // len(cells)))]
    )
    return [torch.as_tensor(cells[np.sort(order[i * n : (i + 1) * n])]) for i in range(n_rounds)]


def _moments(couplings: Sequence[tuple[Coupling, float]]) -> Moments:
    """Moments over all couplings; a context counts by its number of cells and those that arrive."""
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
