"""The fitted model: fields, scaling and options, in the user's units."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import torch

from scdiffot._utils.errors import damaged
from scdiffot._utils.layouts import Array, Options, Record, read, read_weights
from scdiffot.core.problem.config import FitConfig
from scdiffot.core.problem.config.stored import to_stored
from scdiffot.core.problem.snapshots import Scaling

from .fields import Fields

# States that are evaluated together.
CHUNK_SIZE = 50_000
MAX_HIDDEN = 100_000
# Bounds of stored values: states are computed in single precision.
MAX_STATE, MAX_SIGMA = 1e37, 1e18
LAYOUT = Record(
    {
        "config": Options(FitConfig),
        "times": Array(("T",), increasing=True),
        "masses": Array(("T",), low=np.nextafter(0, 1)),
        "shift": Array(("d",), low=-MAX_STATE, high=MAX_STATE),
        "scales": Array((3,), low=-MAX_STATE, high=MAX_STATE),
        "sigma_alpha": Array((2,), low=0, high=MAX_SIGMA),
        "n_hidden": Array((1,), "whole", low=1, high=MAX_HIDDEN),
        "weights": Record({}),
    }
)


class RUOTModel:
    """Drift, growth and score of a population, at any state and any time within the snapshots.

    Parameters
    ----------
    fields
        The trained networks, in the solver's units.
    scaling
        Change of units.
    config
        Options of the fit.
    times
        Times of the snapshots, shape ``(T,)``.
    masses
        Relative masses of the snapshots, shape ``(T,)``; ones if there is no growth.

    See Also
    --------
    scdiffot.tl.fit : The fit of a model.
    scdiffot.tl.simulate : Trajectories of a model.
    scdiffot.tl.interpolate : The population at a time between snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, RUOTModel, Snapshots, fit
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> copy = RUOTModel.from_arrays(model.to_arrays())
    >>> bool(np.allclose(copy.drift(cells[0], 0.5), model.drift(cells[0], 0.5)))
    True
    """

    def __init__(
        self,
        fields: Fields,
        scaling: Scaling,
        config: FitConfig,
        times: np.ndarray,
        masses: np.ndarray,
    ) -> None:
        self.networks = fields.eval()
        self.scaling = scaling
        self.config = config
        self.times = np.asarray(times, dtype=np.float64)
        self.masses = np.asarray(masses, dtype=np.float64)

    @property
    def n_dims(self) -> int:
        """Dimension of the state."""
        return self.networks.n_dims

    @property
    def population_kind(self) -> Literal["ode", "sde"]:
        """Dynamics of a population: stochastic for autonomous fields, deterministic otherwise."""
        return "sde" if self.config.autonomous else "ode"

    @property
    def sigma(self) -> float:
        """Diffusion, in state per square root of time."""
        return self.networks.sigma * self.scaling.scale / self.scaling.time_scale**0.5

    @property
    def alpha(self) -> float:
        """Cost of growth, in squared state; infinite without growth."""
        return self.networks.alpha * self.scaling.scale**2 if self.config.growth else float("inf")

    def fields(self, x: np.ndarray, t: float | np.ndarray) -> dict[str, np.ndarray]:
        """Evaluate all fields at once.

        Parameters
        ----------
        x
            States, shape ``(n, d)``.
        t
            Time, a number or shape ``(n,)``. A snapshot time belongs to the interval that
            starts there.

        Returns
        -------
        ``drift`` and ``flow`` ``(n, d)`` in state per time, ``score`` ``(n, d)`` per state,
        ``growth`` ``(n,)`` per time and ``potential`` ``(n,)`` in nats, ``-log p`` with p
        normalised to the mass of the population.
        """
        s = self.scaling
        x = np.asarray(x)
        t = np.broadcast_to(s.time_in(t).astype(np.float32), len(x))
        out: dict[str, np.ndarray] = {}
        out |= {
            name: np.empty((len(x), self.n_dims), np.float32) for name in ("drift", "flow", "score")
        }
        out |= {name: np.empty(len(x), np.float32) for name in ("growth", "potential")}
        speed = s.scale / s.time_scale
        for start in range(0, len(x), CHUNK_SIZE):
            part = slice(start, start + CHUNK_SIZE)
            with torch.no_grad():
                values = self.networks(torch.from_numpy(s.state_in(x[part])), torch.tensor(t[part]))
            for name, unit in (
                ("drift", speed),
                ("flow", speed),
                ("score", 1 / s.scale),
                ("growth", 1 / s.time_scale),
            ):
                out[name][part] = values[name].numpy() * unit
            out["potential"][part] = self.n_dims * np.log(s.scale) - values["log_density"].numpy()
        return out

    def drift(self, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Mean displacement of a cell per unit of time, shape ``(n, d)``."""
        return self.fields(x, t)["drift"]

    def flow(self, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Probability-flow velocity, shape ``(n, d)``, in state per time."""
        return self.fields(x, t)["flow"]

    def score(self, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Gradient of the log density, shape ``(n, d)``, per unit of state."""
        return self.fields(x, t)["score"]

    def growth(self, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Net rate of division minus death, shape ``(n,)``, per unit of time."""
        return self.fields(x, t)["growth"]

    def potential(self, x: np.ndarray, t: float | np.ndarray) -> np.ndarray:
        """Landscape ``-log p``, shape ``(n,)``, in nats."""
        return self.fields(x, t)["potential"]

    def to_arrays(self) -> dict[str, np.ndarray | str | dict[str, np.ndarray]]:
        """Plain arrays and strings from which :meth:`from_arrays` rebuilds the model."""
        networks, s = self.networks, self.scaling
        return {
            "config": json.dumps(to_stored(self.config)),
            "times": self.times,
            "masses": self.masses,
            "shift": np.asarray(s.shift, dtype=np.float64),
            "scales": np.array([s.scale, s.time_shift, s.time_scale]),
            "sigma_alpha": np.array([networks.sigma, networks.alpha]),
            "n_hidden": np.array([networks.n_hidden]),
            "weights": {
                name.replace(".", "_"): value.numpy()
                for name, value in networks.state_dict().items()
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Any, *, place: str = "arrays") -> RUOTModel:
        """Rebuild a model from :meth:`to_arrays`; errors name `place`, where they are stored.

        Raises
        ------
        StoredFitError
            If the arrays are incomplete, damaged or inconsistent.
        """
        sizes: dict[str, int] = {}
        stored = read(arrays, LAYOUT, place, sizes)
        config: FitConfig = stored["config"]
        options: dict[str, Any] = {
            "growth": config.growth,
            "form": config.form,
            "autonomous": config.autonomous,
        }
        options |= {"n_hidden": int(stored["n_hidden"][0]), "n_layers": config.networks.n_layers}
        if config.form == "auto" or config.networks.n_layers > len(stored["weights"]):
            raise damaged(f"{place}['config']", "has options that the weights do not have")
        if sizes["T"] < 2:
            raise damaged(f"{place}['times']", "has fewer than two times")
        shapes = Fields.shapes(sizes["T"], sizes["d"], **options)
        names = {name.replace(".", "_"): name for name in shapes}
        weights = read_weights(
            stored["weights"],
            {name: shapes[full] for name, full in names.items()},
            f"{place}['weights']",
            infinite=("walls", "growth_range"),
        )
        scale, time_shift, time_scale = (float(v) for v in stored["scales"])
        scaling = Scaling(stored["shift"], scale, time_shift, time_scale)
        sigma, alpha = (float(v) for v in stored["sigma_alpha"])
        if min(scale, time_scale, alpha) <= 0:
            raise damaged(
                f"{place}['scales']", "and 'sigma_alpha' hold a scale that is not positive"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            times = scaling.time_in(stored["times"])
        if not np.allclose(times, weights["clock_times"], rtol=1e-5, atol=1e-5):
            raise damaged(f"{place}['scales']", "contradicts the times")
        if any((low > high).any() for low, high in (weights["walls"], weights["growth_range"].T)):
            raise damaged(f"{place}['weights']", "has bounds in the wrong order")
        networks = Fields(
            torch.as_tensor(times, dtype=torch.float32),
            len(scaling.shift),
            **options,
            sigma=sigma,
            alpha=alpha,
        )
        networks.load_state_dict(
            {names[name]: torch.from_numpy(value) for name, value in weights.items()}
        )
        return cls(networks, scaling, config, stored["times"], stored["masses"])
