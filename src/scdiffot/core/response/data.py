"""Cells before and after a treatment, and the options of a fit of their response."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot.core.problem.config import (
    CouplingConfig,
    NetworkConfig,
    OptimizerConfig,
    OutlierConfig,
    ScaleConfig,
    TrainConfig,
)
from scdiffot.core.problem.config.networks import default_n_hidden
from scdiffot.core.problem.config.setting import Settings, setting
from scdiffot.core.problem.config.stored import from_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names of the settings in the first version of the stored format.
VERSION_1_NAMES = (
    "method",
    "metric",
    "unbalanced",
    "n_steps",
    "batch_size",
    "learning_rate",
    "n_hidden",
    "n_layers",
    "n_landmarks",
    "n_pairs",
    "smoothing",
)


@dataclass(frozen=True)
class Conditions:
    """Treatments in the coordinates of the model.

    Parameters
    ----------
    embedding
        Coordinates of the treatments, shape ``(C, e)``; ``e`` is zero for a single treatment.
    strength
        Doses on a scale from 0, no treatment, to 1, the highest dose, shape ``(C,)``.

    See Also
    --------
    ContextPair : Cells of one condition.
    ResponseConfig : Options of a fit.
    """

    embedding: np.ndarray
    strength: np.ndarray

    def __post_init__(self) -> None:
        if len(self.embedding) != len(self.strength):
            raise ValueError(
                f"embedding ({len(self.embedding)}) and strength ({len(self.strength)}) must match."
            )
        if not ((self.strength > 0) & (self.strength <= 1)).all():
            raise ValueError(
                f"strength must be above 0 and at most 1, found {self.strength.tolist()}."
            )

    @property
    def features(self) -> np.ndarray:
        """Inputs of the networks for every condition, shape ``(C, e + 1)``."""
        return np.column_stack([self.embedding, self.strength])

    def weights(self, embedding: np.ndarray, strength: float) -> np.ndarray:
        """Weights of the conditions that represent a treatment, shape ``(C,)``.

        Weights are piecewise linear in the strength, down to no treatment, so they sum to less than
        one below the lowest dose. A treatment that is not a condition is represented by its nearest
        conditions.
        """
        treatments, treatment_of_row = np.unique(self.embedding, axis=0, return_inverse=True)
        treatment_of_row = treatment_of_row.ravel()
        shares = np.zeros(len(self.strength))
        for treatment, share in enumerate(
            _similarity(treatments, np.asarray(embedding, dtype=np.float64))
        ):
            rows = np.flatnonzero(treatment_of_row == treatment)
            rows = rows[np.argsort(self.strength[rows])]
            doses = np.concatenate([[0.0], self.strength[rows]])
            for i, row in enumerate(rows):
                basis = np.zeros(len(doses))
                basis[i + 1] = 1.0
                shares[row] = share * np.interp(strength, doses, basis)
        return shares

    def gate(self, strength: float) -> float:
        """Factor that decreases network outputs to zero below the lowest dose."""
        return float(min(max(strength, 0.0) / self.strength.min(), 1.0))


def _similarity(treatments: np.ndarray, query: np.ndarray) -> np.ndarray:
    squares = ((treatments - query) ** 2).sum(axis=1)
    if len(treatments) == 1 or squares.min() == 0:
        return (squares == squares.min()).astype(np.float64)
    distances = ((treatments[:, None] - treatments) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    # the bandwidth is a quarter of the median distance between nearest treatments
    exponent = -squares / (2 * np.median(distances.min(axis=1)) / 16)
    shares = np.exp(exponent - exponent.max())
    return shares / shares.sum()


@dataclass(frozen=True)
class ContextPair:
    """Cells of one context, before and after one treatment.

    Parameters
    ----------
    control
        Untreated cells, shape ``(n, d)``.
    treated
        Cells of the same context after the treatment, shape ``(m, d)``; empty if there are too few
        to couple, in which case only the mass is used.
    condition
        Row of the treatment in the conditions.
    mass
        Number of treated cells per untreated cell, a result of death and division.

    See Also
    --------
    Conditions : The treatments.
    scdiffot.core.response.fit.fit_response : Fit responses.
    """

    control: np.ndarray
    treated: np.ndarray
    condition: int
    mass: float = 1.0

    @property
    def coupled(self) -> bool:
        """Whether there are treated cells to couple."""
        return len(self.treated) > 0


@dataclass(frozen=True)
class ResponseConfig(Settings):
    """Options of a fit of responses.

    Parameters
    ----------
    method
        ``"flow"``: a flow from control to treated cells; ``"convex"``: the gradient of an
        input-convex network.
    metric
        Metric between untreated and treated cells: ``"euclidean"``; ``"learned"``, which gives most
        weight to directions that the response does not change; or ``"auto"``, which is learned
        unless all cells are normally distributed.
    unbalanced
        Whether cells die or divide under the treatment.
    scale, outliers, coupling
        Settings of the steps before training.
    networks, optimizer, train
        Settings of the flow, or of the convex maps, and of their training.

    See Also
    --------
    scdiffot.core.response.fit.fit_response : Fit responses.
    Conditions : The treatments.
    """

    method: Literal["flow", "convex"] = setting(
        "flow", "A flow, or one gradient of an input-convex network for every treatment."
    )
    metric: Literal["auto", "learned", "euclidean"] = setting(
        "auto", "Metric between untreated and treated cells; learned unless all cells are normal."
    )
    unbalanced: bool = setting(False, "Whether cells die or divide under the treatment.")
    scale: ScaleConfig = setting(ScaleConfig(), "Scales of the data.")
    outliers: OutlierConfig = setting(OutlierConfig(), "Isolated cells.")
    coupling: CouplingConfig = setting(CouplingConfig(n_rounds=5), "Couplings and pairs.")
    networks: NetworkConfig = setting(NetworkConfig(), "Size of the networks.")
    optimizer: OptimizerConfig = setting(OptimizerConfig(), "The optimiser.")
    train: TrainConfig = setting(TrainConfig(n_steps=400, learning_rate=3e-3), "Training.")

    def resolve(self, n_dims: int) -> ResponseConfig:
        """Replace a width of None by the default for states of `n_dims` dimensions."""
        if self.networks.n_hidden is not None:
            return self
        return replace(self, networks=replace(self.networks, n_hidden=default_n_hidden(n_dims)))

    @classmethod
    def from_stored(cls, content: Mapping[str, Any]) -> ResponseConfig:
        """Settings from the stored form of this or an older version."""
        return from_stored(cls, content, VERSION_1_NAMES)
