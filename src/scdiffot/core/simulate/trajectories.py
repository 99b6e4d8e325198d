"""Trajectories of weighted particles, the result of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of weighted particles.

    Parameters
    ----------
    times
        Saved times, shape ``(S,)``; they decrease if the simulation ran backward.
    states
        States of the particles, shape ``(S, N, d)``.
    log_weights
        Logarithms of the weights, shape ``(S, N)``; zero at the start by default.
    origin
        Index of the source cell of every particle, shape ``(N,)``.
    n_dims
        Number of columns of the states before the positions in a tissue; None without positions.
    unit
        State per unit of the positions.
    fit
        Digest of the fit that was simulated; empty if it has none.

    See Also
    --------
    scdiffot.tl.simulate : The simulation that returns trajectories.
    scdiffot.tl.interpolate : The population at a time between snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import Trajectories
    >>> path = Trajectories(
    ...     np.array([0.0, 1.0]), np.array([[[0.0]], [[2.0]]]), np.zeros((2, 1)), np.array([0])
    ... )
    >>> states, weights = path.at(0.5)
    >>> float(states[0, 0])
    1.0
    """

    times: np.ndarray
    states: np.ndarray
    log_weights: np.ndarray
    origin: np.ndarray
    n_dims: int | None = None
    unit: float = 1.0
    fit: str = ""

    @property
    def positions(self) -> np.ndarray | None:
        """Positions in the tissue ``(S, N, 2)``, in the unit of the coordinates, or None."""
        return None if self.n_dims is None else self.states[..., self.n_dims :] / self.unit

    @property
    def weights(self) -> np.ndarray:
        """Weights of the particles, shape ``(S, N)``."""
        return np.exp(self.log_weights)

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """States ``(N, d)`` and weights ``(N,)`` at a time; linear between saved times."""
        order = np.argsort(self.times)
        times = self.times[order]
        if not times[0] <= time <= times[-1]:
            msg = (
                f"time={time} lies outside the trajectories, which cover {times[0]} to {times[-1]}."
            )
            raise ValueError(msg)
        upper = (
            int(np.clip(np.searchsorted(times, time), 1, len(times) - 1)) if len(times) > 1 else 0
        )
        lower = max(upper - 1, 0)
        share = 0.0 if lower == upper else (time - times[lower]) / (times[upper] - times[lower])
        i, j = order[lower], order[upper]
        states = (1 - share) * self.states[i] + share * self.states[j]
        return states, np.exp((1 - share) * self.log_weights[i] + share * self.log_weights[j])
