"""The landscape of a population over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.basis import read_basis
from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.read.times.values import as_list
from scdiffot._data.write import fingerprints
from scdiffot._data.write.fingerprints import write_fingerprint
from scdiffot._data.write.store import read_fit_time_series, read_model, read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, LANDSCAPE, UNKNOWN, Keys
from scdiffot._utils.number_text import number_text
from scdiffot._utils.options import MAX_GRID
from scdiffot._utils.rng import as_generator
from scdiffot.core import interpolate
from scdiffot.core.lineage.landscape import (
    mask_near_points,
    model_landscape,
    particle_landscape,
    pass_heights,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core import RUOTModel

# Number of nearest cells whose most frequent type is the type of a grid point.
N_VOTES = 15
# Number of cells that place a particle. The mean of more cells would draw it inward, and the kernel
# smooths anyway.
N_PLACED = 5
# Margin of the grid around the cells, as a share of their range.
GRID_MARGIN = 0.05


@fill_parameters
def landscape(
    adata: AnnData | MuData,
    basis: str | None = None,
    times: float | str | Iterable[float | str] | None = None,
    *,
    cell_key: str | None = None,
    n_grid: int = 80,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Compute the landscape of a population over time, its wells and the barriers between them.

    The landscape is the potential :math:`U = -\log p`. If the fit has two dimensions and `basis` is
    its space, :math:`p` is the density of the fit itself. In more dimensions, and on an embedding,
    cells of the snapshots are carried to each time along the flow (:func:`scdiffot.tl.interpolate`)
    and placed on the embedding among their nearest cells; :math:`p` is their weighted kernel
    density estimate, which smooths out features that are narrower than its kernel. In both cases
    :math:`p` integrates to the mass of the population relative to the first snapshot.

    With growth there is a second landscape: :math:`\lambda = \alpha g`, the marginal cost, at the
    optimum, of the mass that is gained at a state.

    Parameters
    ----------
    %(fit)s
    basis
        Embedding, a key of `adata.obsm` with or without its ``X_``; of more than two dimensions,
        the first two are used. The representation of the fit by default.
    times
        Times (numbers, or labels of time points) from the first to the last of the fit; those of
        the fit by default.
    cell_key
        Column of `adata.obs` with cell types, for wells and barriers.
    n_grid
        Number of grid points along either axis.
    %(rng)s
    %(key)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["landscape"]` : dict
        - ``basis``; ``times`` of shape ``(T,)``; the axes of the grid ``x`` and ``y``, both of
          shape ``(n_grid,)``;
        - ``potential`` of shape ``(T, n_grid, n_grid)`` in nats, with one row for every y, NaN far
          from all cells;
        - ``lambda`` of the same shape, if cells grow;
        - with `cell_key`, ``cell_key`` and two DataFrames, ``basins`` and ``barriers``.

        ``basins`` has a row for every time and type: ``time``, ``type``, the lowest point ``x``,
        ``y`` of the region of the type, and ``depth``, the potential there. A grid point belongs to
        the type of most of its nearest cells, of all times; ``"unknown"`` if most have no type.
        ``barriers`` has a row for every time and pair of types: ``time``, ``from``, ``to`` and
        ``barrier``, the least climb on a path from one well to the other; infinite if every path
        leaves the cells.

    Raises
    ------
    KeyError
        If there is no fit, embedding, column or label.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the plane has one dimension, a time lies outside the fit, the grid is too coarse, or
        `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.pl.landscape : Plot the landscape.
    scdiffot.tl.interpolate : The population at any time.
    scdiffot.tl.sta_forward : Fates of cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.landscape(adata, times=[0, 1.5, 6], cell_key="cell_type")
    >>> adata.uns["scdiffot"]["landscape"]["potential"].shape
    (3, 80, 80)
    """
    adata = as_writable(adata, copy=copy)
    model = read_model(adata, key)
    selected_times = _times(adata, times, model, key)
    n_grid = check_count("n_grid", n_grid, 10, MAX_GRID)
    generator = as_generator(rng)
    coordinates = read_basis(adata, basis, key=key)
    plane = coordinates.points.astype(np.float64)
    if plane.shape[1] < 2:
        raise ValueError(
            f"`basis` {coordinates.name!r} has one dimension: pass an embedding of two."
        )
    labels = None if cell_key is None else cell_labels(adata, cell_key)
    snapshots = read_fit_time_series(adata, key).snapshots
    x, y = _axes(plane, n_grid)
    potentials, costs = [], []
    for time in selected_times:
        particles, weights = interpolate(model, snapshots, time, rng=generator)
        points = coordinates.place(particles, n_neighbors=N_PLACED).astype(np.float64)
        if coordinates.exact and model.n_dims == 2:
            potential, cost = model_landscape(model, x, y, time)
        else:
            values = _mass_costs(model, particles, time)
            potential, cost = particle_landscape(
                points, weights, x, y=y, values=values, rng=generator
            )
        distant = ~mask_near_points(points, x, y) | ~np.isfinite(potential)
        potentials.append(np.where(distant, np.nan, potential))
        if cost is not None and model.config.growth:
            costs.append(np.where(distant, np.nan, cost))
    result: dict[str, Any] = {
        "basis": coordinates.name,
        "times": selected_times,
        "x": x,
        "y": y,
        "potential": np.stack(potentials),
    }
    if costs:
        result["lambda"] = np.stack(costs)
    if labels is not None:
        codes, names = labels
        result["cell_key"] = cell_key
        # Cells without a type form a region of their own.
        regions = _regions(plane, np.where(codes < 0, len(names), codes), x, y)
        result |= _tables(selected_times, potentials, regions, names=[*names, UNKNOWN], axes=(x, y))
    keys = Keys(key, "key")
    adata.uns[keys.uns][LANDSCAPE] = result
    write_fingerprint(adata.obsm, adata.obs_names, keys, fingerprints.LANDSCAPE, coordinates.points)
    return adata if copy else None


