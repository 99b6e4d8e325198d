"""The growth that completes the masses of simulated particles."""

from __future__ import annotations

import numpy as np
import torch

from scdiffot.core import Snapshots
from scdiffot.core.nets.fields import Fields
from scdiffot.core.problem.config import CalibrationConfig
from scdiffot.core.train.rollout import missing_growth

TIMES = np.array([0.0, 1.0, 3.0])


def _resting_fields() -> Fields:
    """Nothing moves, and nothing grows."""
    times = torch.as_tensor(TIMES, dtype=torch.float32)
    shape = {"n_hidden": 4, "n_layers": 1}
    fields = Fields(
        times, 2, growth=True, form="separate", autonomous=False, sigma=0.3, alpha=1.0, **shape
    )
    for parameter in fields.parameters():
        torch.nn.init.zeros_(parameter)
    return fields.eval()


def test_missing_growth_is_the_rate_that_reaches_the_masses() -> None:
    """Cells double in an interval of length 1, then grow by half in one of length 2."""
    cells = tuple(np.random.default_rng(0).normal(size=(3, 50, 2)).astype(np.float32))
    snapshots = Snapshots(TIMES, cells, np.array([1.0, 2.0, 3.0]))
    missing = missing_growth(
        _resting_fields(), snapshots, CalibrationConfig(), np.random.default_rng(0)
    )
    np.testing.assert_allclose(missing.numpy(), [np.log(2.0), np.log(1.5) / 2], rtol=1e-6)
