"""The landscape of a population over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.basis import read_basis
from scdiffot._data.read.checks import check_count, writable
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.read.times.values import several
from scdiffot._data.write import fingerprints
from scdiffot._data.write.fingerprints import write_fingerprint
from scdiffot._data.write.store import read_course, read_model, read_times
from scdiffot._utils.keys import DEFAULT, LANDSCAPE, UNKNOWN, Keys
from scdiffot._utils.number_text import number_text
from scdiffot._utils.options import MAX_GRID
from scdiffot._utils.rng import as_generator
from scdiffot.core import interpolate
from scdiffot.core.lineage.landscape import model_landscape, near_points, particle_landscape, passes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core import RUOTModel

# The type of a place is that of most of its nearest cells.
N_VOTES = 15
# Few cells place a particle: the mean of many would draw it inward, and the kernel smoothes anyway.
N_PLACED = 5


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
    r"""Compute the landscape :math:`U = -\log p` of the population over time, its wells and the passes between them.

    In the space of a fit of two dimensions, `p` is the density of the fit itself. In more dimensions, and on an embedding, cells of the
    snapshots are carried to each time along the flow (:func:`scdiffot.tl.interpolate`), placed on the embedding among their nearest
    cells, and `p` is their weighted kernel density estimate there, whose kernel flattens what is narrower than itself. Either
    way `p` integrates to the mass of the population relative to the first snapshot.

    With growth there is a second landscape: :math:`\lambda = \alpha g`, the price at the optimum of the mass that a place yields.

    Parameters
    ----------
    adata
        Cells with a fit.
    basis
        Embedding of two dimensions, a key of `adata.obsm` with or without its ``X_``; of more dimensions the first two are taken.
        The representation of the fit by default.
    times
        Times (numbers, or labels of time points) from the first to the last of the fit; those of the fit by default.
    cell_key
        Column of `adata.obs` with types of cells, for wells and passes.
    n_grid
        Number of grid points along either axis.
    rng
        Seed or generator.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["landscape"]` : dict
        ``basis``; ``times`` (T,); the axes of the grid ``x`` and ``y``, both (n_grid,); ``potential`` (T, n_grid, n_grid) in nats, with
        one row for every y, NaN far from all cells; ``lambda``, alike, if cells grow.
        With `cell_key`, under that name: ``cell_key``, and two DataFrames. ``basins``, a row for every time and type: ``time``,
        ``type``, the lowest point ``x``, ``y`` of the region of the type (where most of the nearest cells, of whatever time, are
        of it; ``"unknown"`` where most have no type) and ``depth``, the potential there. ``barriers``, a row for every time and pair of types: ``time``, ``from``, ``to`` and ``barrier``,
        how far the path that has to climb least goes up from one well to reach the other; infinite if all paths leave the cells.

    Raises
    ------
    KeyError
        If there is no fit, embedding, column or label.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the plane has one dimension, a time lies outside the fit, the grid is too coarse, or `adata` cannot be used. Nothing is
        written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.landscape(adata, times=[0, 1.5, 6], cell_key="cell_type")
    >>> adata.uns["scdiffot"]["landscape"]["potential"].shape
    (3, 80, 80)
    """
    adata = writable(adata, copy=copy)
    model = read_model(adata, key)
    chosen = _times(adata, times, model, key)
    n_grid = check_count("n_grid", n_grid, 10, MAX_GRID)
    generator = as_generator(rng)
    shown = read_basis(adata, basis, key=key)
    plane = shown.points.astype(np.float64)
    if plane.shape[1] < 2:
        raise ValueError(f"`basis` {shown.name!r} has one dimension: pass an embedding of two.")
    labels = None if cell_key is None else cell_labels(adata, cell_key)
    course = read_course(adata, key)
    low, high = plane.min(axis=0), plane.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    x, y = (np.linspace(a, b, n_grid) for a, b in zip(low - margin, high + margin, strict=True))
    potentials, prices = [], []
    for time in chosen:
        particles, weights = interpolate(model, course.snapshots, time, rng=generator)
        placed = shown.place(particles, n_neighbors=N_PLACED).astype(np.float64)
        if shown.exact and model.n_dims == 2:
            potential, price = model_landscape(model, x, y, time)
        else:
            values = (
                model.alpha * model.growth(particles, time)
                if model.config.growth
                else np.zeros(len(particles))
            )
            potential, price = particle_landscape(
                placed, weights, x, y=y, values=values, rng=generator
            )
        away = ~near_points(placed, x, y) | ~np.isfinite(potential)
        potentials.append(np.where(away, np.nan, potential))
        if price is not None and model.config.growth:
            prices.append(np.where(away, np.nan, price))
    found: dict[str, Any] = {
        "basis": shown.name,
        "times": chosen,
        "x": x,
        "y": y,
        "potential": np.stack(potentials),
    }
    if prices:
        found["lambda"] = np.stack(prices)
    if labels is not None:
        found["cell_key"] = cell_key
        # places among cells without a type are the region of none
        region = _regions(plane, np.where(labels[0] < 0, len(labels[1]), labels[0]), x, y)
        found |= _tables(chosen, potentials, region, names=[*labels[1], UNKNOWN], axes=(x, y))
    adata.uns[Keys(key, "key").uns][LANDSCAPE] = found
    write_fingerprint(
        adata.obsm, adata.obs_names, Keys(key, "key"), fingerprints.LANDSCAPE, shown.points
    )
    return adata if copy else None


def _times(adata: AnnData | MuData, times: Any, model: RUOTModel, key: str) -> np.ndarray:
    """Increasing times, within those of the fit."""
    if times is None:
        return model.times.copy()
    known = read_times(adata, key)
    found = set()
    low, high = model.times[[0, -1]]
    for time in several(times):
        value = known.read(time, "times")
        if not low <= value <= high:
            raise ValueError(
                f"`times` holds {time!r}: the fit covers the times from {number_text(low)} to {number_text(high)}."
            )
        found.add(value)
    if not found:
        raise ValueError("`times` is empty: pass some times, or None for those of the fit.")
    return np.array(sorted(found))


def _regions(plane: np.ndarray, codes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Type of every grid point, shape ``(n_y, n_x)``."""
    from sklearn.neighbors import KNeighborsClassifier

    vote = KNeighborsClassifier(n_neighbors=min(N_VOTES, len(codes))).fit(plane, codes)
    xx, yy = np.meshgrid(x, y)
    return vote.predict(np.column_stack([xx.ravel(), yy.ravel()])).reshape(xx.shape)


def _tables(
    times: np.ndarray,
    potentials: list[np.ndarray],
    region: np.ndarray,
    *,
    names: list[str],
    axes: tuple[np.ndarray, np.ndarray],
) -> dict[str, pd.DataFrame]:
    """Wells of the types, and what separates them, at every time."""
    import pandas as pd

    basins: list[tuple[float, str, float, float, float]] = []
    barriers: list[tuple[float, str, str, float]] = []
    for time, potential in zip(times.tolist(), potentials, strict=True):
        types, wells = [], []
        for code, name in enumerate(names):
            heights = np.where(region == code, potential, np.nan)
            if np.isfinite(heights).any():
                types.append(name)
                wells.append(int(np.nanargmin(heights)))
        rows, columns = np.unravel_index(np.array(wells, dtype=np.intp), potential.shape)
        depths = potential[rows, columns]
        climbs = passes(potential, np.array(wells, dtype=np.intp)) - depths[:, None]
        for i, name in enumerate(types):
            basins.append(
                (time, name, float(axes[0][columns[i]]), float(axes[1][rows[i]]), float(depths[i]))
            )
            barriers += [
                (time, name, other, float(climbs[i, j])) for j, other in enumerate(types) if j != i
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
    # without rows the columns would not know what they hold
    return {
        name: table.astype({c: numbers[c] for c in table if c in numbers})
        for name, table in tables.items()
    }
