"""Columns of `obs` as a fit read them, and whether they are still the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.columns import find_column, read_numbers
from scdiffot._data.read.times.columns import CellTimes, cell_times
from scdiffot._data.read.times.mapping import plain_text
from scdiffot._data.read.times.values import closest
from scdiffot._utils.errors import StoredFitError
from scdiffot._utils.number_text import number_text

from .fingerprints import PRIOR, TIME, check_fingerprint, write_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._utils.keys import Keys


REMEDY = "Restore the column, or run scdiffot.tl.fit again."


def write_columns(adata: AnnData | MuData, keys: Keys, times: CellTimes, growth_prior: str) -> None:
    """Write the fingerprints of the times and of the growth prior, if the fit has one.

    That of a time is its rank, which no rounding changes.
    """
    write_fingerprint(adata.obsm, adata.obs_names, keys, TIME, _ranks(times, times.points))
    if growth_prior:
        prior = read_numbers(adata, growth_prior, "growth_prior").to_numpy()
        write_fingerprint(adata.obsm, adata.obs_names, keys, PRIOR, prior[:, None])


def check_prior(adata: AnnData | MuData, key: str, growth_prior: str | None) -> None:
    """Refuse a growth prior that is not that of a fit."""
    if growth_prior:
        prior = read_numbers(adata, growth_prior, "growth_prior").to_numpy()
        what, made = f"`growth_prior` obs[{growth_prior!r}]", f"the fit {key!r}"
        check_fingerprint(adata, key, PRIOR, prior[:, None], what=what, made=made, remedy=REMEDY)


def read_cell_times(adata: AnnData | MuData, key: str, params: Mapping[str, Any]) -> CellTimes:
    """Read the times of all cells from the column of a fit.

    Raises
    ------
    KeyError
        If there is no such column.
    StoredFitError
        If the column cannot be read as the fit did, or the cells of the fit have other times now.
    """
    name = params["time_key"]
    find_column(adata, name, "time_key")
    points = np.union1d(params["times"], params["held_out"])
    what, made = f"`time_key` obs[{name!r}]", f"the fit {key!r}"
    try:
        times = cell_times(adata, name, time_map=params["time_map"], reference=points)
    except (KeyError, TypeError, ValueError) as error:
        raise StoredFitError(
            f"{what} is not what {made} was made with: {error.args[0]} {REMEDY}"
        ) from error
    check_fingerprint(adata, key, TIME, _ranks(times, points), what=what, made=made, remedy=REMEDY)
    return times


def with_times(time_map: Mapping[str, float], points: np.ndarray) -> dict[str, float] | None:
    """A stored map, in which the times of the fit also stand for themselves; None if there is none."""
    labels = {plain_text(label) for label in time_map}
    fit_times = {number_text(t): float(t) for t in points if number_text(t) not in labels}
    return {**time_map, **fit_times} if time_map else None


def _ranks(times: CellTimes, points: np.ndarray) -> np.ndarray:
    """Rank of the time of every cell among some times, from one, NaN for another time; shape ``(n, 1)``."""
    ranks = [closest(points, t) for t in times.points]
    by_point = np.array([np.nan if k is None else k + 1.0 for k in ranks])
    return by_point[np.searchsorted(times.points, times.values)][:, None]
