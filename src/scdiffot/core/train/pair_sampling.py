"""Pools of paired cells, drawn from the coupling of an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import smallest_eps, subsample, subsample_index, uniform

from .bridges import BridgeConfig, Pairs, concatenate, sample_pairs

if TYPE_CHECKING:
    import numpy as np

    from scdiffot.core.problem.snapshots import Snapshots

# Large snapshots are paired in rounds of fresh cells, each started from the potentials of the last: cost is flat in n.
N_ROUNDS = 3


@dataclass(frozen=True)
class PairSampler:
    """Couples consecutive snapshots (in the solver's units) and draws pairs."""

    snapshots: Snapshots
    regime: BridgeConfig
    n_landmarks: int
    n_pairs: int
    rng: np.random.Generator

    def pairs(self, k: int, particles: tuple[Tensor, Tensor] | None = None) -> Pairs:
        """Pairs between snapshot ``k``, or weighted particles (n, d), (n,) that stand for it, and snapshot ``k + 1``."""
        s = self.snapshots
        dt = float(s.times[k + 1] - s.times[k])
        source, target = self._end(k, dt, particles), self._end(k + 1, -dt)
        eps = max(self.regime.sigma**2 * dt, smallest_eps(source.x, target.x))
        fresh_source = particles is None and len(s.states[k]) > self.n_landmarks
        n_rounds = N_ROUNDS if fresh_source or len(s.states[k + 1]) > self.n_landmarks else 1
        rounds: list[Pairs] = []
        potentials = None
        for i in range(n_rounds):
            if i > 0:
                source, target = self._end(k, dt) if fresh_source else source, self._end(k + 1, -dt)
            potentials = sinkhorn(
                source.x,
                source.mass,
                target.x,
                target.mass,
                alpha=self.regime.alpha,
                eps=eps,
                start=potentials,
            )
            rounds.append(
                self._draw(plan(potentials), source, target, -(-self.n_pairs // n_rounds))
            )
        return concatenate(rounds)[torch.arange(self.n_pairs)]

    def _end(self, k: int, dt: float, particles: tuple[Tensor, Tensor] | None = None) -> _End:
        """One side of a coupling, an interval that lasts ``dt`` from it, or ``-dt`` up to it."""
        s = self.snapshots
        cells = s.states[k]
        chosen = subsample_index(len(cells), self.n_landmarks, self.rng)
        known = torch.as_tensor(cells[chosen])
        x, mass = particles or (known, uniform(known, float(s.masses[k])))
        if s.growth_prior is None or self.regime.alpha is None:
            return _End(x, mass, torch.zeros_like(mass))
        rate = torch.as_tensor(s.growth_prior[k][chosen], dtype=x.dtype)
        if particles is not None:
            rate = rate[torch.cdist(x, known).argmin(1)]
        return _End(x, mass * (rate * dt / 2).exp(), rate * abs(dt))

    def cells(self, k: int) -> tuple[Tensor, Tensor]:
        """Cells and masses of snapshot ``k``."""
        x = subsample(self.snapshots.states[k], self.n_landmarks, self.rng)
        return x, uniform(x, float(self.snapshots.masses[k]))

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
            unbalanced=self.regime.alpha is not None,
            prior=prior,
        )


class _End(NamedTuple):
    """States (n, d) on one side of a coupling, their masses halfway in the growth expected, and its log over the interval."""

    x: Tensor
    mass: Tensor
    prior: Tensor
