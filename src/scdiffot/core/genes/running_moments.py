"""Moments of derivatives over cells that are added in chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Spread:
    """Summary of a derivative over cells.

    Parameters
    ----------
    mean, sd
        Mean and standard deviation over the cells.
    stability
        Share of the cells in which the derivative has the sign of the mean; zeros count half.

    See Also
    --------
    RunningMoments : Computes the summary.
    scdiffot.core.genes.regulation.regulation : Jacobian of the gene velocity.
    scdiffot.core.genes.regulation.growth_regulation : Gradient of the growth.
    """

    mean: np.ndarray
    sd: np.ndarray
    stability: np.ndarray


class RunningMoments:
    """Mean, variance and sign of values of cells that are added in chunks.

    See Also
    --------
    Spread : The result.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._n = 0
        self._mean, self._squares, self._signs = torch.zeros(3, *shape)

    def add(self, values: Tensor, rows: slice) -> None:
        """Add values, shape ``(m, ...)``, of rows of the derivative; overwrites the values.

        Sums are merged by the method of Chan et al., which avoids cancellation.
        """
        m = len(values)
        self._signs[rows] += values.sign().sum(0)
        mean = values.mean(0)
        values -= mean
        shift = mean - self._mean[rows]
        self._squares[rows] += values.square_().sum(0) + shift.square() * (
            self._n * m / (self._n + m)
        )
        self._mean[rows] += shift * (m / (self._n + m))

    def count(self, m: int) -> None:
        """Count m cells, after all their rows were added."""
        self._n += m

    def result(self) -> Spread:
        """Return the summary of all added values."""
        stability = (1 + self._mean.sign() * self._signs / self._n) / 2
        return Spread(
            self._mean.numpy(), (self._squares / self._n).sqrt_().numpy(), stability.numpy()
        )
