"""One-dimensional double well with growth: Feynman-Kac equation by finite differences.

Independent of the package's code: ``-du/dt = b u_x + (sigma^2/2) u_xx + g u`` on a grid, exact in
time (matrix exponential), with fields that jump at a snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from _without_walls import WithoutWalls
from scipy.linalg import expm
from torch import Tensor

from scdiffot.core import FitConfig, RUOTModel, Snapshots
from scdiffot.core.problem.snapshots import Scaling


@dataclass(frozen=True)
class DoubleWell:
    """``dX = depth (X - X^3) dt + tilt dt + sigma dW``, ``g = level + slope tanh(2 X)``.

    Every interval has a level and a tilt.
    """

    depth: float = 1.0
    sigma: float = 0.7
    slope: float = 0.8
    levels: tuple[float, ...] = (0.0, -0.3)
    tilts: tuple[float, ...] = (0.0, 0.3)
    times: tuple[float, ...] = (0.0, 1.0, 2.0)

    def drift(self, x: np.ndarray, k: int | np.ndarray) -> np.ndarray:
        return self.depth * (x - x**3) + np.asarray(self.tilts)[k]

    def growth(self, x: np.ndarray, k: int | np.ndarray) -> np.ndarray:
        return np.asarray(self.levels)[k] + self.slope * np.tanh(2 * x)

    def interval(self, t: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.levels) - 1)

    def generator(self, x: np.ndarray, k: int, *, growth: bool) -> np.ndarray:
        """Central differences in the inside; particles that would leave the grid stay."""
        h = x[1] - x[0]
        spread, drift = self.sigma**2 / (2 * h**2), self.drift(x, k) / (2 * h)
        up, down = spread + drift, spread - drift
        up[-1] = down[0] = 0
        matrix = np.diag(up[:-1], 1) + np.diag(down[1:], -1) - np.diag(up + down)
        return matrix + np.diag(self.growth(x, k)) if growth else matrix

    def solve(
        self, positions: np.ndarray, *, n: int = 700
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Descendants, fate and path probability of the right well, for cells at the first time."""
        # Zero lies between two points, where it belongs as the border of the classes.
        x = np.linspace(-2.8, 2.8, n)
        right = (x > 0).astype(float)
        solutions = {}
        for growth in (True, False):
            u = np.stack([np.ones(n), right], 1)
            for k in reversed(range(len(self.levels))):
                u = (
                    expm((self.times[k + 1] - self.times[k]) * self.generator(x, k, growth=growth))
                    @ u
                )
            solutions[growth] = [np.interp(positions, x, column) for column in u.T]
        total, weighted = solutions[True]
        return total, weighted / total, solutions[False][1]


def observed(
    process: DoubleWell, n: int, *, n_particles: int = 40_000, dt: float = 0.005
) -> Snapshots:
    """Snapshots of weighted particles (Euler-Maruyama), with masses and true growth rates."""
    rng = np.random.default_rng(0)
    x, log_w = rng.normal(0, 0.6, n_particles), np.zeros(n_particles)
    states, masses, rates = [], [], []
    for k, t in enumerate(process.times):
        # Equally spaced quantiles of ordered states have hardly any sampling noise.
        order = np.argsort(x)
        x, log_w = x[order], log_w[order]
        w = np.exp(log_w)
        index = np.searchsorted(np.cumsum(w), w.sum() * (np.arange(n) + rng.random(n)) / n)
        states.append(x[index.clip(max=n_particles - 1)][:, None])
        masses.append(w.mean())
        rates.append(process.growth(states[-1][:, 0], min(k, len(process.levels) - 1)))
        for _ in range(round((process.times[k + 1] - t) / dt) if k < len(process.levels) else 0):
            log_w += process.growth(x, k) * dt
            x = (
                x
                + process.drift(x, k) * dt
                + process.sigma * np.sqrt(dt) * rng.normal(size=n_particles)
            )
    return Snapshots(np.array(process.times), tuple(states), np.array(masses), tuple(rates))


class TrueFields(WithoutWalls):
    """The true fields in the units of a solver, with the interface of the networks."""

    def __init__(self, process: DoubleWell, scaling: Scaling) -> None:
        super().__init__()
        self.process, self.scaling, self.n_dims = process, scaling, 1
        self.sigma = process.sigma / scaling.scale * scaling.time_scale**0.5

    def forward(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        p, s = self.process, self.scaling
        state = x.double().numpy() * s.scale + s.shift
        k = p.interval(t.double().numpy() * s.time_scale + s.time_shift)
        drift = p.drift(state, k[:, None]) * s.time_scale / s.scale
        growth = p.growth(state[:, 0], k) * s.time_scale
        return {
            "drift": torch.from_numpy(drift).to(x.dtype),
            "growth": torch.from_numpy(growth).to(x.dtype),
        }

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        out = self(x, t)
        return out["drift"], out["growth"]


def true_model(process: DoubleWell) -> RUOTModel:
    """A model with the true fields, in solver's units that differ from the user's."""
    scaling = Scaling(np.array([0.3]), 2.0, 0.0, 0.7)
    times = np.array(process.times)
    return RUOTModel(TrueFields(process, scaling), scaling, FitConfig(), times, np.ones(len(times)))


def wells(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right, nothing outside."""
    right = x[:, 0] > 0
    return np.stack([~right, right], 1).astype(float), np.zeros(len(x), bool)
