"""Ancestors of cells by backward stochastic trajectory analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.nearest import Nearest
from scdiffot._analysis.sta_inputs import MAX_SHARE_OUTSIDE, StaInputs
from scdiffot._data.read.checks import as_writable, check_count, check_flag, format_list
from scdiffot._data.write.fate_tables import write_ancestry
from scdiffot._utils.docs import fill_parameters
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


@fill_parameters
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
    r"""Find the ancestors of cells by backward stochastic trajectory analysis (STA).

    Stochastic trajectories run back along the time reversal
    :math:`dY = (-b + \sigma^2 s) \, ds + \sigma \, dW` :cite:p:`Anderson1982`. Two questions have
    different answers:

    - *Where were the ancestors of these cells?* Every cell has exactly one ancestor at an earlier
      time, so the trajectories carry no weights, however much cells multiplied in between.
    - *Which earlier population do these cells make up?* (`weighted`): weights :math:`e^{-\int g}`
      undo proliferation.

    The mass of each trajectory is assigned to the observed cell nearest to its end. These masses,
    corrected for the sampling density of cells, are then averaged over the neighbours of every
    cell.

    Parameters
    ----------
    %(fit)s
    %(cell_key)s
    source
        Cells to follow back, all of one time: a time (number) or its label, a query of `adata.obs`
        (``"cell_type == 'neuron' and day == 6"``), names of cells, or a boolean mask. The cells of
        the last time by default.
    target_time
        Time of the ancestors (number or label), at which cells were observed; the first by default.
    weighted
        Whether to reconstruct the earlier population instead of finding ancestors.
    n_trajectories
        Number of trajectories of every cell.
    n_neighbors
        Number of cells to average over, at most a tenth of the cells of the target time, and at
        most the number of those of the same type.
    n_steps
        Steps in an interval between snapshots, 20 by default.
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following fields. In column names, ``|`` stands for a ``/`` in the
    name of a type, because files of AnnData refuse ``/``.

    `adata.obsm["{key}_ancestry"]` : data frame of shape ``(n, types)``
        For every type of the source cells, and ``"unknown"`` for those without one, the density of
        the ancestors over the cells of the target time; NaN for other cells. Columns sum to one;
        with `weighted` to the mass, relative to that of the first snapshot of the fit.
    `adata.uns["{key}"]["ancestry"]`
        `cell_key`, `source_time`, `target_time`, `weighted`; `types` of the source cells,
        `source_types` of the cells of the target time; `composition`, data frame (types x source
        types), the density summed over the types of the target time; `mass`, the sum of all
        weights; and `outside`, the share of the ancestors of every type that are far from every
        observed cell.

    Raises
    ------
    KeyError
        If there is no fit, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the source cells are of several times or without types, the target does not come before
        them, lies outside the fit or has no cells with a type, no cell is selected, `weighted` is
        True for a fit without growth, a number is out of range, or `adata` cannot be used. Nothing
        is written then.

    See Also
    --------
    scdiffot.tl.sta_forward : Fates and numbers of descendants of cells.
    scdiffot.tl.simulate : Trajectories themselves, forward and backward.
    scdiffot.pl.ancestry : Plot the ancestors.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.sta_backward(adata, "cell_type", target_time=1, n_trajectories=10)
    >>> adata.obsm["scdiffot_ancestry"].sum().round(6).unique().tolist()
    [1.0]
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    inputs = StaInputs.read(adata, cell_key, key)
    n_trajectories = check_count("n_trajectories", n_trajectories, 1)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    weighted = inputs.check_growth(check_flag("weighted", weighted), "weighted")
    target = inputs.find_time(target_time, inputs.model.times[0], "target_time")
    cells, start = _source_cells(inputs, adata, source, target)
    earlier = inputs.typed_cells(target, "target_time")
    generator = as_generator(rng)
    source_codes = inputs.codes_with_unknown(earlier)
    nearest = Nearest(inputs.states[earlier], generator, source_codes)
    with cell_bar("ancestors", len(cells), show=show_progress) as progress:
        batches = ancestors(
            inputs.model,
            inputs.states[cells],
            start,
            t0=target,
            n_trajectories=n_trajectories,
            weighted=weighted,
            n_steps=n_steps,
            rng=generator,
            progress=progress,
        )
        mass, outside = _assign(batches, nearest, inputs, cells)
    types = inputs.class_codes(cells)
    totals = _total_masses(inputs, start, mass, n_trajectories if weighted else None)
    _warn_outside(inputs, cells, outside, target)
    density = _smooth(mass, nearest, inputs.states[earlier], source_codes, n_neighbors)
    density *= totals / density.sum(axis=0)
    source_types = np.unique(source_codes)
    composition = np.stack(
        [density[source_codes == code].sum(axis=0) for code in source_types], axis=1
    )
    if source_types[-1] == len(inputs.names):
        inputs.warn_untyped(target, float(composition[:, -1].sum() / totals.sum()), "ancestors")
    params = {
        "cell_key": cell_key,
        "source_time": start,
        "target_time": target,
        "weighted": bool(weighted),
        "types": inputs.classes[types],
        "source_types": inputs.classes[source_types],
        "mass": float(totals.sum()) if weighted else 1.0,
        "outside": outside,
    }
    write_ancestry(adata, keys, earlier, density=density, composition=composition, entry=params)
    return adata if copy else None


