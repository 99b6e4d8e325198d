"""The networks: flow, growth and log-density, in the separate and the gradient form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Times of an interval at which the normalisation of the density is kept.
N_NORM = 5


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
        _, progress = self.locate(t)
        phase = math.pi * (t - knots[0]) / (knots[-1] - knots[0])
        smooth = torch.stack([2 * phase / math.pi - 1, phase.sin(), (2 * phase).sin(), 2 * progress - 1], 1)
        return torch.cat([smooth, (t[:, None] >= knots[1:-1]).to(t.dtype)], 1)


def flattened(module: nn.Module) -> nn.Parameter:
    """One vector of which all parameters and their gradients become views: an optimiser's step is then one operation."""
    parameters = list(module.parameters())
    vector = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, slopes in zip(parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True):
        p.data = values.view_as(p)
        p.grad = slopes.view_as(p)
    return vector


class MLP(nn.Module):
    """Multilayer perceptron with tanh, and the gradient of its scalar output in closed form."""

    def __init__(self, n_in: int, n_out: int, n_hidden: int, n_layers: int) -> None:
        super().__init__()
        sizes = [n_in, *[n_hidden] * n_layers]
        self.hidden = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes[:-1], sizes[1:], strict=True))
        self.out = nn.Linear(n_hidden, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, n_out)."""
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x)

    def value_and_gradient(self, x: Tensor, n_dims: int) -> tuple[Tensor, Tensor]:
        """Scalar output (n,) and its gradient (n, n_dims) in the first ``n_dims`` inputs.

        Written out, the gradient costs one more matrix product a layer and trains through an ordinary backward pass.
        """
        units: list[Tensor] = []
        weights: list[Tensor] = []
        for layer in self.hidden:
            weights.append(layer.get_parameter("weight"))
            x = torch.tanh(layer(x))
            units.append(x)
        value = self.out(x)[:, 0]
        gradient: Tensor = self.out.weight
        for weight, unit in zip(reversed(weights), reversed(units), strict=True):
            gradient = (gradient - gradient * unit * unit) @ weight
        return value, gradient[:, :n_dims]


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
    ) -> None:
        super().__init__()
        self.n_dims, self.has_growth, self.form, self.autonomous = n_dims, growth, form, autonomous
        self.sigma, self.alpha, self.n_hidden = sigma, alpha, n_hidden
        self.clock = Clock(times)
        n_timed = n_dims + self.clock.n_features
        n_in = n_dims if autonomous else n_timed
        self.log_density_net = MLP(n_timed, 1, n_hidden, n_layers)
        if form == "gradient":
            self.potential_net = MLP(n_in, 1, n_hidden, n_layers)
        else:
            self.motion_net = MLP(n_in, n_dims, n_hidden, n_layers)
            if growth:
                self.growth_net = MLP(n_in, 1, n_hidden, n_layers)
        # Set after training: growth that completes the mass of an interval, and what normalises the density over time.
        self.growth_offset: Tensor
        self.register_buffer("growth_offset", torch.zeros(len(times) - 1))
        # Set before training: growth rates that pairs of each interval have; outside the data a network knows no bounds.
        self.growth_range: Tensor
        self.register_buffer("growth_range", torch.tensor([-math.inf, math.inf]).repeat(len(times) - 1, 1))
        self.log_norm: Tensor
        self.register_buffer("log_norm", torch.zeros(len(times) - 1, N_NORM))

    @property
    def moves_drift(self) -> bool:
        """Whether the network of motion is the drift; otherwise it is the flow, which can be followed without the score."""
        return self.form == "gradient" or self.autonomous

    def forward(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        """All fields at states (n, d) and times (n,).

        ``motion`` (n, d), what the network gives: drift or flow; ``drift``, ``flow``, ``score`` (n, d), ``growth`` (n,),
        ``log_density`` (n,).
        """
        timed = torch.cat([x, self.clock(t)], 1)
        log_density, score = self.log_density_net.value_and_gradient(timed, self.n_dims)
        motion, growth = self._motion_and_growth(x, t, timed)
        half = self.sigma**2 / 2 * score
        drift, flow = (motion, motion - half) if self.moves_drift else (motion + half, motion)
        k, progress = self.clock.locate(t)
        cell = (progress * (N_NORM - 1)).clamp(0, N_NORM - 1 - 1e-4)
        left = cell.long()
        share = cell - left
        norm = (1 - share) * self.log_norm[k, left] + share * self.log_norm[k, left + 1]
        return {
            "motion": motion,
            "drift": drift,
            "flow": flow,
            "score": score,
            "growth": growth,
            "log_density": log_density + norm,
        }

    def flow_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Flow (n, d) and growth (n,), without the score where the form allows."""
        if self.moves_drift and self.sigma > 0:
            out = self(x, t)
            return out["flow"], out["growth"]
        return self._motion_and_growth(x, t, torch.cat([x, self.clock(t)], 1))

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift (n, d) and growth (n,), without the score where the form allows."""
        if not self.moves_drift:
            out = self(x, t)
            return out["drift"], out["growth"]
        return self._motion_and_growth(x, t, torch.cat([x, self.clock(t)], 1))

    def _motion_and_growth(self, x: Tensor, t: Tensor, timed: Tensor) -> tuple[Tensor, Tensor]:
        inputs = x if self.autonomous else timed
        if self.form == "gradient":
            value, motion = self.potential_net.value_and_gradient(inputs, self.n_dims)
            growth = value / self.alpha
        else:
            motion = self.motion_net(inputs)
            growth = self.growth_net(inputs)[:, 0] if self.has_growth else motion[:, 0]
        if not self.has_growth:
            return motion, torch.zeros_like(growth)
        k = self.clock.locate(t)[0]
        if not self.training:
            growth = growth.clamp(self.growth_range[k, 0], self.growth_range[k, 1])
        return motion, growth + self.growth_offset[k]
