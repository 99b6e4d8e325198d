"""States of cells in a tissue: expression and position in one vector."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .slices import read_positions

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Tissue:
    """Scaling that joins positions to states.

    Parameters
    ----------
    spatial_key
        Full name of the coordinates.
    unit
        State per unit of the coordinates: the last columns of the state are positions times `unit`.
    n_dims
        Number of columns of the representation, which come first.
    """

    spatial_key: str
    unit: float
    n_dims: int

    def positions(self, adata: AnnData | MuData) -> np.ndarray:
        """Read the coordinates of all cells, shape ``(n, 2)`` or ``(n, 3)``."""
        return read_positions(adata, self.spatial_key)[0]

    def join(self, states: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Join positions to states: shape ``(n, n_dims + 2)`` or ``(n, n_dims + 3)``.

        Velocities are joined in the same way.
        """
        return np.concatenate([states, (self.unit * positions).astype(states.dtype)], axis=-1)

    def split(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Undo :meth:`join`."""
        return states[..., : self.n_dims], states[..., self.n_dims :] / self.unit


def check_weight(weight: Any) -> float:
    """Check the share of the positions in the variance of the state.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it does not lie between 0 and 1.
    """
    if isinstance(weight, bool) or not isinstance(weight, Real):
        raise TypeError(
            f"`spatial_weight` is a {type(weight).__name__}: pass a number between 0 and 1."
        )
    if not 0 < float(weight) < 1:
        raise ValueError(
            f"`spatial_weight` is {weight}: pass a number between 0 and 1, the share of the "
            "positions in the variance; or leave `spatial_key` out."
        )
    return float(weight)


def make_tissue(
    states: np.ndarray, positions: np.ndarray, spatial_key: str, weight: float
) -> Tissue:
    """Choose the unit of the positions so that they have a share of the variance of the states.

    Parameters
    ----------
    states
        Representation of all cells, shape ``(n, d)``.
    positions
        Their coordinates, shape ``(n, 2)`` or ``(n, 3)``.
    spatial_key
        Full name of the coordinates.
    weight
        Share of the positions in the total variance, between 0 and 1.
    """
    variances = [
        float(values.var(axis=0, dtype=np.float64).sum()) for values in (states, positions)
    ]
    unit = np.sqrt(weight / (1 - weight) * variances[0] / variances[1])
    return Tissue(spatial_key, float(unit), states.shape[1])
