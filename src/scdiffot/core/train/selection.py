"""Selection of path, alpha and sigma by the prediction of left-out snapshots, without training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.config import SelectionConfig
from scdiffot.core.problem.scales import default_alpha, smallest_eps, subsample, uniform_weights
from scdiffot.core.scores.distances import wasserstein

from .bridges import BridgeConfig, bridge, sample_pairs

if TYPE_CHECKING:
    from scdiffot.core.problem.config import FitConfig
    from scdiffot.core.problem.snapshots import Scaling, Snapshots

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
    config: FitConfig

    @classmethod
    def of(cls, snapshots: Snapshots, config: FitConfig, rng: np.random.Generator) -> LeaveOneOut:
        """Draw at most ``config.selection.n_cells`` cells of every snapshot."""
        n = config.selection.n_cells
        return cls(snapshots, [subsample(x, n, rng) for x in snapshots.states], config)

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
        n_cells, n_iterations = self.config.selection.n_cells, self.config.selection.n_iterations
        eps = max(bridge_config.sigma**2 * dt, smallest_eps(x, y, self.config.scale))
        p = plan(sinkhorn(x, a, y, b, alpha=bridge_config.alpha, eps=eps, max_iter=n_iterations))
        generator = torch.Generator().manual_seed(0)
        jitter = torch.rand(n_cells, generator=generator)
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
            default_alpha(snapshots, rng, config.scale)
            if config.alpha == "auto"
            else config.alpha / scaling.scale**2
        )
    sigma = (
        config.selection.default_sigma
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
    selection = config.selection
    validation = LeaveOneOut.of(snapshots, config, rng)
    if config.growth and not config.autonomous and config.path == "auto":
        bridge_config = _first_within_tolerance(
            validation, [bridge_config, replace(bridge_config, path="straight")]
        )
    if alpha is not None and config.alpha == "auto":
        bridge_config = _first_within_tolerance(
            validation,
            [replace(bridge_config, alpha=alpha * factor) for factor in selection.alpha_factors],
        )
    if config.sigma == "auto":
        searches = config.autonomous and selection.refine_sigma
        bridge_config = _first_within_tolerance(
            validation,
            [replace(bridge_config, sigma=sigma) for sigma in reversed(selection.sigmas)],
            selection.autonomous_tolerance if searches else selection.tolerance,
        )
    return bridge_config


class SigmaSearch:
    """Line search for the sigma at which an autonomous field has the smallest residual.

    The relative entropy between paths that end in the snapshots and paths of the field,
    ``E |residual of the drift|^2 / (2 sigma^2)``, gives a lower bound of the log-likelihood of the
    snapshots. Fields that depend on time can reproduce the paths of any sigma without a residual;
    for autonomous fields the bound has a maximum.
    """

    def __init__(self, sigma: float, config: SelectionConfig = SelectionConfig()) -> None:
        self._config = config
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
        step, max_ratio = self._config.sigma_step, self._config.max_sigma_ratio
        candidate = best * (step if best == sigmas[-1] else 1 / step)
        in_range = 1 / max_ratio < candidate / self._initial < max_ratio
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
    validation: LeaveOneOut, candidates: list[BridgeConfig], tolerance: float | None = None
) -> BridgeConfig:
    """First candidate, in order of preference, whose error is within a tolerance of the best."""
    if tolerance is None:
        tolerance = validation.config.selection.tolerance
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
