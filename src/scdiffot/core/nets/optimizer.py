"""Descent on the parameters of small networks: Adam in the eigenbasis of the gradients, in cycles of rates."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

BETAS, EPS = (0.95, 0.95), 1e-8
GRADIENT_CLIP = 5.0
# What is kept of the usual norm in every step.
EMA_DECAY = 0.95
# Steps between two bases: a basis costs more than a step, and changes slowly.
REFRESH_INTERVAL = 10
# Part of the sum of the eigenvalues below which eigenvectors are not told apart.
RIDGE = 1e-3
# Sides of matrices from there on have none: it would cost more than it saves.
MAX_SIDE = 256
# Share of a cycle in which rates rise, from this part of the peak.
WARM_UP_SHARE, START_FACTOR = 0.1, 0.04


class Optimizer:
    """Descent by :class:`Soap` in cycles of rates, with clipped gradients and weight decay.

    All parameters and their gradients become views of one vector, so that what is done to each of them is one operation.

    Parameters
    ----------
    module
        The networks.
    weight_decay
        Decay of all parameters, in rates.
    speeds
        Rates of parameters relative to those of the cycle, by how their names start; 1 if not given.
    joint
        Groups of parameters, by how their names start, that have one basis for all their numbers together, where these are few.
    outlier
        Gradients with a norm larger than the usual one by this factor count as no larger; if None, all do with one above a fixed norm.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        weight_decay: float = 1e-4,
        speeds: Mapping[str, float] | None = None,
        joint: Sequence[Sequence[str]] = (),
        outlier: float | None = None,
    ) -> None:
        rest = dict(module.named_parameters())
        named: list[tuple[str, nn.Parameter]] = []
        shapes: list[tuple[int, ...]] = []
        for starts in joint:
            group = [name for name in rest if name.startswith(tuple(starts))]
            if 0 < (size := sum(rest[name].numel() for name in group)) <= MAX_SIDE:
                named += [(name, rest.pop(name)) for name in group]
                shapes.append((size, 1))
        # Matrices of one shape side by side: they are worked on together.
        others = sorted(rest.items(), key=lambda item: (item[1].ndim, *item[1].shape), reverse=True)
        shapes += [p.shape if p.ndim == 2 and min(p.shape) > 1 else (p.numel(),) for _, p in others]
        named += others
        parameters = [p for _, p in named]
        self.vector = _flattened(parameters)
        self._soap = Soap(self.vector, shapes, weight_decay)
        self._outlier = outlier
        self._usual: Tensor | None = None
        self._speed: Tensor | float = 1.0
        if speeds:
            each = [
                next((v for start, v in speeds.items() if name.startswith(start)), 1.0)
                for name, _ in named
            ]
            self._speed = torch.cat(
                [
                    torch.full((p.numel(),), v, device=p.device)
                    for p, v in zip(parameters, each, strict=True)
                ]
            )
        self._cycle: Iterator[float] = iter(())

    def begin(self, peak: float, n_steps: int) -> None:
        """Begin a cycle of `n_steps` steps. What is known of the gradients stays: a fresh start would shake the networks."""
        self._cycle = one_cycle(peak, n_steps)

    def step(self, loss: Tensor) -> None:
        """Move all parameters against the gradient of a loss."""
        gradient = self.vector.grad
        assert gradient is not None
        gradient.zero_()
        loss.backward()
        norm = gradient.norm()
        if self._outlier is None:
            limit = torch.full_like(norm, GRADIENT_CLIP)
        else:
            usual = norm if self._usual is None else self._usual
            limit = self._outlier * usual
            self._usual = torch.minimum(norm, limit).lerp(usual, EMA_DECAY)
        gradient.mul_((limit / norm).clamp(max=1.0))
        self._soap.step(next(self._cycle) * self._speed)


def one_cycle(peak: float, n_steps: int) -> Iterator[float]:
    """Rates that rise to a peak and fall to nothing along half a cosine each :cite:p:`Smith2019`."""
    n_up = max(WARM_UP_SHARE * n_steps, 1.0)
    for i in range(n_steps):
        up = i < n_up
        share = i / n_up if up else (i - n_up) / (n_steps - n_up)
        height = (1 - math.cos(math.pi * share)) / 2
        yield peak * (START_FACTOR + (1 - START_FACTOR) * height if up else 1 - height)