def _source_cells(
    inputs: StaInputs, adata: AnnData | MuData, source: Any, target: float
) -> tuple[np.ndarray, float]:
    """Cells to follow back, and their time."""
    cells = inputs.find_cells(adata, source, inputs.model.times[-1])
    starts = inputs.times_of(cells)
    if len(starts) > 1:
        raise ValueError(
            f"`source` has cells of the times {format_list(starts.tolist())}: choose cells of one."
        )
    if starts[0] <= target:
        raise ValueError(
            f"`target_time` is {number_text(target)}, but the cells of `source` are of time "
            f"{number_text(starts[0])}: choose later cells, or an earlier target."
        )
    if not (inputs.codes[cells] >= 0).any():
        raise ValueError(
            f"`source` selects cells that have no type in obs[{inputs.cell_key!r}]: choose others."
        )
    return cells, float(starts[0])


def _assign(
    batches: Iterable[tuple[Any, np.ndarray, np.ndarray]],
    nearest: Nearest,
    inputs: StaInputs,
    cells: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign trajectories to the cells nearest to their ends.

    Returns
    -------
    Mass of every source type at every cell of `nearest`, shape ``(k, m)``, and the share of the
    mass of every type that is far from all cells, shape ``(k,)``.
    """
    types = inputs.class_codes(cells)
    type_rows = np.searchsorted(types, inputs.codes_with_unknown(cells))
    mass, outside = np.zeros((len(types), len(nearest.cells))), np.zeros(len(types))
    for batch, states, weights in batches:
        distance, index = nearest(states.reshape(-1, states.shape[2]))
        rows = np.repeat(type_rows[batch], weights.size // len(type_rows[batch]))
        bins = rows * mass.shape[1] + index
        mass += np.bincount(bins, weights.ravel(), mass.size).reshape(mass.shape)
        outside += np.bincount(rows, weights.ravel() * (distance > nearest.radius), len(types))
    return mass, outside / mass.sum(axis=1)


def _total_masses(
    inputs: StaInputs, start: float, mass: np.ndarray, n_trajectories: int | None
) -> np.ndarray:
    """Mass of the ancestors of every type, relative to the first snapshot; one without weights."""
    if n_trajectories is None:
        return np.ones(len(mass))
    # Between the snapshots of the fit, masses change exponentially.
    log_masses = np.log(inputs.model.masses)
    snapshot_mass = np.exp(np.interp(start, inputs.model.times, log_masses))
    cell_mass = snapshot_mass / len(inputs.times.cells(start))
    return mass.sum(axis=1) * (cell_mass / n_trajectories)


def _warn_outside(inputs: StaInputs, cells: np.ndarray, outside: np.ndarray, target: float) -> None:
    """Warn if many ancestors are far from every cell of the target time."""
    counts = np.unique(inputs.codes_with_unknown(cells), return_counts=True)[1]
    share = float(np.average(outside, weights=counts))
    if share > MAX_SHARE_OUTSIDE:
        logger.warning(
            "%.0f %% of the ancestors are far from every cell of time %s.",
            100 * share,
            number_text(target),
        )


def _smooth(
    mass: np.ndarray,
    nearest: Nearest,
    states: np.ndarray,
    codes: np.ndarray,
    n_neighbors: int,
) -> np.ndarray:
    """Average the masses over the neighbours of every cell, shape ``(n, k)``."""
    # More neighbours than cells of a rare type would include other types.
    n_averaged = np.minimum(max(min(n_neighbors, len(codes) // 10), 1), np.bincount(codes)[codes])
    return nearest.smoothing(states, n_averaged) @ (mass * nearest.sampling).T
