"""From an AnnData to the snapshots of the core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot.core.problem.snapshots import Snapshots

from .checks import check_adata, some
from .columns import read_column
from .extract import representation
from .times.columns import CellTimes, cell_times
from .times.values import several

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from mudata import MuData

    from .spatial_states import Tissue
    from .times.columns import TimePoint

MIN_CELLS = 10
# Differences below are nothing to single precision; masses further apart or smaller nothing to any.
MIN_SPREAD, MAX_MASS_RATIO = 1e-30, 1e6


@dataclass(frozen=True)
class TimeSeries:
    """All that a fit reads from an AnnData.

    Parameters
    ----------
    states
        States of all cells, shape ``(n, d)``.
    use_rep
        Full name of their representation.
    tissue
        How positions take part in the states, if they do.
    times
        Times of all cells.
    held_out
        Times that the snapshots leave out.
    snapshots
        What the core learns from.
    """

    states: np.ndarray
    use_rep: str
    tissue: Tissue | None
    times: CellTimes
    held_out: tuple[float, ...]
    snapshots: Snapshots

    def in_tissue(self, tissue: Tissue, positions: np.ndarray) -> TimeSeries:
        """The same cells with the positions of all of them, shape ``(n, 2)`` or ``(n, 3)``, in their states."""
        states = tissue.join(self.states, positions)
        parts = tuple(states[self.times.cells(t)] for t in self.snapshots.times)
        return replace(
            self, states=states, tissue=tissue, snapshots=replace(self.snapshots, states=parts)
        )


def time_course(
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
    states, name = representation(adata, use_rep, n_dims=n_dims)
    left_out = _held_out(times, held_out)
    kept = np.array([t for t in times.points if t not in left_out])
    _check_points(times, kept)
    spread = np.ptp(states[np.isin(times.values, kept)], axis=0)
    if not spread.max() > MIN_SPREAD:
        raise ValueError(
            f"`use_rep` {name!r} is the same in all cells: there are no dynamics in it; name another."
        )
    rows = [times.cells(t) for t in kept]
    prior = _growth_prior(adata, growth_prior)
    snapshots = Snapshots(
        times=kept,
        states=tuple(states[r] for r in rows),
        masses=_masses(times, kept, mass),
        growth_prior=None if prior is None else tuple(prior[r] for r in rows),
    )
    return TimeSeries(states, name, None, times, left_out, snapshots)


def _held_out(times: CellTimes, held_out: Any) -> tuple[float, ...]:
    if held_out is None:
        return ()
    return tuple(sorted({times.find(t, "held_out") for t in several(held_out)}))


def _check_points(times: CellTimes, kept: np.ndarray) -> None:
    name = f"obs[{times.column!r}]"
    if len(kept) < 2:
        held = (
            f" outside `held_out` (of {len(times.points)} in all)"
            if len(times.points) > len(kept)
            else ""
        )
        raise ValueError(
            f"`time_key` {name} has {len(kept)} time point{held}: dynamics need at least two."
        )
    counts = {times.label(t): len(times.cells(t)) for t in kept}
    few = [f"{label} ({n} cells)" for label, n in counts.items() if n < MIN_CELLS]
    if few:
        shown = ", ".join(few[:5]) + (f", ... ({len(few)} in all)" if len(few) > 5 else "")
        # a column with as many values as cells is no row of snapshots
        remedy = (
            "bin the times"
            if len(few) > len(counts) / 2
            else "leave them out with `held_out`, or merge time points"
        )
        raise ValueError(
            f"`time_key` {name} has time points with fewer than {MIN_CELLS} cells: {shown}. Please {remedy}."
        )


def _masses(times: CellTimes, kept: np.ndarray, mass: Any) -> np.ndarray:
    """Masses relative to the first snapshot that is kept."""
    if mass is None:
        return np.ones(len(kept))
    if isinstance(mass, str):
        if mass != "n_cells":
            raise ValueError(
                f"`mass` is {mass!r}: pass 'n_cells', a dict (time point -> mass), or None."
            )
        masses = np.array([len(times.cells(t)) for t in kept], dtype=np.float64)
        return masses / masses[0]
    if not hasattr(mass, "items"):
        raise TypeError(
            f"`mass` is a {type(mass).__name__}: pass 'n_cells', a dict (time point -> mass), or None."
        )
    found: dict[float, Any] = {}
    for label, value in mass.items():
        time = times.find(label, "mass")
        if time in found:
            raise ValueError(
                f"`mass` holds {label!r} and another label of the same time: pass one mass for every time."
            )
        found[time] = value
    missing = [times.label(t) for t in kept if t not in found]
    if missing:
        raise KeyError(f"`mass` has no value for the time points {some(missing)}: add them.")
    given: list[Any] = [found[t] for t in kept]
    wrong = [
        v
        for v in given
        if isinstance(v, bool) or not isinstance(v, Real) or not 0 < float(v) < np.inf
    ]
    if wrong:
        raise ValueError(f"`mass` holds {some(wrong)}: pass positive, finite masses.")
    masses = np.array(given, dtype=np.float64)
    # Through logarithms, as the ratio of 1e-300 to 1e300 is no number.
    logs = np.log(masses)
    if np.ptp(logs) > np.log(MAX_MASS_RATIO):
        raise ValueError(
            f"`mass` ranges from {masses.min():g} to {masses.max():g}: pass masses that differ by a factor "
            f"of at most {MAX_MASS_RATIO:g}, or leave time points out with `held_out`."
        )
    return masses / masses[0]


def _growth_prior(adata: AnnData | MuData, growth_prior: Any) -> np.ndarray | None:
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
            f"`growth_prior` has shape {values.shape}: pass one value for each of the {adata.n_obs} cells."
        )
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"`growth_prior` is NaN or infinite in {bad.sum()} of {len(bad)} cells: fill them, with 0 for instance."
        )
    return values.astype(np.float64)