class Soap:
    """Adam in the slowly changing eigenbasis of Shampoo's preconditioner :cite:p:`Vyas2025`.

    A weight matrix is rotated on both sides so that the entries of its gradient are nearly uncorrelated, as Adam takes them to be.
    (The optimisers of torch import its compiler, which takes longer than many a fit.)

    Parameters
    ----------
    vector
        All parameters, one after the other.
    shapes
        Their shapes; those of two dimensions have bases.
    weight_decay
        Decay that does not depend on the gradient, in learning rates.
    """

    def __init__(
        self, vector: nn.Parameter, shapes: Sequence[tuple[int, ...]], weight_decay: float = 0.0
    ) -> None:
        self._vector, self._decay, self._n_steps = vector, weight_decay, 0
        self._mean, self._square = (
            torch.zeros_like(vector.detach()),
            torch.zeros_like(vector.detach()),
        )
        self._blocks: list[_Block] = []
        start = 0
        for shape, alike in groupby(shapes):
            n = len(list(alike))
            end = start + n * math.prod(shape)
            if len(shape) == 2:
                self._blocks.append(_Block(slice(start, end), (n, *shape)))
            start = end

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """Move the parameters by the gradient of their vector, at one rate or one for each (n_parameters,)."""
        self._n_steps += 1
        gradient = self._vector.grad
        assert gradient is not None
        bias, bias_square = (1 - beta**self._n_steps for beta in BETAS)
        self._mean.lerp_(gradient, 1 - BETAS[0])
        both = torch.stack([gradient, self._mean])
        for block in self._blocks:
            block.add(gradient)
            block.rotate(both)
        self._square.mul_(BETAS[1]).addcmul_(both[0], both[0], value=1 - BETAS[1])
        update = both[1:].div_(self._square.div(bias_square).sqrt_().add_(EPS))
        for block in self._blocks:
            block.rotate(update, back=True)
            if self._n_steps % REFRESH_INTERVAL == 0:
                block.turn()
        self._vector.mul_(1 - rate * self._decay).sub_(update[0].mul_(rate / bias))


class _Block:
    """Matrices of one shape (k, rows, columns) in a part of the vector, each with a basis for its rows and its columns.

    The bases are eigenvectors, nearly, of the mean of ``G G^T`` and ``G^T G`` over the gradients ``G``.
    """

    def __init__(self, part: slice, shape: tuple[int, int, int]) -> None:
        self._part, self._shape = part, shape
        self._left, self._right = (1 < size <= MAX_SIDE for size in shape[1:])
        self._moments: list[Tensor] = []
        self._bases: list[Tensor] = []

    def add(self, gradient: Tensor) -> None:
        """Take in the gradient of the vector."""
        g = gradient[self._part].view(self._shape)
        pairs = [(g, g.mT)] * self._left + [(g.mT, g)] * self._right
        if not self._bases:
            self._moments = [a @ b for a, b in pairs]
            self._bases = [
                torch.eye(m.shape[1], dtype=m.dtype, device=m.device).expand_as(m)
                for m in self._moments
            ]
            self.turn()
        else:
            for moment, (a, b) in zip(self._moments, pairs, strict=True):
                moment.baddbmm_(a, b, beta=BETAS[1], alpha=1 - BETAS[1])

    def turn(self) -> None:
        """One step of the power iteration for all eigenvectors at once; directions of next to no gradient stay, rounding must not turn them."""
        for i, (moment, basis) in enumerate(zip(self._moments, self._bases, strict=True)):
            floor = RIDGE * moment.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
            self._bases[i] = torch.linalg.qr(torch.baddbmm(floor * basis, moment, basis))[0]

    def rotate(self, vectors: Tensor, *, back: bool = False) -> None:
        """Turn this part of vectors (n, size) into the bases, or back."""
        values = vectors[:, self._part].unflatten(1, self._shape)
        if self._left:
            left = self._bases[0]
            values = (left if back else left.mT) @ values
        if self._right:
            right = self._bases[-1]
            values = values @ (right.mT if back else right)
        vectors[:, self._part] = values.flatten(1)


def _flattened(parameters: list[nn.Parameter]) -> nn.Parameter:
    """One vector of which parameters and their gradients become views."""
    vector = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    sizes = [p.numel() for p in parameters]
    for p, values, slopes in zip(
        parameters, vector.detach().split(sizes), vector.grad.split(sizes), strict=True
    ):
        p.data = values.view_as(p)
        p.grad = slopes.view_as(p)
    return vector
