"""Prediction of left-out snapshots, in comparison with model-free predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.config import FitConfig
from scdiffot.core.problem.outliers import drop_isolated
from scdiffot.core.problem.scales import subsample
from scdiffot.core.scores.distances import mass_error, mmd, noise_floor, wasserstein
from scdiffot.core.simulate.interpolation import interpolate

from .fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core.problem.config import Progress
    from scdiffot.core.problem.snapshots import Snapshots

# Cells of a snapshot that are compared; predictions may have twice as many.
N_MAX = 3000


def leave_one_out(
    snapshots: Snapshots,
    config: FitConfig | None = None,
    *,
    times: np.ndarray | None = None,
    rng: int | np.random.Generator = 0,
    callback: Callable[[Progress], None] | None = None,
) -> list[dict[str, float]]:
    """Leave out each inner snapshot in turn, fit the others, and predict it.

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
    For every left-out snapshot: ``time``; ``w1`` and ``w2`` (1- and 2-Wasserstein distance),
    ``mmd`` (maximum mean discrepancy) and relative ``mass_error`` of the prediction; ``w1`` of
    model-free predictions, namely ``w1_mccann`` (exact optimal transport between the neighbouring
    snapshots), ``w1_previous`` and ``w1_next`` (copies of a neighbour) and ``w1_pooled`` (both,
    mixed by time); and ``w1_floor``, the distance between random halves of the snapshot.

    Raises
    ------
    KeyboardInterrupt
        If interrupted: an unfinished fit gives no prediction.
    ValueError
        If there are fewer than three snapshots, or a time is not that of an inner snapshot.

    See Also
    --------
    fit : The fit that is repeated without each snapshot.
    interpolate : The prediction of a snapshot.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, leave_one_out
    >>> cells = tuple(np.random.default_rng(0).normal(size=(3, 60, 2)))
    >>> table = leave_one_out(
    ...     Snapshots(np.arange(3.0), cells, np.ones(3)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> [row["time"] for row in table]
    [1.0]
    """
    if snapshots.n_snapshots < 3:
        raise ValueError(
            f"Leaving one out takes three snapshots or more, found {snapshots.n_snapshots}."
        )
    generator = as_generator(rng)
    snapshots = drop_isolated(snapshots, (config or FitConfig()).outliers)
    inner = snapshots.times[1:-1]
    left_out = inner if times is None else np.asarray(times)
    unknown = np.setdiff1d(left_out, inner)
    if unknown.size:
        raise ValueError(
            f"`times` holds {unknown.tolist()}: only inner times can be left out, {inner.tolist()}."
        )
    table = []
    for k in np.flatnonzero(np.isin(snapshots.times, left_out)).tolist():
        training_snapshots = snapshots.without(k)
        model, history = fit(training_snapshots, config, rng=generator, callback=callback)
        if history["interrupted"]:
            raise KeyboardInterrupt
        table.append(
            _compare(
                snapshots,
                k,
                *interpolate(model, training_snapshots, snapshots.times[k], rng=generator),
                model.config.growth,
            )
        )
    return table


def _compare(
    snapshots: Snapshots, k: int, states: np.ndarray, weights: np.ndarray, growth: bool
) -> dict[str, float]:
    """Scores of a predicted snapshot ``k`` and of the model-free predictions."""
    rng = np.random.default_rng(0)
    earlier, observed, later = (
        subsample(snapshots.states[i], N_MAX, rng).numpy() for i in (k - 1, k, k + 1)
    )
    start, time, end = snapshots.times[k - 1 : k + 2]
    u = (time - start) / (end - start)
    mixed = np.concatenate(
        [
            np.full(len(earlier), (1 - u) / len(earlier)),
            np.full(len(later), u / len(later)),
        ]
    )
    mccann, mccann_weights = _displacement_interpolation(earlier, later, u)
    true_mass = snapshots.masses[k] / snapshots.masses[0] if growth else 1.0
    return {
        "time": float(time),
        "w1": wasserstein(states, observed, weights, n_max=2 * N_MAX),
        "w2": wasserstein(states, observed, weights, p=2, n_max=2 * N_MAX),
        "mmd": mmd(states, observed, weights),
        "mass_error": float(mass_error(weights.sum(), true_mass)),
        "w1_mccann": wasserstein(mccann, observed, mccann_weights, n_max=2 * N_MAX),
        "w1_previous": wasserstein(earlier, observed),
        "w1_next": wasserstein(later, observed),
        "w1_pooled": wasserstein(
            np.concatenate([earlier, later]), observed, mixed, n_max=2 * N_MAX
        ),
        "w1_floor": noise_floor(observed),
    }


def _displacement_interpolation(
    x: np.ndarray, y: np.ndarray, u: float
) -> tuple[np.ndarray, np.ndarray]:
    """McCann's displacement interpolation (1997) at ``u``: states ``(p, d)``, weights ``(p,)``."""
    import ot

    x, y = x.astype(np.float64), y.astype(np.float64)
    coupling = ot.emd(ot.unif(len(x)), ot.unif(len(y)), ot.dist(x, y), numItermax=10_000_000)
    i, j = np.nonzero(coupling)
    return (1 - u) * x[i] + u * y[j], coupling[i, j]
