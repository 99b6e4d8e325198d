"""Simulation of weighted particles by ordinary and stochastic differential equations (ODE, SDE)."""

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

from .trajectories import Trajectories

if TYPE_CHECKING:
    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Scaling

# Integration steps of an interval by default: midpoint for the ODE, Euler-Maruyama for the SDE.
N_STEPS_ODE, N_STEPS_SDE = 20, 60
# Times are equal if they differ by less than this share of the time between the first and the
# last snapshot.
TIME_TOLERANCE = 1e-7
Rates = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Particles = tuple[Tensor, Tensor]
Move = Callable[..., Tensor]
Step = Callable[[Tensor, Tensor, float, float], Particles]


def midpoint_step(
    rates: Rates, move: Move, x: Tensor, log_w: Tensor, t: float, dt: float
) -> Particles:
    """One explicit midpoint step of ``dx = v dt, dlog w = g dt``; ``dt`` may be negative.

    The first evaluation is just inside the step, because fields may jump at a snapshot.
    """
    velocity, _ = rates(x, torch.full_like(log_w, t + 1e-4 * dt))
    velocity, growth = rates(x + velocity * (dt / 2), torch.full_like(log_w, t + dt / 2))
    return move(x, velocity * dt), log_w + growth * dt


def euler_maruyama_step(
    rates: Rates, move: Move, x: Tensor, log_w: Tensor, t: float, dt: float, noise: Tensor
) -> Particles:
    """One Euler-Maruyama step of ``dX = b dt + sigma dW, dlog w = g dt``.

    ``dt`` may be negative.
    """
    velocity, growth = rates(x, torch.full_like(log_w, t + 1e-4 * dt))
    return move(x, velocity * dt, abs(dt) ** 0.5 * noise), log_w + growth * dt


@torch.no_grad()
def roll_out(fields: Fields, x: Tensor, times: np.ndarray, *, n_steps: int) -> list[Particles]:
    """States ``(n, d)`` and log weights ``(n,)`` at every snapshot, along the flow."""
    trajectory = [(x, torch.zeros_like(x[:, 0]))]
    for start, dt in zip(times[:-1], np.diff(times), strict=True):
        x, log_w = trajectory[-1]
        for j in range(n_steps):
            x, log_w = midpoint_step(
                fields.flow_and_growth,
                fields.move,
                x,
                log_w,
                start + j * dt / n_steps,
                dt / n_steps,
            )
        trajectory.append((x, log_w))
    return trajectory


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
    knots = model.scaling.time_in(model.times)
    n_steps = n_steps or (N_STEPS_ODE if kind == "ode" else N_STEPS_SDE)
    start, end = (float(model.scaling.time_in(t)) for t in (t0, t1))
    saved = (
        default_times(start, end, knots)
        if save_times is None
        else model.scaling.time_in(save_times)
    )
    grid, saved_mask = step_grid(start, end, knots, saved, n_steps)
    generator = torch.Generator().manual_seed(torch_seed(as_generator(rng)))
    initial = np.zeros(len(x0)) if log_weights is None else np.asarray(log_weights)
    step = _stepper(
        model.networks, kind, weighted=weighted, backward=end < start, generator=generator
    )
    states, log_w = _integrate(model.scaling, step, x0, initial, grid, saved_mask)
    named = np.concatenate([model.times, [t0, t1], [] if save_times is None else save_times])
    times = _user_times(grid[saved_mask], named, model)
    return Trajectories(times, states, log_w, np.arange(len(x0)))


def _integrate(
    scaling: Scaling,
    step: Step,
    x0: np.ndarray,
    log_w0: np.ndarray,
    grid: np.ndarray,
    saved_mask: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """States ``(S, N, d)`` and log weights ``(S, N)`` at the saved times of a grid, by chunks."""
    states = np.empty((saved_mask.sum(), *x0.shape), np.float32)
    weights = np.empty((saved_mask.sum(), len(x0)), np.float32)
    for first in range(0, len(x0), CHUNK_SIZE):
        chunk = slice(first, first + CHUNK_SIZE)
        x = torch.from_numpy(scaling.state_in(x0[chunk]))
        log_w = torch.as_tensor(log_w0[chunk], dtype=torch.float32)
        row = 0
        for i, t in enumerate(grid):
            if i:
                x, log_w = step(x, log_w, grid[i - 1], t - grid[i - 1])
            if saved_mask[i]:
                states[row, chunk] = scaling.state_out(x.numpy())
                weights[row, chunk] = log_w.numpy()
                row += 1
    return states, weights


def _user_times(grid: np.ndarray, named: np.ndarray, model: RUOTModel) -> np.ndarray:
    """Times in the user's unit; those that agree with `named` times up to rounding equal them."""
    times = grid * model.scaling.time_scale + model.scaling.time_shift
    nearest = named[np.abs(times[:, None] - named).argmin(axis=1)]
    return np.where(np.abs(times - nearest) <= TIME_TOLERANCE * np.ptp(model.times), nearest, times)


def _stepper(
    fields: Fields, kind: str, *, weighted: bool, backward: bool, generator: torch.Generator
) -> Step:
    """Integration step of a kind of dynamics."""

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
    """Integration grid, which includes snapshots and saved times, and a mask of the saved times."""
    low, high = min(start, end), max(start, end)
    tolerance = TIME_TOLERANCE * (knots[-1] - knots[0])
    saved = np.asarray(saved, dtype=np.float64)
    if saved.size == 0 or saved.min() < low - tolerance or saved.max() > high + tolerance:
        raise ValueError(
            f"`save_times` must lie between the start and the end, found {saved.tolist()}."
        )
    stops = np.unique(
        np.concatenate(
            [[low], knots[(knots > low) & (knots < high)], saved.clip(low, high), [high]]
        )
    )
    stops = stops[np.concatenate([[True], np.diff(stops) > tolerance])]
    grid = [stops[:1]]
    for first, last in zip(stops[:-1], stops[1:], strict=True):
        k = np.clip(np.searchsorted(knots, (first + last) / 2) - 1, 0, len(knots) - 2)
        n = max(int(np.ceil(n_steps * (last - first) / (knots[k + 1] - knots[k]) - 1e-6)), 1)
        grid.append(np.linspace(first, last, n + 1)[1:])
    times = np.concatenate(grid)
    saved_mask = np.abs(times[:, None] - saved).min(1) <= tolerance
    return (times, saved_mask) if end >= start else (times[::-1].copy(), saved_mask[::-1].copy())
