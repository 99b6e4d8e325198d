"""Parameters, columns and vectors of a fit, and checks that the columns are unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.columns import find_column, read_numbers
from scdiffot._data.read.spatial_states import Tissue
from scdiffot._data.read.times.columns import CellTimes, cell_times
from scdiffot._data.read.times.mapping import plain_text
from scdiffot._data.read.times.values import closest
from scdiffot._utils.errors import StoredFitError, damaged
from scdiffot._utils.layout_types import Array
from scdiffot._utils.layouts import read
from scdiffot._utils.number_text import number_text
from scdiffot._utils.stored_json import is_number

from .entry_layouts import FIT_PARAMS
from .fingerprints import PRIOR, TIME, check_fingerprint, write_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._utils.keys import Keys


REMEDY = "Restore the column, or run scdiffot.tl.fit again."


def parse_params(stored: Any, place: str) -> dict[str, Any]:
    """Convert the stored parameters of a fit to the form in which the user passed them.

    Raises
    ------
    StoredFitError
        If they are damaged.
    """
    params: dict[str, Any] = read(stored, FIT_PARAMS, place)
    if isinstance(params["mass"], str):
        params["mass"] = {"equal": None, "n_cells": "n_cells"}[params["mass"]]
    for name in ("mass", "time_map"):
        if isinstance(params[name], dict) and not all(is_number(v) for v in params[name].values()):
            raise damaged(f"{place}[{name!r}]", "holds values that are no numbers")
    points = np.union1d(params["times"], params["held_out"])
    params["time_map"] = _add_times(params["time_map"] or {}, points)
    params["growth_prior"] = params["growth_prior"] or None
    name, unit = params["spatial_key"], params["spatial_unit"]
    params["tissue"] = Tissue(name, unit, params["n_dims"]) if name else None
    return params


def write_columns(adata: AnnData | MuData, keys: Keys, times: CellTimes, growth_prior: str) -> None:
    """Write the fingerprints of the times and of the growth prior, if the fit has one.

    The fingerprint of a time is its rank, which rounding does not change.
    """
    write_fingerprint(adata.obsm, adata.obs_names, keys, TIME, _time_ranks(times, times.points))
    if growth_prior:
        prior = read_numbers(adata, growth_prior, "growth_prior").to_numpy()
        write_fingerprint(adata.obsm, adata.obs_names, keys, PRIOR, prior[:, None])


def check_prior(adata: AnnData | MuData, key: str, growth_prior: str | None) -> None:
    """Refuse a growth prior other than that of the fit."""
    if growth_prior:
        prior = read_numbers(adata, growth_prior, "growth_prior").to_numpy()
        source, result = f"`growth_prior` obs[{growth_prior!r}]", f"the fit {key!r}"
        check_fingerprint(
            adata, key, PRIOR, prior[:, None], source=source, result=result, remedy=REMEDY
        )


def read_cell_times(adata: AnnData | MuData, key: str, params: Mapping[str, Any]) -> CellTimes:
    """Read the times of all cells from the column of a fit.

    Raises
    ------
    KeyError
        If there is no such column.
    StoredFitError
        If the column cannot be read as the fit read it, or the time of a cell has changed.
    """
    name = params["time_key"]
    find_column(adata, name, "time_key")
    points = np.union1d(params["times"], params["held_out"])
    source, result = f"`time_key` obs[{name!r}]", f"the fit {key!r}"
    try:
        times = cell_times(adata, name, time_map=params["time_map"], reference=points)
    except (KeyError, TypeError, ValueError) as error:
        raise StoredFitError(
            f"{source} is not what {result} was made with: {error.args[0]} {REMEDY}"
        ) from error
    ranks = _time_ranks(times, points)
    check_fingerprint(adata, key, TIME, ranks, source=source, result=result, remedy=REMEDY)
    return times


def read_vectors(adata: AnnData | MuData, name: str, n_dims: int) -> np.ndarray:
    """Read vectors that a fit wrote into `obsm`, shape ``(n, n_dims)``.

    Raises
    ------
    KeyError
        If they are missing.
    StoredFitError
        If they have another shape, or hold no numbers.
    """
    if name not in adata.obsm:
        raise KeyError(
            f"adata.obsm[{name!r}] is missing: run scdiffot.tl.fit again, which writes it."
        )
    layout = Array((adata.n_obs, n_dims), nan=True, infinite=True)
    vectors: np.ndarray = read(np.asarray(adata.obsm[name]), layout, f"adata.obsm[{name!r}]")
    return vectors


def _add_times(time_map: Mapping[str, float], points: np.ndarray) -> dict[str, float] | None:
    """Add the times of the fit, as labels of themselves, to a stored map; None if it is empty."""
    labels = {plain_text(label) for label in time_map}
    fit_times = {number_text(t): float(t) for t in points if number_text(t) not in labels}
    return {**time_map, **fit_times} if time_map else None


def _time_ranks(times: CellTimes, points: np.ndarray) -> np.ndarray:
    """Rank of the time of every cell among `points`, from one, shape ``(n, 1)``.

    The rank is NaN if the time is none of them.
    """
    ranks = [closest(points, t) for t in times.points]
    by_point = np.array([np.nan if k is None else k + 1.0 for k in ranks])
    return by_point[np.searchsorted(times.points, times.values)][:, None]
