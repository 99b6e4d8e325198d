"""The networks: flow, growth and log-density, in the separate and the gradient form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from scdiffot.core.problem.scales import reflect

from .mlp import MLP, LinearResidualNet
from .seeding import first_generator

# Times of an interval at which the normalisation of the density is stored. With 5 times its error
# between them was up to 25 %.
N_NORM = 17


class Clock(nn.Module):
    """Features of time: smooth ones, and ones that are discontinuous at snapshots.

    The multiplier of a snapshot constraint jumps at its time, so the optimal fields may jump too.
    The progress within an interval and one indicator per inner snapshot represent such jumps. A
    snapshot time belongs to the interval that starts there.
    """

    def __init__(self, times: Tensor) -> None:
        super().__init__()
        self.times: Tensor
        self.register_buffer("times", times)
        self.n_features = 4 + max(len(times) - 2, 0)

    def locate(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Intervals of times ``(n,)`` and the progress in them, both ``(n,)``."""
        k = torch.bucketize(t.contiguous(), self.times[1:-1].contiguous(), right=True)
        return k, (t - self.times[k]) / (self.times[k + 1] - self.times[k])

    def forward(self, t: Tensor) -> Tensor:
        """Features ``(n, n_features)`` at times ``(n,)``."""
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
        ``"separate"``: one network each for the flow and the growth; ``"gradient"``: one potential
        lambda, with drift ``grad lambda`` and growth ``lambda / alpha``.
    autonomous
        Whether drift and growth are the same at all times. The log-density always depends on time.
    sigma, alpha
        Diffusion and cost of growth.
    generator
        Source of the initial weights; not needed if they are replaced afterwards.
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
            # Snapshots identify the linear part of one function for all times best.
            net = LinearResidualNet if autonomous else MLP
            self.motion_net = net(n_in, n_dims, n_hidden, n_layers, generator)
            if growth:
                width = n_hidden // 2 if autonomous else n_hidden
                self.growth_net = net(n_in, 1, width, n_layers, generator)
        # Set after training: the growth that completes the mass of an interval, and the offset that
        # normalises the density over time.
        self.growth_offset: Tensor
        self.register_buffer("growth_offset", torch.zeros(len(times) - 1))
        # Set before training: the range of growth rates of the pairs of each interval. Outside the
        # data the output of a network is unbounded.
        self.growth_range: Tensor
        self.register_buffer(
            "growth_range", torch.tensor([-math.inf, math.inf]).repeat(len(times) - 1, 1)
        )
        self.log_norm: Tensor
        self.register_buffer("log_norm", torch.zeros(len(times) - 1, N_NORM))
        # Set before training: minimum and maximum of the states in dimensions that have walls.
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
        """Shapes of all stored arrays of the fields, computed without networks."""
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
        """Whether the output of the motion network is the drift; otherwise it is the flow."""
        return self.form == "gradient" or self.autonomous

    def forward(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        """All fields at states ``(n, d)`` and times ``(n,)``.

        ``drift``, ``flow`` and ``score`` ``(n, d)``, ``growth`` and ``log_density`` ``(n,)``.
        """
        motion, growth, score, log_density = self._evaluate(x, t)
        half = self.sigma**2 / 2 * score
        drift, flow = (motion, motion - half) if self.moves_drift else (motion + half, motion)
        k, progress = self.clock.locate(t)
        position = (progress * (N_NORM - 1)).clamp(0, N_NORM - 1 - 1e-4)
        node = position.long()
        share = position - node
        norm = (1 - share) * self.log_norm[k, node] + share * self.log_norm[k, node + 1]
        return {
            "drift": drift,
            "flow": flow,
            "score": score,
            "growth": growth,
            "log_density": log_density + norm,
        }

    def move(self, x: Tensor, shift: Tensor, noise: Tensor | None = None) -> Tensor:
        """States after a shift, clipped at walls, and noise, reflected at walls."""
        x = (x + shift).clamp(*self.walls)
        if noise is None:
            return x
        return reflect(x + noise, self.walls)

    def restrict_growth(self, *, linear: bool) -> None:
        """Set whether the growth of autonomous fields is restricted to its linear part."""
        if isinstance(net := getattr(self, "growth_net", None), LinearResidualNet):
            net.linear_only = linear

    def network_outputs(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Motion, which is drift or flow, ``(n, d)``; growth ``(n,)``; and score ``(n, d)``."""
        return self._evaluate(x, t)[:3]

    def rates_and_score(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Drift ``(n, d)``, growth ``(n,)``, and gradient of the log-density ``(n, d)``."""
        motion, growth, score, _ = self._evaluate(x, t)
        drift = motion if self.moves_drift else motion + self.sigma**2 / 2 * score
        return drift, growth, score

    def flow_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Flow ``(n, d)`` and growth ``(n,)``; the score is evaluated only if needed."""
        if self.moves_drift and self.sigma > 0:
            motion, growth, score, _ = self._evaluate(x, t)
            return motion - self.sigma**2 / 2 * score, growth
        return self._motion_and_growth(x, t)

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift ``(n, d)`` and growth ``(n,)``; the score is evaluated only if needed."""
        if self.moves_drift:
            return self._motion_and_growth(x, t)
        return self.rates_and_score(x, t)[:2]

    def _evaluate(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs = torch.cat([x, self.clock(t)], 1)
        log_density, score = self.log_density_net.value_and_gradient(inputs, self.n_dims)
        return *self._motion_and_growth(x, t, inputs), score, log_density

    def _motion_and_growth(
        self, x: Tensor, t: Tensor, inputs: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Motion and growth; `inputs` are the states with features of time, if available."""
        if self.autonomous:
            inputs = x
        elif inputs is None:
            inputs = torch.cat([x, self.clock(t)], 1)
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
        growth = growth.clamp(self.growth_range[k, 0], self.growth_range[k, 1])
        return motion, growth + self.growth_offset[k]
