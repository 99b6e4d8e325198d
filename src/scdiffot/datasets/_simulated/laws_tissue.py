"""The law of the simulated tissue: cells differentiate, divide, die and migrate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .laws import Law, evolve

TYPES = ("progenitor", "core", "pole")
# Trajectories in memory at a time
CHUNK_SIZE = 200_000
# Lengths are in units of about the radius of the tissue, as in `_spatial_slices`.
PARAMS: dict[str, float] = {
    "speed": 0.6,  # maturation of progenitors
    "mature": 2.6,  # maturity at which maturation ends
    "mature_width": 0.3,
    "commitment": 1.0,  # maturity at which the fates diverge
    "commitment_width": 0.4,
    "split": 0.9,  # rate at which they diverge without the effect of position
    "pull": 0.8,  # rate at which the fate of progenitors returns to zero
    "fate_distance": 1.4,  # distance of either well from zero
    "position_to_fate": 0.5,  # speed at which the position moves the fate
    "middle": 0.75,  # distance from the middle at which both fates are equally likely
    "border": 0.5,  # width of the border at this distance
    "fate_to_position": 0.2,  # speed at which the fate moves cells outwards or inwards
    "softening": 0.4,  # distance below which this speed decreases
    "expansion": 0.15,  # rate at which the tissue expands
    "elongation": 0.02,  # additional rate along the first axis, subtracted along the second
    "local": 0.15,  # growth at the rim, relative to that of the core
    "rim": 0.85,  # distance around which local growth changes its sign
    "rim_width": 0.4,
    "state_noise": 0.08,
    "position_noise": 0.03,
    "start_spread": 0.1,
    "asynchrony": 0.35,  # differences in maturity at the start
    "before": 1.5,  # time from the start to the first slice
}


def tissue_law(n_dims: int, growth: float, rng: np.random.Generator) -> Law:
    """Draw the law of a tissue.

    States are maturity, fate and further programmes, then the position in two dimensions. The
    drift of the state is the gradient of a potential, and so is that of the position, because
    snapshots identify gradients only.
    """
    p = PARAMS
    waves = rng.normal(size=(n_dims - 2, 2))
    waves *= 3.0 / np.linalg.norm(waves, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, n_dims - 2)
    heights = 0.6 / np.sqrt(1 + np.arange(n_dims - 2))
    sigma = np.repeat([p["state_noise"], p["position_noise"]], [n_dims, 2])

    def drift(x: np.ndarray, t: float) -> np.ndarray:
        maturity, fate, position = x[:, 0], x[:, 1], x[:, -2:]
        gate = _sigmoid((maturity - p["commitment"]) / p["commitment_width"])
        distance = np.sqrt(p["softening"] ** 2 + position[:, 0] ** 2)
        bias = p["position_to_fate"] * np.tanh((distance - p["middle"]) / p["border"])
        square = fate**2
        slope = p["split"] * (1 - square / p["fate_distance"] ** 2)
        double_well = p["split"] / 2 * square * (1 - square / (2 * p["fate_distance"] ** 2))
        potential = double_well + bias * fate + p["pull"] / 2 * square
        velocity = np.zeros_like(x)
        velocity[:, 0] = p["speed"] * _sigmoid((p["mature"] - maturity) / p["mature_width"])
        velocity[:, 0] += gate * (1 - gate) / p["commitment_width"] * potential
        velocity[:, 1] = gate * (slope * fate + bias) - (1 - gate) * p["pull"] * fate
        velocity[:, -2] = (p["expansion"] + p["elongation"]) * position[:, 0]
        velocity[:, -2] += p["fate_to_position"] * gate * fate * position[:, 0] / distance
        velocity[:, -1] = (p["expansion"] - p["elongation"]) * position[:, 1]
        return velocity

    def rate(x: np.ndarray, t: float) -> np.ndarray:
        gate = _sigmoid((x[:, 0] - p["commitment"]) / p["commitment_width"])
        pole = _sigmoid(4 * x[:, 1])
        local = np.tanh((np.linalg.norm(x[:, -2:], axis=1) - p["rim"]) / p["rim_width"])
        return growth * (0.5 * (1 - gate) + gate * (1 - 1.5 * pole) + p["local"] * local)

    def initial(n: int, rng: np.random.Generator) -> np.ndarray:
        positions = _draw_positions(n, rng)
        x = p["start_spread"] * rng.normal(size=(n, n_dims))
        # the middle of the tissue is more mature than the rim
        distances = np.linalg.norm(positions, axis=1)
        x[:, 0] += p["asynchrony"] * (rng.normal(size=n) + 1 - 2 * distances)
        x[:, 2:] += heights * np.sin(positions @ waves.T + phases)
        # differentiation starts before the first slice
        start = np.hstack([x, positions])
        return evolve(law, start, -p["before"], 0.0, dt=0.05, rng=rng, branch=False)[0]

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
    """Shares of the types among the descendants of every cell, and their number.

    The descendants at `t1` of cells at `t0` have shares of shape ``(n, 3)`` and expected numbers
    of shape ``(n,)``. They are estimated from `n_paths` trajectories of every cell, each weighted
    by the exponential of its integrated growth.
    """
    if t1 <= t0:
        return np.eye(len(TYPES))[tissue_types(x)], np.ones(len(x))
    # further programmes have no effect on the fates
    law, x = tissue_law(2, law.params["growth"], rng), x[:, [0, 1, -2, -1]]
    shares, numbers = np.empty((len(x), len(TYPES))), np.empty(len(x))
    n_cells = max(1, CHUNK_SIZE // n_paths)
    for start in range(0, len(x), n_cells):
        chunk = np.repeat(x[start : start + n_cells], n_paths, axis=0)
        ends, log_weights = evolve(law, chunk, t0, t1, dt=dt, rng=rng, branch=False)
        descendants = np.exp(log_weights)[:, None] * np.eye(len(TYPES))[tissue_types(ends)]
        sums = descendants.reshape(-1, n_paths, len(TYPES)).sum(axis=1)
        shares[start : start + n_cells] = sums / sums.sum(axis=1, keepdims=True)
        numbers[start : start + n_cells] = sums.sum(axis=1) / n_paths
    return shares, numbers


def _draw_positions(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw uniform positions in an egg with a bulge, a shape without any symmetry."""
    angle = np.linspace(0, 2 * np.pi, 4097)
    radius = _radius(angle)
    area = np.concatenate([[0.0], np.cumsum((radius[1:] ** 2 + radius[:-1] ** 2) / 2)])
    angles = np.interp(rng.random(n) * area[-1], area, angle)
    # the square root makes the density uniform over the area
    lengths = np.sqrt(rng.random(n))
    centre = 2 / 3 * np.average(_outline(angle), axis=0, weights=radius**2)
    return lengths[:, None] * _outline(angles) - centre


def _outline(angle: np.ndarray) -> np.ndarray:
    """Points of the outline at these angles, shape ``(n, 2)``."""
    return _radius(angle)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def _radius(angle: np.ndarray) -> np.ndarray:
    """Distance of the outline from the origin."""
    return 1 + 0.3 * np.cos(2 * angle) + 0.08 * np.cos(angle) + 0.1 * np.sin(3 * angle + 0.5)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
