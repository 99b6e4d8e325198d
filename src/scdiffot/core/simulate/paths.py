"""Many stochastic trajectories of every cell, integrated together."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.nets.fields import reversed_drift_and_growth
from scdiffot.core.nets.seeding import use_one_thread

from .dynamics import TIME_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.nets.model import RUOTModel

# Particles that are integrated together; their hidden layers should fit into the processor's cache.
CHUNK_SIZE = 4096

Result = TypeVar("Result")


def map_chunks(
    work: Callable[[slice, np.random.Generator], Result],
    n_cells: int,
    n_trajectories: int,
    *,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Result]:
    """Apply a function to chunks of cells; yield the results in order.

    Memory does not grow with the number of cells. As many chunks run in parallel as torch has
    threads, with one thread each. Every chunk has a separate generator, so that results do not
    depend on the number of threads.
    """
    size = max(CHUNK_SIZE // n_trajectories, 1)
    chunks = [slice(first, min(first + size, n_cells)) for first in range(0, n_cells, size)]
    seeds = rng.integers(2**63, size=len(chunks))
    n_threads = torch.get_num_threads()
    queue: deque[tuple[slice, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(n_threads, initializer=use_one_thread)
    try:
        tasks = iter(zip(chunks, seeds, strict=True))
        for _ in chunks:
            # A bounded queue limits the results that wait in memory.
            for chunk, seed in islice(tasks, 2 * n_threads - len(queue)):
                queue.append((chunk, pool.submit(work, chunk, np.random.default_rng(seed))))
            chunk, future = queue.popleft()
            yield future.result()
            if progress is not None:
                progress(chunk.stop - chunk.start)
    finally:
        pool.shutdown(cancel_futures=True)


def integration_schedule(
    model: RUOTModel, stops: np.ndarray, n_steps: int
) -> list[tuple[float, float, int]]:
    """Schedule of an integration: start, end and number of steps between stops, in solver's time.

    Snapshots are stops too, because fields may jump there. `n_steps` is the number of steps in an
    interval between snapshots; parts of an interval have proportionally fewer.
    """
    knots = model.scaling.time_in(model.times)
    ends = model.scaling.time_in(stops)
    low, high = ends.min(), ends.max()
    points = np.unique(np.concatenate([ends, knots[(knots > low) & (knots < high)]]))
    points = points[
        np.concatenate([[True], np.diff(points) > TIME_TOLERANCE * (knots[-1] - knots[0])])
    ]
    k = np.clip(np.searchsorted(knots, (points[1:] + points[:-1]) / 2) - 1, 0, len(knots) - 2)
    share = np.diff(points) / np.diff(knots)[k]
    counts = np.maximum(np.ceil(n_steps * share - 1e-6), 1).astype(int)
    schedule = [
        (float(a), float(b), int(n))
        for a, b, n in zip(points[:-1], points[1:], counts, strict=True)
    ]
    return schedule if ends[-1] > ends[0] else [(b, a, n) for a, b, n in reversed(schedule)]


class TrajectorySampler:
    r"""Particles that follow ``dX = b dt + sigma dW, dlog w = g dt`` or the time reversal of it.

    Integrated by the two-step Adams-Bashforth scheme,
    ``X' = X + (3 b - b_previous) dt / 2 + sigma dW``, with a first step of Heun's method, and by
    the trapezoidal rule for the growth. With additive noise, expectations of functions of the state
    and the weight are of second order in the step, with one evaluation of the fields per step.

    Parameters
    ----------
    model
        A fitted model.
    x
        Initial cells, in the user's units, shape ``(n, d)``.
    n_trajectories
        Number of particles ``m`` per cell.
    backward
        Whether to simulate the time reversal; schedules then run backward.
    growth
        Whether weights follow the growth.
    generator
        Source of the noise.

    Attributes
    ----------
    x, log_w
        States ``(n, m, d)`` and log weights ``(n, m)``, in the solver's units.
    """

    def __init__(
        self,
        model: RUOTModel,
        x: np.ndarray,
        *,
        n_trajectories: int,
        backward: bool = False,
        growth: bool = True,
        generator: torch.Generator,
    ) -> None:
        self._fields: Fields = model.networks
        self._backward, self._weighted, self._generator = backward, growth, generator
        cells = torch.from_numpy(model.scaling.state_in(x))
        self.x = cells[:, None].expand(-1, n_trajectories, -1)
        self.log_w = torch.zeros(len(cells), n_trajectories)
        self._identical = True
        self._drift = self._previous_drift = self.x
        self._growth = self.log_w

    @torch.no_grad()
    def integrate(self, start: float, end: float, n_steps: int) -> Iterator[float]:
        """Integrate between two times without a snapshot between; yield the time of every step."""
        dt = (end - start) / n_steps
        # Just inside the interval, because fields may jump at its ends.
        offset = 1e-4 * dt
        self._drift, self._growth = self._rates(start + offset)
        for j in range(n_steps):
            time = start + (j + 1) * dt
            t = time - offset if j == n_steps - 1 else time
            noise = (
                self._fields.sigma
                * abs(dt) ** 0.5
                * torch.randn(self.x.shape, generator=self._generator)
            )
            x, drift = self.x, self._drift
            if j == 0:
                self.x = self._fields.move(x, drift * dt, noise)
                mean = (drift + self._rates(t)[0]) / 2
            else:
                mean = 1.5 * drift - 0.5 * self._previous_drift
            self.x = self._fields.move(x, mean * dt, noise)
            self._previous_drift, growth = drift, self._growth
            self._drift, self._growth = self._rates(t)
            self.log_w = self.log_w + (growth + self._growth) * (dt / 2)
            yield time

    def integrate_schedule(self, course: Iterable[tuple[float, float, int]]) -> None:
        """Integrate through a schedule."""
        for leg in course:
            for _ in self.integrate(*leg):
                pass

    def select(self, index: Tensor) -> None:
        """Replace the particles of every cell by those at an index ``(n, m)`` of the same cell."""
        for name in ("x", "_drift", "_previous_drift"):
            setattr(self, name, select_particles(getattr(self, name), index))
        self.log_w, self._growth = self.log_w.gather(1, index), self._growth.gather(1, index)

    def _rates(self, t: float) -> tuple[Tensor, Tensor]:
        n, m, d = self.x.shape
        # At first all particles of a cell have the same state.
        x = self.x[:, 0] if self._identical else self.x.reshape(n * m, d)
        drifts, growths = [], []
        # A single cell may have more particles than a chunk.
        for chunk in x.split(CHUNK_SIZE):
            drift, growth = self._drift_and_growth(chunk, torch.full((len(chunk),), t))
            drifts.append(drift)
            growths.append(growth * self._weighted)
        shape = (n, 1) if self._identical else (n, m)
        self._identical = False
        drift, growth = torch.cat(drifts).view(*shape, d), torch.cat(growths).view(shape)
        return drift.expand(n, m, d), growth.expand(n, m)

    def _drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        if not self._backward:
            return self._fields.drift_and_growth(x, t)
        return reversed_drift_and_growth(self._fields, x, t)


def select_particles(values: Tensor, index: Tensor) -> Tensor:
    """Vectors ``(n, m, d)`` at an index ``(n, m)`` of the second axis."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))


def resample_systematically(log_w: Tensor, u: Tensor) -> Tensor:
    """Systematic resampling of particles by their log weights ``(n, m)``: indices ``(n, m)``.

    Quantiles are equally spaced, with random offsets ``u`` ``(n,)`` in [0, 1).
    """
    n, m = log_w.shape
    cumulative = torch.softmax(log_w.double(), 1).cumsum(1)
    points = (torch.arange(m, dtype=torch.float64) + u.double()[:, None]) / m
    return torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True).clamp(max=m - 1)


def effective_share(log_w: Tensor) -> Tensor:
    """Effective sample size over the number of particles, shape ``(n,)``."""
    w = torch.softmax(log_w.double(), 1)
    return 1 / (w.square().sum(1) * w.shape[1])
