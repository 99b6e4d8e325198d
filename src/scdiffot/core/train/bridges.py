"""Conditional paths between paired cells: position, mass and the targets the fields are regressed on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import MAX_ANGLE, draw_entries
from scdiffot.core.problem.scales import reflected

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Pairs:
    """Paired cells of one interval, drawn with probability proportional to ``1 / weight``.

    ``x0``, ``x1`` (n, d) are the ends, ``m0``, ``m1`` (n,) the masses of the travelling Dirac at the ends, ``prior0``, ``prior1``
    (n,) the log growth over the interval that either cell is expected to have, of which half is in its mass, and ``weight`` (n,)
    the importance weight that turns averages over the draws into averages over the coupling. Pools of several intervals have
    one more dimension in front, so that ``pool[k]`` are the pairs of interval ``k``.
    """

    x0: Tensor
    x1: Tensor
    m0: Tensor
    m1: Tensor
    prior0: Tensor
    prior1: Tensor
    weight: Tensor

    def __getitem__(self, index: int | Tensor | tuple[Tensor, Tensor]) -> Pairs:
        return self._map(lambda tensor: tensor[index])

    def __len__(self) -> int:
        return len(self.x0)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Pairs:
        return Pairs(*(function(getattr(self, field.name)) for field in fields(self)))

    def expected(self, u: Tensor | float) -> Tensor:
        """Growth rate (n,) expected at progress ``u``, per interval: it changes evenly on the way."""
        return self.prior0 * (1 - u) + self.prior1 * u

    def columns(self, index: Tensor) -> Pairs:
        """Some pairs of every interval of a stacked pool."""
        return self._map(lambda tensor: tensor[:, index])

    def beside(self, other: Pairs) -> Pairs:
        """The pairs of two stacked pools, interval by interval."""
        return Pairs(
            *(torch.cat([getattr(self, f.name), getattr(other, f.name)], 1) for f in fields(self))
        )

    def to(self, device: torch.device) -> Pairs:
        """The same pairs on another device."""
        return self._map(lambda tensor: tensor.to(device))


def concatenate(parts: list[Pairs]) -> Pairs:
    """Join pairs of one interval."""
    return Pairs(*(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(Pairs)))


def stack(pools: list[Pairs]) -> Pairs:
    """Put pools of equal size, one for each interval, under a leading dimension."""
    return Pairs(*(torch.stack([getattr(p, field.name) for p in pools]) for field in fields(Pairs)))


@dataclass(frozen=True)
class Bridge:
    """Points on the paths and the targets there; that of the flow is ``velocity + lean * score``."""

    x: Tensor
    weight: Tensor
    velocity: Tensor
    lean: Tensor
    growth: Tensor
    noise: Tensor
    spread: Tensor

    def __getitem__(self, index: Tensor | slice) -> Bridge:
        return Bridge(*(getattr(self, field.name)[index] for field in fields(self)))

    def between(self, walls: Tensor) -> Bridge:
        """The same points where walls (2, d) reflect those beyond, together with the directions there."""
        x = reflected(self.x, walls)
        turn = 1 - 2 * (x != self.x).to(x.dtype)
        return replace(self, x=x, velocity=turn * self.velocity, noise=turn * self.noise)


def join(parts: list[Bridge]) -> Bridge:
    """Join points of several intervals."""
    return Bridge(*(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(Bridge)))


@dataclass(frozen=True)
class BridgeConfig:
    """What a bridge is made of, in the solver's units.

    ``alpha`` is the price of growth, None for balanced transport. A ``"geodesic"`` path of mass and position is the cheapest;
    a ``"straight"`` one moves at constant speed and grows at a constant rate.
    """

    sigma: float
    alpha: float | None
    path: str = "geodesic"


def dirac_path(
    pairs: Pairs, u: Tensor, regime: BridgeConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position, velocity, mass and growth rate of the travelling Dirac at progress ``u`` in [0, 1].

    Velocity and growth are per unit of ``u``. The geodesic is that of Wasserstein-Fisher-Rao between two Diracs (Liero,
    Mielke & Savare 2018), with ``m(u) = A u^2 - 2 B u + m0`` and momentum ``m(u) |x'|`` constant.
    """
    delta = pairs.x1 - pairs.x0
    m0, m1 = pairs.m0, pairs.m1
    if regime.alpha is None or regime.path == "straight":
        grown = (m1 / m0).log()
        return pairs.x0 + u[:, None] * delta, delta, m0 * torch.exp(u * grown), grown
    alpha = regime.alpha
    # The limits tau -> 0 (pure growth) are regular, but not their quotients.
    tau = (delta.norm(dim=1) / (2 * math.sqrt(alpha))).clamp(1e-4, MAX_ANGLE)
    q = (m0 * m1).sqrt()
    a = m0 + m1 - 2 * q * torch.cos(tau)
    b = m0 - q * torch.cos(tau)
    w = q * torch.sin(tau)
    mass = (a * u - 2 * b) * u + m0
    progress = (torch.atan2(a * u - b, w) - torch.atan2(-b, w)) / tau
    speed = w / (mass * tau)
    position = pairs.x0 + progress[:, None] * delta
    return position, speed[:, None] * delta, mass, 2 * (a * u - b) / mass


