"""Last stage: the level of growth and of the log-density."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot.core.nets.divergence import check_networks
from scdiffot.core.train.calibration import log_density_offset
from scdiffot.core.train.rollout import missing_growth

from .stage import Stage

if TYPE_CHECKING:
    from .state import TrainingState


class CalibrationStage(Stage):
    """Give simulated populations the masses of the snapshots, and normalise the density."""

    name = "calibration"

    def run(self, state: TrainingState) -> TrainingState:
        """Set both offsets; the weights stay."""
        fields, config = state.fields, state.config.calibration
        check_networks(fields)
        if state.bridge_config.alpha is not None and not state.config.autonomous:
            missing = missing_growth(fields, state.snapshots, config, state.rng)
            fields.growth_offset.copy_(missing)
        offset = log_density_offset(
            fields,
            state.pool,
            state.snapshots,
            state.bridge_config,
            state.widths,
            config,
            state.rng,
        )
        fields.log_norm.copy_(offset)
        return state
