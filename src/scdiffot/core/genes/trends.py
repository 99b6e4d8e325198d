"""Genes along trajectories: means and bands of every fate over time, and where fates part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.lineage.fate import N_STEPS
from scdiffot.core.simulate.paths import PathSampler, in_portions, legs, systematic

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel

# States (N, d) to expression (N, G)
Decode = Callable[[np.ndarray], np.ndarray]
# Trajectories of a fate that its bands are read off, and profiles that are decoded together
N_DRAWN, CHUNK_SIZE = 500, 2000


@dataclass(frozen=True)
class TrajectorySample:
    """Weighted trajectories of cells.

    Parameters
    ----------
    times
        Increasing times, shape ``(S,)``.
    states
        States of m particles of n cells, shape ``(S, n, m, d)``.
    log_w
        Log weights at the end, shape ``(n, m)``.
    """

    times: np.ndarray
    states: np.ndarray
    log_w: np.ndarray


def follow(
    model: RUOTModel,
    x: np.ndarray,
    times: np.ndarray,
    *,
    n_trajectories: int,
    growth: bool = True,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int], None] | None = None,
) -> TrajectorySample:
    """Follow stochastic paths from cells (n, d) at the first of some increasing times to the last; `n_steps` in an interval between snapshots."""
    course = legs(model, times, n_steps)
    stops = model.scaling.time_in(times)

    def work(cells: slice, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        noise = torch.Generator().manual_seed(torch_seed(generator))
        walk = PathSampler(
            model, x[cells], n_trajectories=n_trajectories, growth=growth, generator=noise
        )
        kept = [walk.x]
        for leg in course:
            walk.to_the_end([leg])
            # legs also end at snapshots
            if np.abs(stops - leg[1]).min() <= 1e-6 * (stops[-1] - stops[0]):
                kept.append(walk.x)
        shape = (len(kept), *walk.x.shape)
        states = model.scaling.state_out(torch.stack(kept).reshape(-1, shape[-1]).numpy()).reshape(
            shape
        )
        return states.astype(np.float32), walk.log_w.numpy()

    parts = list(
        in_portions(work, len(x), n_trajectories, rng=as_generator(rng), progress=progress)
    )
    return TrajectorySample(
        times, np.concatenate([s for s, _ in parts], axis=1), np.concatenate([w for _, w in parts])
    )


@dataclass(frozen=True)
class GeneTrends:
    """Expression of G genes along the trajectories to F fates.

    Parameters
    ----------
    mean, low, high
        Mean and quantiles over the trajectories, shape ``(F, S, G)``.
    n_effective
        Effective number of cells that the trajectories to a fate come from, shape ``(F,)``.
    change, change_se
        Mean at the end minus that at the start, and its standard error, shape ``(F, G)``.
    difference, se
        Mean over time minus that of all other fates, and its standard error, shape ``(F, G)``; NaN where there are no others.
    effect
        Difference in units of the standard deviation within fates.
    p
        Two-sided p values of the difference.
    time
        Time from which on the difference is at least half as large as it gets.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_effective: np.ndarray
    change: np.ndarray
    change_se: np.ndarray
    difference: np.ndarray
    se: np.ndarray
    effect: np.ndarray
    p: np.ndarray
    time: np.ndarray


