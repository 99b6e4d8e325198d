"""Weighted particles: ODE, forward SDE and backward SDE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.options import MAX_STEPS, check_choice, check_count
from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.nets.fields import reversed_drift_and_growth
from scdiffot.core.nets.model import CHUNK_SIZE, RUOTModel
from scdiffot.core.problem.scales import subsample

from .trajectories import Trajectories

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Snapshots

MAX_CELLS = 20_000
# Times that differ by less than this share of the course are equal.
TIME_TOLERANCE = 1e-7
Rates = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Particles = tuple[Tensor, Tensor]
Move = Callable[..., Tensor]


def midpoint_step(
    rates: Rates, move: Move, x: Tensor, log_w: Tensor, t: float, dt: float
) -> Particles:
    """One explicit midpoint step of ``dx = v dt, dlog w = g dt``; ``dt`` may be negative.

    The slope at the start is taken just inside the step, where fields that jump at a snapshot have their one-sided limit.
    """
    velocity, _ = rates(x, torch.full_like(log_w, t + 1e-4 * dt))
    velocity, growth = rates(x + velocity * (dt / 2), torch.full_like(log_w, t + dt / 2))
    return move(x, velocity * dt), log_w + growth * dt


def euler_maruyama_step(
    rates: Rates, move: Move, x: Tensor, log_w: Tensor, t: float, dt: float, noise: Tensor
) -> Particles:
    """One Euler-Maruyama step of ``dX = b dt + sigma dW, dlog w = g dt``; ``dt`` may be negative."""
    velocity, growth = rates(x, torch.full_like(log_w, t + 1e-4 * dt))
    return move(x, velocity * dt, abs(dt) ** 0.5 * noise), log_w + growth * dt


@torch.no_grad()
def roll_out(fields: Fields, x: Tensor, times: np.ndarray, *, n_steps: int) -> list[Particles]:
    """Particles (n, d) and log weights (n,) at every snapshot along the flow, in the solver's units."""
    paths = [(x, torch.zeros_like(x[:, 0]))]
    for start, dt in zip(times[:-1], np.diff(times), strict=True):
        x, log_w = paths[-1]
        for j in range(n_steps):
            x, log_w = midpoint_step(
                fields.flow_and_growth,
                fields.move,
                x,
                log_w,
                start + j * dt / n_steps,
                dt / n_steps,
            )
        paths.append((x, log_w))
    return paths


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

    Forward: ``dx = v dt`` (``"ode"``) or ``dX = b dt + sigma dW`` (``"sde"``), with ``dlog w = g dt``. With ``t1 < t0`` the same
    runs backward, the SDE as the time reversal ``dY = (-b + sigma^2 s) ds + sigma dW``.

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
        Deterministic flow or stochastic paths.
    n_steps
        Steps in an interval between snapshots; 20 (midpoint) for the ODE and 60 (Euler-Maruyama) for the SDE.
    save_times
        Times to keep; by default the start, the end and 20 times in every interval.
    log_weights
        Log weights at the start, shape ``(N,)``; zeros by default.
    weighted
        Whether weights follow the growth. Backward and unweighted, the paths are the ancestors of given cells, of whom
        each has one; backward and weighted, they reconstruct the earlier population.
    rng
        Seed or generator of the noise.

    Returns
    -------
    The trajectories, in the user's units.

    Raises
    ------
    ValueError
        If a time lies outside the snapshots, `kind` is unknown, or shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit, simulate
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(n_steps=20, n_corrections=0),
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
    knots = model.scaling.time_in(model.times)
    n_steps = n_steps or (20 if kind == "ode" else 60)
    start, end = (float(model.scaling.time_in(t)) for t in (t0, t1))
    saved = (
        default_times(start, end, knots)
        if save_times is None
        else model.scaling.time_in(save_times)
    )
    grid, keep = step_grid(start, end, knots, saved, n_steps)
    generator = torch.Generator().manual_seed(torch_seed(as_generator(rng)))
    initial = np.zeros(len(x0)) if log_weights is None else np.asarray(log_weights)
    states = np.empty((keep.sum(), *x0.shape), np.float32)
    weights = np.empty((keep.sum(), len(x0)), np.float32)
    step = _stepper(
        model.networks, kind, weighted=weighted, backward=end < start, generator=generator
    )
    for first in range(0, len(x0), CHUNK_SIZE):
        part = slice(first, first + CHUNK_SIZE)
        x = torch.from_numpy(model.scaling.state_in(x0[part]))
        log_w = torch.as_tensor(initial[part], dtype=torch.float32)
        row = 0
        for i, t in enumerate(grid):
            if i:
                x, log_w = step(x, log_w, grid[i - 1], t - grid[i - 1])
            if keep[i]:
                states[row, part] = model.scaling.state_out(x.numpy())
                weights[row, part] = log_w.numpy()
                row += 1
    named = np.concatenate([model.times, [t0, t1], [] if save_times is None else save_times])
    return Trajectories(_named_times(grid[keep], named, model), states, weights, np.arange(len(x0)))


