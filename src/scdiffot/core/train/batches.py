"""Batches of random points on bridges, the data of a training step."""

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
# Batches per draw: for a single batch, the overhead of many small operations exceeds the work.
N_PREFETCH = 10


@dataclass(frozen=True)
class BatchSampler:
    """Draws equally many points in every interval, stratified over time.

    A batch is a triple of points, their times ``(n,)``, and weights ``(n,)`` relative to the mass
    of the population. Points beyond ``walls`` ``(2, d)`` are reflected. ``widths`` ``(T,)`` are the
    smoothing widths of the snapshots.
    """

    snapshots: Snapshots
    walls: Tensor
    widths: np.ndarray
    bridge_config: BridgeConfig
    batch_size: int
    generator: torch.Generator

    def on_bridges(self, pool: Pairs) -> Iterator[Batch]:
        """Endless batches of points on the bridges of pairs ``(T - 1, n_pairs)``."""
        while True:
            k, u, noise = self._draw()
            index = self._choose(pool.x0.shape[1], len(k))
            dt = self._times.diff()[k]
            points = bridge(
                pool[k, index],
                u,
                dt,
                noise,
                bridge_config=self.bridge_config,
                width=self._width(k, u),
            )
            yield from self._split(points, k, u)

    def on_paths(self, paths: list[CorrectedPaths]) -> Iterator[Batch]:
        """Endless batches of points on corrected paths, one item of `paths` per interval."""
        while True:
            k, u, noise = self._draw()
            dt = self._times.diff()[k]
            order, parts = [], []
            for i, path in enumerate(paths):
                members = torch.nonzero(k == i)[:, 0]
                index = self._choose(len(path.weight), len(members))
                order.append(members)
                parts.append(
                    path.bridge(
                        index,
                        u[members],
                        dt[members],
                        noise[members],
                        self._width(k[members], u[members]),
                    )
                )
            yield from self._split(join(parts)[torch.cat(order).argsort()], k, u)

    def _split(self, points: Bridge, k: Tensor, u: Tensor) -> Iterator[Batch]:
        """Split one draw of points into batches."""
        t = self._times[k] + u * self._times.diff()[k]
        points, weight = points.reflect(self.walls), points.weight * self._inverse_mass(k)
        size = len(k) // N_PREFETCH
        for i in range(N_PREFETCH):
            batch = slice(i * size, (i + 1) * size)
            yield points[batch], t[batch], weight[batch]

    @property
    def _device(self) -> torch.device:
        return self.generator.device

    @cached_property
    def _times(self) -> Tensor:
        return torch.as_tensor(self.snapshots.times, dtype=torch.float32, device=self._device)

    def _choose(self, n_total: int, n: int) -> Tensor:
        return torch.randint(n_total, (n,), generator=self.generator, device=self._device)

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Intervals, progress in them, and noise of the points of the next batches."""
        n_intervals = self.snapshots.n_snapshots - 1
        n = -(-self.batch_size // n_intervals)
        k = torch.arange(n_intervals, device=self._device).repeat_interleave(n).repeat(N_PREFETCH)
        jitter = torch.rand(
            N_PREFETCH * n_intervals, n, generator=self.generator, device=self._device
        )
        u = ((torch.arange(n, device=self._device) + jitter) / n).flatten()
        noise = torch.randn(
            len(k), self.snapshots.n_dims, generator=self.generator, device=self._device
        )
        return k, u, noise

    def _inverse_mass(self, k: Tensor) -> Tensor:
        """One over the geometric mean of the masses at both ends of intervals ``k``."""
        masses = torch.as_tensor(self.snapshots.masses, dtype=torch.float32, device=self._device)
        return 1 / (masses[k] * masses[k + 1]).sqrt()

    def _width(self, k: Tensor, u: Tensor) -> Tensor:
        """Smoothing width, linear in the progress ``u`` through intervals ``k``."""
        widths = torch.as_tensor(self.widths, dtype=u.dtype, device=self._device)
        return widths[k] * (1 - u) + widths[k + 1] * u
