"""The flow from untreated to treated cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from scdiffot.core.nets.mlp import MLP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Conditions
    from .pairs import Moments

# Number of times at which the flow is trained. A solver step uses its two ends and its midpoint.
N_NODES = 65
N_STEPS = 16
# Maximum number of directions of the linear part.
MAX_DIMS = 100


class ResponseFlow(nn.Module):
    r"""Velocity of a flow from untreated to treated cells: a linear part plus a network.

    The linear part of a treatment is the conditional mean of the displacement :math:`y - x`, given
    a point of the straight paths between paired cells, under a Gaussian distribution of pairs. It
    is exact for Gaussian pairs, and the extrapolation far from the data. The network starts at
    zero.

    Parameters
    ----------
    conditions
        The treatments.
    moments
        Moments of the pairs of every treatment.
    width
        Standard deviation of the smoothing of paths.
    n_hidden, n_layers
        Width and number of hidden layers of the network.
    generator
        Source of the initial weights; unused if they are replaced by stored weights.

    See Also
    --------
    scdiffot.core.response.regression.fit_flow : Train a flow.
    scdiffot.core.response.convex.ConvexMaps : Maps instead of a flow.
    """

    slopes: Tensor
    offsets: Tensor
    features: Tensor
    basis: Tensor | None

    def __init__(
        self,
        conditions: Conditions,
        moments: Sequence[Moments],
        *,
        width: float,
        n_hidden: int,
        n_layers: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.conditions = conditions
        self.width = width
        d = len(moments[0].mean_x)
        names = ("mean_x", "mean_y", "xx", "xy", "yy")
        self.moments = {name: torch.stack([getattr(m, name) for m in moments]) for name in names}
        n_in = d + 3 + conditions.embedding.shape[1] + 1
        self.net = MLP(n_in, d, n_hidden, n_layers, generator)
        nn.init.zeros_(self.net.out.weight)
        nn.init.zeros_(self.net.out.bias)
        t = torch.linspace(0, 1, N_NODES, dtype=torch.float64)
        basis = _principal_directions(moments)
        parts = [_fit_linear(m, t, width, basis) for m in moments]
        self.register_buffer("basis", None if basis is None else basis.float(), persistent=False)
        self.register_buffer("slopes", torch.stack([a for a, _ in parts]).float(), persistent=False)
        self.register_buffer(
            "offsets", torch.stack([b for _, b in parts]).float(), persistent=False
        )
        features = torch.as_tensor(conditions.features, dtype=torch.float32)
        self.register_buffer("features", features, persistent=False)

    @staticmethod
    def shapes(
        conditions: Conditions, n_dims: int, *, n_hidden: int, n_layers: int
    ) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, without building a network."""
        n_in = n_dims + 3 + conditions.embedding.shape[1] + 1
        return {
            f"net.{name}": shape
            for name, shape in MLP.shapes(n_in, n_dims, n_hidden, n_layers).items()
        }

    def velocity(self, x: Tensor, node: Tensor, condition: Tensor) -> Tensor:
        """Velocity of points in groups, which share a time node and a treatment.

        Points and velocity have shape ``(g, n, d)``, node and condition shape ``(g,)``.
        """
        linear_velocity = self._apply_linear(
            x, self.slopes[condition, node], self.offsets[condition, node][:, None]
        )
        time_features = _time_features(node / (N_NODES - 1))
        inputs = torch.cat([time_features, self.features[condition]], 1)
        n = x.shape[1]
        repeated = inputs.repeat_interleave(n, dim=0)
        return linear_velocity + self.net(torch.cat([x.flatten(0, 1), repeated], 1)).view_as(x)

    @torch.no_grad()
    def carry(
        self, x: Tensor, embedding: np.ndarray, strength: float, *, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        """Integrate the flow by the fourth-order Runge-Kutta method.

        Returns the cells at the end, shape ``(n, d)``, and the action of their trajectories, shape
        ``(n,)``.
        """
        shares = torch.as_tensor(
            self.conditions.weights(embedding, strength), dtype=x.dtype, device=x.device
        )
        slopes = torch.einsum("c,ckij->kij", shares, self.slopes)
        offsets = torch.einsum("c,ckj->kj", shares, self.offsets)
        gate = self.conditions.gate(strength)
        treatment = torch.as_tensor(np.append(embedding, strength), dtype=x.dtype, device=x.device)
        nodes = torch.arange(0, N_NODES, (N_NODES - 1) // (2 * N_STEPS), device=x.device)

        def velocity(z: Tensor, i: int) -> Tensor:
            node = nodes[i]
            inputs = torch.cat([_time_features(node[None] / (N_NODES - 1))[0], treatment])
            network_output = self.net(torch.cat([z, inputs.expand(len(z), -1)], 1))
            return self._apply_linear(z, slopes[node], offsets[node]) + gate * network_output

        steps = range(N_STEPS)
        dt = -1 / N_STEPS if inverse else 1 / N_STEPS
        action = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for step in reversed(steps) if inverse else steps:
            first, middle, last = (
                (2 * step + 2, 2 * step + 1, 2 * step)
                if inverse
                else (2 * step, 2 * step + 1, 2 * step + 2)
            )
            k1 = velocity(x, first)
            k2 = velocity(x + dt / 2 * k1, middle)
            k3 = velocity(x + dt / 2 * k2, middle)
            k4 = velocity(x + dt * k3, last)
            mean_velocity = (k1 + 2 * k2 + 2 * k3 + k4) / 6
            action += mean_velocity.square().sum(1) / (2 * N_STEPS)
            x = x + dt * mean_velocity
        return x, action

    def _apply_linear(self, x: Tensor, slopes: Tensor, offset: Tensor) -> Tensor:
        if self.basis is None:
            return x @ slopes + offset
        return (x @ self.basis) @ slopes @ self.basis.T + offset


def _time_features(t: Tensor) -> Tensor:
    return torch.stack([t, torch.sin(torch.pi * t), torch.cos(torch.pi * t)], 1)


def _fit_linear(m: Moments, t: Tensor, width: float, basis: Tensor | None) -> tuple[Tensor, Tensor]:
    """Slopes and offsets of the conditional mean of the displacement, for every time.

    Slopes, to multiply from the right, have shape ``(T, r, r)``, and offsets shape ``(T, d)``.
    """
    xx, xy, yy = (c if basis is None else basis.T @ c @ basis for c in (m.xx, m.xy, m.yy))
    s = t[:, None, None]
    covariance = (1 - s) ** 2 * xx + s**2 * yy + s * (1 - s) * (xy + xy.T)
    ridge = width**2 + 1e-6 * float(covariance.diagonal(dim1=1, dim2=2).mean())
    # covariance of points and displacements
    cross = (1 - s) * (xy - xx) + s * (yy - xy.T)
    slopes = torch.linalg.solve(covariance + ridge * torch.eye(len(xx), dtype=t.dtype), cross)
    centres = (1 - t[:, None]) * m.mean_x + t[:, None] * m.mean_y
    projected = centres if basis is None else centres @ basis
    mean_shift = (projected[:, None] @ slopes)[:, 0]
    return slopes, (m.mean_y - m.mean_x) - (mean_shift if basis is None else mean_shift @ basis.T)


def _principal_directions(moments: Sequence[Moments]) -> Tensor | None:
    """Directions of largest variance, shape ``(d, r)``; None for all directions."""
    if len(moments[0].mean_x) <= MAX_DIMS:
        return None
    return torch.linalg.eigh(sum(m.xx + m.yy for m in moments)).eigenvectors[:, -MAX_DIMS:]
