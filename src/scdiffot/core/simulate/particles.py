"""Particles during an integration: states, weights, and the rates of the last steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from .vector_field import Rates


@dataclass
class Particles:
    """Weighted particles, which an integration changes.

    Parameters
    ----------
    x
        States ``(n, d)``, or ``(n, m, d)`` for m particles of each of n cells, in the solver's
        units.
    log_w
        Log weights ``(n,)`` or ``(n, m)``.
    rates
        Drift and growth at the last evaluations of a scheme, the most recent one last.
    velocity
        Mean velocity over the last step, of the shape of the states; None before the first step.

    See Also
    --------
    scdiffot.core.simulate.integration.integrate : The integration.
    """

    x: Tensor
    log_w: Tensor
    rates: list[Rates] = field(default_factory=list)
    velocity: Tensor | None = None

    def select(self, index: Tensor) -> None:
        """Replace the particles of every cell by those at an index ``(n, m)`` of the same cell."""
        self.x, self.log_w = select_particles(self.x, index), self.log_w.gather(1, index)
        self.rates = [
            (select_particles(drift, index), growth.gather(1, index))
            for drift, growth in self.rates
        ]


def select_particles(values: Tensor, index: Tensor) -> Tensor:
    """Vectors ``(n, m, d)`` at an index ``(n, m)`` of the second axis."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))
