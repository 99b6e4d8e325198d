"""Cells before and after a treatment, and what a fit of their response can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scdiffot._utils.options import check_choice, check_flag
from scdiffot.core.problem.config import COUNTS, check_training


@dataclass(frozen=True)
class Conditions:
    """Treatments in the coordinates that the model sees.

    Parameters
    ----------
    embedding
        What sets a treatment apart from the others, shape ``(C, e)``; ``e`` is zero for a single one.
    strength
        Its dose on a scale from 0, no treatment, to 1, the highest dose; shape ``(C,)``.
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
        """What networks see of every condition, shape ``(C, e + 1)``."""
        return np.column_stack([self.embedding, self.strength])

    def weights(self, embedding: np.ndarray, strength: float) -> np.ndarray:
        """Shares (C,) with which the conditions stand for a treatment.

        Between two doses they are linear in the strength, down to no treatment at all, so they sum to less than one below
        the lowest dose. A treatment that is none of them is the nearest ones together.
        """
        known, of_target = np.unique(self.embedding, axis=0, return_inverse=True)
        of_target = of_target.ravel()
        shares = np.zeros(len(self.strength))
        for target, share in enumerate(_similarity(known, np.asarray(embedding, dtype=np.float64))):
            rows = np.flatnonzero(of_target == target)
            rows = rows[np.argsort(self.strength[rows])]
            doses = np.concatenate([[0.0], self.strength[rows]])
            for i, row in enumerate(rows):
                hat = np.zeros(len(doses))
                hat[i + 1] = 1.0
                shares[row] = share * np.interp(strength, doses, hat)
        return shares

    def gate(self, strength: float) -> float:
        """Factor that takes what was learned to zero below the lowest dose."""
        return float(min(max(strength, 0.0) / self.strength.min(), 1.0))


def _similarity(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    squares = ((known - wanted) ** 2).sum(axis=1)
    if len(known) == 1 or squares.min() == 0:
        return (squares == squares.min()).astype(np.float64)
    between = ((known[:, None] - known) ** 2).sum(axis=2)
    np.fill_diagonal(between, np.inf)
    # a quarter of the usual distance between neighbours, squared: the nearest treatments count most
    exponent = -squares / (2 * np.median(between.min(axis=1)) / 16)
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
        Other cells of the same context after the treatment, shape ``(m, d)``; empty if there are too few to couple, so that
        only the mass is known.
    condition
        Row of the treatment in the conditions.
    mass
        Number of treated cells for every untreated one, death and division counted.
    """

    control: np.ndarray
    treated: np.ndarray
    condition: int
    mass: float = 1.0

    @property
    def coupled(self) -> bool:
        """Whether there are treated cells to couple the untreated ones with."""
        return len(self.treated) > 0


@dataclass(frozen=True)
class ResponseConfig:
    """Options of a fit of responses.

    Parameters
    ----------
    method
        ``"flow"``: a flow that carries control onto treated cells; ``"convex"``: the gradient of an input-convex network.
    metric
        In which untreated and treated cells are compared: ``"euclidean"``; ``"learned"``, in which what a response does not
        change counts most; or ``"auto"``, which is learned unless all cells are normal.
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
        Cells of a group that are coupled at a time.
    n_pairs
        Pairs drawn for every treatment.
    smoothing
        Width by which cells are smoothed, in distances to the fifth neighbour over the root of the dimension.
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
        checked: dict[str, Any] = {
            "method": check_choice("method", self.method, ("flow", "convex")),
            "metric": check_choice("metric", self.metric, ("auto", "learned", "euclidean")),
            "unbalanced": check_flag("unbalanced", self.unbalanced),
        }
        counts = {name: COUNTS[name] for name in COUNTS if hasattr(self, name)}
        checked |= check_training(self, counts, ("n_steps", "n_hidden"))
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def steps(self) -> int:
        """Optimisation steps."""
        return self.n_steps or 400
