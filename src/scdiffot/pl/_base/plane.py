"""Two-dimensional coordinates of cells and particles in plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._analysis.basis import read_basis
from scdiffot._data.write.store import read_times

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

    from scdiffot._analysis.basis import Basis
    from scdiffot._data.read.times.columns import CellTimes


@dataclass(frozen=True)
class Plane:
    """Two plotting coordinates of every cell.

    Parameters
    ----------
    points
        Coordinates, shape ``(n, 2)``: those of the basis, or time and state for one-dimensional
        states.
    labels
        Names of the two axes.
    times
        Times of the cells.
    basis
        Basis that the coordinates come from.
    """

    points: np.ndarray
    labels: tuple[str, str]
    times: CellTimes
    basis: Basis

    @property
    def states(self) -> np.ndarray:
        """Latent states of the cells, shape ``(n, d)``."""
        return self.basis.states

    @property
    def over_time(self) -> bool:
        """Whether the first axis is time."""
        return self.basis.points.shape[1] == 1

    def place(self, states: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Map states to the plane.

        Parameters
        ----------
        states
            States, shape ``(m, d)``.
        times
            Times of the states, shape ``(m,)``.

        Returns
        -------
        Coordinates, shape ``(m, 2)``; on an embedding, those of the nearest cells.
        """
        points = self.basis.place(states)
        return np.column_stack([times, points]) if self.over_time else points

    def label_axes(self, ax: Axes) -> None:
        """Label the axes; both have the same scale if they have the same unit."""
        ax.set_xlabel(self.labels[0])
        ax.set_ylabel(self.labels[1])
        if not self.over_time:
            ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.04)


def find_plane(adata: AnnData | MuData, basis: str | None, *, key: str) -> Plane:
    """Return the coordinates in which cells are drawn.

    Parameters
    ----------
    adata
        Cells with a fit.
    basis
        Embedding, of which the first two dimensions are drawn; the representation of the fit if
        None.
    key
        Name of the fit.

    Raises
    ------
    KeyError
        If there is no fit or embedding.
    ValueError
        If an embedding has only one dimension.
    """
    representation, times = read_basis(adata, basis, key=key), read_times(adata, key)
    labels = axis_names(adata, representation.name)
    if representation.points.shape[1] > 1:
        return Plane(representation.points, labels, times, representation)
    # jitter separates the cells of a snapshot
    interval = np.diff(times.points).min() if len(times.points) > 1 else 1.0
    jitter = 0.08 * interval * np.random.default_rng(0).uniform(-1, 1, len(representation.points))
    points = np.column_stack([times.values + jitter, representation.points[:, 0]])
    return Plane(points, (times.column, labels[0]), times, representation)


def axis_names(adata: AnnData | MuData, name: str) -> tuple[str, str]:
    """Return the names of the first two dimensions of a representation."""
    short_name = name.rpartition(":")[2]
    if short_name == "X":
        variables = (
            adata.var_names if ":" not in name else adata.mod[name.partition(":")[0]].var_names
        )
        return str(variables[0]), str(variables[min(1, len(variables) - 1)])
    short_name = short_name.removeprefix("X_")
    if short_name == "diffmap":
        return "DC1", "DC2"
    display_name = (
        short_name.upper() if short_name.lower() in {"ae", "pca", "tsne", "umap"} else short_name
    )
    return f"{display_name} 1", f"{display_name} 2"