def trends(
    paths: TrajectorySample,
    fates: np.ndarray,
    decode: Decode,
    *,
    band: tuple[float, float] = (0.1, 0.9),
    rng: int | np.random.Generator = 0,
) -> GeneTrends:
    r"""Expression along the trajectories to every fate, and how it differs between fates.

    A trajectory counts for a fate by its weight at the end times its probability of the fate, at all times. Differences are those of
    the means over time (trapezoidal rule), of which standard errors take a cell of origin as one observation: trajectories of
    one cell are not independent, and a cell can be the origin of several fates. With the sums :math:`A_i, W_i` over the
    trajectories of cell i of the weights times expression and of the weights, the mean :math:`\sum A_i / \sum W_i` has the influence
    :math:`(A_i - \text{mean} \, W_i) / \sum W_i` of cell i, and the variance of a difference is the sum of the squares of the difference of
    influences. The t distribution has as many degrees of freedom as there are effective cells
    of origin, :math:`(\sum W_i)^2 / \sum W_i^2`, less one, of the fate or the others, whichever has fewer.

    Parameters
    ----------
    paths
        Trajectories.
    fates
        Probabilities of the fates at the end, shape ``(n, m, F)``; trajectories without any count for none.
    decode
        From states to expression.
    band
        Quantiles of the trajectories.
    rng
        Seed or generator of the trajectories that the quantiles are read off.

    Returns
    -------
    The trends.
    """
    # a common factor of the weights drops out everywhere
    w = np.exp(paths.log_w.astype(np.float64) - paths.log_w.max())[:, :, None] * fates
    drawn = _draw(w, as_generator(rng))
    clock = _trapezoid(paths.times)
    n, m, n_fates = w.shape
    n_genes = decode(paths.states[0, :1, 0]).shape[1]
    shape = (n_fates, len(clock), n_genes)
    mean, square, low, high = (np.zeros(shape) for _ in range(4))
    over_time, ends = np.zeros((2, n, n_fates, n_genes), np.float32)
    size = max(CHUNK_SIZE // m, 1)
    for s, states in enumerate(paths.states):
        for first in range(0, n, size):
            cells = slice(first, first + size)
            x = (
                decode(states[cells].reshape(-1, states.shape[2]))
                .reshape(-1, m, n_genes)
                .astype(np.float64)
            )
            sums = np.swapaxes(w[cells], 1, 2) @ x
            mean[:, s] += sums.sum(axis=0)
            square[:, s] += np.tensordot(w[cells], np.square(x), axes=((0, 1), (0, 1)))
            over_time[cells] += (clock[s] * sums).astype(np.float32)
            if s in (0, len(clock) - 1):
                ends[cells] += sums.astype(np.float32) * (1 if s else -1)
        flat = states.reshape(-1, states.shape[2])
        for k, chosen in enumerate(drawn):
            low[k, s], high[k, s] = np.quantile(decode(flat[chosen]), band, axis=0)
    by_cell = w.sum(axis=1)
    found = [
        _contrast(k, by_cell, over_time, mean, square, clock, paths.times) for k in range(n_fates)
    ]
    total = by_cell.sum(axis=0)
    changed = [_mean_and_influence(by_cell[:, k], ends[:, k]) for k in range(n_fates)]
    return GeneTrends(
        mean=mean / total[:, None, None],
        low=low,
        high=high,
        n_effective=_effective(by_cell),
        change=np.stack([value for value, _ in changed]),
        change_se=np.stack([_error(influence) for _, influence in changed]),
        **{name: np.stack([f[name] for f in found]) for name in found[0]},
    )


def _contrast(
    k: int,
    by_cell: np.ndarray,
    over_time: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    clock: np.ndarray,
    times: np.ndarray,
) -> dict[str, np.ndarray]:
    """Fate k against all others."""
    from scipy import stats

    others = np.arange(by_cell.shape[1]) != k
    w = np.stack([by_cell[:, k], by_cell[:, others].sum(axis=1)], axis=1)
    n_genes = sums.shape[2]
    if not w[:, 1].any():
        return {
            name: np.full(n_genes, np.nan) for name in ("difference", "se", "effect", "p", "time")
        }
    value, influence = _mean_and_influence(w[:, 0], over_time[:, k])
    rest, influence_rest = _mean_and_influence(w[:, 1], over_time[:, others].sum(axis=1))
    difference, se = value - rest, _error(influence - influence_rest)
    total = w.sum(axis=0)
    means = np.stack([sums[k] / total[0], sums[others].sum(axis=0) / total[1]])
    second = np.stack([squares[k] / total[0], squares[others].sum(axis=0) / total[1]])
    within = np.sqrt(clock @ np.maximum(second - np.square(means), 0).mean(axis=0))
    # what float32 cannot tell from zero is zero: a gene that does not vary differs nowhere
    known = se > 1e-6 * (np.abs(value) + np.abs(rest))
    t = np.divide(difference, se, out=np.zeros(n_genes), where=known)
    freedom = max(float(_effective(w).min()) - 1, 1.0)
    apart = np.abs(means[0] - means[1])
    return {
        "difference": difference,
        "se": se,
        "effect": np.divide(difference, within, out=np.zeros(n_genes), where=known & (within > 0)),
        "p": 2 * stats.t.sf(np.abs(t), freedom),
        "time": times[_half_from(apart)],
    }


def _half_from(apart: np.ndarray) -> np.ndarray:
    """Index of the first time (S, G) from which on values stay above half of the largest one; of the largest where they do not stay."""
    enough = apart >= apart.max(axis=0) / 2
    peak = apart.argmax(axis=0)
    # the stretch of enough that leads up to the peak
    before = np.arange(len(apart))[:, None] < peak
    below = np.where(before & ~enough, np.arange(len(apart))[:, None], -1)
    return np.minimum(below.max(axis=0) + 1, peak)


def _mean_and_influence(w: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (G,) of sums (n, G), and the influence (n, G) of every cell on it."""
    total = w.sum()
    value = sums.sum(axis=0, dtype=np.float64) / total
    return value, (sums - w[:, None] * value) / total


def _error(influence: np.ndarray) -> np.ndarray:
    n = len(influence)
    return np.sqrt(np.square(influence).sum(axis=0) * n / max(n - 1, 1))


def _effective(w: np.ndarray) -> np.ndarray:
    """Effective number of cells with weights (n, F), shape (F,)."""
    return np.square(w.sum(axis=0)) / np.maximum(np.square(w).sum(axis=0), 1e-300)


def _draw(w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions (F, N_DRAWN) of trajectories among all, drawn by their weights (n, m, F)."""
    with np.errstate(divide="ignore"):
        log_w = torch.from_numpy(np.log(w.reshape(-1, w.shape[2]).T))
    every = systematic(log_w, torch.from_numpy(rng.random(w.shape[2])))
    # equally spaced ones of a sample by weight are a sample by weight
    chosen = np.linspace(0, every.shape[1] - 1, min(N_DRAWN, every.shape[1])).round().astype(int)
    return every.numpy()[:, chosen]


def _trapezoid(times: np.ndarray) -> np.ndarray:
    """Weights (S,) of times in a mean over them."""
    steps = np.diff(times)
    weights = np.zeros(len(times))
    weights[1:] += steps / 2
    weights[:-1] += steps / 2
    return weights / weights.sum()
