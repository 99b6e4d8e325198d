"""Corrected paths of the model as bridges, for autonomous fields.

The speed of a bridge between snapshots changes at each of them, which no autonomous field can
reproduce. The reference is therefore the model's own stochastic paths: they are corrected to end
in the next snapshot, and the field is regressed on the corrected paths (iterative reference
refinement, Shen et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import smallest_eps
from scdiffot.core.simulate.integration import gaussian_noise, integration_steps
from scdiffot.core.simulate.particles import Particles
from scdiffot.core.simulate.schedule import Leg
from scdiffot.core.simulate.schemes import INSIDE, euler_maruyama, evaluate

from .bridges import Bridge, draw_pairs

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.config import FitConfig


@dataclass(frozen=True)
class CorrectedPaths:
    """Paths of one interval, drawn with probability proportional to ``1 / weight``.

    ``states`` and ``drift`` ``(n_steps + 1, n, d)``, ``log_mass`` and ``growth``
    ``(n_steps + 1, n)`` are those of the model. ``shift`` ``(n, d)`` and ``log_growth`` ``(n,)``
    are the corrections of the state and the log mass at the end of the interval.
    """

    states: Tensor
    drift: Tensor
    log_mass: Tensor
    growth: Tensor
    shift: Tensor
    log_growth: Tensor
    weight: Tensor
    sigma: float

    def bridge(self, index: Tensor, u: Tensor, dt: Tensor, noise: Tensor, width: Tensor) -> Bridge:
        """Noisy points on the corrected paths at progress ``u``, with targets per unit of time."""
        n_steps = len(self.states) - 1
        step = (u * n_steps).clamp(0, n_steps - 1e-3)
        node = step.long()
        share = step - node

        def interpolate(values: Tensor) -> Tensor:
            fraction = share[:, None] if values.ndim == 3 else share
            return (1 - fraction) * values[node, index] + fraction * values[node + 1, index]

        shift, log_growth = self.shift[index], self.log_growth[index]
        return Bridge(
            x=interpolate(self.states) + u[:, None] * shift + width[:, None] * noise,
            weight=torch.exp(interpolate(self.log_mass) + u * log_growth) * self.weight[index],
            velocity=interpolate(self.drift) + shift / dt[:, None],
            score_weight=torch.full_like(u, -(self.sigma**2) / 2),
            growth=interpolate(self.growth) + log_growth / dt,
            noise=noise,
            std=width,
        )


@torch.no_grad()
def refine_reference(
    fields: Fields,
    source: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    interval: tuple[float, float],
    *,
    alpha: float | None,
    config: FitConfig,
    generator: torch.Generator,
) -> CorrectedPaths:
    """Simulate particles through an interval and couple their final states with the next snapshot.

    `source` and `target` are states with their masses, and `interval` is a start and a length.
    """
    start, dt = interval
    (x, mass), (y, target_mass) = (
        (states.to(generator.device), masses.to(generator.device))
        for states, masses in (source, target)
    )
    particles = Particles(x, mass.log())
    # States and log weights at the start of every step and at the end, with their rates.
    positions, rates = [(x, particles.log_w)], []
    for _ in integration_steps(
        fields,
        particles,
        [Leg(start, start + dt, config.corrections.n_integration_steps)],
        scheme=euler_maruyama,
        noise=gaussian_noise(fields.sigma, generator),
    ):
        positions.append((particles.x, particles.log_w))
        rates += particles.rates
    x, log_w = particles.x, particles.log_w
    rates.append(evaluate(fields, x, log_w, start + (1 - INSIDE) * dt))
    a = mass if alpha is None else log_w.exp()
    eps = smallest_eps(x, y, config.scale)
    potentials = sinkhorn(x, a, y, target_mass, alpha=alpha, eps=eps)
    jitter = torch.rand(config.coupling.n_pairs, generator=generator, device=x.device)
    i, j, m0, m1, weight = draw_pairs(
        plan(potentials), a, target_mass, jitter, unbalanced=alpha is not None
    )
    states, log_mass, drift, growth = (
        torch.stack(values)[:, i]
        for values in (*zip(*positions, strict=True), *zip(*rates, strict=True))
    )
    # The mass of the pair replaces the weight of the particle at the end of the interval; at
    # earlier times the mass follows the growth of the particle.
    log_mass = m0.log() + (0 * log_mass if alpha is None else log_mass - log_mass[-1])
    return CorrectedPaths(
        states, drift, log_mass, growth, y[j] - x[i], (m1 / m0).log(), weight, fields.sigma
    )
