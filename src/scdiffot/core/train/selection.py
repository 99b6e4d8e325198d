"""Choice of path, alpha and sigma by leaving out snapshots, on couplings alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import price_of_growth, smallest_eps, subsample, uniform
from scdiffot.core.scores.distances import wasserstein

from .bridges import BridgeConfig, bridge, sample_pairs

if TYPE_CHECKING:
    from scdiffot.core.problem.config import FitConfig
    from scdiffot.core.problem.snapshots import Scaling, Snapshots

N_CELLS = 400
# Pairs are drawn so that marginals are exact however far a coupling has come; regimes differ by more than what is left.
N_ITER = 100
SIGMAS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
ALPHA_FACTORS = (4.0, 2.0, 1.0)
# Noise of measurement, which does not build up with time, looks like ever more diffusion: the climb ends after two steps.
SIGMA_STEP, MAX_CLIMB = 1.3, 1.8
SLACK = 0.02
# What sigma and alpha may be in the solver's units. Noise above moves cells by a hundred times the
# spread of the data in an interval; single precision knows no growth of a larger price, and below
# no cell has an ancestor.
MAX_SIGMA, ALPHAS = 100.0, (1e-6, 1e4)
AUTONOMOUS_SLACK = 0.05


@dataclass(frozen=True)
class LeaveOneOut:
    """Prediction of every inner snapshot from the coupling of its neighbours."""

    snapshots: Snapshots
    cells: list[Tensor]

    @classmethod
    def of(cls, snapshots: Snapshots, rng: np.random.Generator) -> LeaveOneOut:
        """Take a few hundred cells of every snapshot."""
        return cls(snapshots, [subsample(x, N_CELLS, rng) for x in snapshots.states])

    def error(self, regime: BridgeConfig) -> float:
        """Mean W1 between the inner snapshots and the bridges between their neighbours."""
        return float(
            np.mean([self._error_at(k, regime) for k in range(1, self.snapshots.n_snapshots - 1)])
        )

    def _error_at(self, k: int, regime: BridgeConfig) -> float:
        s = self.snapshots
        x, y = self.cells[k - 1], self.cells[k + 1]
        dt = float(s.times[k + 1] - s.times[k - 1])
        a, b = uniform(x, s.masses[k - 1]), uniform(y, s.masses[k + 1])
        eps = max(regime.sigma**2 * dt, smallest_eps(x, y))
        p = plan(sinkhorn(x, a, y, b, alpha=regime.alpha, eps=eps, max_iter=N_ITER))
        generator = torch.Generator().manual_seed(0)
        jitter = torch.rand(N_CELLS, generator=generator)
        pairs = sample_pairs(p, x, a, y, b, jitter, unbalanced=regime.alpha is not None)
        u = torch.full((len(pairs),), float(s.times[k] - s.times[k - 1]) / dt)
        noise = torch.randn(pairs.x0.shape, generator=generator)
        points = bridge(
            pairs, u, torch.full_like(u, dt), noise, regime=regime, width=torch.full_like(u, 1e-6)
        )
        return wasserstein(points.x.numpy(), self.cells[k].numpy(), points.weight.numpy())


def choose_regime(snapshots: Snapshots, scaling: Scaling, config: FitConfig) -> BridgeConfig:
    """Complete the options of a fit, which are in the user's units, from snapshots in the solver's.

    What is ``"auto"`` is judged by the prediction of left-out snapshots: the path is geodesic unless straight predicts better,
    alpha the largest of the geometric scale and its multiples that does no harm (growth explains what motion cannot), and
    sigma the largest that does no harm.
    Snapshots identify no more than such an upper bound of sigma. With two snapshots nothing can be left out: the geometric
    scale, the geodesic and a small sigma are taken.
    """
    # The choice is a property of the data: refits with other seeds share it.
    rng = np.random.default_rng(0)
    alpha: float | None = None
    if config.growth:
        alpha = (
            price_of_growth(snapshots, rng)
            if config.alpha == "auto"
            else config.alpha / scaling.scale**2
        )
    sigma = (
        SIGMAS[1]
        if config.sigma == "auto"
        else config.sigma / scaling.scale * scaling.time_scale**0.5
    )
    unit = scaling.scale / scaling.time_scale**0.5
    check_unit("sigma", sigma, (0.0, MAX_SIGMA), unit)
    if alpha is not None:
        check_unit("alpha", alpha, ALPHAS, scaling.scale**2)
    # The growth of a geodesic jumps at every snapshot, which no autonomous field can follow.
    default = "straight" if config.autonomous else "geodesic"
    regime = BridgeConfig(sigma, alpha, default if config.path == "auto" else config.path)
    if snapshots.n_snapshots < 3:
        return regime
    test = LeaveOneOut.of(snapshots, rng)
    if config.growth and not config.autonomous and config.path == "auto":
        regime = _first_good(test, [regime, replace(regime, path="straight")])
    if alpha is not None and config.alpha == "auto":
        regime = _first_good(
            test, [replace(regime, alpha=alpha * factor) for factor in ALPHA_FACTORS]
        )
    if config.sigma == "auto":
        # An autonomous field contracts onto its attractors: without noise its clouds are too thin.
        slack = AUTONOMOUS_SLACK if config.autonomous and config.search_sigma else SLACK
        regime = _first_good(
            test, [replace(regime, sigma=sigma) for sigma in reversed(SIGMAS)], slack
        )
    return regime


class SigmaSearch:
    """Climb to the sigma at which an autonomous field leaves least of the paths unexplained.

    The relative entropy of paths that end in the snapshots to those of the field, ``E |misfit of the drift|^2 / (2 sigma^2)``, bounds
    the log-likelihood of the snapshots from below. Fields that change with time can follow the paths of any sigma and leave
    nothing unexplained; for an autonomous one the bound has a maximum.
    """

    def __init__(self, sigma: float) -> None:
        self.done = self.bracketed = False
        self._start = self._current = sigma
        self._tried: dict[float, float] = {}

    def after(self, misfit: float, *, more: bool) -> float:
        """Sigma of the next round, given the misfit of the last; the best one when there are no ``more`` rounds to try."""
        self._tried[self._current] = misfit
        tried = sorted(self._tried)
        best = min(tried, key=self._tried.__getitem__)
        self.bracketed = tried[0] < best < tried[-1]
        # From a single point, up.
        following = best * (SIGMA_STEP if best == tried[-1] else 1 / SIGMA_STEP)
        far = not 1 / MAX_CLIMB < following / self._start < MAX_CLIMB
        self.done = self.bracketed or far or not more
        self._current = (
            following if not self.done else self._vertex(tried, best) if self.bracketed else best
        )
        return self._current

    def _vertex(self, tried: list[float], best: float) -> float:
        """Minimum of the parabola through the best and its neighbours, in logarithms."""
        at = tried.index(best)
        x, y = (
            np.log(tried[at - 1 : at + 2]),
            np.log([self._tried[s] for s in tried[at - 1 : at + 2]]),
        )
        a, b, _ = np.polyfit(x, y, 2)
        return float(np.exp(-b / (2 * a)))


def _first_good(
    test: LeaveOneOut, regimes: list[BridgeConfig], slack: float = SLACK
) -> BridgeConfig:
    """First regime, in order of preference, whose error is within a small slack of the best."""
    errors = np.array([test.error(regime) for regime in regimes])
    return regimes[np.flatnonzero(errors <= (1 + slack) * errors.min())[0]]


def check_unit(name: str, value: float, limits: tuple[float, float], unit: float) -> None:
    """Refuse an option, in the solver's units, that is out of proportion to the data."""
    low, high = limits
    if not low <= value <= high:
        hint = ", or growth=False" if name == "alpha" and value > high else ""
        raise ValueError(
            f"`{name}` is {value * unit:g}, out of proportion to these states and times: pass a number "
            f"from {low * unit:.3g} to {high * unit:.3g}, or 'auto'{hint}."
        )
