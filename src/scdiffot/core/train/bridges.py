"""Conditional paths between paired cells: positions, masses and regression targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import MAX_ANGLE, draw_entries
from scdiffot.core.problem.scales import reflect

if TYPE_CHECKING:
    from collections.abc import Callable

# Smallest angle of a geodesic, in radians: distance over ``2 sqrt(alpha)``.
MIN_ANGLE = 1e-4
# Lower bound of the marginals of a plan, which are divisors.
MIN_MARGINAL = 1e-30


@dataclass(frozen=True)
class Pairs:
    """Paired cells of one interval, drawn with probability proportional to ``1 / weight``.

    ``x0``, ``x1`` ``(n, d)`` are the ends, and ``m0``, ``m1`` ``(n,)`` the masses of the travelling
    Dirac there. ``prior0``, ``prior1`` ``(n,)`` are the log growth over the interval that is
    expected of either cell; half of it is included in its mass. ``weight`` ``(n,)`` is the
    importance weight that turns averages over the draws into averages over the coupling. Pools of
    several intervals have one more leading dimension, so that ``pool[k]`` are the pairs of
    interval ``k``.
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

    def expected_growth(self, u: Tensor | float) -> Tensor:
        """Expected growth rate ``(n,)`` at progress ``u``, per interval, linear in ``u``."""
        return self.prior0 * (1 - u) + self.prior1 * u

    def select(self, index: Tensor) -> Pairs:
        """The pairs at an index, in every interval of a stacked pool."""
        return self._map(lambda tensor: tensor[:, index])

    def concat(self, other: Pairs) -> Pairs:
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
    """Stack pools of equal size, one per interval, along a leading dimension."""
    return Pairs(*(torch.stack([getattr(p, field.name) for p in pools]) for field in fields(Pairs)))


@dataclass(frozen=True)
class Bridge:
    """Points on the paths with their regression targets.

    The target of the flow is ``velocity + score_weight * score``. ``std`` is the standard deviation
    of the points around the path.
    """

    x: Tensor
    weight: Tensor
    velocity: Tensor
    score_weight: Tensor
    growth: Tensor
    noise: Tensor
    std: Tensor

    def __getitem__(self, index: Tensor | slice) -> Bridge:
        return Bridge(*(getattr(self, field.name)[index] for field in fields(self)))

    def reflect(self, walls: Tensor) -> Bridge:
        """Reflect points beyond walls ``(2, d)``, with their velocities and noise."""
        x = reflect(self.x, walls)
        sign = 1 - 2 * (x != self.x).to(x.dtype)
        return replace(self, x=x, velocity=sign * self.velocity, noise=sign * self.noise)


def join(parts: list[Bridge]) -> Bridge:
    """Join points of several intervals."""
    return Bridge(*(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(Bridge)))


@dataclass(frozen=True)
class BridgeConfig:
    """Parameters of bridges, in the solver's units.

    ``alpha`` is the cost of growth, None for balanced transport. A ``"geodesic"`` path of mass and
    position has the least action; a ``"straight"`` one has constant speed and growth rate.
    """

    sigma: float
    alpha: float | None
    path: str = "geodesic"


def dirac_path(
    pairs: Pairs, u: Tensor, bridge_config: BridgeConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position, velocity, mass and growth rate of the travelling Dirac at progress ``u`` in [0, 1].

    Velocity and growth are per unit of ``u``. The geodesic is that of Wasserstein-Fisher-Rao
    between two Diracs (Liero, Mielke & Savare 2018), with ``m(u) = A u^2 - 2 B u + m0`` and a
    constant momentum ``m(u) |x'|``.
    """
    delta = pairs.x1 - pairs.x0
    m0, m1 = pairs.m0, pairs.m1
    if bridge_config.alpha is None or bridge_config.path == "straight":
        log_growth = (m1 / m0).log()
        return pairs.x0 + u[:, None] * delta, delta, m0 * torch.exp(u * log_growth), log_growth
    alpha = bridge_config.alpha
    # The limit tau -> 0 (pure growth) is regular, but its quotients are 0 / 0.
    tau = (delta.norm(dim=1) / (2 * math.sqrt(alpha))).clamp(MIN_ANGLE, MAX_ANGLE)
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
    pairs: Pairs,
    u: Tensor,
    dt: Tensor,
    noise: Tensor,
    *,
    bridge_config: BridgeConfig,
    width: Tensor,
) -> Bridge:
    """Noisy points on the paths at progress ``u`` with targets per unit of time.

    The variance is ``s^2 = width^2 + sigma^2 dt u (1 - u)``: a Brownian bridge between cells
    smoothed by ``width``. The flow of the bridge contains ``sigma^2 (1 - 2 u) / (2 s)`` times the
    noise. The conditional mean of ``-1 / s`` times the noise is the score; replacing this term by
    the score removes the noise from the target of the flow.
    """
    position, velocity, mass, growth = dirac_path(pairs, u, bridge_config)
    variance = bridge_config.sigma**2 * dt
    std = (width**2 + variance * u * (1 - u)).sqrt()
    # Integral of the expected rate, from the time at which half of that growth is over: the
    # masses of the path refer to that time.
    prior_growth = (pairs.prior1 * u**2 - pairs.prior0 * (1 - u) ** 2) / 2
    return Bridge(
        x=position + std[:, None] * noise,
        weight=mass * pairs.weight * prior_growth.exp(),
        velocity=velocity / dt[:, None],
        score_weight=bridge_config.sigma**2 * (u - 0.5),
        growth=(growth + pairs.expected_growth(u)) / dt,
        noise=noise,
        std=std,
    )


def draw_pairs(
    plan: Tensor, a: Tensor, b: Tensor, jitter: Tensor, *, unbalanced: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Draw a pair from the semi-couplings of a plan for each number of ``jitter``.

    Half of the draws follow ``P a / r0`` and half ``P b / r1``, with the marginals ``r0`` and
    ``r1`` of the plan. Every cell of either snapshot is therefore drawn in proportion to its mass,
    however small its share of the plan, and weights are bounded.

    Returns
    -------
    Indices of the rows and columns, masses at both ends, and importance weights, all ``(n,)``.
    """
    source = a / plan.sum(1).clamp_min(MIN_MARGINAL)
    target = b / plan.sum(0).clamp_min(MIN_MARGINAL)
    share = (source / a.sum())[:, None] + target / b.sum()
    i, j = draw_entries(plan * share, jitter)
    weight = 2 / share[i, j]
    if unbalanced:
        return i, j, source[i], target[j], weight
    ones = torch.ones_like(weight)
    # A balanced pair has one mass. The geometric mean treats both ends alike if Sinkhorn stopped
    # before convergence.
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
    """Draw a pair of states from a plan for each number of ``jitter``, see :func:`draw_pairs`.

    ``prior`` is the expected log growth over the interval of the cells of either side. Masses ``a``
    include the first half of it, masses ``b`` exclude the second half.
    """
    i, j, m0, m1, weight = draw_pairs(plan, a, b, jitter, unbalanced=unbalanced)
    zeros = torch.zeros_like(weight)
    prior0, prior1 = (zeros, zeros) if prior is None else (prior[0][i], prior[1][j])
    return Pairs(x[i], y[j], m0, m1, prior0, prior1, weight)
