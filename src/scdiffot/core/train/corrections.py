"""Bridges that follow the model's own paths, for fields that cannot follow straight ones.

One autonomous field cannot move cells along the bridges of every interval, whose speed changes at each snapshot. So the
model's stochastic paths are the reference: they are bent just enough to end in the next snapshot, and the field is
regressed on the bent paths (iterative reference refinement, Shen et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import smallest_eps
from scdiffot.core.simulate.dynamics import euler_maruyama_step

from .bridges import Bridge, draw

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields

N_STEPS = 24


@dataclass(frozen=True)
class CorrectedPaths:
    """Paths of one interval, drawn with probability proportional to ``1 / weight``.

    ``states`` and ``drift`` (N_STEPS + 1, n, d), ``log_mass`` and ``growth`` (N_STEPS + 1, n) follow the model; ``shift``
    (n, d) and ``grown`` (n,) are what is missing at the end of the interval.
    """

    states: Tensor
    drift: Tensor
    log_mass: Tensor
    growth: Tensor
    shift: Tensor
    grown: Tensor
    weight: Tensor
    sigma: float

    def bridge(self, index: Tensor, u: Tensor, dt: Tensor, noise: Tensor, width: Tensor) -> Bridge:
        """Noisy points on the bent paths at progress ``u``, with targets per unit of time."""
        place = (u * N_STEPS).clamp(0, N_STEPS - 1e-3)
        left = place.long()
        share = place - left

        def along(values: Tensor) -> Tensor:
            part = share[:, None] if values.ndim == 3 else share
            return (1 - part) * values[left, index] + part * values[left + 1, index]

        shift, grown = self.shift[index], self.grown[index]
        return Bridge(
            x=along(self.states) + u[:, None] * shift + width[:, None] * noise,
            weight=torch.exp(along(self.log_mass) + u * grown) * self.weight[index],
            velocity=along(self.drift) + shift / dt[:, None],
            lean=torch.full_like(u, -(self.sigma**2) / 2),
            growth=along(self.growth) + grown / dt,
            noise=noise,
            spread=width,
        )


@torch.no_grad()
def refine_reference(
    fields: Fields,
    source: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    interval: tuple[float, float],
    *,
    alpha: float | None,
    n_pairs: int,
    generator: torch.Generator,
) -> CorrectedPaths:
    """Follow weighted particles through an interval (start, length) and couple their ends with the next snapshot."""
    start, dt = interval
    (x, mass), (y, b1) = (
        (states.to(generator.device), masses.to(generator.device))
        for states, masses in (source, target)
    )
    log_w = mass.log()
    trace: list[list[Tensor]] = [[], [], [], []]
    for step in range(N_STEPS + 1):
        t = start + step / N_STEPS * dt
        b, g = fields.drift_and_growth(x, torch.full_like(log_w, min(t, start + (1 - 1e-4) * dt)))
        for values, value in zip(trace, (x, b, log_w, g), strict=True):
            values.append(value)
        if step < N_STEPS:
            noise = fields.sigma * torch.randn(x.shape, generator=generator, device=x.device)
            x, log_w = euler_maruyama_step(
                fields.drift_and_growth, fields.move, x, log_w, t, dt / N_STEPS, noise
            )
    a = mass if alpha is None else log_w.exp()
    potentials = sinkhorn(x, a, y, b1, alpha=alpha, eps=smallest_eps(x, y))
    jitter = torch.rand(n_pairs, generator=generator, device=x.device)
    i, j, m0, m1, weight = draw(plan(potentials), a, b1, jitter, unbalanced=alpha is not None)
    states, drift, log_mass, growth = (torch.stack(values)[:, i] for values in trace)
    # The mass of the pair replaces the particle's weight at the end; before, it follows the particle's growth.
    log_mass = m0.log() + (0 * log_mass if alpha is None else log_mass - log_mass[-1])
    return CorrectedPaths(
        states, drift, log_mass, growth, y[j] - x[i], (m1 / m0).log(), weight, fields.sigma
    )
