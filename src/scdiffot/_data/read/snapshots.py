"""Read a time course from an AnnData as the snapshots of the core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot.core.problem.snapshots import Snapshots

from .checks import check_adata, format_list
from .columns import read_column
from .extract import read_representation
from .times.columns import CellTimes, cell_times
from .times.values import as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from mudata import MuData

    from .spatial_states import Tissue
    from .times.columns import TimePoint

# Fewest cells of a time point.
MIN_CELLS = 10
# Smallest range of the states that single precision resolves, and largest ratio of two masses.
MIN_SPREAD, MAX_MASS_RATIO = 1e-30, 1e6


@dataclass(frozen=True)
class TimeSeries:
    """Data that a fit reads from an AnnData.

    Parameters
    ----------
    states
        States of all cells, shape ``(n, d)``.
    use_rep
        Full name of their representation.
    tissue
        How positions are joined to the states; None if they are not.
    times
        Times of all cells.
    held_out
        Times that the snapshots leave out.
    snapshots
        Training data of the core.
    """

    states: np.ndarray
    use_rep: str
    tissue: Tissue | None
    times: CellTimes
    held_out: tuple[float, ...]
    snapshots: Snapshots

    def in_tissue(self, tissue: Tissue, positions: np.ndarray) -> TimeSeries:
        """Join positions of all cells, shape ``(n, 2)`` or ``(n, 3)``, to the states."""
        states = tissue.join(self.states, positions)
        parts = tuple(states[self.times.cells(t)] for t in self.snapshots.times)
        return replace(
            self, states=states, tissue=tissue, snapshots=replace(self.snapshots, states=parts)
        )


def read_time_series(
    adata: AnnData | MuData,
    time_key: str,
    *,
    use_rep: str,
    n_dims: int | None = None,
    time_map: Mapping[Any, float] | str | None = None,
    mass: Literal["n_cells"] | Mapping[Any, float] | None = "n_cells",
    growth_prior: str | np.ndarray | None = None,
    held_out: TimePoint | Iterable[TimePoint] | None = None,
) -> TimeSeries:
    """Read and check a time course; see :func:`scdiffot.tl.fit` for the parameters."""
    check_adata(adata)
    times = cell_times(adata, time_key, time_map=time_map)
    states, name = read_representation(adata, use_rep, n_dims=n_dims)
    excluded_times = _read_held_out(times, held_out)
    points = np.array([t for t in times.points if t not in excluded_times])
    _check_points(times, points)
    spread = np.ptp(states[np.isin(times.values, points)], axis=0)
    if not spread.max() > MIN_SPREAD:
        raise ValueError(
            f"`use_rep` {name!r} is the same in all cells: there are no dynamics in it; "
            "name another."
        )
    rows = [times.cells(t) for t in points]
    prior = _read_growth_prior(adata, growth_prior)
    snapshots = Snapshots(
        times=points,
        states=tuple(states[r] for r in rows),
        masses=_read_masses(times, points, mass),
        growth_prior=None if prior is None else tuple(prior[r] for r in rows),
    )
    return TimeSeries(states, name, None, times, excluded_times, snapshots)


def _read_held_out(times: CellTimes, held_out: Any) -> tuple[float, ...]:
    if held_out is None:
        return ()
    return tuple(sorted({times.find(t, "held_out") for t in as_list(held_out)}))


def _check_points(times: CellTimes, points: np.ndarray) -> None:
    name = f"obs[{times.column!r}]"
    if len(points) < 2:
        exclusion = (
            f" outside `held_out` (of {len(times.points)} in all)"
            if len(times.points) > len(points)
            else ""
        )
        raise ValueError(
            f"`time_key` {name} has {len(points)} time point{exclusion}: "
            "dynamics need at least two."
        )
    counts = {times.label(t): len(times.cells(t)) for t in points}
    small_points = [f"{label} ({n} cells)" for label, n in counts.items() if n < MIN_CELLS]
    if small_points:
        examples = ", ".join(small_points[:5]) + (
            f", ... ({len(small_points)} in all)" if len(small_points) > 5 else ""
        )
        # If most time points are small, the column is continuous.
        remedy = (
            "bin the times"
            if len(small_points) > len(counts) / 2
            else "leave them out with `held_out`, or merge time points"
        )
        raise ValueError(
            f"`time_key` {name} has time points with fewer than {MIN_CELLS} cells: {examples}. "
            f"Please {remedy}."
        )


def _read_masses(times: CellTimes, points: np.ndarray, mass: Any) -> np.ndarray:
    """Masses of the snapshots relative to the first, shape ``(T,)``."""
    if mass is None:
        return np.ones(len(points))
    if isinstance(mass, str):
        if mass != "n_cells":
            raise ValueError(
                f"`mass` is {mass!r}: pass 'n_cells', a dict (time point -> mass), or None."
            )
        masses = np.array([len(times.cells(t)) for t in points], dtype=np.float64)
        return masses / masses[0]
    if not hasattr(mass, "items"):
        raise TypeError(
            f"`mass` is a {type(mass).__name__}: "
            "pass 'n_cells', a dict (time point -> mass), or None."
        )
    mass_by_time: dict[float, Any] = {}
    for label, value in mass.items():
        time = times.find(label, "mass")
        if time in mass_by_time:
            raise ValueError(
                f"`mass` holds {label!r} and another label of the same time: "
                "pass one mass for every time."
            )
        mass_by_time[time] = value
    missing = [times.label(t) for t in points if t not in mass_by_time]
    if missing:
        raise KeyError(f"`mass` has no value for the time points {format_list(missing)}: add them.")
    values: list[Any] = [mass_by_time[t] for t in points]
    invalid_masses = [
        v
        for v in values
        if isinstance(v, bool) or not isinstance(v, Real) or not 0 < float(v) < np.inf
    ]
    if invalid_masses:
        raise ValueError(
            f"`mass` holds {format_list(invalid_masses)}: pass positive, finite masses."
        )
    masses = np.array(values, dtype=np.float64)
    # The ratio of 1e300 to 1e-300 overflows; its logarithm does not.
    logs = np.log(masses)
    if np.ptp(logs) > np.log(MAX_MASS_RATIO):
        raise ValueError(
            f"`mass` ranges from {masses.min():g} to {masses.max():g}: pass masses that differ by "
            f"a factor of at most {MAX_MASS_RATIO:g}, or leave time points out with `held_out`."
        )
    return masses / masses[0]


def _read_growth_prior(adata: AnnData | MuData, growth_prior: Any) -> np.ndarray | None:
    if growth_prior is None:
        return None
    if isinstance(growth_prior, str):
        growth_prior = read_column(adata, growth_prior, "growth_prior")
    values = np.asarray(growth_prior)
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"`growth_prior` holds {values.dtype}: pass numbers, net growth per unit of time."
        )
    if values.shape != (adata.n_obs,):
        raise ValueError(
            f"`growth_prior` has shape {values.shape}: pass one value for each of the "
            f"{adata.n_obs} cells."
        )
    invalid = ~np.isfinite(values)
    if invalid.any():
        raise ValueError(
            f"`growth_prior` is NaN or infinite in {invalid.sum()} of {len(invalid)} cells: "
            "fill them, with 0 for instance."
        )
    return values.astype(np.float64)
