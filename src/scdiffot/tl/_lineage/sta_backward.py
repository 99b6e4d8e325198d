"""Where cells came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._analysis.nearest import Nearest
from scdiffot._analysis.sta_inputs import StaInputs
from scdiffot._data.read.checks import check_count, check_flag, some, writable
from scdiffot._data.write.fate_tables import write_ancestry
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.ancestry import N_STEPS, ancestors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Share of ancestors far from every cell from which on the user is told.
MANY_OUTSIDE = 0.1


def sta_backward(
    adata: AnnData | MuData,
    cell_key: str,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    *,
    target_time: float | str | None = None,
    weighted: bool = False,
    n_trajectories: int = 30,
    n_neighbors: int = 30,
    n_steps: int | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Follow cells back to where they came from, type by type.

    Stochastic paths run back along the time reversal :math:`dY = (-b + \sigma^2 s) \, ds + \sigma \, dW`
    :cite:p:`Anderson1982`. Two questions have different answers:

    - *Where were the ancestors of these cells?* Every cell has exactly one ancestor at an earlier time, so the paths carry no
      weights, however cells multiplied meanwhile.
    - *Which earlier population do these cells make up?* (`weighted`): weights :math:`e^{-\int g}` undo proliferation.

    Each path counts for the observed cell nearest to its end. These masses, relative to those of equal cells, are then averaged over the
    neighbours of every cell.

    Parameters
    ----------
    adata
        Cells with a fit.
    cell_key
        Column of `adata.obs` with the cell types.
    source
        Cells to follow back, all of one time: a time (number) or its label, a query of `adata.obs` (``"cell_type == 'neuron' and day
        == 6"``), names of cells, or a boolean mask. The cells of the last time by default.
    target_time
        Time of the ancestors (number or label), at which cells were observed; the first by default.
    weighted
        Whether to reconstruct the earlier population instead of finding ancestors.
    n_trajectories
        Paths of every cell.
    n_neighbors
        Number of cells to average over, at most a tenth of the cells of the target time, or those of the type there.
    n_steps
        Steps in an interval between snapshots, 20 by default.
    rng
        Seed or generator.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    None, or the copy. Sets the following fields. In column names, ``|`` stands for a ``/`` in the name of a type, which files of AnnData
    refuse.

    `adata.obsm["{key}_ancestry"]` : data frame of shape ``(n, types)``
        For every type of the source cells, and ``"unknown"`` for those without one, the density of the ancestors over the
        cells of the target time; NaN for other cells.
        Columns sum to one; with `weighted` to the mass, relative to that of the first snapshot of the fit.
    `adata.uns["{key}"]["ancestry"]`
        `cell_key`, `source_time`, `target_time`, `weighted`; `types` of the source cells, `source_types` of the cells of the target time;
        `composition`, data frame (types x source types), the density summed over the types of the target time; `mass`, the sum
        of all weights; and `outside`, the share of the ancestors of every type that are far from every observed cell.

    Raises
    ------
    KeyError
        If there is no fit, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the source cells are of several times or without types, the target does not come before them, lies outside the fit or
        has no cells with a type, no cell is selected, `weighted` is asked of a fit without growth, a number is out of range, or
        `adata` cannot be used. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.sta_backward(adata, "cell_type", target_time=1, n_trajectories=10)
    >>> adata.obsm["scdiffot_ancestry"].sum().round(6).unique().tolist()
    [1.0]
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    setting = StaInputs.read(adata, cell_key, key)
    n_trajectories = check_count("n_trajectories", n_trajectories, 1)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    model, codes = setting.model, setting.codes
    weighted = setting.check_growth(check_flag("weighted", weighted), "weighted")
    target = setting.find_time(target_time, model.times[0], "target_time")
    cells = setting.find_cells(adata, source, model.times[-1])
    starts = setting.times_of(cells)
    if len(starts) > 1:
        raise ValueError(
            f"`source` has cells of the times {some(starts.tolist())}: choose cells of one."
        )
    if starts[0] <= target:
        raise ValueError(
            f"`target_time` is {number_text(target)}, but the cells of `source` are of time {number_text(starts[0])}: choose later cells, or an earlier target."
        )
    if not (codes[cells] >= 0).any():
        raise ValueError(
            f"`source` selects cells that have no type in obs[{cell_key!r}]: choose others."
        )
    earlier = setting.typed_cells(target, "target_time")
    generator = as_generator(rng)
    source_codes = np.where(codes[earlier] < 0, len(setting.names), codes[earlier])
    nearest = Nearest(setting.states[earlier], generator, source_codes)
    types = setting.class_codes(cells)
    row = np.searchsorted(types, np.where(codes[cells] < 0, len(setting.names), codes[cells]))
    counts = np.bincount(row)
    mass, outside = np.zeros((len(types), len(nearest.cells))), np.zeros(len(types))
    with cell_bar("ancestors", len(cells), show=show_progress) as progress:
        walks = ancestors(
            model,
            setting.states[cells],
            starts[0],
            t0=target,
            n_trajectories=n_trajectories,
            weighted=weighted,
            n_steps=n_steps,
            rng=generator,
            progress=progress,
        )
        for part, states, weights in walks:
            distance, index = nearest(states.reshape(-1, states.shape[2]))
            of = np.repeat(row[part], n_trajectories)
            place = of * mass.shape[1] + index
            mass += np.bincount(place, weights.ravel(), mass.size).reshape(mass.shape)
            outside += np.bincount(of, weights.ravel() * (distance > nearest.radius), len(types))
    totals = mass.sum(axis=1)
    outside /= totals
    if weighted:
        # mass of a source cell; between snapshots of the fit masses change exponentially
        of_cell = np.exp(np.interp(starts[0], model.times, np.log(model.masses))) / len(
            setting.times.cells(starts[0])
        )
        totals *= of_cell / n_trajectories
    else:
        totals = np.ones(len(types))
    far = float(np.average(outside, weights=counts))
    if far > MANY_OUTSIDE:
        logger.warning(
            "%.0f %% of the ancestors are far from every cell of time %s.",
            100 * far,
            number_text(target),
        )
    # around a cell of a rare type, more neighbours than the type has cells would be of others
    n_averaged = np.minimum(
        max(min(n_neighbors, len(earlier) // 10), 1), np.bincount(source_codes)[source_codes]
    )
    density = nearest.smoothing(setting.states[earlier], n_averaged) @ (mass * nearest.sampling).T
    density *= totals / density.sum(axis=0)
    source_types = np.unique(source_codes)
    composition = np.stack(
        [density[source_codes == code].sum(axis=0) for code in source_types], axis=1
    )
    if source_types[-1] == len(setting.names):
        setting.warn_untyped(target, float(composition[:, -1].sum() / totals.sum()), "ancestors")
    names = setting.classes
    write_ancestry(
        adata,
        keys,
        earlier,
        density=density,
        composition=composition,
        found={
            "cell_key": cell_key,
            "source_time": float(starts[0]),
            "target_time": target,
            "weighted": bool(weighted),
            "types": names[types],
            "source_types": names[source_types],
            "mass": float(totals.sum()) if weighted else 1.0,
            "outside": outside,
        },
    )
    return adata if copy else None
