"""Prediction of snapshots that training did not see, beside model-free predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.outliers import drop_isolated
from scdiffot.core.problem.scales import subsample
from scdiffot.core.scores.distances import mass_error, mmd, noise_floor, wasserstein
from scdiffot.core.simulate.dynamics import interpolate

from .fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core.problem.config import FitConfig, Progress
    from scdiffot.core.problem.snapshots import Snapshots

N_MAX = 3000


def leave_one_out(
    snapshots: Snapshots,
    config: FitConfig | None = None,
    *,
    times: np.ndarray | None = None,
    rng: int | np.random.Generator = 0,
    callback: Callable[[Progress], None] | None = None,
) -> list[dict[str, float]]:
    """Leave every inner snapshot out in turn, fit the others, and predict it.

    Parameters
    ----------
    snapshots
        At least three snapshots.
    config
        Options of the fits.
    times
        Inner times to leave out; all by default.
    rng
        Seed or generator.
    callback
        Called every few steps with the progress of the current fit.

    Returns
    -------
    For every time left out: ``time``; ``w1``, ``w2`` and ``mmd`` of the prediction and its relative ``mass_error``; ``w1`` of
    model-free predictions: ``w1_mccann`` (exact optimal transport between the neighbours), ``w1_previous`` and ``w1_next``
    (copies of a neighbour), ``w1_pooled`` (both, mixed by time); and ``w1_floor``, the distance between random halves.

    Raises
    ------
    KeyboardInterrupt
        If interrupted: an unfinished fit is no prediction.
    ValueError
        If there are fewer than three snapshots, or a time is not that of an inner snapshot.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, leave_one_out
    >>> cells = tuple(np.random.default_rng(0).normal(size=(3, 60, 2)))
    >>> table = leave_one_out(
    ...     Snapshots(np.arange(3.0), cells, np.ones(3)), FitConfig(n_steps=20, n_corrections=0)
    ... )
    >>> [row["time"] for row in table]
    [1.0]
    """
    if snapshots.n_snapshots < 3:
        raise ValueError(
            f"Leaving one out takes three snapshots or more, found {snapshots.n_snapshots}."
        )
    generator = as_generator(rng)
    snapshots = drop_isolated(snapshots)
    inner = snapshots.times[1:-1]
    left_out = inner if times is None else np.asarray(times)
    unknown = np.setdiff1d(left_out, inner)
    if unknown.size:
        raise ValueError(
            f"`times` holds {unknown.tolist()}: only inner times can be left out, {inner.tolist()}."
        )
    table = []
    for k in np.flatnonzero(np.isin(snapshots.times, left_out)).tolist():
        kept = snapshots.without(k)
        model, history = fit(kept, config, rng=generator, callback=callback)
        if history["interrupted"]:
            raise KeyboardInterrupt
        table.append(
            _compare(
                snapshots,
                k,
                *interpolate(model, kept, snapshots.times[k], rng=generator),
                model.config.growth,
            )
        )
    return table


def _compare(
    snapshots: Snapshots, k: int, states: np.ndarray, weights: np.ndarray, growth: bool
) -> dict[str, float]:
    rng = np.random.default_rng(0)
    before, seen, after = (
        subsample(snapshots.states[i], N_MAX, rng).numpy() for i in (k - 1, k, k + 1)
    )
    left, time, right = snapshots.times[k - 1 : k + 2]
    u = (time - left) / (right - left)
    mixed = np.concatenate(
        [np.full(len(before), (1 - u) / len(before)), np.full(len(after), u / len(after))]
    )
    mccann, mccann_weights = _displacement_interpolation(before, after, u)
    true_mass = snapshots.masses[k] / snapshots.masses[0] if growth else 1.0
    return {
        "time": float(time),
        "w1": wasserstein(states, seen, weights, n_max=2 * N_MAX),
        "w2": wasserstein(states, seen, weights, p=2, n_max=2 * N_MAX),
        "mmd": mmd(states, seen, weights),
        "mass_error": float(mass_error(weights.sum(), true_mass)),
        "w1_mccann": wasserstein(mccann, seen, mccann_weights, n_max=2 * N_MAX),
        "w1_previous": wasserstein(before, seen),
        "w1_next": wasserstein(after, seen),
        "w1_pooled": wasserstein(np.concatenate([before, after]), seen, mixed, n_max=2 * N_MAX),
        "w1_floor": noise_floor(seen),
    }


def _displacement_interpolation(
    x: np.ndarray, y: np.ndarray, u: float
) -> tuple[np.ndarray, np.ndarray]:
    """Exact optimal transport between two snapshots, stopped at ``u``: states and weights (McCann 1997)."""
    import ot

    x, y = x.astype(np.float64), y.astype(np.float64)
    p = ot.emd(ot.unif(len(x)), ot.unif(len(y)), ot.dist(x, y), numItermax=10_000_000)
    i, j = np.nonzero(p)
    return (1 - u) * x[i] + u * y[j], p[i, j]
