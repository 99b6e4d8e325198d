"""Optimisation of small networks: Adam in the eigenbasis of the gradients, one-cycle schedule."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scdiffot.core.problem.config import OptimizerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

# Constant in the denominator of Adam.
EPS = 1e-8


class Optimizer:
    """Optimisation by :class:`Soap` in one-cycle schedules, with gradient clip and weight decay.

    All parameters and their gradients become views of one vector, so that an update of all
    parameters is a single operation.

    Parameters
    ----------
    module
        The networks.
    config
        Settings.
    weight_decay
        Decay of all parameters, in learning rates; by default that of the settings.
    relative_rates
        Learning rates relative to the schedule, by the beginning of the parameter's name; 1 by
        default.
    joint_groups
        Groups of parameters, by the beginnings of their names, that share one basis. A group of
        more than ``config.max_side`` numbers keeps separate bases.
    clip_factor
        Gradient clip, in multiples of the running mean of the gradient norm; if None, the clip is
        a constant norm.
    """

    def __init__(
        self,
        module: nn.Module,
        config: OptimizerConfig = OptimizerConfig(),
        *,
        weight_decay: float | None = None,
        relative_rates: Mapping[str, float] | None = None,
        joint_groups: Sequence[Sequence[str]] = (),
        clip_factor: float | None = None,
    ) -> None:
        self._config = config
        remaining = dict(module.named_parameters())
        ordered: list[tuple[str, nn.Parameter]] = []
        shapes: list[tuple[int, ...]] = []
        for prefixes in joint_groups:
            group = [name for name in remaining if name.startswith(tuple(prefixes))]
            if 0 < (size := sum(remaining[name].numel() for name in group)) <= config.max_side:
                ordered += [(name, remaining.pop(name)) for name in group]
                shapes.append((size, 1))
        # Matrices of equal shape are adjacent, because they are updated together.
        separate = sorted(
            remaining.items(), key=lambda item: (item[1].ndim, *item[1].shape), reverse=True
        )
        shapes += [
            p.shape if p.ndim == 2 and min(p.shape) > 1 else (p.numel(),) for _, p in separate
        ]
        ordered += separate
        parameters = [p for _, p in ordered]
        self.vector = _flatten(parameters)
        decay = config.weight_decay if weight_decay is None else weight_decay
        self._soap = Soap(self.vector, shapes, decay, config)
        self._clip_factor = clip_factor
        self._mean_norm: Tensor | None = None
        self._relative_rate: Tensor | float = 1.0
        if relative_rates:
            factors = [
                next((v for prefix, v in relative_rates.items() if name.startswith(prefix)), 1.0)
                for name, _ in ordered
            ]
            self._relative_rate = torch.cat(
                [
                    torch.full((p.numel(),), v, device=p.device)
                    for p, v in zip(parameters, factors, strict=True)
                ]
            )
        self._schedule: Iterator[float] = iter(())

    def begin_cycle(self, peak: float, n_steps: int) -> None:
        """Begin a one-cycle schedule of `n_steps` steps.

        The moments of the gradients are kept: without them the first steps would be too large.
        """
        self._schedule = one_cycle(peak, n_steps, self._config)

    def step(self, loss: Tensor) -> None:
        """Update all parameters by the gradient of a loss."""
        gradient = self.vector.grad
        assert gradient is not None
        gradient.zero_()
        loss.backward()
        norm = gradient.norm()
        if self._clip_factor is None:
            limit = torch.full_like(norm, self._config.gradient_clip)
        else:
            mean_norm = norm if self._mean_norm is None else self._mean_norm
            limit = self._clip_factor * mean_norm
            self._mean_norm = torch.minimum(norm, limit).lerp(mean_norm, self._config.decay_norm)
        gradient.mul_((limit / norm).clamp(max=1.0))
        self._soap.step(next(self._schedule) * self._relative_rate)


def one_cycle(
    peak: float, n_steps: int, config: OptimizerConfig = OptimizerConfig()
) -> Iterator[float]:
    """Learning rates that rise to a peak and fall to zero by cosines :cite:p:`Smith2019`."""
    n_up, start = max(config.warm_up_share * n_steps, 1.0), config.start_factor
    for i in range(n_steps):
        rising = i < n_up
        progress = i / n_up if rising else (i - n_up) / (n_steps - n_up)
        height = (1 - math.cos(math.pi * progress)) / 2
        yield peak * (start + (1 - start) * height if rising else 1 - height)


class Soap:
    """Adam in the slowly changing eigenbasis of Shampoo's preconditioner :cite:p:`Vyas2025`.

    A weight matrix is rotated on both sides so that the entries of its gradient are nearly
    uncorrelated, as Adam assumes. (The optimisers of torch are not used, because they import its
    compiler, which takes longer than many fits.)

    Parameters
    ----------
    vector
        All parameters, concatenated.
    shapes
        Shapes of the parameters; two-dimensional ones have bases.
    weight_decay
        Decoupled weight decay, in learning rates.
    config
        Other settings.
    """

    def __init__(
        self,
        vector: nn.Parameter,
        shapes: Sequence[tuple[int, ...]],
        weight_decay: float = 0.0,
        config: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        self._config = config
        self._vector, self._decay, self._n_steps = vector, weight_decay, 0
        self._mean, self._square = (
            torch.zeros_like(vector.detach()),
            torch.zeros_like(vector.detach()),
        )
        self._blocks: list[_Block] = []
        start = 0
        for shape, group in groupby(shapes):
            n = len(list(group))
            end = start + n * math.prod(shape)
            if len(shape) == 2:
                self._blocks.append(_Block(slice(start, end), (n, *shape), config))
            start = end

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """Update the parameters, at one learning rate or one per parameter ``(n_parameters,)``."""
        self._n_steps += 1
        gradient = self._vector.grad
        assert gradient is not None
        betas = self._config.decay_mean, self._config.decay_square
        bias, bias_square = (1 - beta**self._n_steps for beta in betas)
        self._mean.lerp_(gradient, 1 - betas[0])
        rotated = torch.stack([gradient, self._mean])
        for block in self._blocks:
            block.add(gradient)
            block.rotate(rotated)
        self._square.mul_(betas[1]).addcmul_(rotated[0], rotated[0], value=1 - betas[1])
        update = rotated[1:].div_(self._square.div(bias_square).sqrt_().add_(EPS))
        for block in self._blocks:
            block.rotate(update, inverse=True)
            if self._n_steps % self._config.refresh_interval == 0:
                block.refresh()
        self._vector.mul_(1 - rate * self._decay).sub_(update[0].mul_(rate / bias))


class _Block:
    """Matrices ``(k, rows, columns)`` in a part of the vector, each with bases of rows and columns.

    The bases are approximate eigenvectors of the running means of ``G G^T`` and ``G^T G`` over the
    gradients ``G``.
    """

    def __init__(self, part: slice, shape: tuple[int, int, int], config: OptimizerConfig) -> None:
        self._part, self._shape, self._config = part, shape, config
        self._has_row_basis, self._has_column_basis = (
            1 < size <= config.max_side for size in shape[1:]
        )
        self._moments: list[Tensor] = []
        self._bases: list[Tensor] = []

    def add(self, gradient: Tensor) -> None:
        """Update the running means by the gradient of the vector."""
        g = gradient[self._part].view(self._shape)
        pairs = [(g, g.mT)] * self._has_row_basis + [(g.mT, g)] * self._has_column_basis
        if not self._bases:
            self._moments = [a @ b for a, b in pairs]
            self._bases = [
                torch.eye(m.shape[1], dtype=m.dtype, device=m.device).expand_as(m)
                for m in self._moments
            ]
            self.refresh()
        else:
            decay = self._config.decay_square
            for moment, (a, b) in zip(self._moments, pairs, strict=True):
                moment.baddbmm_(a, b, beta=decay, alpha=1 - decay)

    def refresh(self) -> None:
        """Update the bases by one step of simultaneous power iteration.

        The ridge keeps directions of negligible gradient, which rounding would otherwise rotate.
        """
        for i, (moment, basis) in enumerate(zip(self._moments, self._bases, strict=True)):
            trace = moment.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
            floor = self._config.ridge * trace
            self._bases[i] = torch.linalg.qr(torch.baddbmm(floor * basis, moment, basis))[0]

    def rotate(self, vectors: Tensor, *, inverse: bool = False) -> None:
        """Rotate this part of vectors ``(n, size)`` into the bases, or back."""
        values = vectors[:, self._part].unflatten(1, self._shape)
        if self._has_row_basis:
            row_basis = self._bases[0]
            values = (row_basis if inverse else row_basis.mT) @ values
        if self._has_column_basis:
            column_basis = self._bases[-1]
            values = values @ (column_basis.mT if inverse else column_basis)
        vectors[:, self._part] = values.flatten(1)


def _flatten(parameters: list[nn.Parameter]) -> nn.Parameter:
    """Concatenate parameters; they and their gradients become views of the result."""
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, gradients in zip(
        parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True
    ):
        p.data = values.view_as(p)
        p.grad = gradients.view_as(p)
    return vector
