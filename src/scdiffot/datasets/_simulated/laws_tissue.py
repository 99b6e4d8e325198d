"""The law behind the simulated tissue: cells that differentiate, divide, die and migrate, all depending on each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from .laws import Law, evolve

TYPES = ("progenitor", "core", "pole")
# Paths in memory at a time
N_AT_ONCE = 200_000
# Lengths are in units of about the radius of the tissue, as in `_spatial_slices`.
PARAMS: dict[str, float] = {
    "speed": 0.6,  # maturation of progenitors
    "mature": 2.6,  # maturity at which it ends
    "mature_width": 0.3,
    "commitment": 1.0,  # maturity at which the fates part
    "commitment_width": 0.4,
    "split": 0.9,  # rate at which they do by themselves
    "pull": 0.8,  # rate at which progenitors are kept together before
    "fate_distance": 1.4,  # place of either fate beside the middle
    "position_to_fate": 0.5,  # speed at which the position sends cells to a fate
    "middle": 0.75,  # distance from the middle at which both fates are as likely
    "border": 0.5,  # width of the border there
    "fate_to_position": 0.2,  # speed at which the fate sends cells outwards or inwards
    "softening": 0.4,  # distance below which it does so less
    "expansion": 0.15,  # rate at which the tissue expands
    "elongation": 0.02,  # and becomes longer along the first axis, thinner along the second
    "local": 0.15,  # growth at the rim, relative to that of the core
    "rim": 0.85,  # distance around which local growth changes its sign
    "rim_width": 0.4,
    "state_noise": 0.08,
    "position_noise": 0.03,
    "start_spread": 0.1,
    "asynchrony": 0.35,  # differences in maturity at the start
    "before": 1.5,  # time from there to the first slice
}


def tissue_law(n_dims: int, growth: float, rng: np.random.Generator) -> Law:
    """Draw the law of a tissue; states are maturity, fate and further programmes, then the position in two dimensions.

    The drift of the state is the gradient of a potential, and so is that of the position: what snapshots can tell.
    """
    p = PARAMS
    # one row for every further programme
    waves = rng.normal(size=(n_dims - 2, 2))
    waves *= 3.0 / np.linalg.norm(waves, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, n_dims - 2)
    heights = 0.6 / np.sqrt(1 + np.arange(n_dims - 2))
    sigma = np.repeat([p["state_noise"], p["position_noise"]], [n_dims, 2])

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        maturity, fate, place = x[:, 0], x[:, 1], x[:, -2:]
        gate = _sigmoid((maturity - p["commitment"]) / p["commitment_width"])
        distance = np.sqrt(p["softening"] ** 2 + place[:, 0] ** 2)
        bias = p["position_to_fate"] * np.tanh((distance - p["middle"]) / p["border"])
        square = fate**2
        well = p["split"] * (1 - square / p["fate_distance"] ** 2)
        wells = p["split"] / 2 * square * (1 - square / (2 * p["fate_distance"] ** 2)) + bias * fate
        out = np.zeros_like(x)
        out[:, 0] = p["speed"] * _sigmoid((p["mature"] - maturity) / p["mature_width"])
        out[:, 0] += gate * (1 - gate) / p["commitment_width"] * (wells + p["pull"] / 2 * square)
        out[:, 1] = gate * (well * fate + bias) - (1 - gate) * p["pull"] * fate
        out[:, -2] = (p["expansion"] + p["elongation"]) * place[:, 0]
        out[:, -2] += p["fate_to_position"] * gate * fate * place[:, 0] / distance
        out[:, -1] = (p["expansion"] - p["elongation"]) * place[:, 1]
        return out

    def rate(x: np.ndarray, t: float) -> np.ndarray:
        gate = _sigmoid((x[:, 0] - p["commitment"]) / p["commitment_width"])
        pole = _sigmoid(4 * x[:, 1])
        local = np.tanh((np.linalg.norm(x[:, -2:], axis=1) - p["rim"]) / p["rim_width"])
        return growth * (0.5 * (1 - gate) + gate * (1 - 1.5 * pole) + p["local"] * local)

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        place = _egg(n, rng)
        x = p["start_spread"] * rng.normal(size=(n, n_dims))
        # the middle is ahead of the rim
        x[:, 0] += p["asynchrony"] * (rng.normal(size=n) + 1 - 2 * np.linalg.norm(place, axis=1))
        x[:, 2:] += heights * np.sin(place @ waves.T + phases)
        # the first slice has cells on their way already
        return evolve(
            law, np.hstack([x, place]), -p["before"], 0.0, dt=0.05, rng=rng, branch=False
        )[0]

    params: dict[str, Any] = {**p, "growth": growth}
    law = Law(drift, rate, sigma, initial, params=params)
    return law


def tissue_types(x: np.ndarray) -> np.ndarray:
    """Position in :data:`TYPES` of the type of every cell."""
    return np.where(x[:, 0] < PARAMS["commitment"], 0, np.where(x[:, 1] < 0, 1, 2))


def tissue_fates(
    law: Law,
    x: np.ndarray,
    t0: float,
    t1: float,
    *,
    n_paths: int,
    dt: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Types of the descendants at `t1` of cells at `t0`, shares ``(n, 3)``, and their expected number ``(n,)``.

    Every cell is followed along `n_paths` random paths, each weighted by the exponential of the growth along it.
    """
    if t1 <= t0:
        return np.eye(len(TYPES))[tissue_types(x)], np.ones(len(x))
    # further programmes change nothing about the fates
    law, x = tissue_law(2, law.params["growth"], rng), x[:, [0, 1, -2, -1]]
    shares, numbers = np.empty((len(x), len(TYPES))), np.empty(len(x))
    at_once = max(1, N_AT_ONCE // n_paths)
    for start in range(0, len(x), at_once):
        part = np.repeat(x[start : start + at_once], n_paths, axis=0)
        ends, log_weights = evolve(law, part, t0, t1, dt=dt, rng=rng, branch=False)
        members = np.exp(log_weights)[:, None] * np.eye(len(TYPES))[tissue_types(ends)]
        sums = members.reshape(-1, n_paths, len(TYPES)).sum(axis=1)
        shares[start : start + at_once] = sums / sums.sum(axis=1, keepdims=True)
        numbers[start : start + at_once] = sums.sum(axis=1) / n_paths
    return shares, numbers


def _egg(n: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform places in an egg with a bulge, a shape with neither rotations nor reflections onto itself."""
    angle = np.linspace(0, 2 * np.pi, 4097)
    radius = _outline(angle)
    # angles by area
    area = np.concatenate([[0.0], np.cumsum((radius[1:] ** 2 + radius[:-1] ** 2) / 2)])
    angles = np.interp(rng.random(n) * area[-1], area, angle)
    # the square root fills the area evenly
    lengths = np.sqrt(rng.random(n))
    centre = 2 / 3 * np.average(_edge(angle), axis=0, weights=radius**2)
    return lengths[:, None] * _edge(angles) - centre


def _edge(angle: np.ndarray) -> np.ndarray:
    return _outline(angle)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def _outline(angle: np.ndarray) -> np.ndarray:
    return 1 + 0.3 * np.cos(2 * angle) + 0.08 * np.cos(angle) + 0.1 * np.sin(3 * angle + 0.5)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
