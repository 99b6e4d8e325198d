"""Selection of path, alpha and sigma by the prediction of left-out snapshots, without training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import default_alpha, smallest_eps, subsample, uniform_weights
from scdiffot.core.scores.distances import wasserstein

from .bridges import BridgeConfig, bridge, sample_pairs

if TYPE_CHECKING:
    from scdiffot.core.problem.config import FitConfig
    from scdiffot.core.problem.snapshots import Scaling, Snapshots

# Cells of a snapshot, and pairs of a coupling.
N_CELLS = 400
# Sinkhorn iterations. Pairs are drawn with exact marginals even if a coupling has not converged,
# and configurations differ by more than the remaining error.
N_ITER = 100
# Candidates of sigma, in standard deviations of the state per square root of a mean interval.
SIGMAS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# Sigma of a fit of two snapshots, in the same unit.
DEFAULT_SIGMA = SIGMAS[1]
# Candidates of alpha, in multiples of the geometric scale.
ALPHA_FACTORS = (4.0, 2.0, 1.0)
# Factor of sigma between two rounds of the search, and the bound of the ratio of sigma to its
# initial value. Measurement noise does not accumulate with time, but any larger sigma explains it
# better: the search therefore stops after two steps. On the simulated circuit (MISA) it finds 0.26;
# the truth is 0.27 (docs/mathematics.md).
SIGMA_STEP, MAX_SIGMA_RATIO = 1.3, 1.8
# Relative tolerance of the prediction error, within which the preferred candidate is kept; the
# second value is for the sigma of autonomous fields.
TOLERANCE, AUTONOMOUS_TOLERANCE = 0.02, 0.05
# Bounds of sigma and alpha in the solver's units. A larger sigma moves cells in one interval by
# more than a hundred times the standard deviation of the data. Growth at a larger alpha vanishes
# in single precision; at a smaller alpha no cell has an ancestor.
MAX_SIGMA, ALPHA_RANGE = 100.0, (1e-6, 1e4)
# Smoothing width of a bridge between cells, in the solver's unit: practically none.
BRIDGE_WIDTH = 1e-6


@dataclass(frozen=True)
class LeaveOneOut:
    """Prediction of every inner snapshot from the coupling of its neighbours."""

    snapshots: Snapshots
    cells: list[Tensor]

    @classmethod
    def of(cls, snapshots: Snapshots, rng: np.random.Generator) -> LeaveOneOut:
        """Draw at most 400 cells of every snapshot."""
        return cls(snapshots, [subsample(x, N_CELLS, rng) for x in snapshots.states])

    def error(self, bridge_config: BridgeConfig) -> float:
        """Mean 1-Wasserstein distance of inner snapshots to bridges between their neighbours."""
        return float(
            np.mean(
                [self._error_at(k, bridge_config) for k in range(1, self.snapshots.n_snapshots - 1)]
            )
        )

    def _error_at(self, k: int, bridge_config: BridgeConfig) -> float:
        s = self.snapshots
        x, y = self.cells[k - 1], self.cells[k + 1]
        dt = float(s.times[k + 1] - s.times[k - 1])
        a, b = uniform_weights(x, s.masses[k - 1]), uniform_weights(y, s.masses[k + 1])
        eps = max(bridge_config.sigma**2 * dt, smallest_eps(x, y))
        p = plan(sinkhorn(x, a, y, b, alpha=bridge_config.alpha, eps=eps, max_iter=N_ITER))
        generator = torch.Generator().manual_seed(0)
        jitter = torch.rand(N_CELLS, generator=generator)
        pairs = sample_pairs(p, x, a, y, b, jitter, unbalanced=bridge_config.alpha is not None)
        u = torch.full((len(pairs),), float(s.times[k] - s.times[k - 1]) / dt)
        noise = torch.randn(pairs.x0.shape, generator=generator)
        points = bridge(
            pairs,
            u,
            torch.full_like(u, dt),
            noise,
            bridge_config=bridge_config,
            width=torch.full_like(u, BRIDGE_WIDTH),
        )
        return wasserstein(points.x.numpy(), self.cells[k].numpy(), points.weight.numpy())


def select_bridge_config(snapshots: Snapshots, scaling: Scaling, config: FitConfig) -> BridgeConfig:
    """Resolve the ``"auto"`` options of a fit by the prediction of left-out snapshots.

    Options are in the user's units, and snapshots in the solver's. The path is the geodesic unless
    the straight path predicts better. Alpha is the largest multiple of the geometric scale that
    does not worsen the prediction: growth then explains only the changes that motion cannot.
    Sigma is the largest candidate that does not worsen the prediction; snapshots identify only
    this upper bound. With two snapshots none can be left out: the geodesic, the geometric scale
    and a small sigma are used.
    """
    # A fixed seed: the selection depends on the data alone, so that refits share it.
    rng = np.random.default_rng(0)
    alpha: float | None = None
    if config.growth:
        alpha = (
            default_alpha(snapshots, rng)
            if config.alpha == "auto"
            else config.alpha / scaling.scale**2
        )
    sigma = (
        DEFAULT_SIGMA
        if config.sigma == "auto"
        else config.sigma / scaling.scale * scaling.time_scale**0.5
    )
    unit = scaling.scale / scaling.time_scale**0.5
    _check_range("sigma", sigma, (0.0, MAX_SIGMA), unit)
    if alpha is not None:
        _check_range("alpha", alpha, ALPHA_RANGE, scaling.scale**2)
    # The growth of a geodesic jumps at every snapshot; autonomous fields cannot reproduce that.
    default = "straight" if config.autonomous else "geodesic"
    bridge_config = BridgeConfig(sigma, alpha, default if config.path == "auto" else config.path)
    if snapshots.n_snapshots < 3:
        return bridge_config
    validation = LeaveOneOut.of(snapshots, rng)
    if config.growth and not config.autonomous and config.path == "auto":
        bridge_config = _first_within_tolerance(
            validation, [bridge_config, replace(bridge_config, path="straight")]
        )
    if alpha is not None and config.alpha == "auto":
        bridge_config = _first_within_tolerance(
            validation, [replace(bridge_config, alpha=alpha * factor) for factor in ALPHA_FACTORS]
        )
    if config.sigma == "auto":
        # An autonomous field contracts onto its attractors: with too little noise its populations
        # are too narrow, so a larger sigma is preferred.
        tolerance = AUTONOMOUS_TOLERANCE if config.autonomous and config.search_sigma else TOLERANCE
        bridge_config = _first_within_tolerance(
            validation,
            [replace(bridge_config, sigma=sigma) for sigma in reversed(SIGMAS)],
            tolerance,
        )
    return bridge_config


class SigmaSearch:
    """Line search for the sigma at which an autonomous field has the smallest residual.

    The relative entropy between paths that end in the snapshots and paths of the field,
    ``E |residual of the drift|^2 / (2 sigma^2)``, gives a lower bound of the log-likelihood of the
    snapshots. Fields that depend on time can reproduce the paths of any sigma without a residual;
    for autonomous fields the bound has a maximum.
    """

    def __init__(self, sigma: float) -> None:
        self.finished = self.bracketed = False
        self._initial = self._current = sigma
        self._misfits: dict[float, float] = {}

    def next_sigma(self, misfit: float, *, more: bool) -> float:
        """Sigma of the next round, given the misfit of the previous one.

        It is the best sigma so far if there are no ``more`` rounds.
        """
        self._misfits[self._current] = misfit
        sigmas = sorted(self._misfits)
        best = min(sigmas, key=self._misfits.__getitem__)
        self.bracketed = sigmas[0] < best < sigmas[-1]
        # The first step is upwards.
        candidate = best * (SIGMA_STEP if best == sigmas[-1] else 1 / SIGMA_STEP)
        in_range = 1 / MAX_SIGMA_RATIO < candidate / self._initial < MAX_SIGMA_RATIO
        self.finished = self.bracketed or not in_range or not more
        if not self.finished:
            self._current = candidate
        else:
            self._current = self._vertex(sigmas, best) if self.bracketed else best
        return self._current

    def _vertex(self, sigmas: list[float], best: float) -> float:
        """Minimum of the parabola through the best sigma and its neighbours, in logarithms."""
        i = sigmas.index(best)
        neighbours = sigmas[i - 1 : i + 2]
        x, y = np.log(neighbours), np.log([self._misfits[sigma] for sigma in neighbours])
        a, b, _ = np.polyfit(x, y, 2)
        return float(np.exp(-b / (2 * a)))


def _first_within_tolerance(
    validation: LeaveOneOut, candidates: list[BridgeConfig], tolerance: float = TOLERANCE
) -> BridgeConfig:
    """First candidate, in order of preference, whose error is within a tolerance of the best."""
    errors = np.array([validation.error(candidate) for candidate in candidates])
    return candidates[np.flatnonzero(errors <= (1 + tolerance) * errors.min())[0]]


def _check_range(name: str, value: float, limits: tuple[float, float], unit: float) -> None:
    """Raise an error if an option, in the solver's units, is out of proportion to the data."""
    low, high = limits
    if not low <= value <= high:
        hint = ", or growth=False" if name == "alpha" and value > high else ""
        raise ValueError(
            f"`{name}` is {value * unit:g}, out of proportion to these states and times: "
            f"pass a number from {low * unit:.3g} to {high * unit:.3g}, or 'auto'{hint}."
        )
