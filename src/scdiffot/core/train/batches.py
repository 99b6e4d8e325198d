"""Random points on bridges: what a training step sees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bridges import Bridge, BridgeConfig, Pairs, bridge, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from scdiffot.core.problem.snapshots import Snapshots

    from .corrections import CorrectedPaths

Batch = tuple[Bridge, Tensor, Tensor]
# Batches are drawn several at a time: for one, the overhead of its many small operations outweighs the work.
N_AHEAD = 10


@dataclass(frozen=True)
class BatchSampler:
    """Draws as many points in every interval, stratified over time.

    Batches are points, their times (n,), and weights (n,) relative to the mass of the population. ``walls`` (2, d)
    reflect what would lie beyond them, and ``widths`` (T,) smooth the cells of every snapshot.
    """

    snapshots: Snapshots
    walls: Tensor
    widths: np.ndarray
    regime: BridgeConfig
    batch_size: int
    generator: torch.Generator

    def on_bridges(self, pool: Pairs) -> Iterator[Batch]:
        """Points on the bridges of pairs (T - 1, n_pairs), batch after batch."""
        while True:
            k, u, noise = self._draw()
            index = self._choose(pool.x0.shape[1], len(k))
            dt = self._times.diff()[k]
            points = bridge(
                pool[k, index], u, dt, noise, regime=self.regime, width=self._width(k, u)
            )
            yield from self._deal(points, k, u)

    def on_paths(self, paths: list[CorrectedPaths]) -> Iterator[Batch]:
        """Points on the bent paths of the model, one item for every interval, batch after batch."""
        while True:
            k, u, noise = self._draw()
            dt = self._times.diff()[k]
            order, parts = [], []
            for i, path in enumerate(paths):
                here = torch.nonzero(k == i)[:, 0]
                index = self._choose(len(path.weight), len(here))
                order.append(here)
                parts.append(
                    path.bridge(
                        index, u[here], dt[here], noise[here], self._width(k[here], u[here])
                    )
                )
            yield from self._deal(join(parts)[torch.cat(order).argsort()], k, u)

    def _deal(self, points: Bridge, k: Tensor, u: Tensor) -> Iterator[Batch]:
        """Cut what was drawn into batches."""
        t = self._times[k] + u * self._times.diff()[k]
        points, weight = points.between(self.walls), points.weight * self._unit(k)
        size = len(k) // N_AHEAD
        for i in range(N_AHEAD):
            part = slice(i * size, (i + 1) * size)
            yield points[part], t[part], weight[part]

    @property
    def _device(self) -> torch.device:
        return self.generator.device

    @cached_property
    def _times(self) -> Tensor:
        return torch.as_tensor(self.snapshots.times, dtype=torch.float32, device=self._device)

    def _choose(self, n_total: int, n: int) -> Tensor:
        return torch.randint(n_total, (n,), generator=self.generator, device=self._device)

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Interval, progress in it and noise of every point of the next batches."""
        n_intervals = self.snapshots.n_snapshots - 1
        n = -(-self.batch_size // n_intervals)
        k = torch.arange(n_intervals, device=self._device).repeat_interleave(n).repeat(N_AHEAD)
        jitter = torch.rand(N_AHEAD * n_intervals, n, generator=self.generator, device=self._device)
        u = ((torch.arange(n, device=self._device) + jitter) / n).flatten()
        noise = torch.randn(
            len(k), self.snapshots.n_dims, generator=self.generator, device=self._device
        )
        return k, u, noise

    def _unit(self, k: Tensor) -> Tensor:
        masses = torch.as_tensor(self.snapshots.masses, dtype=torch.float32, device=self._device)
        return 1 / (masses[k] * masses[k + 1]).sqrt()

    def _width(self, k: Tensor, u: Tensor) -> Tensor:
        widths = torch.as_tensor(self.widths, dtype=u.dtype, device=self._device)
        return widths[k] * (1 - u) + widths[k + 1] * u
