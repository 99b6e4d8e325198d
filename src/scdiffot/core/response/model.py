"""Fitted responses: maps between untreated and treated cells, in the user's units."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scdiffot._utils.errors import damaged
from scdiffot._utils.layouts import Array, Options, Record, read, read_weights
from scdiffot.core.nets.model import MAX_HIDDEN, MAX_STATE
from scdiffot.core.problem.config.stored import to_stored
from scdiffot.core.problem.snapshots import Scaling

from .convex import ConvexMaps
from .data import Conditions, ResponseConfig
from .flow import ResponseFlow
from .pairs import Moments
from .survival import Survival

CHUNK_SIZE = 20_000
TINY = float(np.nextafter(0, 1))
_COVARIANCE = Array(("C", "d", "d"))
LAYOUT = Record(
    {
        "config": Options(ResponseConfig),
        "embedding": Array(("C", "e")),
        "strength": Array(("C",), low=TINY, high=1),
        "shift": Array(("d",), low=-MAX_STATE, high=MAX_STATE),
        "scale": Array((1,), low=TINY, high=MAX_STATE),
        "weights": Record({}),
    },
    {
        "moments": Record(
            {
                "mean_x": Array(("C", "d")),
                "mean_y": Array(("C", "d")),
                "xx": _COVARIANCE,
                "xy": _COVARIANCE,
                "yy": _COVARIANCE,
            }
        ),
        "flow": Array((2,), low=0),
        "survival": Record({}),
    },
)


@dataclass(frozen=True)
class Prediction:
    """Predicted states of cells after, or before, a treatment.

    Parameters
    ----------
    states
        Predicted states, shape ``(n, d)``.
    action
        Half the squared speed, integrated over a treatment of unit duration, shape ``(n,)``, in
        squared units of the state.
    survival
        Expected number of surviving cells per untreated cell, shape ``(n,)``, also if a treatment
        is inverted; None for balanced fits.

    See Also
    --------
    ResponseModel.predict : Predict cells.
    """

    states: np.ndarray
    action: np.ndarray
    survival: np.ndarray | None


class ResponseModel:
    """Fitted responses of cells to treatments.

    Parameters
    ----------
    transport
        The flow, or the convex maps, in the solver's units.
    survival
        Survival of single cells; None if the transport is balanced.
    conditions
        The treatments.
    scaling
        Change of units.
    config
        Options of the fit.

    See Also
    --------
    scdiffot.core.response.fit.fit_response : Fit a model.
    Prediction : Predicted cells.
    """

    def __init__(
        self,
        transport: ResponseFlow | ConvexMaps,
        survival: Survival | None,
        conditions: Conditions,
        scaling: Scaling,
        config: ResponseConfig,
    ) -> None:
        self.transport = transport
        self.survival = survival
        self.conditions = conditions
        self.scaling = scaling
        self.config = config

    @property
    def n_dims(self) -> int:
        """Dimension of the state."""
        return len(self.scaling.shift)

    def predict(
        self,
        x: np.ndarray,
        embedding: np.ndarray | None = None,
        strength: float = 1.0,
        *,
        inverse: bool = False,
    ) -> Prediction:
        """Predict cells after a treatment, or before it.

        Parameters
        ----------
        x
            Cells, shape ``(n, d)``.
        embedding
            Coordinates of the treatment, shape ``(e,)``; those of the only treatment if None.
        strength
            Dose on the scale of the conditions; 0 is no treatment.
        inverse
            Whether `x` are treated cells, whose untreated state is predicted.

        Returns
        -------
        The predicted cells.

        Raises
        ------
        ValueError
            If a convex map is evaluated for a treatment that it was not fitted to.
        """
        embedding = (
            self.conditions.embedding[0]
            if embedding is None
            else np.asarray(embedding, dtype=np.float64)
        )
        condition = (
            self._find_condition(embedding, strength)
            if isinstance(self.transport, ConvexMaps)
            else 0
        )
        x = np.asarray(x)
        states = np.empty((len(x), self.n_dims), np.float32)
        action = np.empty(len(x), np.float32)
        survival = None if self.survival is None else np.empty(len(x), np.float32)
        for start in range(0, len(x), CHUNK_SIZE):
            part = slice(start, start + CHUNK_SIZE)
            z = torch.from_numpy(self.scaling.state_in(x[part]))
            if isinstance(self.transport, ConvexMaps):
                end_states, end_action = self.transport.carry(z, condition, inverse=inverse)
            else:
                end_states, end_action = self.transport.carry(
                    z, embedding, strength, inverse=inverse
                )
            states[part] = self.scaling.state_out(end_states.numpy())
            action[part] = end_action.numpy() * self.scaling.scale**2
            if survival is not None and self.survival is not None:
                with torch.no_grad():
                    log_survival = self.survival.log_survival(
                        end_states if inverse else z, embedding, strength
                    )
                survival[part] = log_survival.exp().numpy()
        return Prediction(states, action, survival)

    def _find_condition(self, embedding: np.ndarray, strength: float) -> int:
        matches = (self.conditions.embedding == embedding).all(axis=1) & np.isclose(
            self.conditions.strength, strength
        )
        if not matches.any():
            raise ValueError(
                "Convex maps know the treatments and doses that they were fitted to, "
                "and none between."
            )
        return int(np.flatnonzero(matches)[0])

    def to_arrays(self) -> dict[str, np.ndarray | str | dict[str, np.ndarray]]:
        """Return arrays and strings from which :meth:`from_arrays` rebuilds the model."""
        arrays: dict[str, np.ndarray | str | dict[str, np.ndarray]] = {
            "config": json.dumps(to_stored(self.config)),
            "embedding": self.conditions.embedding,
            "strength": self.conditions.strength,
            "shift": np.asarray(self.scaling.shift, dtype=np.float64),
            "scale": np.array([self.scaling.scale]),
            "weights": _to_arrays(self.transport),
        }
        if isinstance(self.transport, ResponseFlow):
            flow = self.transport
            arrays["moments"] = {name: flow.moments[name].numpy() for name in flow.moments}
            arrays["flow"] = np.array([flow.width, flow.net.out.in_features])
        if self.survival is not None:
            arrays["survival"] = _to_arrays(self.survival)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Any, *, place: str = "arrays") -> ResponseModel:
        """Rebuild a model from :meth:`to_arrays`; errors name the location `place`.

        Raises
        ------
        StoredFitError
            If the arrays are not those of a model.
        """
        sizes: dict[str, int] = {}
        stored = read(arrays, LAYOUT, place, sizes)
        config: ResponseConfig = stored["config"]
        parts = {"moments", "flow"} if config.method == "flow" else set()
        parts |= {"survival"} if config.unbalanced else set()
        inconsistent = sorted(parts ^ (set(LAYOUT.optional or ()) & set(stored)))
        if inconsistent:
            raise damaged(f"{place}[{inconsistent[0]!r}]", "contradicts the options")
        conditions = Conditions(
            stored["embedding"].astype(np.float64), stored["strength"].astype(np.float64)
        )
        n_dims = sizes["d"]
        transport = (
            _read_maps(stored, n_dims, place)
            if config.method == "convex"
            else _read_flow(stored, conditions, place)
        )
        survival = None
        if config.unbalanced:
            weights = _read_weights(
                stored["survival"], Survival.shapes(conditions, n_dims), f"{place}['survival']"
            )
            survival = Survival(conditions, n_dims)
            survival.load_state_dict(weights)
            survival.eval()
        scaling = Scaling(stored["shift"], float(stored["scale"][0]), 0.0, 1.0)
        return cls(transport, survival, conditions, scaling, config)


def _to_arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {
        name.replace(".", "-"): value.numpy().copy() for name, value in module.state_dict().items()
    }


def _read_weights(
    weights: Any, shapes: dict[str, tuple[int, ...]], place: str
) -> dict[str, torch.Tensor]:
    arrays = read_weights(
        weights, {name.replace(".", "-"): shape for name, shape in shapes.items()}, place
    )
    return {name.replace("-", "."): torch.from_numpy(value) for name, value in arrays.items()}


def _read_maps(stored: dict[str, Any], n_dims: int, place: str) -> ConvexMaps:
    n_conditions = len(stored["strength"])
    if n_conditions > len(stored["weights"]):
        raise damaged(f"{place}['weights']", f"has fewer maps than {n_conditions}")
    weights = _read_weights(
        stored["weights"], ConvexMaps.shapes(n_conditions, n_dims), f"{place}['weights']"
    )
    maps = ConvexMaps(n_conditions, n_dims)
    maps.load_state_dict(weights)
    return maps.eval()


def _read_flow(stored: dict[str, Any], conditions: Conditions, place: str) -> ResponseFlow:
    width, n_hidden = float(stored["flow"][0]), float(stored["flow"][1])
    n_layers = stored["config"].networks.n_layers
    if not 1 <= n_hidden <= MAX_HIDDEN or n_hidden % 1 or n_layers > len(stored["weights"]):
        raise damaged(f"{place}['flow']", "has options that the weights do not have")
    size = {"n_hidden": int(n_hidden), "n_layers": n_layers}
    weights = _read_weights(
        stored["weights"],
        ResponseFlow.shapes(conditions, len(stored["shift"]), **size),
        f"{place}['weights']",
    )
    values = {name: np.array(v, np.float64, order="C") for name, v in stored["moments"].items()}
    moments = [
        Moments(**{name: torch.from_numpy(v)[i] for name, v in values.items()})
        for i in range(len(conditions.strength))
    ]
    try:
        flow = ResponseFlow(conditions, moments, width=width, **size)
        finite = all(bool(z.isfinite().all()) for z in (flow.slopes, flow.offsets))
    except torch.linalg.LinAlgError:
        finite = False
    if not finite:
        raise damaged(f"{place}['moments']", "holds moments of no population")
    flow.load_state_dict(weights)
    return flow.eval()
