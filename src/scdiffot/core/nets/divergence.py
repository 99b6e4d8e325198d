"""Detection of training that has diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from scdiffot._utils.errors import DivergenceError

if TYPE_CHECKING:
    from torch import nn

# Loss at which training has diverged, in multiples of the loss of untrained networks.
MAX_INCREASE = 10.0
# Loss, in the solver's units, below which an increase is no divergence.
LOSS_FLOOR = 1.0


def check_loss(loss: float, first: float, step: int, learning_rate: float | None = None) -> None:
    """Raise an error if a loss is not finite, or far above the first one."""
    if math.isfinite(loss) and loss <= MAX_INCREASE * max(first, LOSS_FLOOR):
        return
    rate = "" if learning_rate is None else f"lower `learning_rate` (it is {learning_rate:g}), or "
    raise DivergenceError(
        f"Training diverged: the loss is {loss:.3g} after {step} steps, "
        f"and was {first:.3g} at first. "
        f"Nothing was written: {rate}look for extreme values among the states."
    )


def check_networks(networks: nn.Module) -> None:
    """Raise an error if parameters are not finite."""
    with torch.no_grad():
        names = [
            name for name, p in networks.named_parameters() if not bool(torch.isfinite(p).all())
        ]
    if names:
        raise DivergenceError(
            f"Training diverged: {len(names)} parameters of the networks are infinite or NaN. "
            "Nothing was written: lower `learning_rate`, "
            "or look for extreme values among the states."
        )
