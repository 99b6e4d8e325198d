"""All settings of a fit, and reports of its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .data import CouplingConfig, OutlierConfig, ScaleConfig, SelectionConfig
from .networks import NetworkConfig, OptimizerConfig, default_n_hidden
from .setting import Settings, setting
from .stages import CalibrationConfig, CorrectionConfig, MatchingConfig, TrainConfig
from .stored import from_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

# Defaults for autonomous and for other fields: rounds of correction, steps of a round, learning
# rate relative to the first stage. Corrections determine autonomous fields; they change other
# fields only slightly.
CORRECTIONS = {True: (7, 75, 0.25), False: (2, 100, 0.1)}
# Default number of matching steps of autonomous fields.
N_MATCHING_STEPS = 400
# Steps that fit the density after matching, in rounds of correction.
N_DENSITY_ROUNDS = 4
# Names of the settings in the first version of the stored format.
VERSION_1_NAMES = (
    "growth",
    "sigma",
    "alpha",
    "form",
    "path",
    "autonomous",
    "search_sigma",
    "n_steps",
    "n_corrections",
    "n_correction_steps",
    "n_matching_steps",
    "batch_size",
    "learning_rate",
    "n_hidden",
    "n_layers",
    "n_landmarks",
    "n_pairs",
    "smoothing",
)


@dataclass(frozen=True)
class FitConfig(Settings):
    """All settings of a fit, in the user's units of state and time.

    The page of settings of the documentation lists all settings with unit, meaning and what was
    measured; modules keep sizes of chunks, tolerances and the annealing of couplings. A dict in
    the place of a group changes these settings of its default:
    ``FitConfig(train={"n_steps": 400})``.

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
    scale, outliers, selection, coupling
        Settings of the steps before training.
    networks, optimizer
        Size of the networks, and their optimiser.
    train, corrections, matching, calibration
        Settings of the stages of training.

    See Also
    --------
    fit : The fit with these options.
    leave_one_out : Prediction error of a fit with these options.

    Examples
    --------
    >>> from scdiffot.core import FitConfig
    >>> config = FitConfig(train={"n_steps": 400})
    >>> config.train.n_steps, config.train.batch_size
    (400, 512)
    """

    growth: bool = setting(True, "Whether cells divide and die.")
    sigma: float | Literal["auto"] = setting(
        "auto",
        'Diffusion. "auto" is the largest of `selection.sigmas` that does not worsen the '
        "prediction of left-out snapshots.",
        high=float("inf"),
        unit="state per square root of time",
    )
    alpha: float | Literal["auto"] = setting(
        "auto",
        'Cost of growth relative to motion. "auto" derives it from the distances between '
        "snapshots.",
        above=True,
        high=float("inf"),
        unit="squared state",
    )
    form: Literal["auto", "gradient", "separate"] = setting(
        "auto",
        "One potential of drift and growth, or separate networks. The default is the gradient, "
        "unless the fields are autonomous or there is a growth prior.",
    )
    path: Literal["auto", "geodesic", "straight"] = setting(
        "auto",
        'Paths between paired cells. "auto" is the geodesic, unless straight paths predict '
        "left-out snapshots better or the fields are autonomous.",
    )
    autonomous: bool = setting(
        False, "Whether drift and growth depend only on the state, not on time."
    )
    scale: ScaleConfig = setting(ScaleConfig(), "Scales of the data.")
    outliers: OutlierConfig = setting(OutlierConfig(), "Isolated cells.")
    selection: SelectionConfig = setting(SelectionConfig(), "Selection of path, alpha and sigma.")
    coupling: CouplingConfig = setting(CouplingConfig(), "Couplings and pairs.")
    networks: NetworkConfig = setting(NetworkConfig(), "Size of the networks.")
    optimizer: OptimizerConfig = setting(OptimizerConfig(), "The optimiser.")
    train: TrainConfig = setting(TrainConfig(), "Regression on bridges.")
    corrections: CorrectionConfig = setting(CorrectionConfig(), "Corrections by simulation.")
    matching: MatchingConfig = setting(MatchingConfig(), "Matching of autonomous fields.")
    calibration: CalibrationConfig = setting(CalibrationConfig(), "Calibration of the result.")

    def resolve(self, *, n_dims: int, n_snapshots: int, has_prior: bool) -> FitConfig:
        """Replace None and the form ``"auto"`` by their values for a data set.

        ``"auto"`` of sigma, alpha and path remains: these values are selected from the data, again
        in every fit with the same settings.
        """
        separate = self.autonomous or (has_prior and self.growth)
        n_rounds, n_steps, rate = CORRECTIONS[self.autonomous]
        if n_snapshots == 2 and not self.autonomous:
            # Particles deviate from the snapshots at inner snapshots only.
            corrections = replace(self.corrections, n_rounds=0)
        else:
            corrections = _fill(self.corrections, n_rounds=n_rounds)
        corrections = _fill(corrections, n_steps=n_steps, relative_rate=rate)
        n_density_steps = N_DENSITY_ROUNDS * corrections.n_steps
        matching = _fill(self.matching, n_steps=N_MATCHING_STEPS, n_density_steps=n_density_steps)
        if not self.autonomous:
            matching = replace(matching, n_steps=0)
        if matching.n_steps == 0:
            matching = replace(matching, n_density_steps=0)
        form = self.form if self.form != "auto" else "separate" if separate else "gradient"
        return replace(
            self,
            form=form,
            networks=_fill(self.networks, n_hidden=default_n_hidden(n_dims)),
            corrections=corrections,
            matching=matching,
        )

    @classmethod
    def from_stored(cls, content: Mapping[str, Any]) -> FitConfig:
        """Settings from the stored form of this or an older version."""
        return from_stored(cls, content, VERSION_1_NAMES)

    @property
    def n_total_steps(self) -> int:
        """Optimisation steps over all stages of resolved settings."""
        corrections = self.corrections.n_rounds * self.corrections.n_steps
        matching = self.matching.n_steps + self.matching.n_density_steps
        return self.train.n_steps + corrections + matching


def _fill(settings: Any, **defaults: Any) -> Any:
    """Replace those settings that are None."""
    missing = {name: v for name, v in defaults.items() if getattr(settings, name) is None}
    return replace(settings, **missing)


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
