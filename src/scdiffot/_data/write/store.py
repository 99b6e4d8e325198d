"""Write a fit into an AnnData, and read it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.cautions import implied_growth
from scdiffot._data.read.checks import check_adata, suggest
from scdiffot._data.read.extract import read_representation
from scdiffot._data.read.snapshots import read_time_series
from scdiffot._utils import keys as _keys
from scdiffot._utils.errors import StoredFitError, damaged
from scdiffot._utils.keys import Keys
from scdiffot._utils.layouts import read
from scdiffot._utils.rng import rng_name
from scdiffot.core.nets.model import RUOTModel

from .derived import drop_derived
from .entry_layouts import FIT_HISTORY, RESULTS
from .fingerprints import STATE, check_positions, check_states, write_fingerprints
from .seals import check_seal, seal
from .stored_columns import check_prior, parse_params, read_cell_times, read_vectors, write_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.snapshots import TimeSeries
    from scdiffot._data.read.spatial_states import Tissue
    from scdiffot._data.read.times.columns import CellTimes, TimePoint

_PARTS = (_keys.PARAMS, _keys.HISTORY, _keys.STATE)


def check_free(adata: AnnData | MuData, keys: Keys) -> None:
    """Refuse to overwrite an entry of `uns` that is not a fit.

    Raises
    ------
    ValueError
        If `uns` holds something else under the name of the run.
    """
    entry = adata.uns.get(keys.uns)
    if entry is not None and not _is_fit(entry):
        raise ValueError(
            f"`key_added` is {keys.uns!r}, but adata.uns[{keys.uns!r}] holds something that is not "
            "a fit: name another."
        )


def make_params(
    series: TimeSeries,
    *,
    mass: str | Mapping[Any, float] | None,
    time_map: Mapping[Any, float] | str | None,
    growth_prior: str | None,
    rng: int | np.random.Generator,
) -> dict[str, Any]:
    """Collect the parameters that reproduce a time course, as strings, numbers and arrays.

    Mappings with keys of the user are stored as JSON, because keys in files of AnnData are strings
    without slashes.
    """
    has_masses = not (mass is None or isinstance(mass, str))
    labels = map(series.times.label, series.snapshots.times)
    mass_by_label = dict(zip(labels, series.snapshots.masses, strict=True))
    return {
        "time_key": series.times.column,
        "use_rep": series.use_rep,
        "n_dims": series.states.shape[1] if series.tissue is None else series.tissue.n_dims,
        "spatial_key": "" if series.tissue is None else series.tissue.spatial_key,
        "spatial_unit": 1.0 if series.tissue is None else series.tissue.unit,
        "time_map": "" if time_map is None else json.dumps(series.times.labels),
        "mass": json.dumps(mass_by_label) if has_masses else mass or "equal",
        "growth_prior": growth_prior or "",
        "held_out": np.array(series.held_out, dtype=np.float64),
        "times": series.snapshots.times,
        "masses": series.snapshots.masses,
        **implied_growth(series),
        "rng": rng_name(rng),
    }


def write_fit(
    adata: AnnData | MuData,
    keys: Keys,
    *,
    fields: Mapping[str, np.ndarray],
    params: dict[str, Any],
    history: dict[str, Any],
    state: dict[str, Any],
    growth_prior: np.ndarray | None,
    tissue: Tissue | None,
    times: CellTimes,
) -> None:
    """Write the fields of all cells and the entry of `uns`, and drop results of an earlier fit."""
    drop_derived(adata, keys)
    for name, field in ((keys.velocity, "drift"), (keys.flow, "flow"), (keys.score, "score")):
        adata.obsm[name] = fields[field] if tissue is None else tissue.split(fields[field])[0]
    if tissue is not None:
        adata.obsm[keys.migration] = tissue.split(fields["drift"])[1]
    adata.obs[keys.growth] = fields["growth"]
    adata.obs[keys.potential] = fields["potential"]
    if growth_prior is not None:
        adata.obs[keys.growth_prior] = growth_prior
    positions = None if tissue is None else tissue.positions(adata)
    write_columns(adata, keys, times, params["growth_prior"])
    digest = write_fingerprints(adata, keys, STATE, params, positions)
    params = {**params, "decoder": digest}
    entry = {_keys.PARAMS: params, _keys.HISTORY: history, _keys.STATE: state}
    adata.uns[keys.uns] = seal(entry, *_PARTS)


def write_validation(adata: AnnData | MuData, keys: Keys, table: pd.DataFrame) -> None:
    """Write the table of a validation beside the fit."""
    adata.uns[keys.uns][_keys.VALIDATION] = table


def read_fit(adata: AnnData | MuData, key: str) -> Mapping[str, Any]:
    """Read the entry of a fit in `uns`.

    Raises
    ------
    KeyError
        If there is no such fit.
    StoredFitError
        If it is damaged, of a newer version, or something else.
    """
    check_adata(adata)
    Keys(key, "key")
    entry = adata.uns.get(key)
    place = f"adata.uns[{key!r}]"
    if entry is None:
        fit_names = [name for name, other in adata.uns.items() if _is_fit(other)]
        raise KeyError(
            f"`key` is {key!r}, but a fit under {place} is missing: "
            "run scdiffot.tl.fit(adata, time_key, ...) first, or name another fit. "
            f"{suggest(key, fit_names)}"
        )
    if not hasattr(entry, "keys") or not set(_PARTS) & set(entry.keys()):
        fit_names = [name for name, other in adata.uns.items() if _is_fit(other)]
        raise StoredFitError(
            f"`key` is {key!r}, but {place} is something else, no fit: name a fit, or another name "
            f"for `key_added` of scdiffot.tl.fit. {suggest(key, fit_names)}"
        )
    check_seal(entry, place, *_PARTS)
    return entry


def read_model(adata: AnnData | MuData, key: str) -> RUOTModel:
    """Read the model of a fit.

    Raises
    ------
    KeyError
        If there is no such fit.
    StoredFitError
        If it is damaged, of a newer version, or something else.
    """
    entry, params = read_fit(adata, key), read_params(adata, key)
    place = f"adata.uns[{key!r}]"
    model = RUOTModel.from_arrays(entry[_keys.STATE], place=f"{place}[{_keys.STATE!r}]")
    n_positions = model.n_dims - params["n_dims"]
    if n_positions not in ((0,) if params["tissue"] is None else (2, 3)):
        raise damaged(
            f"{place}[{_keys.PARAMS!r}]['n_dims']",
            f"is {params['n_dims']}, and the model has {model.n_dims} dimensions",
        )
    if not np.array_equal(model.times, params["times"]):
        raise damaged(f"{place}[{_keys.PARAMS!r}]['times']", "are not those of the model")
    return model


def read_history(adata: AnnData | MuData, key: str) -> dict[str, Any]:
    """Read the losses of a fit, and the distances of its populations to the snapshots."""
    entry = read_fit(adata, key)
    place = f"adata.uns[{key!r}][{_keys.HISTORY!r}]"
    history: dict[str, Any] = read(entry[_keys.HISTORY], FIT_HISTORY, place)
    return history


def read_params(adata: AnnData | MuData, key: str) -> dict[str, Any]:
    """Read the parameters of a fit, in the form in which the user passed them."""
    place = f"adata.uns[{key!r}][{_keys.PARAMS!r}]"
    return parse_params(read_fit(adata, key)[_keys.PARAMS], place)


def read_times(adata: AnnData | MuData, key: str) -> CellTimes:
    """Read the times of all cells as the fit read them."""
    return read_cell_times(adata, key, read_params(adata, key))


def read_states(adata: AnnData | MuData, key: str) -> np.ndarray:
    """Read the states of all cells as the fit read them.

    Raises
    ------
    StoredFitError
        If they have changed since the fit.
    """
    params = read_params(adata, key)
    states = read_representation(adata, params["use_rep"], n_dims=params["n_dims"])[0]
    check_states(adata, key, STATE, states, params["use_rep"])
    tissue: Tissue | None = params["tissue"]
    return states if tissue is None else tissue.join(states, _read_positions(adata, key, tissue))


def _read_positions(adata: AnnData | MuData, key: str, tissue: Tissue) -> np.ndarray:
    positions = tissue.positions(adata)
    check_positions(adata, key, positions, tissue.spatial_key)
    return positions


def read_velocities(adata: AnnData | MuData, key: str) -> np.ndarray:
    """Read the velocities of all cells, in the space of :func:`read_states`.

    Raises
    ------
    KeyError
        If they are missing.
    StoredFitError
        If they do not have the dimensions of the fit.
    """
    keys, params = Keys(key, "key"), read_params(adata, key)
    tissue: Tissue | None = params["tissue"]
    velocities = read_vectors(adata, keys.velocity, params["n_dims"])
    if tissue is None:
        return velocities
    return tissue.join(
        velocities, read_vectors(adata, keys.migration, tissue.positions(adata).shape[1])
    )


def read_fit_time_series(
    adata: AnnData | MuData,
    key: str,
    *,
    held_out: Iterable[TimePoint] | None = None,
    **changes: Any,
) -> TimeSeries:
    """Read the time course of a fit again, by default without the times that the fit held out.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the run.
    held_out
        Times to hold out instead.
    changes
        Other arguments of :func:`~scdiffot._data.read.snapshots.read_time_series` to replace.
    """
    params = read_params(adata, key)
    read_times(adata, key).check_points(params["times"], key)
    check_prior(adata, key, params["growth_prior"])
    names = ("time_key", "use_rep", "n_dims", "time_map", "mass", "growth_prior")
    arguments = {name: params[name] for name in names} | changes
    excluded_times = params["held_out"].tolist() if held_out is None else held_out
    series = read_time_series(
        adata, arguments.pop("time_key"), **arguments, held_out=excluded_times
    )
    check_states(adata, key, STATE, series.states, series.use_rep)
    tissue: Tissue | None = params["tissue"]
    return (
        series if tissue is None else series.in_tissue(tissue, _read_positions(adata, key, tissue))
    )


def read_table(adata: AnnData | MuData, key: str, name: str, *, source: str) -> Any:
    """Read a result beside a fit.

    Raises
    ------
    KeyError
        If it has not been computed.
    StoredFitError
        If it is damaged.
    """
    fit = read_fit(adata, key)
    place = f"adata.uns[{key!r}]"
    if name not in fit:
        raise KeyError(
            f"`key` is {key!r}, but {place} has no {name!r}: run scdiffot.{source} first."
        )
    return read(fit[name], RESULTS[name], f"{place}[{name!r}]")


def _is_fit(entry: Any) -> bool:
    return hasattr(entry, "keys") and set(_PARTS) <= set(entry.keys())
