"""Many stochastic trajectories of every cell, integrated together."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.nets.seeding import use_one_thread

from .integration import gaussian_noise, integration_steps
from .particles import Particles
from .schemes import adams_bashforth_heun
from .vector_field import ManyTrajectories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .schedule import Leg
    from .schemes import Step
    from .vector_field import VectorField

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


class TrajectorySampler:
    """Many particles of every cell that follow ``dX = b dt + sigma dW, dlog w = g dt``.

    The scheme is :func:`~scdiffot.core.simulate.schemes.adams_bashforth_heun`.

    Parameters
    ----------
    field
        The vector field.
    x
        Initial cells, in the solver's units, shape ``(n, d)``.
    n_trajectories
        Number of particles ``m`` per cell.
    generator
        Source of the noise.

    Attributes
    ----------
    particles
        States ``(n, m, d)`` and log weights ``(n, m)``.
    """

    def __init__(
        self,
        field: VectorField,
        x: np.ndarray,
        *,
        n_trajectories: int,
        generator: torch.Generator,
    ) -> None:
        self._field = ManyTrajectories(field, CHUNK_SIZE)
        self._noise = gaussian_noise(field.sigma, generator)
        cells = torch.from_numpy(x)[:, None].expand(-1, n_trajectories, -1)
        self.particles = Particles(cells, torch.zeros(cells.shape[:2]))

    @torch.no_grad()
    def steps(self, schedule: Iterable[Leg]) -> Iterator[Step]:
        """Integrate through a schedule; yield every step after it is done."""
        yield from integration_steps(
            self._field,
            self.particles,
            schedule,
            scheme=adams_bashforth_heun,
            noise=self._noise,
        )

    def run(self, schedule: Iterable[Leg]) -> None:
        """Integrate through a schedule."""
        for _ in self.steps(schedule):
            pass


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
