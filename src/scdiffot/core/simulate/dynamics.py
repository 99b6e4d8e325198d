"""Simulation of weighted particles by ordinary and stochastic differential equations (ODE, SDE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from scdiffot._utils.options import MAX_STEPS, check_choice, check_count
from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.nets.model import CHUNK_SIZE, RUOTModel

from .integration import gaussian_noise, integrate
from .particles import Particles
from .schedule import TIME_TOLERANCE, build_schedule, default_times
from .schemes import euler_maruyama, midpoint
from .trajectories import Trajectories
from .vector_field import ProbabilityFlow, TimeReversal, VectorField, WithoutGrowth

if TYPE_CHECKING:
    from scdiffot.core.problem.snapshots import Scaling

    from .integration import Noise
    from .schedule import Leg
    from .schemes import Scheme

# Integration steps of an interval by default: midpoint for the ODE, Euler-Maruyama for the SDE.
N_STEPS_ODE, N_STEPS_SDE = 20, 60


def simulate(
    model: RUOTModel,
    x0: np.ndarray,
    t0: float,
    *,
    t1: float,
    kind: Literal["ode", "sde"] = "ode",
    n_steps: int | None = None,
    save_times: np.ndarray | None = None,
    log_weights: np.ndarray | None = None,
    weighted: bool = True,
    rng: int | np.random.Generator = 0,
) -> Trajectories:
    """Move weighted particles through the fitted fields.

    Forward, ``dx = v dt`` (``"ode"``, ordinary differential equation) or ``dX = b dt + sigma dW``
    (``"sde"``, stochastic differential equation), with ``dlog w = g dt``. If ``t1 < t0``, the ODE
    is solved backward in time, and the SDE is replaced by its time reversal
    ``dY = (-b + sigma^2 s) ds + sigma dW``.

    Parameters
    ----------
    model
        A fitted model.
    x0
        States at the start, shape ``(N, d)``.
    t0
        Start, within the times of the model.
    t1
        End; before `t0` to go backward.
    kind
        Deterministic flow or stochastic trajectories.
    n_steps
        Steps per interval between snapshots; 20 (midpoint) for the ODE and 60 (Euler-Maruyama)
        for the SDE by default.
    save_times
        Times to save; by default the start, the end and 20 times in every interval.
    log_weights
        Log weights at the start, shape ``(N,)``; zeros by default.
    weighted
        Whether weights follow the growth. Backward and unweighted, trajectories are ancestors of
        the given cells, one for each. Backward and weighted, they reconstruct the earlier
        population.
    rng
        Seed or generator of the noise.

    Returns
    -------
    The trajectories, in the user's units.

    Raises
    ------
    ValueError
        If a time lies outside the snapshots, `kind` is unknown, or shapes disagree.

    See Also
    --------
    interpolate : The population at a time between snapshots.
    fit : The fit of a model.
    Trajectories : The result, with the population at any of its times.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit, simulate
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> simulate(model, cells[0], 0.0, t1=1.0).states.shape
    (21, 60, 2)
    """
    kind = check_choice("kind", kind, ("ode", "sde"))
    if n_steps is not None:
        n_steps = check_count("n_steps", n_steps, 1, MAX_STEPS)
    x0 = np.asarray(x0)
    if x0.ndim != 2 or x0.shape[1] != model.n_dims:
        raise ValueError(f"`x0` has shape {x0.shape}: pass states of shape (N, {model.n_dims}).")
    for name, time in (("t0", t0), ("t1", t1)):
        if not model.times[0] <= time <= model.times[-1]:
            raise ValueError(
                f"`{name}` is {time}: pass a time from {model.times[0]} to {model.times[-1]}."
            )
    snapshot_times = model.scaling.time_in(model.times)
    n_steps = n_steps or (N_STEPS_ODE if kind == "ode" else N_STEPS_SDE)
    start, end = (float(model.scaling.time_in(t)) for t in (t0, t1))
    saved = (
        default_times(start, end, snapshot_times)
        if save_times is None
        else _check_saved(model, save_times, (start, end))
    )
    schedule = build_schedule(np.concatenate([[start], saved, [end]]), snapshot_times, n_steps)
    stops = np.array([start, *(leg.end for leg in schedule)])
    tolerance = TIME_TOLERANCE * np.ptp(snapshot_times)
    is_saved = np.abs(stops[:, None] - saved).min(1) <= tolerance
    generator = torch.Generator().manual_seed(torch_seed(as_generator(rng)))
    noise = gaussian_noise(model.networks.sigma, generator) if kind == "sde" else None
    initial = np.zeros(len(x0)) if log_weights is None else np.asarray(log_weights)
    field = _dynamics(model, kind, weighted=weighted, backward=end < start)
    scheme = midpoint if kind == "ode" else euler_maruyama
    states, log_w = _record(
        model.scaling, field, (x0, initial), schedule, is_saved, scheme=scheme, noise=noise
    )
    named = np.concatenate([model.times, [t0, t1], [] if save_times is None else save_times])
    times = _user_times(stops[is_saved], named, model)
    return Trajectories(times, states, log_w, np.arange(len(x0)))


def _check_saved(model: RUOTModel, save_times: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Times to save, in solver's time, between the start and the end."""
    saved = np.asarray(model.scaling.time_in(save_times), dtype=np.float64)
    tolerance = TIME_TOLERANCE * np.ptp(model.scaling.time_in(model.times))
    low, high = min(ends), max(ends)
    if saved.size == 0 or saved.min() < low - tolerance or saved.max() > high + tolerance:
        raise ValueError(
            "`save_times` must lie between the start and the end, found "
            f"{np.asarray(save_times).tolist()}."
        )
    return saved.clip(low, high)


