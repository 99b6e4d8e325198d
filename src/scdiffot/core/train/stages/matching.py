"""Stages of autonomous fits: match simulated populations to the snapshots, then fit the density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot.core.nets.optimizer import Optimizer
from scdiffot.core.problem.scales import subsample
from scdiffot.core.train.calibration import growth_range_at
from scdiffot.core.train.matching import match

from .corrections import correction_batches
from .regression import RegressionStage
from .stage import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from .state import TrainingState


class MatchingStage(Stage):
    """Match simulated populations to the snapshots.

    The losses are in multiples of the expected sampling error of the snapshots, per interval. The
    stage has converged when ``loss_mismatch`` levels off; below one the populations agree up to
    sampling.
    """

    name = "matching"
    losses = ("loss", "loss_mismatch", "loss_penalty")

    def run(self, state: TrainingState) -> TrainingState:
        """Change drift and growth, and sigma if the search has not bracketed a minimum."""
        config, fields, search = state.config, state.fields, state.sigma_search
        last_step = state.step + config.matching.n_steps

        def report(losses: Tensor) -> None:
            state.step += 1
            if not np.isfinite(loss := float(losses[0])):
                state.check(loss)
            if self.log.add(state.step, losses, last=state.step == last_step):
                state.report(self.name, self.log.loss)

        fields.restrict_growth(linear=False)
        # Paths identify sigma better than populations do.
        match(
            fields,
            state.snapshots,
            config,
            fit_sigma=config.sigma == "auto" and not (search and search.bracketed),
            generator=state.generator,
            report=report,
        )
        state.set_sigma(fields.sigma)
        if config.growth:
            calibration = config.calibration
            cells = [subsample(x, calibration.n_cells, state.rng) for x in state.snapshots.states]
            cells_on_device = torch.cat(cells).to(state.generator.device)
            growth_range = growth_range_at(fields, cells_on_device, calibration)
            fields.growth_range.copy_(growth_range)
        state.save_best()
        return state


class DensityStage(RegressionStage):
    """Fit the log-density to the matched paths: that of the regression precedes the matching."""

    name = "density"
    losses = ("loss", "loss_score")

    def run(self, state: TrainingState) -> TrainingState:
        """Regress the log-density alone."""
        state.fields.requires_grad_(False)
        net = state.fields.log_density_net.requires_grad_(True)
        state.optimizer = Optimizer(net, state.config.optimizer)
        batches = correction_batches(state, from_particles=False)
        n_steps = state.config.matching.n_density_steps
        self.regress(state, batches, n_steps, state.config.corrections.relative_rate)
        return state

    def trained(self, losses: Tensor) -> Tensor:
        """The loss of the score, which is the total here."""
        return losses[[3, 3]]
