"""The integration of vector fields: one loop over a schedule, for every scheme and every caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .schemes import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .particles import Particles
    from .schedule import Leg
    from .schemes import Scheme
    from .vector_field import VectorField

# Increment of the noise of states over a step.
Noise = Callable[[Tensor, float], Tensor]


def integrate(
    field: VectorField,
    particles: Particles,
    schedule: Iterable[Leg],
    *,
    scheme: Scheme,
    noise: Noise | None = None,
) -> None:
    """Integrate particles through a schedule, as `integration_steps` with nothing between steps."""
    for _ in integration_steps(field, particles, schedule, scheme=scheme, noise=noise):
        pass


def integration_steps(
    field: VectorField,
    particles: Particles,
    schedule: Iterable[Leg],
    *,
    scheme: Scheme,
    noise: Noise | None = None,
) -> Iterator[Step]:
    """Integrate particles through a schedule; yield every step after it is done.

    The iteration is the place to record particles or to resample them
    (:meth:`~scdiffot.core.simulate.particles.Particles.select`): they hold the state at the end of
    the step. Gradients flow through the steps unless the caller disables them.

    Parameters
    ----------
    field
        What moves the particles.
    particles
        The particles, which are changed.
    schedule
        Legs; a scheme of several steps starts again at each of them, because fields may jump there.
    scheme
        The scheme of a step.
    noise
        Source of the increments of the noise, called once per step; None for none.

    Yields
    ------
    The steps.

    See Also
    --------
    scdiffot.core.simulate.schedule.build_schedule : Schedules.
    scdiffot.core.simulate.dynamics.simulate : Trajectories of a fitted model.

    Examples
    --------
    >>> import torch
    >>> from scdiffot.core.simulate.integration import integrate
    >>> from scdiffot.core.simulate.particles import Particles
    >>> from scdiffot.core.simulate.schedule import Leg
    >>> from scdiffot.core.simulate.schemes import midpoint
    >>> class Decay:
    ...     sigma = 0.0
    ...
    ...     def drift_and_growth(self, x, t):
    ...         return -x, torch.ones_like(t)
    ...
    ...     def move(self, x, shift, noise=None):
    ...         return x + shift
    >>> particles = Particles(torch.ones(1, 1), torch.zeros(1))
    >>> integrate(Decay(), particles, [Leg(0.0, 1.0, 100)], scheme=midpoint)
    >>> round(particles.x.item(), 3), round(particles.log_w.item(), 3)
    (0.368, 1.0)
    """
    for start, end, n_steps in schedule:
        particles.rates = []
        dt = (end - start) / n_steps
        for j in range(n_steps):
            step = Step(start + j * dt, dt, is_first=j == 0, is_last=j == n_steps - 1)
            increment = None if noise is None else noise(particles.x, dt)
            scheme(field, particles, step, increment)
            yield step


def gaussian_noise(sigma: float, generator: torch.Generator) -> Noise:
    """Independent noise of all particles."""

    def increment(x: Tensor, dt: float) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        return abs(dt) ** 0.5 * (sigma * noise)

    return increment


def antithetic_noise(sigma: Tensor, generator: torch.Generator) -> Noise:
    """Noise of which that of the second half of the particles is the negative of the first."""

    def increment(x: Tensor, dt: float) -> Tensor:
        half = torch.randn((len(x) // 2, *x.shape[1:]), generator=generator, device=x.device)
        return sigma * abs(dt) ** 0.5 * torch.cat([half, -half])

    return increment
