"""Schemes: one step of ``dX = b dt + sigma dW, dlog w = g dt``, each a function of one signature.

A scheme takes a field, the particles, which it changes, the step, and the increment of the noise or
None. Steps may be negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .particles import Particles
from .vector_field import VectorField

if TYPE_CHECKING:
    from .vector_field import Rates

# Distance from the ends of a step, in steps, at which fields are evaluated that may jump there.
INSIDE = 1e-4


class Step(NamedTuple):
    """One step from a time; whether it is the first and the last one of its leg."""

    start: float
    dt: float
    is_first: bool
    is_last: bool

    @property
    def end(self) -> float:
        """Time at the end."""
        return self.start + self.dt

    def at(self, share: float) -> float:
        """Time at a share of the step, inside of the leg, because fields may jump at its ends."""
        low = INSIDE if self.is_first else 0.0
        high = 1 - INSIDE if self.is_last else 1.0
        return self.start + min(max(share, low), high) * self.dt


Scheme = Callable[[VectorField, Particles, Step, Tensor | None], None]


def euler_maruyama(
    field: VectorField, particles: Particles, step: Step, increment: Tensor | None
) -> None:
    """Euler-Maruyama scheme, of weak order one."""
    rates = evaluate(field, particles.x, particles.log_w, step.at(INSIDE))
    particles.rates = [rates]
    _advance(field, particles, step, rates, increment)


def midpoint(
    field: VectorField, particles: Particles, step: Step, increment: Tensor | None
) -> None:
    """Explicit midpoint scheme, of order two without noise."""
    x, log_w = particles.x, particles.log_w
    velocity, _ = evaluate(field, x, log_w, step.at(INSIDE))
    rates = evaluate(field, x + velocity * (step.dt / 2), log_w, step.at(0.5))
    _advance(field, particles, step, rates, increment)


def adams_bashforth(
    field: VectorField, particles: Particles, step: Step, increment: Tensor | None
) -> None:
    """Two-step Adams-Bashforth scheme with a first step of Euler's method.

    Of order two but for the error of the first step, with one evaluation of the field per step.
    """
    rates = evaluate(field, particles.x, particles.log_w, step.at(0))
    particles.rates = [*particles.rates[-1:], rates]
    _advance(field, particles, step, _extrapolate(particles.rates), increment)


def adams_bashforth_heun(
    field: VectorField, particles: Particles, step: Step, increment: Tensor | None
) -> None:
    """Two-step Adams-Bashforth scheme with a first step of Heun's method.

    The growth follows the trapezoidal rule. With additive noise, expectations of functions of the
    state and the weight are of second order in the step, with one evaluation of the field per step.
    """
    if not particles.rates:
        particles.rates = [evaluate(field, particles.x, particles.log_w, step.at(0))]
    drift, growth = particles.rates[-1]
    if len(particles.rates) == 1:
        end = field.move(particles.x, drift * step.dt, increment)
        mean = (drift + evaluate(field, end, particles.log_w, step.at(1))[0]) / 2
    else:
        mean = _extrapolate(particles.rates)[0]
    particles.velocity = mean
    particles.x = field.move(particles.x, mean * step.dt, increment)
    rates = evaluate(field, particles.x, particles.log_w, step.at(1))
    particles.rates = [particles.rates[-1], rates]
    particles.log_w = particles.log_w + (growth + rates[1]) * (step.dt / 2)


def evaluate(field: VectorField, x: Tensor, log_w: Tensor, t: float) -> Rates:
    """Drift and growth of states at one time; log weights give the shape of the times."""
    return field.drift_and_growth(x, torch.full_like(log_w, t))


def _extrapolate(rates: list[Rates]) -> Rates:
    """Mean rates over a step from those at the start of it and of the step before, if any."""
    if len(rates) == 1:
        return rates[0]
    (old_drift, old_growth), (drift, growth) = rates
    return 1.5 * drift - 0.5 * old_drift, 1.5 * growth - 0.5 * old_growth


def _advance(
    field: VectorField, particles: Particles, step: Step, rates: Rates, increment: Tensor | None
) -> None:
    """Move particles by mean rates over a step."""
    velocity, growth = rates
    particles.velocity = velocity
    particles.x = field.move(particles.x, velocity * step.dt, increment)
    particles.log_w = particles.log_w + growth * step.dt
