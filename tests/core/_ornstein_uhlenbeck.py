"""Ornstein-Uhlenbeck diffusion with linear growth: fields and moments in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from _without_walls import WithoutWalls
from torch import Tensor

from scdiffot.core import FitConfig, RUOTModel
from scdiffot.core.problem.snapshots import Scaling


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """``dX = -rate (X - centre) dt + sigma dW`` with ``g = level + slope x``.

    The initial population is normal and of unit mass.
    """

    rate: float = 0.8
    centre: float = 1.0
    sigma: float = 0.6
    level: float = 0.1
    slope: float = 0.5
    mean0: float = -0.5
    variance0: float = 0.6

    def variance(self, t: float | np.ndarray) -> float | np.ndarray:
        stationary = self.sigma**2 / (2 * self.rate)
        return stationary + (self.variance0 - stationary) * np.exp(-2 * self.rate * t)

    def mean(self, t: float | np.ndarray) -> float | np.ndarray:
        """Solves mean' = -rate (mean - centre) + slope variance: growth favours large states."""
        k, stationary = self.rate, self.sigma**2 / (2 * self.rate)
        decay = np.exp(-k * t)
        pulled = self.centre + (self.mean0 - self.centre) * decay
        return (
            pulled
            + self.slope
            * (stationary * (1 - decay) + (self.variance0 - stationary) * (decay - decay**2))
            / k
        )

    def log_mass(self, t: float) -> float:
        """Integral of level + slope mean."""
        s = np.linspace(0, t, 2001)
        return float(np.trapezoid(self.level + self.slope * self.mean(s), s))

    def ancestors(self, t: float, end: float) -> tuple[float, float]:
        """Mean and variance at ``t`` of the ancestors of the cells at ``end``.

        Their density is proportional to p(x, t) E[exp int g | x].
        """
        tilt = self.slope * (1 - np.exp(-self.rate * (end - t))) / self.rate
        return self.mean(t) + tilt * self.variance(t), self.variance(t)


class TrueFields(WithoutWalls):
    """The true fields in the units of a solver, with the interface of the networks."""

    def __init__(self, process: OrnsteinUhlenbeck, scaling: Scaling) -> None:
        super().__init__()
        self.process, self.scaling, self.n_dims = process, scaling, 1
        self.sigma = process.sigma / scaling.scale * scaling.time_scale**0.5
        self.alpha = 1.0

    def forward(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        p, s = self.process, self.scaling
        state = x * s.scale + float(s.shift[0])
        time = t.double().numpy() * s.time_scale + s.time_shift
        mean, variance = (
            torch.from_numpy(np.asarray(f(time))).to(x.dtype)[:, None] for f in (p.mean, p.variance)
        )
        drift, score = -p.rate * (state - p.centre), -(state - mean) / variance
        speed = s.time_scale / s.scale
        return {
            "drift": drift * speed,
            "flow": (drift - p.sigma**2 / 2 * score) * speed,
            "score": score * s.scale,
            "growth": (p.level + p.slope * state[:, 0]) * s.time_scale,
            "log_density": -(score**2)[:, 0] * variance[:, 0] / 2,
        }

    def rates_and_score(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self(x, t)
        return out["drift"], out["growth"], out["score"]

    def flow_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        out = self(x, t)
        return out["flow"], out["growth"]

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        out = self(x, t)
        return out["drift"], out["growth"]


def true_model(process: OrnsteinUhlenbeck, times: np.ndarray) -> RUOTModel:
    """A model with the true fields, in solver's units that differ from the user's."""
    scaling = Scaling(np.array([0.3]), 2.0, float(times[0]), 0.7)
    return RUOTModel(TrueFields(process, scaling), scaling, FitConfig(), times, np.ones(len(times)))
