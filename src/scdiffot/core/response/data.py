"""Cells before and after a treatment, and the options of a fit of their response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scdiffot._utils.options import check_choice, check_flag
from scdiffot.core.problem.config import COUNTS, check_training


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
class ResponseConfig:
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
    n_steps
        Optimisation steps; 400 if None.
    batch_size
        Pairs of cells in every step.
    learning_rate
        Peak of the one-cycle schedule.
    n_hidden
        Width of the networks; 128 above 20 dimensions and 64 below if None.
    n_layers
        Hidden layers.
    n_landmarks
        Cells of a group that are coupled together.
    n_pairs
        Pairs sampled for every treatment.
    smoothing
        Bandwidth of the smoothing of cells, in distances to the fifth neighbour over the square
        root of the dimension.

    See Also
    --------
    scdiffot.core.response.fit.fit_response : Fit responses.
    Conditions : The treatments.
    """

    method: Literal["flow", "convex"] = "flow"
    metric: Literal["auto", "learned", "euclidean"] = "auto"
    unbalanced: bool = False
    n_steps: int | None = None
    batch_size: int = 512
    learning_rate: float = 3e-3
    n_hidden: int | None = None
    n_layers: int = 3
    n_landmarks: int = 2000
    n_pairs: int = 20_000
    smoothing: float = 0.7

    def __post_init__(self) -> None:
        values: dict[str, Any] = {
            "method": check_choice("method", self.method, ("flow", "convex")),
            "metric": check_choice("metric", self.metric, ("auto", "learned", "euclidean")),
            "unbalanced": check_flag("unbalanced", self.unbalanced),
        }
        counts = {name: COUNTS[name] for name in COUNTS if hasattr(self, name)}
        values |= check_training(self, counts, ("n_steps", "n_hidden"))
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def steps(self) -> int:
        """Optimisation steps."""
        return self.n_steps or 400
