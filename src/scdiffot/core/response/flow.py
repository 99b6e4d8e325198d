"""The flow that carries untreated cells onto treated ones."""

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

# Times at which the flow is learned; a step of the solver uses its two ends and the middle.
N_NODES = 65
N_STEPS = 16
MAX_DIMS = 100


class ResponseFlow(nn.Module):
    r"""Velocity of a flow from untreated to treated cells, linear but for what a network adds.

    The linear part of a treatment is the conditional mean of the displacement :math:`y - x` at a point of the straight
    paths between paired cells, if pairs were Gaussian: exact then, and the safe answer far from the data. The network
    starts at zero.

    Parameters
    ----------
    conditions
        The treatments.
    moments
        Of their pairs.
    width
        Standard deviation by which paths are smoothed.
    generator
        Source of the initial weights; not needed where others replace them.
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
        basis = _leading(moments)
        parts = [_linear(m, t, width, basis) for m in moments]
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
        """Shapes of the weights, without a network."""
        n_in = n_dims + 3 + conditions.embedding.shape[1] + 1
        return {
            f"net.{name}": shape
            for name, shape in MLP.shapes(n_in, n_dims, n_hidden, n_layers).items()
        }

    def regressed(self, x: Tensor, node: Tensor, condition: Tensor) -> Tensor:
        """Velocity (g, n, d) of points (g, n, d) at a node of time and under a condition, one for each group (g,)."""
        linear = self._linear(
            x, self.slopes[condition, node], self.offsets[condition, node][:, None]
        )
        time = _clock(node / (N_NODES - 1))
        inputs = torch.cat([time, self.features[condition]], 1)
        n = x.shape[1]
        repeated = inputs.repeat_interleave(n, dim=0)
        return linear + self.net(torch.cat([x.flatten(0, 1), repeated], 1)).view_as(x)

    @torch.no_grad()
    def carry(
        self, x: Tensor, embedding: np.ndarray, strength: float, *, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        """Cells (n, d) at the other end of the flow, and the action of their way (n,): Runge-Kutta of order four."""
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
            clock = torch.cat([_clock(node[None] / (N_NODES - 1))[0], treatment])
            learned = self.net(torch.cat([z, clock.expand(len(z), -1)], 1))
            return self._linear(z, slopes[node], offsets[node]) + gate * learned

        order = range(N_STEPS)
        h = -1 / N_STEPS if inverse else 1 / N_STEPS
        action = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for step in reversed(order) if inverse else order:
            first, middle, last = (
                (2 * step + 2, 2 * step + 1, 2 * step)
                if inverse
                else (2 * step, 2 * step + 1, 2 * step + 2)
            )
            k1 = velocity(x, first)
            k2 = velocity(x + h / 2 * k1, middle)
            k3 = velocity(x + h / 2 * k2, middle)
            k4 = velocity(x + h * k3, last)
            mean = (k1 + 2 * k2 + 2 * k3 + k4) / 6
            action += mean.square().sum(1) / (2 * N_STEPS)
            x = x + h * mean
        return x, action

    def _linear(self, x: Tensor, slopes: Tensor, offset: Tensor) -> Tensor:
        if self.basis is None:
            return x @ slopes + offset
        return (x @ self.basis) @ slopes @ self.basis.T + offset


def _clock(t: Tensor) -> Tensor:
    return torch.stack([t, torch.sin(torch.pi * t), torch.cos(torch.pi * t)], 1)


def _linear(m: Moments, t: Tensor, width: float, basis: Tensor | None) -> tuple[Tensor, Tensor]:
    """Slopes (T, r, r), to multiply from the right, and offsets (T, d) of the conditional mean of the displacement."""
    xx, xy, yy = (c if basis is None else basis.T @ c @ basis for c in (m.xx, m.xy, m.yy))
    s = t[:, None, None]
    spread = (1 - s) ** 2 * xx + s**2 * yy + s * (1 - s) * (xy + xy.T)
    ridge = width**2 + 1e-6 * float(spread.diagonal(dim1=1, dim2=2).mean())
    # covariance of the point with the displacement
    shared = (1 - s) * (xy - xx) + s * (yy - xy.T)
    slopes = torch.linalg.solve(spread + ridge * torch.eye(len(xx), dtype=t.dtype), shared)
    centres = (1 - t[:, None]) * m.mean_x + t[:, None] * m.mean_y
    inner = centres if basis is None else centres @ basis
    drawn = (inner[:, None] @ slopes)[:, 0]
    return slopes, (m.mean_y - m.mean_x) - (drawn if basis is None else drawn @ basis.T)


def _leading(moments: Sequence[Moments]) -> Tensor | None:
    """Directions (d, r) of largest variance, None for all of them."""
    if len(moments[0].mean_x) <= MAX_DIMS:
        return None
    return torch.linalg.eigh(sum(m.xx + m.yy for m in moments)).eigenvectors[:, -MAX_DIMS:]
