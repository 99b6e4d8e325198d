"""The networks: flow, growth and log-density, in the separate and the gradient form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from scdiffot.core.problem.scales import reflected

from .mlp import MLP, LinearResidualNet
from .seeding import first_generator

# Times of an interval at which the normalisation of the density is kept: with 5 it is up to 25 % off between.
N_NORM = 17


class Clock(nn.Module):
    """Features of time: smooth over the whole course, plus what may jump at a snapshot.

    The multiplier of a snapshot constraint jumps at its time, so the optimal fields may too. Progress within an interval and
    one indicator per inner snapshot let the networks follow; a snapshot time counts as the start of the next interval.
    """

    def __init__(self, times: Tensor) -> None:
        super().__init__()
        self.times: Tensor
        self.register_buffer("times", times)
        self.n_features = 4 + max(len(times) - 2, 0)

    def locate(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Interval (n,) in which times (n,) lie, and progress in it."""
        k = torch.bucketize(t, self.times[1:-1].contiguous(), right=True)
        return k, (t - self.times[k]) / (self.times[k + 1] - self.times[k])

    def forward(self, t: Tensor) -> Tensor:
        """Features of shape (n, n_features) at times (n,)."""
        knots = self.times
        k, progress = self.locate(t)
        phase = math.pi * (t - knots[0]) / (knots[-1] - knots[0])
        smooth = torch.stack(
            [2 * phase / math.pi - 1, phase.sin(), (2 * phase).sin(), 2 * progress - 1], 1
        )
        passed = k[:, None] >= torch.arange(1, len(knots) - 1, device=k.device)
        return torch.cat([smooth, passed.to(t.dtype)], 1)


