"""Options of a fit, and reports of its progress."""

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
# Minimum and maximum of each count.
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
# Counts that may be None; their default then depends on the data or on other options.
OPTIONAL = ("n_corrections", "n_correction_steps", "n_matching_steps", "n_hidden")

# Default number of correction rounds, and of optimisation steps in each.
AUTONOMOUS_CORRECTIONS, CORRECTIONS = (7, 75), (2, 100)
# Default number of matching steps of autonomous fields.
N_MATCHING_STEPS = 400
# Hidden units of the networks by default, up to MAX_DIMS_NARROW dimensions and above.
N_HIDDEN_NARROW, N_HIDDEN_WIDE, MAX_DIMS_NARROW = 64, 128, 20
# Steps that fit the density after matching, in rounds of correction.
N_DENSITY_ROUNDS = 4


def default_n_hidden(n_dims: int) -> int:
    """Default width of the networks for states of `n_dims` dimensions."""
    return N_HIDDEN_NARROW if n_dims <= MAX_DIMS_NARROW else N_HIDDEN_WIDE


def check_training(
    config: Any, counts: dict[str, tuple[int, int]], optional: tuple[str, ...] = OPTIONAL
) -> dict[str, Any]:
    """Return the counts, the learning rate and the smoothing of a config as plain numbers."""
    checked: dict[str, Any] = {}
    for name, (minimum, maximum) in counts.items():
        value = getattr(config, name)
        if value is not None or name not in optional:
            checked[name] = check_count(name, value, minimum, maximum)
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
        Whether cells divide and die. Without growth, transport is balanced and masses are ignored.
    sigma
        Diffusion, in state per square root of time. 0 gives deterministic (Wasserstein-Fisher-Rao)
        transport. ``"auto"`` is the largest value that does not worsen the prediction of left-out
        snapshots; autonomous fields continue from there to the value of the smallest residual.
    alpha
        Cost of growth relative to motion, in squared state; ``"auto"`` derives it from the
        distances between snapshots.
    form
        ``"gradient"``: one potential with drift ``grad lambda`` and growth ``lambda / alpha``, the
        optimality condition of least action; or ``"separate"`` networks for flow and growth.
        ``"auto"`` is the gradient, unless the fields are autonomous or a growth prior is given,
        which least action alone does not explain.
    path
        Paths between paired cells: the ``"geodesic"`` of least action, or ``"straight"`` paths of
        constant speed and growth rate; ``"auto"`` is the geodesic unless straight paths predict
        left-out snapshots better.
    autonomous
        Whether drift and growth depend only on the state, not on time.
    search_sigma
        Whether autonomous fields refine an ``"auto"`` sigma by the residual of the fields.
    n_steps
        Optimisation steps on the bridges.
    n_corrections
        Rounds in which simulated particles of the model are coupled with the snapshots. If None, 2,
        or 7 for autonomous fields. Fits of two snapshots use none, unless autonomous.
    n_correction_steps
        Optimisation steps of each of these rounds. If None, 100, or 75 for autonomous fields.
    n_matching_steps
        Optimisation steps in which simulated populations of autonomous fields are matched to the
        snapshots; 400 if None. Other fields are not matched.
    batch_size
        Bridge points per step, over all intervals.
    learning_rate
        Peak learning rate of the one-cycle schedule.
    n_hidden
        Width of the networks; 64 up to 20 dimensions and 128 above if None.
    n_layers
        Hidden layers of the networks.
    n_landmarks
        Cells of a snapshot in a coupling.
    n_pairs
        Pairs drawn from the coupling of an interval.
    smoothing
        Standard deviation of the noise that smooths cells, in multiples of the median distance to
        the fifth nearest neighbour over the square root of the dimension.

    See Also
    --------
    fit : The fit with these options.
    leave_one_out : Prediction error of a fit with these options.
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
        # Scalars of NumPy become plain numbers, which JSON can store.
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
        # Corrections determine autonomous fields; they change other fields only slightly.
        rounds, steps = AUTONOMOUS_CORRECTIONS if self.autonomous else CORRECTIONS
        return (
            rounds if self.n_corrections is None else self.n_corrections,
            steps if self.n_correction_steps is None else self.n_correction_steps,
        )

    @property
    def matching(self) -> int:
        """Optimisation steps of the matching."""
        return (
            (N_MATCHING_STEPS if self.n_matching_steps is None else self.n_matching_steps)
            if self.autonomous
            else 0
        )

    @property
    def n_density_steps(self) -> int:
        """Steps after the matching, in which the density is fitted to the matched paths."""
        return N_DENSITY_ROUNDS * self.corrections[1] if self.matching else 0

    @property
    def n_total_steps(self) -> int:
        """Optimisation steps over all stages."""
        rounds, steps = self.corrections
        return self.n_steps + rounds * steps + self.matching + self.n_density_steps


@dataclass(frozen=True)
class Progress:
    """Progress of a fit: ``step`` of ``n_steps`` over all stages, and the mean recent loss.

    See Also
    --------
    fit : The fit that reports its progress.
    FitConfig : The options that determine the number of steps.
    """

    stage: str
    step: int
    n_steps: int
    loss: float
