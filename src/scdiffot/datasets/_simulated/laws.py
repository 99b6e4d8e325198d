"""The laws behind the simulators: drift, growth and noise as functions of state and time.

Each snapshot is an independent population, as in an experiment that destroys the cells it
measures: `simulate_law` starts every snapshot from new cells of the initial law.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Law:
    """A branching diffusion ``dX = drift dt + sigma dW`` with the net growth rate `growth`.

    Parameters
    ----------
    drift
        ``drift(x, t)``: states of shape ``(n, d)`` and a time to velocities ``(n, d)``, state per
        time.
    growth
        ``growth(x, t)``: the same to net rates ``(n,)``, per time.
    sigma
        Diffusion of each dimension, shape ``(d,)``, state per square root of time.
    initial
        ``initial(n, rng)``: cells at time zero.
    lower
        Bound below which a state is set back to it.
    division_noise
        Standard deviation by which a daughter differs from its mother, state.
    params
        Parameters of the law, by name.
    """

    drift: Callable[[np.ndarray, float], np.ndarray]
    growth: Callable[[np.ndarray, float], np.ndarray]
    sigma: np.ndarray
    initial: Callable[[int, np.random.Generator], np.ndarray]
    lower: float = -np.inf
    division_noise: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)


def evolve(
    law: Law,
    x: np.ndarray,
    t0: float,
    t1: float,
    *,
    dt: float,
    rng: np.random.Generator,
    branch: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate cells from `t0` to `t1` by Euler-Maruyama steps.

    If `branch`, cells divide and die: in a step each leaves ``exp(growth dt)`` descendants on
    average, drawn by systematic sampling, so that the population follows its expected size to
    within one cell a step. Otherwise every cell stays, and its log-weight is the integral of the
    growth.

    Parameters
    ----------
    law
        Law of the cells.
    x
        Cells at `t0`, shape ``(n, d)``.
    t0, t1
        Start and end.
    dt
        Largest step.
    rng
        Generator.
    branch
        Whether cells divide and die.

    Returns
    -------
    States ``(m, d)`` and log-weights ``(m,)`` at `t1`; the log-weights are zero after branching.
    """
    n_steps = max(1, int(np.ceil((t1 - t0) / dt - 1e-9)))
    dt = (t1 - t0) / n_steps
    x = np.array(x, dtype=np.float64)
    log_weights = np.zeros(len(x))
    for step in range(n_steps):
        t = t0 + step * dt
        log_growth = law.growth(x, t) * dt
        if branch:
            x = _divide(x, np.exp(log_growth), law, rng)
        else:
            log_weights += log_growth
        x = x + law.drift(x, t) * dt + law.sigma * np.sqrt(dt) * rng.normal(size=x.shape)
        if law.lower > -np.inf:
            np.maximum(x, law.lower, out=x)
    return x, np.zeros(len(x)) if branch else log_weights


