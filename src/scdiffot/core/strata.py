"""Samples of cells with the same number from every part of their cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np


class Strata:
    """Parts of a cloud (n, d) with equally many neighbouring cells each, of which any number can be made.

    A sample with as many cells of every part has the means of the cloud with far less noise than one of cells that are drawn from all
    of it. Neighbours are next to each other in the order of a balanced k-d tree.

    Parameters
    ----------
    cloud
        The cells.
    generator
        Source of the choices.
    """

    def __init__(self, cloud: np.ndarray, generator: torch.Generator) -> None:
        from scipy.spatial import KDTree

        order = KDTree(cloud, leafsize=1).indices
        self._order = torch.as_tensor(order, dtype=torch.int64, device=generator.device)
        self._generator = generator

    def one_each(self, n: int) -> Tensor:
        """Indices of `n` cells, or of all if there are fewer, one of every part."""
        total = len(self._order)
        if n >= total:
            return self._order
        places = (torch.arange(n, device=self._order.device) + self._uniform(1)) * (total / n)
        return self._order[places.long() % total]

    def two_each(self, n: int) -> tuple[Tensor, Tensor]:
        """Indices of `n` cells or nearly as many, two different ones of every part, and the numbers of their parts.

        If there are fewer cells, all come several times.
        """
        total = len(self._order)
        n_parts = min(n, total) // 2
        # Ends that move from draw to draw give all cells the same chance, although not all parts have equally many.
        ends = ((torch.arange(n_parts + 1, device=self._order.device) + self._uniform(1)) * (total / n_parts)).long()
        first, size = ends[:-1], ends.diff()
        one = (self._uniform(n_parts) * size).long()
        other = (one + 1 + (self._uniform(n_parts) * (size - 1)).long()) % size
        index = self._order[(first + torch.stack([one, other])).flatten() % total]
        n_times = max(round(n / len(index)), 1)
        return index.repeat(n_times), torch.arange(n_parts, device=index.device).repeat(2 * n_times)

    def _uniform(self, n: int) -> Tensor:
        # in double precision, as places of a million cells lie close to each other
        return torch.rand(n, dtype=torch.float64, generator=self._generator, device=self._order.device)
