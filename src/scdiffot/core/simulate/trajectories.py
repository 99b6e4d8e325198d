"""Trajectories of weighted particles, the result of a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

# variables of a dataset and their dimensions
DATASET_DIMS = {
    "time": ("time",),
    "state": ("time", "particle", "dim"),
    "log_weight": ("time", "particle"),
    "origin": ("particle",),
}


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of weighted particles.

    As a dataset of xarray, they can be saved, sliced by name and plotted:
    ``paths.to_dataset().to_netcdf("paths.nc")`` saves them, and the plots of :mod:`scdiffot.pl`
    accept ``xarray.open_dataset("paths.nc")`` as well.

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
    >>> dataset = path.to_dataset()
    >>> float(dataset["state"].sel(time=1.0, particle=0).mean())
    2.0
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

    def to_dataset(self) -> xr.Dataset:
        """Return the trajectories as a dataset of xarray.

        The dataset has the dimensions ``time``, ``particle`` and ``dim``, the variables ``state``
        and ``log_weight``, and the coordinates ``time`` and ``origin``, with units as attributes.
        """
        import xarray as xr

        # "units" of a time in days would be read as a duration
        long_names = {
            "time": "time, in the unit of the fit",
            "state": "state, in the unit of the representation of the fit",
            "log_weight": "natural logarithm of the weight, relative to the start",
            "origin": "index of the source cell",
        }
        values = {
            "time": self.times,
            "state": self.states,
            "log_weight": self.log_weights,
            "origin": self.origin,
        }
        variables = {
            name: (DATASET_DIMS[name], values[name], {"long_name": text})
            for name, text in long_names.items()
        }
        attributes: dict[str, str | int | float] = {"fit": self.fit, "unit": self.unit}
        if self.n_dims is not None:
            attributes["n_dims"] = self.n_dims
        return xr.Dataset(variables, attrs=attributes).set_coords(["time", "origin"])

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> Trajectories:
        """Return the trajectories of a dataset, also one that was loaded or is a selection.

        Parameters
        ----------
        dataset
            Dataset of :meth:`to_dataset`.

        Raises
        ------
        ValueError
            If it lacks a variable or a dimension.
        """
        for name, dims in DATASET_DIMS.items():
            if name not in dataset.variables or set(dataset[name].dims) != set(dims):
                raise ValueError(
                    f"`dataset` has no variable {name!r} of the dimensions {', '.join(dims)}: pass "
                    "a dataset of Trajectories.to_dataset(), and select times and particles by "
                    "lists or slices."
                )
        times, states, log_weights, origin = (
            dataset[name].transpose(*dims).to_numpy() for name, dims in DATASET_DIMS.items()
        )
        attributes = dataset.attrs
        return cls(
            times,
            states,
            log_weights,
            origin.astype(np.intp),
            n_dims=int(attributes["n_dims"]) if "n_dims" in attributes else None,
            unit=float(attributes.get("unit", 1.0)),
            fit=str(attributes.get("fit", "")),
        )