def _named_times(grid: np.ndarray, named: np.ndarray, model: RUOTModel) -> np.ndarray:
    """Times in the user's unit, without the rounding errors of the conversion where the user knows them."""
    times = grid * model.scaling.time_scale + model.scaling.time_shift
    nearest = named[np.abs(times[:, None] - named).argmin(axis=1)]
    return np.where(np.abs(times - nearest) <= TIME_TOLERANCE * np.ptp(model.times), nearest, times)


def _stepper(
    fields: Fields, kind: str, *, weighted: bool, backward: bool, generator: torch.Generator
) -> Callable[[Tensor, Tensor, float, float], Particles]:
    def flow(x: Tensor, t: Tensor) -> Particles:
        velocity, growth = fields.flow_and_growth(x, t)
        return velocity, growth * weighted

    def drift(x: Tensor, t: Tensor) -> Particles:
        velocity, growth = (
            reversed_drift_and_growth(fields, x, t) if backward else fields.drift_and_growth(x, t)
        )
        return velocity, growth * weighted

    @torch.no_grad()
    def step(x: Tensor, log_w: Tensor, t: float, dt: float) -> Particles:
        if kind == "ode":
            return midpoint_step(flow, fields.move, x, log_w, t, dt)
        noise = fields.sigma * torch.randn(x.shape, generator=generator)
        return euler_maruyama_step(drift, fields.move, x, log_w, t, dt, noise)

    return step


def default_times(start: float, end: float, knots: np.ndarray, n: int = 20) -> np.ndarray:
    """Start, end, and ``n`` times in every interval between them."""
    grid = np.concatenate(
        [np.linspace(a, b, n + 1) for a, b in zip(knots[:-1], knots[1:], strict=True)]
    )
    low, high = min(start, end), max(start, end)
    return np.concatenate([[low], grid[(grid > low) & (grid < high)], [high]])


def step_grid(
    start: float, end: float, knots: np.ndarray, saved: np.ndarray, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times to step through, which stop at every snapshot and saved time, and which of them to keep."""
    low, high = min(start, end), max(start, end)
    near = TIME_TOLERANCE * (knots[-1] - knots[0])
    saved = np.asarray(saved, dtype=np.float64)
    if saved.size == 0 or saved.min() < low - near or saved.max() > high + near:
        raise ValueError(
            f"`save_times` must lie between the start and the end, found {saved.tolist()}."
        )
    stops = np.unique(
        np.concatenate(
            [[low], knots[(knots > low) & (knots < high)], saved.clip(low, high), [high]]
        )
    )
    stops = stops[np.concatenate([[True], np.diff(stops) > near])]
    grid = [stops[:1]]
    for left, right in zip(stops[:-1], stops[1:], strict=True):
        k = np.clip(np.searchsorted(knots, (left + right) / 2) - 1, 0, len(knots) - 2)
        n = max(int(np.ceil(n_steps * (right - left) / (knots[k + 1] - knots[k]) - 1e-6)), 1)
        grid.append(np.linspace(left, right, n + 1)[1:])
    times = np.concatenate(grid)
    keep = np.abs(times[:, None] - saved).min(1) <= near
    return (times, keep) if end >= start else (times[::-1].copy(), keep[::-1].copy())


def interpolate(
    model: RUOTModel, snapshots: Snapshots, time: float, *, rng: int | np.random.Generator = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Virtual snapshot at any time between the first and the last.

    Cells of the snapshots before and after are carried to ``time``, forward and backward, and count the more the nearer their
    snapshot is: along the flow, or by the stochastic dynamics where autonomous fields explain spread by noise. At a
    snapshot it is that snapshot.

    Parameters
    ----------
    model
        A fitted model.
    snapshots
        The snapshots it was fitted to.
    time
        Time, in the user's unit.
    rng
        Seed or generator that thins snapshots of more than 20,000 cells, and of the noise.

    Returns
    -------
    States (N, d), and weights (N,) that sum to the relative mass of the population at that time.

    Raises
    ------
    ValueError
        If `time` lies outside the snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit, interpolate
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> snapshots = Snapshots(np.array([0.0, 1.0]), cells, np.ones(2))
    >>> model, _ = fit(snapshots, FitConfig(n_steps=20, n_corrections=0))
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
        kind, at = model.population_kind, np.array([time])
        path = simulate(model, x, times[source], t1=time, kind=kind, save_times=at, rng=generator)
        parts.append((path.states[-1], path.weights[-1] * share * model.masses[source] / len(x)))
    return np.concatenate([x for x, _ in parts]), np.concatenate([w for _, w in parts])