def _dynamics(model: RUOTModel, kind: str, *, weighted: bool, backward: bool) -> VectorField:
    """Vector field of a kind of dynamics."""
    field: VectorField = model.networks
    if kind == "ode":
        field = ProbabilityFlow(model.networks)
    elif backward:
        field = TimeReversal(model.networks)
    return field if weighted else WithoutGrowth(field)


@torch.no_grad()
def _record(
    scaling: Scaling,
    field: VectorField,
    initial: tuple[np.ndarray, np.ndarray],
    schedule: list[Leg],
    is_saved: np.ndarray,
    *,
    scheme: Scheme,
    noise: Noise | None,
) -> tuple[np.ndarray, np.ndarray]:
    """States ``(S, N, d)`` and log weights ``(S, N)`` at the saved stops, by chunks."""
    x0, log_w0 = initial
    states = np.empty((is_saved.sum(), *x0.shape), np.float32)
    weights = np.empty((is_saved.sum(), len(x0)), np.float32)
    for first in range(0, len(x0), CHUNK_SIZE):
        chunk = slice(first, first + CHUNK_SIZE)
        particles = Particles(
            torch.from_numpy(scaling.state_in(x0[chunk])),
            torch.as_tensor(log_w0[chunk], dtype=torch.float32),
        )
        row = 0
        for legs, saved in zip([[], *([leg] for leg in schedule)], is_saved, strict=True):
            integrate(field, particles, legs, scheme=scheme, noise=noise)
            if saved:
                states[row, chunk] = scaling.state_out(particles.x.numpy())
                weights[row, chunk] = particles.log_w.numpy()
                row += 1
    return states, weights


def _user_times(grid: np.ndarray, named: np.ndarray, model: RUOTModel) -> np.ndarray:
    """Times in the user's unit; those that agree with `named` times up to rounding equal them."""
    times = grid * model.scaling.time_scale + model.scaling.time_shift
    nearest = named[np.abs(times[:, None] - named).argmin(axis=1)]
    return np.where(np.abs(times - nearest) <= TIME_TOLERANCE * np.ptp(model.times), nearest, times)
