"""Virtual snapshots between the observed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.scales import subsample

from .dynamics import simulate

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel
    from scdiffot.core.problem.snapshots import Snapshots

# Cells of a snapshot that are simulated for an interpolation.
MAX_CELLS = 20_000


def interpolate(
    model: RUOTModel, snapshots: Snapshots, time: float, *, rng: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Virtual snapshot at any time between the first and the last.

    Cells of the snapshots before and after are simulated to ``time``, forward and backward. Their
    weights decrease linearly with the distance in time. The simulation is stochastic for
    autonomous fields and deterministic otherwise. At the time of a snapshot the result is that
    snapshot.

    Parameters
    ----------
    model
        A fitted model.
    snapshots
        The snapshots to which it was fitted.
    time
        Time, in the user's unit.
    rng
        Seed or generator of the noise, and of the subsets of snapshots of more than 20,000 cells.

    Returns
    -------
    States ``(N, d)``, and weights ``(N,)`` that sum to the relative mass of the population then.

    Raises
    ------
    ValueError
        If `time` lies outside the snapshots.

    See Also
    --------
    simulate : Trajectories of given cells.
    leave_one_out : Error of the interpolation at left-out snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit, interpolate
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> snapshots = Snapshots(np.array([0.0, 1.0]), cells, np.ones(2))
    >>> model, _ = fit(snapshots, FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}))
    >>> states, weights = interpolate(model, snapshots, 0.25)
    >>> states.shape
    (120, 2)
    """
    times = model.times
    if not times[0] <= time <= times[-1]:
        raise ValueError(f"`time` is {time}: pass a time from {times[0]} to {times[-1]}.")
    generator = as_generator(rng)
    k = int(np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(times) - 2))
    u = (time - times[k]) / (times[k + 1] - times[k])
    parts = []
    for source, share in ((k, 1 - u), (k + 1, u)):
        if share < 1e-9:
            continue
        x = subsample(snapshots.states[source], MAX_CELLS, generator).numpy()
        trajectories = simulate(
            model,
            x,
            times[source],
            t1=time,
            kind=model.population_kind,
            save_times=np.array([time]),
            rng=generator,
        )
        weights = trajectories.weights[-1] * share * model.masses[source] / len(x)
        parts.append((trajectories.states[-1], weights))
    return np.concatenate([x for x, _ in parts]), np.concatenate([w for _, w in parts])