def simulate_law(
    law: Law, n_obs: int, times: tuple[float, ...], *, dt: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Simulate independent snapshots of branching populations that start with `n_obs` cells."""
    start = times[0]
    snapshots = []
    for t in times:
        x = law.initial(n_obs, rng)
        snapshots.append(evolve(law, x, start, t, dt=dt, rng=rng)[0] if t > start else x)
    return snapshots


def _divide(x: np.ndarray, offspring: np.ndarray, law: Law, rng: np.random.Generator) -> np.ndarray:
    """Replace every cell by its offspring, given their expected numbers."""
    edges = np.floor(np.cumsum(offspring) + rng.random()).astype(int)
    counts = np.diff(edges, prepend=0)
    mothers = np.repeat(np.arange(len(x)), counts)
    daughters = x[mothers]
    if law.division_noise:
        dividing = counts[mothers] > 1
        shape = (int(dividing.sum()), x.shape[1])
        daughters[dividing] += law.division_noise * rng.normal(size=shape)
    return daughters


def _hill(x: np.ndarray, threshold: float, n: int) -> np.ndarray:
    return x**n / (threshold**n + x**n)


def misa_law() -> Law:
    """Two genes that inhibit each other and activate themselves.

    See :func:`~scdiffot.datasets.misa`.
    """
    p: dict[str, Any] = {
        "activation": 0.7,
        "inhibition": 0.8,
        "threshold": 0.5,
        "hill": 4,
        "decay": 1.0,
        "birth": 1.285,
        "death": 0.573,
        "start": 2.0,
        "start_spread": 0.155,
    }
    sigma = np.sqrt(2 * 0.0375)

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        active = _hill(np.maximum(x, 0), p["threshold"], p["hill"])
        return p["activation"] * active + p["inhibition"] * (1 - active[:, ::-1]) - p["decay"] * x

    def growth(x: np.ndarray, t: float) -> np.ndarray:
        return p["birth"] * _hill(x[:, 0], 1.0, 2) - p["death"]

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(p["start"], p["start_spread"], size=(n, 2))

    return Law(drift, growth, np.full(2, sigma), initial, lower=0.0, params=p)


def gene_network_law() -> Law:
    """Two genes that compete and a third that silences both.

    See :func:`~scdiffot.datasets.gene_network`.
    """
    p: dict[str, Any] = {
        "activation": np.array([0.5, 1.0, 1.0]),
        "inhibition": np.array([0.5, 1.0, 10.0]),
        "signal": 1.0,
        "decay": 0.4,
        "division": 0.065,
        "division_noise": 0.014,
        "start_spread": 0.1,
    }

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        (a1, a2, a3), (g1, g2, g3), b = p["activation"], p["inhibition"], p["signal"]
        s1, s2, s3 = np.square(x).T
        production = np.stack(
            [
                (a1 * s1 + b) / (1 + a1 * s1 + g2 * s2 + g3 * s3 + b),
                (a2 * s2 + b) / (1 + g1 * s1 + a2 * s2 + g3 * s3 + b),
                a3 * s3 / (1 + a3 * s3),
            ],
            axis=1,
        )
        return production - p["decay"] * x

    def growth(x: np.ndarray, t: float) -> np.ndarray:
        return p["division"] * _hill(x[:, 1], 1.0, 2)

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        centres = np.array([[2.0, 0.2, 0.0], [0.0, 0.0, 2.0]])
        x = centres[np.arange(n) * 2 // n] + p["start_spread"] * rng.normal(size=(n, 3))
        return np.maximum(x, 0)

    sigma = np.array([0.05, 0.05, 0.01])
    return Law(
        drift, growth, sigma, initial, lower=0.0, division_noise=p["division_noise"], params=p
    )


_VELOCITIES = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
_RATES = np.array([0.0, 0.0, np.log(10.0)])
_VARIANCE = 0.005


def gaussian_mixture_components(n_dims: int, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres, shape ``(3, n_dims)``, and masses, shape ``(3,)``, at a time."""
    centres = np.zeros((3, n_dims))
    centres[2, 1] = 2.5
    centres[:, :2] += t * _VELOCITIES
    return centres, np.array([0.4, 0.4, 0.2]) * np.exp(_RATES * t)


def gaussian_mixture_law(n_dims: int, sigma: float) -> Law:
    """Clusters that move and grow; see :func:`~scdiffot.datasets.gaussian_mixture`."""
    velocities = np.zeros((3, n_dims))
    velocities[:, :2] = _VELOCITIES
    pull = sigma**2 / (2 * _VARIANCE)

    def responsibilities(x: np.ndarray, t: float) -> np.ndarray:
        centres, masses = gaussian_mixture_components(n_dims, t)
        # the square of x is the same for all clusters, so it cancels
        log_r = np.log(masses) + (x @ centres.T - np.square(centres).sum(axis=1) / 2) / _VARIANCE
        log_r -= log_r.max(axis=1, keepdims=True)
        r = np.exp(log_r)
        return r / r.sum(axis=1, keepdims=True)

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        centres, _ = gaussian_mixture_components(n_dims, t)
        # the responsibilities of a point sum to one
        return responsibilities(x, t) @ (velocities + pull * centres) - pull * x

    def growth(x: np.ndarray, t: float) -> np.ndarray:
        return responsibilities(x, t) @ _RATES

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        centres, masses = gaussian_mixture_components(n_dims, 0.0)
        clusters = np.searchsorted(np.cumsum(masses), (np.arange(n) + 0.5) / n)
        return centres[clusters] + np.sqrt(_VARIANCE) * rng.normal(size=(n, n_dims))

    params = {"variance": _VARIANCE, "velocities": velocities, "rates": _RATES}
    return Law(drift, growth, np.full(n_dims, sigma), initial, params=params)
