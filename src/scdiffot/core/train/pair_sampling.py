"""Paired cells, drawn from the coupling of an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.config import CouplingConfig, ScaleConfig
from scdiffot.core.problem.scales import smallest_eps, subsample, subsample_index, uniform_weights

from .bridges import BridgeConfig, Pairs, concatenate, sample_pairs

if TYPE_CHECKING:
    import numpy as np

    from scdiffot.core.problem.snapshots import Snapshots


@dataclass(frozen=True)
class PairSampler:
    """Couples consecutive snapshots (in the solver's units) and draws pairs."""

    snapshots: Snapshots
    bridge_config: BridgeConfig
    coupling: CouplingConfig
    rng: np.random.Generator
    scale: ScaleConfig = ScaleConfig()

    def pairs(self, k: int, particles: tuple[Tensor, Tensor] | None = None) -> Pairs:
        """Pairs between snapshot ``k`` and snapshot ``k + 1``.

        `particles`, states ``(n, d)`` with masses ``(n,)``, replace the cells of snapshot ``k``.
        """
        s = self.snapshots
        dt = float(s.times[k + 1] - s.times[k])
        source, target = self._end(k, dt, particles), self._end(k + 1, -dt)
        eps = max(self.bridge_config.sigma**2 * dt, smallest_eps(source.x, target.x, self.scale))
        n_landmarks, n_pairs = self.coupling.n_landmarks, self.coupling.n_pairs
        resample_source = particles is None and len(s.states[k]) > n_landmarks
        resample = resample_source or len(s.states[k + 1]) > n_landmarks
        # The cost of a coupling does not depend on the number of cells.
        n_rounds = self.coupling.n_rounds if resample else 1
        rounds: list[Pairs] = []
        potentials = None
        for i in range(n_rounds):
            if i > 0:
                source, target = (
                    self._end(k, dt) if resample_source else source,
                    self._end(k + 1, -dt),
                )
            potentials = sinkhorn(
                source.x,
                source.mass,
                target.x,
                target.mass,
                alpha=self.bridge_config.alpha,
                eps=eps,
                start=potentials,
            )
            rounds.append(self._draw(plan(potentials), source, target, -(-n_pairs // n_rounds)))
        return concatenate(rounds)[torch.arange(n_pairs)]

    def _end(self, k: int, dt: float, particles: tuple[Tensor, Tensor] | None = None) -> _End:
        """One side of a coupling over an interval.

        The interval starts at snapshot ``k`` if ``dt`` is positive and ends there otherwise.
        """
        s = self.snapshots
        cells = s.states[k]
        index = subsample_index(len(cells), self.coupling.n_landmarks, self.rng)
        landmarks = torch.as_tensor(cells[index])
        x, mass = particles or (landmarks, uniform_weights(landmarks, float(s.masses[k])))
        if s.growth_prior is None or self.bridge_config.alpha is None:
            return _End(x, mass, torch.zeros_like(mass))
        rate = torch.as_tensor(s.growth_prior[k][index], dtype=x.dtype)
        if particles is not None:
            rate = rate[torch.cdist(x, landmarks).argmin(1)]
        return _End(x, mass * (rate * dt / 2).exp(), rate * abs(dt))

    def cells(self, k: int) -> tuple[Tensor, Tensor]:
        """A subset of the cells of snapshot ``k``, with masses that sum to that of the snapshot."""
        x = subsample(self.snapshots.states[k], self.coupling.n_landmarks, self.rng)
        return x, uniform_weights(x, float(self.snapshots.masses[k]))

    def _draw(self, p: Tensor, source: _End, target: _End, n: int) -> Pairs:
        jitter = torch.as_tensor(self.rng.random(n))
        prior = source.prior, target.prior
        return sample_pairs(
            p,
            source.x,
            source.mass,
            target.x,
            target.mass,
            jitter,
            unbalanced=self.bridge_config.alpha is not None,
            prior=prior,
        )


class _End(NamedTuple):
    """One side of a coupling.

    States ``(n, d)``, their masses after half of the expected growth ``(n,)``, and the expected log
    growth over the interval ``(n,)``.
    """

    x: Tensor
    mass: Tensor
    prior: Tensor


def mix_halves(first: Pairs, second: Pairs, rng: np.random.Generator) -> Pairs:
    """Half of each of two stacked pools of equal size, chosen at random.

    Half of the pairs of cells remain in a correction, so that it retains the fit to the cells.
    """
    n = first.x0.shape[1]
    order = torch.as_tensor(rng.permutation(n))
    return first.select(order[: n // 2]).concat(second.select(order[n // 2 :]))
