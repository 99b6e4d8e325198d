"""Pools of paired cells, drawn from the coupling of an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bridges import Pairs, Regime, concatenate, sample_pairs
from .coupling import plan, sinkhorn
from .scales import smallest_eps, subsample, subsample_index, uniform

if TYPE_CHECKING:
    import numpy as np

    from .snapshots import Snapshots

# Large snapshots are paired in rounds of fresh cells, each started from the potentials of the last: cost is flat in n.
N_ROUNDS = 3


@dataclass(frozen=True)
class Coupler:
    """Couples consecutive snapshots (in the solver's units) and draws pairs."""

    snapshots: Snapshots
    regime: Regime
    n_landmarks: int
    n_pairs: int
    rng: np.random.Generator

    def pairs(self, k: int, particles: tuple[Tensor, Tensor] | None = None) -> Pairs:
        """Pairs between snapshot ``k``, or weighted particles (n, d), (n,) that stand for it, and snapshot ``k + 1``."""
        s = self.snapshots
        x, a, prior = self._source(k, particles)
        y, b = self.target(k)
        dt = float(s.times[k + 1] - s.times[k])
        eps = max(self.regime.sigma**2 * dt, smallest_eps(x, y))
        potentials = sinkhorn(x, a, y, b, alpha=self.regime.alpha, eps=eps)
        fresh_source = particles is None and len(s.states[k]) > self.n_landmarks
        if not fresh_source and len(s.states[k + 1]) <= self.n_landmarks:
            return self._draw(plan(potentials), x, a, prior, y, b, self.n_pairs)
        rounds = []
        for i in range(N_ROUNDS):
            if i:
                if fresh_source:
                    x, a, prior = self._source(k, None)
                y, b = self.target(k)
                potentials = sinkhorn(x, a, y, b, alpha=self.regime.alpha, eps=eps, start=potentials)
            rounds.append(self._draw(plan(potentials), x, a, prior, y, b, -(-self.n_pairs // N_ROUNDS)))
        return concatenate(rounds)[torch.arange(self.n_pairs)]

    def _source(self, k: int, particles: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """States, masses after the growth expected beforehand, and the logarithm of that growth."""
        s = self.snapshots
        cells = s.states[k]
        chosen = subsample_index(len(cells), self.n_landmarks, self.rng)
        x = torch.as_tensor(cells[chosen])
        x, a = particles or (x, uniform(x, float(s.masses[k])))
        if s.growth_prior is None or self.regime.alpha is None:
            return x, a, None
        rate = torch.as_tensor(s.growth_prior[k][chosen], dtype=x.dtype)
        if particles is not None:
            rate = rate[torch.cdist(x, torch.as_tensor(cells[chosen])).argmin(1)]
        prior = rate * float(s.times[k + 1] - s.times[k])
        return x, a * prior.exp(), prior

    def target(self, k: int) -> tuple[Tensor, Tensor]:
        """Cells and masses of snapshot ``k + 1``."""
        y = subsample(self.snapshots.states[k + 1], self.n_landmarks, self.rng)
        return y, uniform(y, float(self.snapshots.masses[k + 1]))

    def smoothed(self, k: int, width: float) -> tuple[Tensor, Tensor]:
        """Cells and masses of snapshot ``k``, displaced by normal noise of this width."""
        x = subsample(self.snapshots.states[k], self.n_landmarks, self.rng)
        noise = torch.as_tensor(self.rng.standard_normal(x.shape), dtype=x.dtype)
        return x + width * noise, uniform(x, float(self.snapshots.masses[k]))

    def _draw(self, p: Tensor, x: Tensor, a: Tensor, prior: Tensor | None, y: Tensor, b: Tensor, n: int) -> Pairs:
        jitter = torch.as_tensor(self.rng.random(n))
        return sample_pairs(p, x, a, y, b, jitter, unbalanced=self.regime.alpha is not None, prior=prior)
