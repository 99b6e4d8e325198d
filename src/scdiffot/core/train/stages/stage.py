"""What all stages share: a name, a log of losses, and a run from one state to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .state import TrainingState

History = dict[str, np.ndarray | float | bool | str]
# Steps whose mean loss is one row of the log.
REPORT_INTERVAL = 25


class StageLog:
    """Losses of one stage: means over at most 25 steps.

    Every row of ``rows`` has the ``step`` of the fit, the losses by name, of which ``loss`` is the
    total, and ``loss_error``, the standard error of the mean total.
    """

    def __init__(self, losses: tuple[str, ...]) -> None:
        self.rows: list[dict[str, float]] = []
        self._losses = losses
        self._n_steps = 0
        self._sums, self._squares = torch.zeros(len(losses)), torch.zeros(())

    def add(self, step: int, losses: Tensor, *, last: bool) -> bool:
        """Add the losses of a step; True if this completes a row, as the `last` step does."""
        if self._n_steps == 0:
            self._sums = torch.zeros_like(losses)
            self._squares = torch.zeros_like(losses[0], dtype=torch.float64)
        self._n_steps += 1
        self._sums += losses
        self._squares += losses[0].double().square()
        if self._n_steps < REPORT_INTERVAL and not last:
            return False
        n = self._n_steps
        means = (self._sums / n).tolist()
        variance = max(float(self._squares) / n - (float(self._sums[0]) / n) ** 2, 0.0)
        error = (variance / (n - 1)) ** 0.5 if n > 1 else float("nan")
        row = {"step": step, "loss_error": error}
        self.rows.append(row | dict(zip(self._losses, means, strict=True)))
        self._n_steps = 0
        return True

    @property
    def loss(self) -> float:
        """Total loss of the last row."""
        return self.rows[-1]["loss"]


class Stage(ABC):
    """One stage of a fit."""

    name: ClassVar[str]
    # Losses in the log, the total first; none if the stage does not optimise.
    losses: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.log = StageLog(self.losses)

    @abstractmethod
    def run(self, state: TrainingState) -> TrainingState:
        """Change the state, and return it."""


def history_of(stages: Sequence[Stage]) -> History:
    """Logs of all stages as columns of equal length; losses that a stage does not have are NaN."""
    rows = [(stage.name, row) for stage in stages for row in stage.log.rows]
    names = dict.fromkeys(name for stage in stages for name in stage.losses)
    columns: History = {
        "stage": np.array([name for name, _ in rows], dtype=str),
        "step": np.array([row["step"] for _, row in rows], dtype=np.float64),
    }
    for name in (*names, "loss_error"):
        columns[name] = np.array([row.get(name, np.nan) for _, row in rows])
    return columns
