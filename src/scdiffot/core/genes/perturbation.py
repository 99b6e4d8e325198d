"""Paired simulations of cells with and without interventions on genes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.lineage.contrasts import Contrasts
from scdiffot.core.lineage.fate import N_STEPS, Classify
from scdiffot.core.simulate.paths import CHUNK_SIZE, TrajectorySampler, map_chunks
from scdiffot.core.simulate.schedule import model_schedule
from scdiffot.core.simulate.vector_field import VectorField, WithoutGrowth

from .interventions import HeldFields, Intervention

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scdiffot.core.nets.model import RUOTModel

# Number of interventions that are compared with one simulation of the control.
GROUP_SIZE = 32


def contrasts(
    model: RUOTModel,
    x: np.ndarray,
    t0: float,
    interventions: Sequence[Intervention],
    *,
    target: tuple[float, Classify],
    sustained: bool = False,
    by_cell: bool = True,
    n_trajectories: int = 100,
    growth: bool = True,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int], None] | None = None,
) -> Contrasts:
    """Simulate cells to a later time with and without interventions, with common random numbers.

    Each trajectory of a perturbed cell is paired with one of the control cell that has the same
    noise (common random numbers :cite:p:`Glasserman1992`), which reduces the variance of their
    difference. Weights follow growth as in :func:`~scdiffot.core.lineage.fate.descend`, but
    particles are not resampled, because that would break the pairs.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells, shape ``(n, d)``.
    t0
        Time at which they start.
    interventions
        The interventions, each compared with the control.
    target
        Final time, and the classifier of states at that time.
    sustained
        Whether genes are held along the whole trajectory and during classification, in which case
        no state is outside. Otherwise genes are set at the start only.
    by_cell
        Whether to return results of single cells; otherwise their sum.
    n_trajectories
        Trajectories of every cell, at least two.
    growth
        Whether weights follow the growth.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells, times interventions, completed since the last call.

    Returns
    -------
    Descendants by class; the last of the K classes is outside of all other classes.

    See Also
    --------
    scdiffot.core.lineage.contrasts.Contrasts.compare : Compositions and their differences.
    sample_trajectories : Single trajectories of perturbed cells.
    scdiffot.core.lineage.fate.descend : Fates without an intervention.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.genes.decoders import identity
    >>> from scdiffot.core.genes.perturbation import Intervention, contrasts
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> def sides(x):
    ...     return np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(float), np.zeros(len(x), bool)
    >>> off = Intervention(
    ...     identity(2),
    ...     torch.tensor([0]),
    ...     torch.zeros(1),
    ...     torch.zeros(1),
    ...     torch.full((1,), -torch.inf),
    ... )
    >>> result = contrasts(model, cells[0], 0.0, [off], target=(1.0, sides), by_cell=False)
    >>> result.compare().shift.shape
    (1, 1, 3)
    """
    generator = as_generator(rng)
    simulation = _PairedSimulation(model, t0, target, sustained, n_trajectories, growth, n_steps)
    states = np.asarray(x, dtype=np.float32)
    size = max(CHUNK_SIZE // n_trajectories, 1)
    blocks = [slice(first, min(first + size, len(states))) for first in range(0, len(states), size)]
    seeds = [torch_seed(generator) for _ in blocks]
    starts = range(0, len(interventions), GROUP_SIZE)
    groups = [interventions[first : first + GROUP_SIZE] for first in starts]
    tasks = [(group, block) for group in range(len(groups)) for block in range(len(blocks))]

    def run_task(task: slice, _: np.random.Generator) -> Contrasts:
        group, block = tasks[task.start]
        return simulation.contrast(
            states[blocks[block]], groups[group], seeds[block], by_cell=by_cell
        )

    results = map_chunks(run_task, len(tasks), CHUNK_SIZE, rng=generator)
    rows = []
    for group in groups:
        parts = []
        for block, part in zip(blocks, islice(results, len(blocks)), strict=True):
            parts.append(part)
            if progress is not None:
                progress((block.stop - block.start) * len(group))
        row = Contrasts.join(parts)
        rows.append(row if by_cell else row.pool(np.arange(len(parts))))
    return Contrasts(
        np.concatenate([row.masses for row in rows]),
        np.concatenate([row.covariance for row in rows]),
        rows[0].n_paths,
    )


def sample_trajectories(
    model: RUOTModel,
    x: np.ndarray,
    times: tuple[float, float],
    intervention: Intervention | None,
    *,
    sustained: bool = False,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
) -> np.ndarray:
    """Simulate one trajectory of every cell, shape ``(n, d)``.

    Returns the states after every step, shape ``(T, n, d)``, with genes at their held values if
    `sustained`.

    See Also
    --------
    contrasts : Compositions with and without interventions.
    """
    generator = torch.Generator().manual_seed(torch_seed(as_generator(rng)))
    sampler = _start(model, np.asarray(x, dtype=np.float32), intervention, sustained, 1, generator)
    states = [
        model.scaling.state_out(sampler.particles.x[:, 0].numpy())
        for _ in sampler.steps(model_schedule(model, np.array(times), n_steps))
    ]
    return np.stack(
        [intervention(z) for z in states] if intervention is not None and sustained else states
    )


def _start(
    model: RUOTModel,
    states: np.ndarray,
    intervention: Intervention | None,
    sustained: bool,
    n_trajectories: int,
    noise: torch.Generator,
    *,
    growth: bool = True,
) -> TrajectorySampler:
    """Return a sampler of cells, with the intervention at the start or sustained, if any."""
    field: VectorField = model.networks
    if intervention is not None and sustained:
        field = HeldFields(model.networks, intervention, model.scaling)
    elif intervention is not None:
        states = intervention(states)
    return TrajectorySampler(
        field if growth else WithoutGrowth(field),
        model.scaling.state_in(states),
        n_trajectories=n_trajectories,
        generator=noise,
    )


@dataclass(frozen=True)
class _PairedSimulation:
    """Options that all trajectories share."""

    model: RUOTModel
    t0: float
    target: tuple[float, Classify]
    sustained: bool
    n_trajectories: int
    growth: bool
    n_steps: int

    def contrast(
        self, states: np.ndarray, interventions: Sequence[Intervention], seed: int, *, by_cell: bool
    ) -> Contrasts:
        """Simulate with and without each intervention."""
        control = self.simulate(states, None, seed)
        n, m, k = control.shape
        masses, covariance = [], []
        for intervention in interventions:
            perturbed = self.simulate(states, intervention, seed)
            pairs = np.concatenate([control, perturbed], axis=2)
            mean = pairs.mean(axis=1)
            residuals = pairs - mean[:, None]
            masses.append(mean.reshape(n, 2, k))
            covariance.append(residuals.transpose(0, 2, 1) @ residuals / (m * (m - 1)))
        result = Contrasts(np.stack(masses), np.stack(covariance), np.full(n, m))
        return result if by_cell else result.pool(np.arange(n))

    def simulate(
        self, states: np.ndarray, intervention: Intervention | None, seed: int
    ) -> np.ndarray:
        """Weight of every trajectory in each class at its end, shape ``(n, m, K)``."""
        model, noise = self.model, torch.Generator().manual_seed(seed)
        sustained = intervention if self.sustained else None
        sampler = _start(
            model,
            states,
            intervention,
            self.sustained,
            self.n_trajectories,
            noise,
            growth=self.growth,
        )
        sampler.run(model_schedule(model, np.array([self.t0, self.target[0]]), self.n_steps))
        particles = sampler.particles
        n, m, _ = particles.x.shape
        final_states = model.scaling.state_out(particles.x.flatten(0, 1).numpy())
        if sustained is None:
            shares, is_outside = self.target[1](final_states)
        else:
            shares = self.target[1](sustained(final_states))[0]
            # held genes move cells away from all observed cells by design
            is_outside = np.zeros(len(shares), bool)
        is_outside = is_outside[:, None]
        probability = np.concatenate([np.where(is_outside, 0, shares), is_outside], 1)
        return particles.log_w.double().exp().numpy()[:, :, None] * probability.reshape(n, m, -1)
