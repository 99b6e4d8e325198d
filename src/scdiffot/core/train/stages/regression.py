"""Regression of the fields on random points of bridges, and the stage of the first regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from scdiffot.core.train.objective import regression_losses

from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from scdiffot.core.train.batches import Batch

    from .state import TrainingState


class RegressionStage(Stage):
    """A stage that regresses the fields on the targets of random points.

    The losses are mean squared residuals in the solver's units, of which the noise of the targets
    remains. The stage has converged when the loss changes by less than its standard error.
    """

    losses: ClassVar[tuple[str, ...]] = ("loss", "loss_flow", "loss_growth", "loss_score")

    def regress(
        self, state: TrainingState, batches: Iterator[Batch], n_steps: int, relative_rate: float
    ) -> None:
        """Optimise over a one-cycle schedule, at a learning rate relative to that of the config."""
        state.fields.train()
        state.optimizer.begin_cycle(relative_rate * state.config.train.learning_rate, n_steps)
        # Losses of different stages are not comparable: the best state is that of this stage.
        best = float("inf")
        for i in range(1, n_steps + 1):
            losses = regression_losses(state.fields, state.bridge_config, *next(batches))
            state.optimizer.step(losses[0])
            losses = losses.detach()
            state.step += 1
            if state.first_loss is None:
                state.first_loss = float(losses[0])
            if self.log.add(state.step, self.trained(losses), last=i == n_steps):
                loss = self.log.loss
                state.check(loss)
                if loss < best:
                    best = loss
                    state.save_best()
                state.report(self.name, loss)
        state.fields.eval()

    def trained(self, losses: Tensor) -> Tensor:
        """The losses of the networks that this stage trains: all, or those of a subclass."""
        return losses


class BridgeStage(RegressionStage):
    """Regress flow, growth and log-density on the bridges of the pool."""

    name = "bridges"

    def run(self, state: TrainingState) -> TrainingState:
        """Regress at the full learning rate."""
        # A growth prior need not be linear in the state.
        state.fields.restrict_growth(linear=state.snapshots.growth_prior is None)
        batches = state.batches.on_bridges(state.pool.to(state.generator.device))
        self.regress(state, batches, state.config.train.n_steps, 1.0)
        return state
