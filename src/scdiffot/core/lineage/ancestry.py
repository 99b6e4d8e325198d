"""Ancestors of cells, along the time reversal of the fitted process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.simulate.paths import TrajectorySampler, map_chunks
from scdiffot.core.simulate.schedule import model_schedule
from scdiffot.core.simulate.vector_field import TimeReversal, VectorField, WithoutGrowth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.model import RUOTModel

# Steps must resolve the score, which moves particles back to the cells within a fraction of an
# interval.
N_STEPS = 20


def ancestors(
    model: RUOTModel,
    x: np.ndarray,
    t1: float,
    *,
    t0: float,
    n_trajectories: int = 30,
    weighted: bool = False,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    r"""Simulate cells back in time, along the time reversal of the fitted process.

    The time reversal is ``dY = (-b + sigma^2 s) ds + sigma dW`` with drift b and score s.
    Unweighted trajectories are those of the ancestors: every cell has exactly one ancestor at every
    earlier time, however many descendants this ancestor has. Weights :math:`\exp(-\int g)` undo
    proliferation: the weighted particles sample the earlier population.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells, shape ``(n, d)``.
    t1
        Time at which they were observed.
    t0
        Earlier time.
    n_trajectories
        Trajectories of every cell.
    weighted
        Whether to weight trajectories by :math:`\exp(-\int g)`.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells completed since the last call.

    Yields
    ------
    One chunk of m cells at a time, so that memory does not grow with the number of cells: the
    positions of the cells, as a slice; states at `t0`, shape ``(m, n_trajectories, d)``; and
    weights, shape ``(m, n_trajectories)``, in cells at `t0` per cell at `t1`.

    See Also
    --------
    scdiffot.core.lineage.fate.descend : Descendants of cells, forward in time.
    scdiffot.core.lineage.transitions.transition_matrix : The process as a Markov chain on cells.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.lineage.ancestry import ancestors
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> [states.shape for _, states, _ in ancestors(model, cells[1], 1.0, t0=0.0)]
    [(60, 30, 2)]
    """
    schedule = model_schedule(model, np.array([t1, t0]), n_steps)
    field: VectorField = TimeReversal(model.networks)
    if not weighted:
        field = WithoutGrowth(field)

    def run_chunk(
        cells: slice, generator: np.random.Generator
    ) -> tuple[slice, np.ndarray, np.ndarray]:
        noise = torch.Generator().manual_seed(torch_seed(generator))
        sampler = TrajectorySampler(
            field,
            model.scaling.state_in(x[cells]),
            n_trajectories=n_trajectories,
            generator=noise,
        )
        sampler.run(schedule)
        final = sampler.particles.x
        states = model.scaling.state_out(final.flatten(0, 1).numpy()).reshape(final.shape)
        return cells, states, sampler.particles.log_w.double().exp().numpy()

    yield from map_chunks(
        run_chunk, len(x), n_trajectories, rng=as_generator(rng), progress=progress
    )
