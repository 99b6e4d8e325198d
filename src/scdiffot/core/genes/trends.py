"""Expression along trajectories: means and quantiles per fate, and differences of fates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.lineage.fate import N_STEPS
from scdiffot.core.simulate.paths import (
    TrajectorySampler,
    map_chunks,
    resample_systematically,
)
from scdiffot.core.simulate.schedule import model_schedule
from scdiffot.core.simulate.vector_field import VectorField, WithoutGrowth

from .trend_statistics import (
    contrast_fates,
    effective_numbers,
    mean_and_influence,
    standard_error,
    trapezoid_weights,
)

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel

# Maps states (N, d) to expression (N, G).
Decode = Callable[[np.ndarray], np.ndarray]
# Number of trajectories per fate for quantiles, and profiles per chunk of decoding.
N_QUANTILE_TRAJECTORIES, CHUNK_SIZE = 500, 2000


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

    See Also
    --------
    sample_weighted_trajectories : Simulate trajectories.
    trends : Expression along trajectories.
    """

    times: np.ndarray
    states: np.ndarray
    log_w: np.ndarray


def sample_weighted_trajectories(
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
    """Simulate stochastic trajectories of cells through increasing times.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells at the first time, shape ``(n, d)``.
    times
        Increasing times, shape ``(S,)``.
    n_trajectories
        Trajectories of every cell.
    growth
        Whether weights follow the growth.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells completed since the last call.

    Returns
    -------
    The trajectories.

    See Also
    --------
    trends : Expression along the trajectories.
    scdiffot.core.lineage.fate.descend : Fates without stored states.
    """
    schedule = model_schedule(model, times, n_steps)
    field: VectorField = model.networks if growth else WithoutGrowth(model.networks)
    stops = model.scaling.time_in(times)

    def sample(cells: slice, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        noise = torch.Generator().manual_seed(torch_seed(generator))
        sampler = TrajectorySampler(
            field,
            model.scaling.state_in(x[cells]),
            n_trajectories=n_trajectories,
            generator=noise,
        )
        particles = sampler.particles
        checkpoints = [particles.x]
        for leg in schedule:
            sampler.run([leg])
            # legs also end at snapshots, which need not be among the times
            if np.abs(stops - leg.end).min() <= 1e-6 * (stops[-1] - stops[0]):
                checkpoints.append(particles.x)
        shape = (len(checkpoints), *particles.x.shape)
        flat = torch.stack(checkpoints).reshape(-1, shape[-1]).numpy()
        states = model.scaling.state_out(flat).reshape(shape)
        return states.astype(np.float32), particles.log_w.numpy()

    parts = list(
        map_chunks(sample, len(x), n_trajectories, rng=as_generator(rng), progress=progress)
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
        Effective number of initial cells of the trajectories to each fate, shape ``(F,)``.
    change, change_se
        Mean at the end minus that at the start, and its standard error, shape ``(F, G)``.
    difference, se
        Mean over time minus that of all other fates, and its standard error, shape ``(F, G)``; NaN
        if there is a single fate.
    effect
        Difference in units of the standard deviation within fates.
    p
        Two-sided p values of the difference.
    time
        Earliest time from which the difference stays above half of its maximum, up to the maximum.

    See Also
    --------
    trends : Compute the trends.
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
    trajectories: TrajectorySample,
    fates: np.ndarray,
    decode: Decode,
    *,
    band: tuple[float, float] = (0.1, 0.9),
    rng: int | np.random.Generator = 0,
) -> GeneTrends:
    r"""Summarise expression along the trajectories to every fate, and compare fates.

    At all times, the weight of a trajectory for a fate is its weight at the end times its
    probability of the fate. Differences compare means over time (trapezoidal rule). Standard errors
    treat an initial cell as one observation, to avoid pseudo-replication: trajectories of one cell
    are not independent, and a cell can contribute to several fates. With the sums :math:`A_i, W_i`,
    over the trajectories of cell i, of weighted expression and of weights, cell i has the influence
    :math:`(A_i - \text{mean} \, W_i) / \sum W_i` on the mean :math:`\sum A_i / \sum W_i`. The
    variance of a difference is the sum of the squared differences of influences. The degrees of
    freedom of the t distribution are the effective number of initial cells, :math:`(\sum W_i)^2 /
    \sum W_i^2`, minus one, of the fate or of all other fates, whichever is smaller.

    Parameters
    ----------
    trajectories
        Trajectories of cells.
    fates
        Probabilities of the fates at the end, shape ``(n, m, F)``. Trajectories whose probabilities
        are all zero have no weight.
    decode
        Map from states to expression.
    band
        Quantiles of the trajectories.
    rng
        Seed or generator for the selection of trajectories for the quantiles.

    Returns
    -------
    The trends.

    See Also
    --------
    sample_weighted_trajectories : Simulate trajectories.
    scdiffot.core.lineage.fate.descend : Fates of cells.
    """
    # a common factor of the weights has no effect
    w = np.exp(trajectories.log_w.astype(np.float64) - trajectories.log_w.max())[:, :, None] * fates
    selection = _sample_positions(w, as_generator(rng))
    time_weights = trapezoid_weights(trajectories.times)
    n, m, n_fates = w.shape
    n_genes = decode(trajectories.states[0, :1, 0]).shape[1]
    shape = (n_fates, len(time_weights), n_genes)
    sums, squares, low, high = (np.zeros(shape) for _ in range(4))
    time_sums, end_sums = np.zeros((2, n, n_fates, n_genes), np.float32)
    size = max(CHUNK_SIZE // m, 1)
    for s, states in enumerate(trajectories.states):
        for first in range(0, n, size):
            cells = slice(first, first + size)
            profiles = decode(states[cells].reshape(-1, states.shape[2]))
            x = profiles.reshape(-1, m, n_genes).astype(np.float64)
            cell_sums = np.swapaxes(w[cells], 1, 2) @ x
            sums[:, s] += cell_sums.sum(axis=0)
            squares[:, s] += np.tensordot(w[cells], np.square(x), axes=((0, 1), (0, 1)))
            time_sums[cells] += (time_weights[s] * cell_sums).astype(np.float32)
            if s in (0, len(time_weights) - 1):
                end_sums[cells] += cell_sums.astype(np.float32) * (1 if s else -1)
        flat = states.reshape(-1, states.shape[2])
        for k, rows in enumerate(selection):
            low[k, s], high[k, s] = np.quantile(decode(flat[rows]), band, axis=0)
    cell_weights = w.sum(axis=1)
    contrasts = [
        contrast_fates(k, cell_weights, time_sums, sums, squares, time_weights, trajectories.times)
        for k in range(n_fates)
    ]
    total = cell_weights.sum(axis=0)
    changes = [mean_and_influence(cell_weights[:, k], end_sums[:, k]) for k in range(n_fates)]
    return GeneTrends(
        mean=sums / total[:, None, None],
        low=low,
        high=high,
        n_effective=effective_numbers(cell_weights),
        change=np.stack([value for value, _ in changes]),
        change_se=np.stack([standard_error(influence) for _, influence in changes]),
        **{name: np.stack([c[name] for c in contrasts]) for name in contrasts[0]},
    )


def _sample_positions(w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample positions of trajectories, shape ``(F, k)``, by weights of shape ``(n, m, F)``."""
    with np.errstate(divide="ignore"):
        log_w = torch.from_numpy(np.log(w.reshape(-1, w.shape[2]).T))
    sample = resample_systematically(log_w, torch.from_numpy(rng.random(w.shape[2])))
    # equally spaced members of a systematic sample are a systematic sample
    size = min(N_QUANTILE_TRAJECTORIES, sample.shape[1])
    columns = np.linspace(0, sample.shape[1] - 1, size).round().astype(int)
    return sample.numpy()[:, columns]
