"""First stage: couplings of consecutive snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot.core.train.bridges import stack
from scdiffot.core.train.calibration import growth_range_of_pairs

from .stage import Stage

if TYPE_CHECKING:
    from .state import TrainingState


class CouplingStage(Stage):
    """Couple the snapshots of every interval, and bound the growth by the rates of the pairs."""

    name = "coupling"

    def run(self, state: TrainingState) -> TrainingState:
        """Draw the pool of pairs."""
        n_intervals = state.snapshots.n_snapshots - 1
        state.pool = stack([state.pair_sampler.pairs(k) for k in range(n_intervals)])
        growth_range = growth_range_of_pairs(
            state.pool,
            np.diff(state.snapshots.times),
            state.bridge_config,
            config=state.config.calibration,
            shared=state.config.autonomous,
        )
        state.fields.growth_range.copy_(growth_range)
        return state
