"""Write a fit: its model, its history and its fields at all cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.write.store import make_params, write_fit
from scdiffot._utils.logging import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.snapshots import TimeSeries
    from scdiffot._utils.keys import Keys
    from scdiffot.core import RUOTModel


def store_fit(
    adata: AnnData | MuData,
    keys: Keys,
    series: TimeSeries,
    *,
    model: RUOTModel,
    history: dict[str, Any],
    arguments: Mapping[str, Any],
) -> None:
    """Write the result of a fit, and warn if it was interrupted.

    Parameters
    ----------
    adata
        Cells of all snapshots.
    keys
        Names of the entries.
    series
        What was read from `adata`.
    model, history
        Result of the fit.
    arguments
        Arguments ``mass``, ``time_map``, ``growth_prior`` and ``rng`` of the user, to be stored.
    """
    if history["interrupted"]:
        n_done = int(np.asarray(history["step"])[-1])
        logger.warning("Interrupted after %d steps: the best state so far is kept.", n_done)
    growth_prior, prior_key, prior = arguments["growth_prior"], None, None
    if isinstance(growth_prior, str):
        prior_key = growth_prior
    elif growth_prior is not None:
        prior_key, prior = keys.growth_prior, np.asarray(growth_prior)
    write_fit(
        adata,
        keys,
        fields=model.fields(series.states, series.times.values),
        params=make_params(series, **{**arguments, "growth_prior": prior_key}),
        history=history,
        state=model.to_arrays(),
        growth_prior=prior,
        tissue=series.tissue,
        times=series.times,
    )
