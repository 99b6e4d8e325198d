"""Coordinates in which the states of a fit are plotted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scdiffot._data.read.extract import read_representation
from scdiffot._data.write.store import read_params, read_states

from .neighbors import embed

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Basis:
    """Two coordinates of every cell, or one if the state has one dimension.

    Parameters
    ----------
    name
        Full name.
    points
        Coordinates of the cells, shape ``(n, 2)`` or ``(n, 1)``.
    states
        States of the cells in the space of the fit, shape ``(n, d)``.
    first
        Column of the states that is the first coordinate; None on an embedding.
    unit
        State per unit of these coordinates.
    """

    name: str
    points: np.ndarray
    states: np.ndarray
    first: int | None
    unit: float

    @property
    def exact(self) -> bool:
        """Whether coordinates are columns of the state."""
        return self.first is not None

    def place(self, states: np.ndarray, *, n_neighbors: int = 30) -> np.ndarray:
        """Coordinates ``(m, 2)`` of states ``(m, d)``; on an embedding, from the nearest cells."""
        if self.first is None:
            return embed(states, self.states, self.points, n_neighbors=n_neighbors)
        return self.columns(states)

    def columns(self, vectors: np.ndarray) -> np.ndarray:
        """Columns ``(m, 2)`` of vectors ``(m, d)`` that are coordinates, in their unit."""
        first = self.first or 0
        return vectors[:, first : first + self.points.shape[1]] / self.unit


def first_column(name: str, n_columns: int) -> int:
    """First column of an embedding to plot.

    It is the second column of a diffusion map, whose first component is constant.
    """
    return int(name.rpartition(":")[2] == "X_diffmap" and n_columns > 2)


def read_basis(adata: AnnData | MuData, basis: str | None, *, key: str) -> Basis:
    """Find coordinates: the representation of a fit, the tissue it was fitted in, or an embedding.

    Parameters
    ----------
    adata
        Cells with a fit.
    basis
        Key of `obsm`; the representation of the fit if None. Its first two columns are used, of
        ``X_diffmap`` the second and the third, because the first is constant.
    key
        Name of the fit.

    Raises
    ------
    KeyError
        If there is no fit or embedding.
    ValueError
        If an embedding has one dimension only.
    """
    params, states = read_params(adata, key), read_states(adata, key)
    use_rep, tissue = str(params["use_rep"]), params["tissue"]
    points, name = (
        (states, use_rep) if basis is None else read_representation(adata, basis, argument="basis")
    )
    if name == use_rep:
        n_dims = int(params["n_dims"])
        first = first_column(name, n_dims)
        return Basis(name, states[:, first : min(first + 2, n_dims)], states, first, 1.0)
    if tissue is not None and name == tissue.spatial_key:
        return Basis(name, points[:, :2], states, tissue.n_dims, tissue.unit)
    if points.shape[1] == 1:
        raise ValueError(f"`basis` {name!r} has one dimension: pass an embedding of two.")
    first = first_column(name, points.shape[1])
    return Basis(name, points[:, first : first + 2], states, None, 1.0)
