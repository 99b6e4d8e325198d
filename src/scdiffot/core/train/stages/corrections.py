"""Rounds of correction by simulated populations, and the search of sigma between them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from scdiffot.core.train.bridges import stack
from scdiffot.core.train.corrections import refine_reference
from scdiffot.core.train.pair_sampling import mix_halves
from scdiffot.core.train.rollout import simulate_particles, smooth

from .regression import RegressionStage
from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from scdiffot.core.train.batches import Batch

    from .state import TrainingState


class CorrectionStage(RegressionStage):
    """One round: couple simulated particles with the next snapshot, and regress on their paths."""

    name = "correction"

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def run(self, state: TrainingState) -> TrainingState:
        """Regress at a smaller learning rate."""
        # Every second round starts from simulated particles, which follow the model, except while
        # the misfits of different sigmas are compared.
        search = state.sigma_search
        from_particles = self.index % 2 == 1 and (search is None or search.finished)
        batches = correction_batches(state, from_particles=from_particles)
        config = state.config.corrections
        self.regress(state, batches, config.n_steps, config.relative_rate)
        return state


class SigmaSearchStage(Stage):
    """Choose the sigma of the next round by the residuals of the previous one."""

    name = "sigma"

    def __init__(self, correction: CorrectionStage, *, more: bool) -> None:
        super().__init__()
        self.correction, self.more = correction, more

    def run(self, state: TrainingState) -> TrainingState:
        """Change sigma unless the search is over."""
        n_rows = state.config.selection.n_misfit_rows
        search, rows = state.sigma_search, self.correction.log.rows[-n_rows:]
        if search is not None and not search.finished and rows:
            # Loss of flow and growth in multiples of sigma^2.
            flow, growth = np.mean([[row["loss_flow"], row["loss_growth"]] for row in rows], axis=0)
            misfit = float(flow + growth) / state.bridge_config.sigma**2
            state.set_sigma(search.next_sigma(misfit, more=self.more))
        return state


def correction_batches(state: TrainingState, *, from_particles: bool) -> Iterator[Batch]:
    """Batches of a round of correction.

    Autonomous fields follow their own paths, from the cells or, if `from_particles`, from simulated
    particles.
    """
    widths, sampler = state.widths.tolist(), state.pair_sampler
    particles: list[tuple[Tensor, Tensor]]
    if from_particles or not state.config.autonomous:
        particles = simulate_particles(
            state.fields, state.snapshots, widths[0], state.config, state.rng
        )
    else:
        cells = map(sampler.cells, range(state.snapshots.n_snapshots - 1))
        particles = [
            (smooth(state.fields, x, widths[k], state.rng), mass)
            for k, (x, mass) in enumerate(cells)
        ]
    if not state.config.autonomous:
        corrected = stack([sampler.pairs(k, particles[k]) for k in range(len(particles) - 1)])
        pool = mix_halves(state.pool, corrected, state.rng)
        return state.batches.on_bridges(pool.to(state.generator.device))
    paths = []
    for k, (start, end) in enumerate(pairwise(state.snapshots.times.tolist())):
        path = refine_reference(
            state.fields,
            particles[k],
            sampler.cells(k + 1),
            (start, end - start),
            alpha=state.bridge_config.alpha,
            config=state.config,
            generator=state.generator,
        )
        paths.append(path)
    return state.batches.on_paths(paths)
