"""Weighted snapshots of a population, and the scaling in which everything is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Snapshots:
    """Snapshots of a population: weighted point clouds at increasing times.

    Parameters
    ----------
    times
        Strictly increasing times, shape ``(T,)``, in the user's unit.
    states
        ``T`` arrays of shape ``(n_k, d)``.
    masses
        Positive masses relative to the first snapshot, shape ``(T,)``.
    growth_prior
        Expected net growth rate of every cell, per unit of time; ``T`` arrays of shape ``(n_k,)``.

    Raises
    ------
    ValueError
        If the lengths disagree, times do not increase, or masses are not positive.

    See Also
    --------
    fit : Fit of drift, growth and score to snapshots.
    leave_one_out : Prediction error of a fit for every inner snapshot.
    interpolate : The population at a time between snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import Snapshots
    >>> cells = np.random.default_rng(0).normal(size=(2, 50, 3))
    >>> Snapshots(np.array([0.0, 1.0]), tuple(cells), np.ones(2)).n_dims
    3
    """

    times: np.ndarray
    states: tuple[np.ndarray, ...]
    masses: np.ndarray
    growth_prior: tuple[np.ndarray, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.times) == len(self.states) == len(self.masses):
            msg = (
                f"times ({len(self.times)}), states ({len(self.states)}) "
                f"and masses ({len(self.masses)}) must match."
            )
            raise ValueError(msg)
        if np.any(np.diff(self.times) <= 0):
            msg = f"times must increase strictly, found {np.asarray(self.times).tolist()}."
            raise ValueError(msg)
        if np.any(np.asarray(self.masses) <= 0):
            msg = f"masses must be positive, found {np.asarray(self.masses).tolist()}."
            raise ValueError(msg)

    @property
    def n_dims(self) -> int:
        """Dimension of the state."""
        return self.states[0].shape[1]

    @property
    def n_snapshots(self) -> int:
        """Number of snapshots."""
        return len(self.times)

    def without(self, k: int) -> Snapshots:
        """The snapshots except ``k``; masses are relative to the first remaining one."""
        indices = [i for i in range(self.n_snapshots) if i != k]
        prior = None if self.growth_prior is None else tuple(self.growth_prior[i] for i in indices)
        masses = np.asarray(self.masses)[indices]
        return Snapshots(
            np.asarray(self.times)[indices],
            tuple(self.states[i] for i in indices),
            masses / masses[0],
            prior,
        )

    @cached_property
    def scaling(self) -> Scaling:
        """Solver's units: root mean square standard deviation of the state, mean interval."""
        shift, scale = state_unit(self.states)
        return Scaling(shift, scale, float(self.times[0]), float(np.diff(self.times).mean()))

    def scaled(self) -> Snapshots:
        """The same snapshots in the solver's units."""
        s = self.scaling
        states = tuple(((x - s.shift) / s.scale).astype(np.float32) for x in self.states)
        prior = (
            None
            if self.growth_prior is None
            else tuple(g * s.time_scale for g in self.growth_prior)
        )
        return replace(self, times=s.time_in(self.times), states=states, growth_prior=prior)


@dataclass(frozen=True)
class Scaling:
    """Affine change between the user's units and the solver's."""

    shift: np.ndarray
    scale: float
    time_shift: float
    time_scale: float

    def time_in(self, t: np.ndarray | float) -> np.ndarray:
        """Time in units of the mean interval, from the first snapshot."""
        return (np.asarray(t, dtype=np.float64) - self.time_shift) / self.time_scale

    def state_in(self, x: np.ndarray) -> np.ndarray:
        """Centred state, in units of its root mean square standard deviation."""
        return ((np.asarray(x) - self.shift) / self.scale).astype(np.float32)

    def state_out(self, x: np.ndarray) -> np.ndarray:
        """State back in the user's unit."""
        return (x * self.scale + self.shift).astype(np.float32)


def state_unit(states: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """Mean ``(d,)`` of all cells, and root mean square of the standard deviations."""
    cells = list(states)
    n_total = sum(len(x) for x in cells)
    shift = sum(x.sum(0, dtype=np.float64) for x in cells) / n_total
    variance = sum(((x - shift) ** 2).sum(0, dtype=np.float64) for x in cells) / n_total
    # Constant columns have no scale, so only the others define it.
    varying = variance > 1e-12 * variance.max()
    return shift, float(np.sqrt(variance[varying].mean())) if varying.any() else 1.0
