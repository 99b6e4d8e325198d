"""Virtual snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_count
from scdiffot._data.write.store import read_fit_time_series, read_model, read_times
from scdiffot._data.write.virtual.cells import virtual_adata
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.number_text import number_text
from scdiffot._utils.options import MAX_PARTICLES
from scdiffot._utils.rng import as_generator
from scdiffot.core import interpolate as interpolate_core

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def interpolate(
    adata: AnnData | MuData,
    time: float | str,
    *,
    n_obs: int | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
) -> AnnData:
    """Predict the population at any time between the first snapshot and the last.

    Cells of the previous and the next snapshot are carried to `time` and pooled: along the flow, or
    by the stochastic dynamics if the fields are autonomous. The nearer a snapshot is in time, the
    more its cells weigh.

    Parameters
    ----------
    %(fit)s
    time
        A time, or the label of a time point (at which the snapshot itself is returned).
    n_obs
        Number of cells to draw in proportion to their weights; all drawn cells weigh the same. By
        default all cells are returned, each with its weight.
    %(rng)s
    %(key)s

    Returns
    -------
    A new AnnData with the representation of the fit under the same name: ``obsm[use_rep]``,
    or ``X`` if that was fitted; after a fit in a tissue, also the coordinates. ``obs["weight"]`` is
    the mass of a cell relative to the whole first snapshot; the sum is the relative mass of the
    population. ``obs["time"]`` is the time.

    Raises
    ------
    KeyError
        If there is no fit, or no such label.
    ValueError
        If `time` lies outside the fit, or `n_obs` is not positive.

    See Also
    --------
    scdiffot.tl.simulate : Trajectories of particles that start at cells.
    scdiffot.tl.validate : Test the predictions of left-out snapshots.
    scdiffot.tl.landscape : The density at any time.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.interpolate(adata, 1.5, n_obs=100).shape
    (100, 2)
    """
    model = read_model(adata, key)
    time = read_times(adata, key).read(time, "time")
    low, high = model.times[[0, -1]]
    if not low <= time <= high:
        raise ValueError(
            f"`time` is {number_text(time)}: the fit covers the times from {number_text(low)} to "
            f"{number_text(high)}."
        )
    if n_obs is not None:
        n_obs = check_count("n_obs", n_obs, 1, MAX_PARTICLES)
    generator = as_generator(rng)
    series = read_fit_time_series(adata, key)
    states, weights = interpolate_core(model, series.snapshots, time, rng=generator)
    if n_obs is not None:
        total = weights.sum()
        sample = generator.choice(len(weights), n_obs, p=weights / total)
        states, weights = states[sample], np.full(n_obs, total / n_obs)
    return virtual_adata(
        adata, series.use_rep, states, weights=weights, time=float(time), tissue=series.tissue
    )
