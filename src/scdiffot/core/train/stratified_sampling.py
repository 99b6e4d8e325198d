"""Samples of cells with the same number from every part of their cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np


class StratifiedSampler:
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

        # a copy, since newer versions of SciPy forbid writing there and torch warns of that
        order = KDTree(cloud, leafsize=1).indices.copy()
        self._order = torch.as_tensor(order, dtype=torch.int64, device=generator.device)
        self._generator = generator

    def one_each(self, n: int) -> Tensor:
        """Indices of `n` cells, or of all if there are fewer, one of every part."""
        total = len(self._order)
        if n >= total:
            return self._order
        places = (torch.arange(n, device=self._order.device) + self._uniform(1)) * (total / n)
        return self._order[places.long() % total]

    def mirrored(self, n: int) -> tuple[Tensor, Tensor]:
        """Indices of `n` cells or nearly as many in two halves that can mirror each other, and how much every pair of them counts (n, n).

        There are two different cells of every part, and the parts of one half are next to those of the other. If there are fewer cells, all
        come several times.

        Pairs count one on average, and such that sums over pairs are unbiased estimates of those over all pairs of different cells, also if
        what moves the one half is the mirror image of what moves the other.
        """
        total, device = len(self._order), self._order.device
        n_blocks = max(min(n, total) // 4, 1)
        # Ends that move from draw to draw give all cells the same chance, although not all parts have equally many.
        ends = (
            (torch.arange(2 * n_blocks + 1, device=device) + self._uniform(1))
            * (total / (2 * n_blocks))
        ).long()
        first, size = ends[:-1], ends.diff()
        one = (self._uniform(2 * n_blocks) * size).long()
        other = (one + 1 + (self._uniform(2 * n_blocks) * (size - 1)).long()) % size
        index = self._order[(first + torch.stack([one, other])) % total]
        n_times = round(n / index.numel()) if n > total else 1
        index = torch.cat([index[:, half::2].flatten().repeat(n_times) for half in (0, 1)])
        # Of the pairs of a block, which is two parts next to each other, cells in the same place of their parts mirror each other, or are one.
        # The others count for them: none is of one cell, or of noise that is not independent.
        block = torch.arange(n_blocks, device=device).repeat(4 * n_times)
        place = torch.arange(2, device=device).repeat_interleave(n_blocks).repeat(2 * n_times)
        same_block, same_place = block[:, None] == block, place[:, None] == place
        return index, torch.where(same_block, 2.0 * ~same_place, 1.0)

    def _uniform(self, n: int) -> Tensor:
        # in double precision, as places of a million cells lie close to each other
        return torch.rand(
            n, dtype=torch.float64, generator=self._generator, device=self._order.device
        )
