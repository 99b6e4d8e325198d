"""What a fit can be told, and what it tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from scdiffot._utils.options import (
    MAX_BATCH,
    MAX_HIDDEN,
    MAX_LANDMARKS,
    MAX_LAYERS,
    MAX_PAIRS,
    MAX_STEPS,
    check_choice,
    check_count,
    check_flag,
    check_number,
)

MAX_LEARNING_RATE, MAX_SMOOTHING, MAX_CORRECTIONS = 1.0, 100.0, 1000
# Smallest and largest value of the counts of a fit.
COUNTS = {
    "n_steps": (1, MAX_STEPS),
    "n_corrections": (0, MAX_CORRECTIONS),
    "n_correction_steps": (0, MAX_STEPS),
    "n_matching_steps": (0, MAX_STEPS),
    "batch_size": (1, MAX_BATCH),
    "n_hidden": (1, MAX_HIDDEN),
    "n_layers": (1, MAX_LAYERS),
    "n_landmarks": (2, MAX_LANDMARKS),
    "n_pairs": (1, MAX_PAIRS),
}
# Counts that may be None, for a default that depends on the data or other options.
OPTIONAL = ("n_corrections", "n_correction_steps", "n_matching_steps", "n_hidden")


def check_training(
    config: Any, counts: dict[str, tuple[int, int]], optional: tuple[str, ...] = OPTIONAL
) -> dict[str, Any]:
    """Return the counts, the learning rate and the smoothing of a config as plain numbers."""
    checked: dict[str, Any] = {}
    for name, (least, most) in counts.items():
        value = getattr(config, name)
        if value is not None or name not in optional:
            checked[name] = check_count(name, value, least, most)
    rate, smoothing = config.learning_rate, config.smoothing
    checked["learning_rate"] = check_number("learning_rate", rate, 0, MAX_LEARNING_RATE, above=True)
    checked["smoothing"] = check_number("smoothing", smoothing, 0, MAX_SMOOTHING)
    return checked


def _number_or_auto(name: str, value: Any, *, above: bool) -> float | str:
    if isinstance(value, str):
        if value == "auto":
            return value
        raise ValueError(f"`{name}` is {value!r}: pass a number or 'auto'.")
    return check_number(name, value, 0, above=above)


@dataclass(frozen=True)
class FitConfig:
    """Options of a fit, in the user's units of state and time.

    Parameters
    ----------
    growth
        Whether cells divide and die. Without growth the transport is balanced and masses are ignored.
    sigma
        Diffusion, in state per square root of time; 0 gives deterministic (Wasserstein-Fisher-Rao) transport, ``"auto"``
        the largest value that does not worsen the prediction of left-out snapshots; for autonomous fields, from there on, the
        one that leaves least unexplained.
    alpha
        Price of growth against motion, in squared state; ``"auto"`` reads it off the distances between snapshots.
    form
        ``"gradient"``: one potential with drift ``grad lambda`` and growth ``lambda / alpha``, as least action has it; or
        ``"separate"`` networks for flow and growth; ``"auto"`` is the gradient, unless the fields are autonomous or a growth
        is expected beforehand, which least action alone does not explain.
    path
        How paired cells travel: along the ``"geodesic"`` of least action, or ``"straight"`` at constant speed and growth
        rate; ``"auto"`` takes the geodesic unless the straight path predicts left-out snapshots better.
    autonomous
        Whether drift and growth depend on the state alone.
    search_sigma
        Whether autonomous fields go on from the left-out snapshots to the sigma that leaves least unexplained.
    n_steps
        Optimisation steps on the bridges.
    n_corrections
        Rounds in which the model's own particles are coupled with the snapshots; 2 if None, or 7 for autonomous fields.
        Two snapshots need none.
    n_correction_steps
        Optimisation steps of each such round; 100 if None, or 75 for autonomous fields.
    n_matching_steps
        Steps in which the simulated populations of autonomous fields are matched to the snapshots; 400 if None. Others have none.
    batch_size
        Bridge points in a step, over all intervals.
    learning_rate
        Peak of the one-cycle schedule.
    n_hidden
        Width of the networks; 64 up to 20 dimensions and 128 above if None.
    n_layers
        Hidden layers of the networks.
    n_landmarks
        Cells of a snapshot that take part in a coupling.
    n_pairs
        Pairs drawn from the coupling of an interval.
    smoothing
        Width by which cells are smoothed, in distances to the fifth neighbour over the root of the dimension.
    """

    growth: bool = True
    sigma: float | Literal["auto"] = "auto"
    alpha: float | Literal["auto"] = "auto"
    form: Literal["auto", "gradient", "separate"] = "auto"
    path: Literal["auto", "geodesic", "straight"] = "auto"
    autonomous: bool = False
    search_sigma: bool = True
    n_steps: int = 800
    n_corrections: int | None = None
    n_correction_steps: int | None = None
    n_matching_steps: int | None = None
    batch_size: int = 512
    learning_rate: float = 1e-2
    n_hidden: int | None = None
    n_layers: int = 3
    n_landmarks: int = 2000
    n_pairs: int = 20_000
    smoothing: float = 0.7

    def __post_init__(self) -> None:
        # Options may be scalars of NumPy, which no file of JSON holds.
        checked: dict[str, Any] = {
            "growth": check_flag("growth", self.growth),
            "autonomous": check_flag("autonomous", self.autonomous),
            "search_sigma": check_flag("search_sigma", self.search_sigma),
            "sigma": _number_or_auto("sigma", self.sigma, above=False),
            "alpha": _number_or_auto("alpha", self.alpha, above=True),
            "form": check_choice("form", self.form, ("auto", "gradient", "separate")),
            "path": check_choice("path", self.path, ("auto", "geodesic", "straight")),
        }
        checked |= check_training(self, COUNTS)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def corrections(self) -> tuple[int, int]:
        """Number of correction rounds, and optimisation steps of each."""
        # Autonomous fields are found by the corrections; others are only touched up.
        rounds, steps = (7, 75) if self.autonomous else (2, 100)
        return (
            rounds if self.n_corrections is None else self.n_corrections,
            steps if self.n_correction_steps is None else self.n_correction_steps,
        )

    @property
    def matching(self) -> int:
        """Steps of the matching."""
        return (
            (400 if self.n_matching_steps is None else self.n_matching_steps)
            if self.autonomous
            else 0
        )

    @property
    def relearning(self) -> int:
        """Steps after the matching, in which the density is learned again: as many as of four rounds of correction."""
        return 4 * self.corrections[1] if self.matching else 0

    @property
    def n_total_steps(self) -> int:
        """Optimisation steps over all stages."""
        rounds, steps = self.corrections
        return self.n_steps + rounds * steps + self.matching + self.relearning


@dataclass(frozen=True)
class Progress:
    """Where a fit stands: ``step`` of ``n_steps`` over all stages, and the running loss."""

    stage: str
    step: int
    n_steps: int
    loss: float
