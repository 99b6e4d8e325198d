"""True fields of states without walls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class WithoutWalls(nn.Module):
    """Fields with the part of the networks' interface that moves states."""

    def move(self, x: Tensor, shift: Tensor, noise: Tensor | None = None) -> Tensor:
        return x + shift if noise is None else x + shift + noise
