"""Vector fields: what moves particles. The fitted networks are one; wrappers give the others."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Rates = tuple[Tensor, Tensor]


@runtime_checkable
class VectorField(Protocol):
    """Drift and growth of particles, and the walls at which they stop.

    Attributes
    ----------
    sigma
        Standard deviation of the noise per square root of time.

    See Also
    --------
    PopulationField : A field with the score of its population.
    scdiffot.core.nets.fields.Fields : The networks.
    scdiffot.core.simulate.integration.integrate : The integration of a field.
    """

    sigma: float

    def drift_and_growth(self, x: Tensor, t: Tensor) -> Rates:
        """Drift ``(n, d)`` and growth ``(n,)`` at states ``(n, d)`` and times ``(n,)``."""
        ...

    def move(self, x: Tensor, shift: Tensor, noise: Tensor | None = None) -> Tensor:
        """States after a shift and noise, both of the shape of the states, within the walls."""
        ...


@runtime_checkable
class PopulationField(VectorField, Protocol):
    """A field with the score of the population that it moves.

    See Also
    --------
    ProbabilityFlow : The deterministic dynamics with the same densities.
    TimeReversal : The dynamics back in time.
    """

    def rates_and_score(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Drift ``(n, d)``, growth ``(n,)``, and gradient of the log-density ``(n, d)``."""
        ...

    def flow_and_growth(self, x: Tensor, t: Tensor) -> Rates:
        """Flow ``b - sigma^2 s / 2`` with drift b and score s, ``(n, d)``, and growth ``(n,)``."""
        ...


class _Wrapper:
    """A field that moves states as another one does."""

    def __init__(self, field: VectorField) -> None:
        self.sigma, self.move = field.sigma, field.move


class ProbabilityFlow(_Wrapper):
    """The deterministic dynamics with the densities of a population: its drift is the flow."""

    def __init__(self, field: PopulationField) -> None:
        super().__init__(field)
        self.sigma, self.drift_and_growth = 0.0, field.flow_and_growth


class TimeReversal(_Wrapper):
    """The dynamics of a population back in time, for negative steps.

    The drift is ``b - sigma^2 s`` with drift b and score s.
    """

    def __init__(self, field: PopulationField) -> None:
        super().__init__(field)
        self._field = field

    def drift_and_growth(self, x: Tensor, t: Tensor) -> Rates:
        """Drift ``(n, d)`` and growth ``(n,)``."""
        drift, growth, score = self._field.rates_and_score(x, t)
        return drift - self.sigma**2 * score, growth


class WithoutGrowth(_Wrapper):
    """A field whose particles keep their weights."""

    def __init__(self, field: VectorField) -> None:
        super().__init__(field)
        self._field = field

    def drift_and_growth(self, x: Tensor, t: Tensor) -> Rates:
        """Drift ``(n, d)``, and zeros ``(n,)``."""
        drift, growth = self._field.drift_and_growth(x, t)
        return drift, torch.zeros_like(growth)


class ManyTrajectories(_Wrapper):
    """A field for states ``(n, m, d)`` of m particles of each of n cells, evaluated in chunks.

    The hidden layers of a chunk should fit into the processor's cache. Particles of a cell that
    share one state in memory, as all do at the start, are evaluated once.
    """

    def __init__(self, field: VectorField, chunk_size: int) -> None:
        super().__init__(field)
        self._field, self._chunk_size = field, chunk_size

    def drift_and_growth(self, x: Tensor, t: Tensor) -> Rates:
        """Drift ``(n, m, d)`` and growth ``(n, m)`` at times ``(n, m)``."""
        n, m, d = x.shape
        if x.stride(1) == 0:
            x, t = x[:, :1], t[:, :1]
        rates = [
            self._field.drift_and_growth(*chunk)
            for chunk in zip(
                x.reshape(-1, d).split(self._chunk_size),
                t.reshape(-1).split(self._chunk_size),
                strict=True,
            )
        ]
        drift = torch.cat([drift for drift, _ in rates]).view(*x.shape)
        growth = torch.cat([growth for _, growth in rates]).view(*t.shape)
        return drift.expand(n, m, d), growth.expand(n, m)