def _mass_costs(model: RUOTModel, particles: np.ndarray, time: float) -> np.ndarray:
    """Marginal cost of mass at the particles; zero without growth."""
    if not model.config.growth:
        return np.zeros(len(particles))
    return model.alpha * model.growth(particles, time)


def _axes(plane: np.ndarray, n_grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid points along both axes, around all cells."""
    low, high = plane.min(axis=0), plane.max(axis=0)
    margin = GRID_MARGIN * np.where(high > low, high - low, 1.0)
    x, y = (np.linspace(a, b, n_grid) for a, b in zip(low - margin, high + margin, strict=True))
    return x, y


def _times(adata: AnnData | MuData, times: Any, model: RUOTModel, key: str) -> np.ndarray:
    """Increasing times, within those of the fit."""
    if times is None:
        return model.times.copy()
    cell_times = read_times(adata, key)
    values = set()
    low, high = model.times[[0, -1]]
    for time in as_list(times):
        value = cell_times.read(time, "times")
        if not low <= value <= high:
            raise ValueError(
                f"`times` holds {time!r}: the fit covers the times from {number_text(low)} to "
                f"{number_text(high)}."
            )
        values.add(value)
    if not values:
        raise ValueError("`times` is empty: pass some times, or None for those of the fit.")
    return np.array(sorted(values))


def _regions(plane: np.ndarray, codes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Type of every grid point, shape ``(n_y, n_x)``."""
    from sklearn.neighbors import KNeighborsClassifier

    vote = KNeighborsClassifier(n_neighbors=min(N_VOTES, len(codes))).fit(plane, codes)
    xx, yy = np.meshgrid(x, y)
    return vote.predict(np.column_stack([xx.ravel(), yy.ravel()])).reshape(xx.shape)


def _tables(
    times: np.ndarray,
    potentials: list[np.ndarray],
    regions: np.ndarray,
    *,
    names: list[str],
    axes: tuple[np.ndarray, np.ndarray],
) -> dict[str, pd.DataFrame]:
    """Wells of the types, and the barriers between them, at every time."""
    import pandas as pd

    basins: list[tuple[float, str, float, float, float]] = []
    barriers: list[tuple[float, str, str, float]] = []
    for time, potential in zip(times.tolist(), potentials, strict=True):
        types, wells = [], []
        for code, name in enumerate(names):
            heights = np.where(regions == code, potential, np.nan)
            if np.isfinite(heights).any():
                types.append(name)
                wells.append(int(np.nanargmin(heights)))
        rows, columns = np.unravel_index(np.array(wells, dtype=np.intp), potential.shape)
        depths = potential[rows, columns]
        climbs = pass_heights(potential, np.array(wells, dtype=np.intp)) - depths[:, None]
        for i, name in enumerate(types):
            basins.append(
                (time, name, float(axes[0][columns[i]]), float(axes[1][rows[i]]), float(depths[i]))
            )
            barriers += [
                (time, name, target, float(climbs[i, j]))
                for j, target in enumerate(types)
                if j != i
            ]
    numbers = {
        "time": np.float64,
        "x": np.float64,
        "y": np.float64,
        "depth": np.float64,
        "barrier": np.float64,
    }
    tables = {
        "basins": pd.DataFrame(basins, columns=["time", "type", "x", "y", "depth"]),
        "barriers": pd.DataFrame(barriers, columns=["time", "from", "to", "barrier"]),
    }
    # Without rows, pandas cannot infer the types of the columns.
    return {
        name: table.astype({c: numbers[c] for c in table if c in numbers})
        for name, table in tables.items()
    }
