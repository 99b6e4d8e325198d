"""The fitted response: maps between untreated and treated cells, in the user's units."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import torch

from scdiffot.core.snapshots import Scaling

from .convex import ConvexMaps
from .data import Conditions, ResponseConfig
from .flow import ResponseFlow
from .pairs import Moments
from .survival import Survival

CHUNK = 20_000


@dataclass(frozen=True)
class Prediction:
    """Cells at the other end of a treatment.

    Parameters
    ----------
    states
        Shape ``(n, d)``.
    action
        Half the squared speed along the way, integrated over a treatment of unit length, ``(n,)``, in squared state.
    survival
        Cells that are left of each, ``(n,)``; None where none die. Of the untreated cell, in both directions.
    """

    states: np.ndarray
    action: np.ndarray
    survival: np.ndarray | None


class ResponseModel:
    """What treatments do to cells.

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
        self, x: np.ndarray, embedding: np.ndarray | None = None, strength: float = 1.0, *, inverse: bool = False
    ) -> Prediction:
        """Treat cells, or undo a treatment.

        Parameters
        ----------
        x
            Cells, shape ``(n, d)``.
        embedding
            Coordinates of the treatment, shape ``(e,)``; the only one if None.
        strength
            Dose on the scale of the conditions; 0 is no treatment.
        inverse
            Whether `x` are treated cells, whose untreated state is asked for.

        Returns
        -------
        The cells at the other end.

        Raises
        ------
        ValueError
            If a convex map is asked for a treatment that it was not fitted to.
        """
        embedding = self.conditions.embedding[0] if embedding is None else np.asarray(embedding, dtype=np.float64)
        condition = self._row(embedding, strength) if isinstance(self.transport, ConvexMaps) else 0
        x = np.asarray(x)
        states = np.empty((len(x), self.n_dims), np.float32)
        action = np.empty(len(x), np.float32)
        left = None if self.survival is None else np.empty(len(x), np.float32)
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            z = torch.from_numpy(self.scaling.state_in(x[part]))
            if isinstance(self.transport, ConvexMaps):
                reached, way = self.transport.carry(z, condition, inverse=inverse)
            else:
                reached, way = self.transport.carry(z, embedding, strength, inverse=inverse)
            states[part] = self.scaling.state_out(reached.numpy())
            action[part] = way.numpy() * self.scaling.scale**2
            if left is not None and self.survival is not None:
                with torch.no_grad():
                    log_survival = self.survival.log_survival(reached if inverse else z, embedding, strength)
                left[part] = log_survival.exp().numpy()
        return Prediction(states, action, left)

    def _row(self, embedding: np.ndarray, strength: float) -> int:
        same = (self.conditions.embedding == embedding).all(axis=1) & np.isclose(self.conditions.strength, strength)
        if not same.any():
            raise ValueError("Convex maps know the treatments and doses that they were fitted to, and none between.")
        return int(np.flatnonzero(same)[0])

    def to_arrays(self) -> dict[str, np.ndarray | str | dict[str, np.ndarray]]:
        """Plain arrays and strings from which :meth:`from_arrays` rebuilds the model."""
        arrays: dict[str, np.ndarray | str | dict[str, np.ndarray]] = {
            "config": json.dumps(asdict(self.config)),
            "embedding": self.conditions.embedding,
            "strength": self.conditions.strength,
            "shift": np.asarray(self.scaling.shift, dtype=np.float64),
            "scale": np.array([self.scaling.scale]),
            "weights": _plain(self.transport),
        }
        if isinstance(self.transport, ResponseFlow):
            flow = self.transport
            arrays["moments"] = {name: flow.moments[name].numpy() for name in flow.moments}
            arrays["flow"] = np.array([flow.width, flow.net.out.in_features])
        if self.survival is not None:
            arrays["survival"] = _plain(self.survival)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict) -> ResponseModel:
        """Rebuild a model from :meth:`to_arrays`."""
        config = ResponseConfig(**json.loads(str(arrays["config"])))
        conditions = Conditions(np.asarray(arrays["embedding"]), np.asarray(arrays["strength"]))
        scaling = Scaling(np.asarray(arrays["shift"]), float(arrays["scale"][0]), 0.0, 1.0)
        n_dims = len(scaling.shift)
        transport: ResponseFlow | ConvexMaps
        if config.method == "convex":
            transport = ConvexMaps(len(conditions.strength), n_dims)
        else:
            stored = {name: torch.tensor(np.asarray(v)) for name, v in arrays["moments"].items()}
            moments = [Moments(**{k: v[i] for k, v in stored.items()}) for i in range(len(conditions.strength))]
            width, n_hidden = (float(v) for v in arrays["flow"])
            transport = ResponseFlow(conditions, moments, width=width, n_hidden=int(n_hidden), n_layers=config.n_layers)
        _load(transport, arrays["weights"])
        survival = None
        if "survival" in arrays:
            survival = Survival(conditions, n_dims)
            _load(survival, arrays["survival"])
        return cls(transport, survival, conditions, scaling, config)


def _plain(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name.replace(".", "-"): value.numpy().copy() for name, value in module.state_dict().items()}


def _load(module: torch.nn.Module, weights: dict[str, np.ndarray]) -> None:
    module.load_state_dict({name.replace("-", "."): torch.tensor(np.asarray(v)) for name, v in weights.items()})
    module.eval()