class Fields(nn.Module):
    """Flow, growth and log-density of the population, in the solver's units.

    Parameters
    ----------
    times
        Snapshot times, shape ``(T,)``.
    n_dims
        Dimension of the state.
    growth
        Whether cells divide and die.
    form
        ``"separate"``: one network each for the flow and the growth; ``"gradient"``: one potential lambda, with drift its
        gradient and growth ``lambda / alpha``.
    autonomous
        Whether drift and growth are the same at all times. The log-density always depends on time.
    sigma, alpha
        Diffusion and price of growth.
    generator
        Source of the initial weights; not needed where others replace them.
    """

    def __init__(
        self,
        times: Tensor,
        n_dims: int,
        *,
        growth: bool,
        form: str,
        autonomous: bool,
        sigma: float,
        alpha: float,
        n_hidden: int,
        n_layers: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or first_generator()
        self.n_dims, self.has_growth, self.form, self.autonomous = n_dims, growth, form, autonomous
        self.sigma, self.alpha, self.n_hidden = sigma, alpha, n_hidden
        self.clock = Clock(times)
        n_timed = n_dims + self.clock.n_features
        n_in = n_dims if autonomous else n_timed
        self.log_density_net = MLP(n_timed, 1, n_hidden, n_layers, generator)
        if form == "gradient":
            self.potential_net = MLP(n_in, 1, n_hidden, n_layers, generator)
        else:
            # One law for all states is told best by what changes along with them.
            net = LinearResidualNet if autonomous else MLP
            self.motion_net = net(n_in, n_dims, n_hidden, n_layers, generator)
            if growth:
                width = n_hidden // 2 if autonomous else n_hidden
                self.growth_net = net(n_in, 1, width, n_layers, generator)
        # Set after training: growth that completes the mass of an interval, and what normalises the density over time.
        self.growth_offset: Tensor
        self.register_buffer("growth_offset", torch.zeros(len(times) - 1))
        # Set before training: growth rates that pairs of each interval have; outside the data a network knows no bounds.
        self.growth_range: Tensor
        self.register_buffer(
            "growth_range", torch.tensor([-math.inf, math.inf]).repeat(len(times) - 1, 1)
        )
        self.log_norm: Tensor
        self.register_buffer("log_norm", torch.zeros(len(times) - 1, N_NORM))
        # Set before training: least and largest value that a state can have, where cells pile up at them.
        self.walls: Tensor
        self.register_buffer("walls", torch.tensor([[-math.inf], [math.inf]]).repeat(1, n_dims))

    @staticmethod
    def shapes(
        n_times: int,
        n_dims: int,
        *,
        growth: bool,
        form: str,
        autonomous: bool,
        n_hidden: int,
        n_layers: int,
    ) -> dict[str, tuple[int, ...]]:
        """Shapes of all that is stored of the fields, without a network."""
        n_timed = n_dims + 4 + max(n_times - 2, 0)
        n_in = n_dims if autonomous else n_timed
        nets = {"log_density_net": MLP.shapes(n_timed, 1, n_hidden, n_layers)}
        if form == "gradient":
            nets["potential_net"] = MLP.shapes(n_in, 1, n_hidden, n_layers)
        else:
            net = LinearResidualNet if autonomous else MLP
            nets["motion_net"] = net.shapes(n_in, n_dims, n_hidden, n_layers)
            if growth:
                nets["growth_net"] = net.shapes(
                    n_in, 1, n_hidden // 2 if autonomous else n_hidden, n_layers
                )
        buffers: dict[str, tuple[int, ...]] = {
            "clock.times": (n_times,),
            "growth_offset": (n_times - 1,),
            "growth_range": (n_times - 1, 2),
            "log_norm": (n_times - 1, N_NORM),
            "walls": (2, n_dims),
        }
        return buffers | {
            f"{net}.{name}": shape for net, part in nets.items() for name, shape in part.items()
        }

    @property
    def moves_drift(self) -> bool:
        """Whether the network of motion is the drift; otherwise it is the flow, which can be followed without the score."""
        return self.form == "gradient" or self.autonomous

    def forward(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        """All fields at states (n, d) and times (n,).

        ``drift``, ``flow``, ``score`` (n, d), ``growth`` (n,), ``log_density`` (n,).
        """
        motion, growth, score, log_density = self._evaluate(x, t)
        half = self.sigma**2 / 2 * score
        drift, flow = (motion, motion - half) if self.moves_drift else (motion + half, motion)
        k, progress = self.clock.locate(t)
        cell = (progress * (N_NORM - 1)).clamp(0, N_NORM - 1 - 1e-4)
        left = cell.long()
        share = cell - left
        norm = (1 - share) * self.log_norm[k, left] + share * self.log_norm[k, left + 1]
        return {
            "drift": drift,
            "flow": flow,
            "score": score,
            "growth": growth,
            "log_density": log_density + norm,
        }

    def move(self, x: Tensor, by: Tensor, noise: Tensor | None = None) -> Tensor:
        """States after a shift, which a wall stops, and noise, which it reflects."""
        x = (x + by).clamp(*self.walls)
        if noise is None:
            return x
        return reflected(x + noise, self.walls)

    def straighten(self, straight: bool) -> None:
        """Whether the growth of autonomous fields is a linear function of the state."""
        if isinstance(trend := getattr(self, "growth_net", None), LinearResidualNet):
            trend.straight = straight

    def regressed(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks give: motion, drift or flow (n, d); growth (n,); and score (n, d)."""
        return self._evaluate(x, t)[:3]

    def flow_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Flow (n, d) and growth (n,), without the score where the form allows."""
        if self.moves_drift and self.sigma > 0:
            motion, growth, score, _ = self._evaluate(x, t)
            return motion - self.sigma**2 / 2 * score, growth
        return self._motion_and_growth(x, t)

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift (n, d) and growth (n,), without the score where the form allows."""
        if self.moves_drift:
            return self._motion_and_growth(x, t)
        motion, growth, score, _ = self._evaluate(x, t)
        return motion + self.sigma**2 / 2 * score, growth

    def _evaluate(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        timed = torch.cat([x, self.clock(t)], 1)
        log_density, score = self.log_density_net.value_and_gradient(timed, self.n_dims)
        return *self._motion_and_growth(x, t, timed), score, log_density

    def _motion_and_growth(
        self, x: Tensor, t: Tensor, timed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        inputs = (
            x if self.autonomous else torch.cat([x, self.clock(t)], 1) if timed is None else timed
        )
        if self.form == "gradient":
            value, motion = self.potential_net.value_and_gradient(inputs, self.n_dims)
            growth = value / self.alpha
        else:
            motion = self.motion_net(inputs)
            growth = self.growth_net(inputs)[:, 0] if self.has_growth else motion[:, 0]
        if not self.has_growth:
            return motion, torch.zeros_like(growth)
        if self.training:
            return motion, growth
        k = self.clock.locate(t)[0]
        return motion, growth.clamp(
            self.growth_range[k, 0], self.growth_range[k, 1]
        ) + self.growth_offset[k]


def reversed_drift_and_growth(fields: Fields, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Drift (n, d) to step backward, and growth (n,): negative steps turn b - sigma^2 s into the drift of the time reversal."""
    out = fields(x, t)
    return out["drift"] - fields.sigma**2 * out["score"], out["growth"]
