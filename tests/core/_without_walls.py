"""True fields of states that can have any value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class WithoutWalls(nn.Module):
    """Fields with the part of the networks' interface that moves states."""

    def move(self, x: Tensor, by: Tensor, noise: Tensor | None = None) -> Tensor:
        return x + by if noise is None else x + by + noise