def bridge(
    pairs: Pairs, u: Tensor, dt: Tensor, noise: Tensor, *, regime: BridgeConfig, width: Tensor
) -> Bridge:
    """Noisy points on the paths at progress ``u`` with targets per unit of time.

    The spread is ``s^2 = width^2 + sigma^2 dt u (1 - u)``: a Brownian bridge on cells smoothed by ``width``. Its flow widens by
    ``sigma^2 (1 - 2 u) / (2 s)`` times the noise, of which ``-1 / s`` times the noise is the score on average: with the score in
    its place, the target of the flow has no noise of its own.
    """
    position, velocity, mass, growth = dirac_path(pairs, u, regime)
    variance = regime.sigma**2 * dt
    spread = (width**2 + variance * u * (1 - u)).sqrt()
    # The integral of the rate expected, from the middle of that growth, where the masses of the path belong.
    grown = (pairs.prior1 * u**2 - pairs.prior0 * (1 - u) ** 2) / 2
    return Bridge(
        x=position + spread[:, None] * noise,
        weight=mass * pairs.weight * grown.exp(),
        velocity=velocity / dt[:, None],
        lean=regime.sigma**2 * (u - 0.5),
        growth=(growth + pairs.expected(u)) / dt,
        noise=noise,
        spread=spread,
    )


def draw(
    plan: Tensor, a: Tensor, b: Tensor, jitter: Tensor, *, unbalanced: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Draw a pair from the semi-couplings of a plan for each number of ``jitter``: indices, end masses and weights.

    Half of the draws follow ``P a / r0`` and half ``P b / r1`` (r0, r1 the marginals of the plan), so that every cell of
    either snapshot is drawn in proportion to its mass however small its share of the plan: weights stay bounded.
    """
    tiny = 1e-30
    source, target = a / plan.sum(1).clamp_min(tiny), b / plan.sum(0).clamp_min(tiny)
    share = (source / a.sum())[:, None] + target / b.sum()
    i, j = draw_entries(plan * share, jitter)
    weight = 2 / share[i, j]
    if unbalanced:
        return i, j, source[i], target[j], weight
    ones = torch.ones_like(weight)
    # A balanced pair keeps one mass; the geometric mean treats both ends alike when Sinkhorn stopped early.
    return i, j, ones, ones, weight * (source[i] * target[j]).sqrt()


def sample_pairs(
    plan: Tensor,
    x: Tensor,
    a: Tensor,
    y: Tensor,
    b: Tensor,
    jitter: Tensor,
    *,
    unbalanced: bool,
    prior: tuple[Tensor, Tensor] | None = None,
) -> Pairs:
    """Draw a pair of states from a plan for each number of ``jitter``, see :func:`draw`.

    ``prior`` are the logarithms of the growth expected over the interval by the cells of either side; ``a`` are masses after half of
    it, ``b`` masses before half of it.
    """
    i, j, m0, m1, weight = draw(plan, a, b, jitter, unbalanced=unbalanced)
    nothing = torch.zeros_like(weight)
    prior0, prior1 = (nothing, nothing) if prior is None else (prior[0][i], prior[1][j])
    return Pairs(x[i], y[j], m0, m1, prior0, prior1, weight)
