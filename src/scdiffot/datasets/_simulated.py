"""From a law to an AnnData that holds its truth."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ._frame import make_adata
from ._laws import Law, simulate_law

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData


def check_simulation(n_obs: int, times: Sequence[float]) -> tuple[float, ...]:
    """Check what the simulators share; return the times as floats."""
    check_count(n_obs, "n_obs")
    points = np.asarray(times, dtype=np.float64)
    if points.ndim != 1 or len(points) == 0 or not np.isfinite(points).all() or (np.diff(points) <= 0).any():
        raise ValueError(f"`times` is {times!r}: pass finite times that increase, such as (0, 1, 2).")
    return tuple(points.tolist())


def check_count(value: int, name: str, *, least: int = 1) -> None:
    """Check a number of cells or dimensions."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"`{name}` is {value!r}: pass a whole number of at least {least}.")


def simulated_adata(
    law: Law,
    n_obs: int,
    times: Sequence[float],
    *,
    genes: Sequence[str],
    types: Callable[[np.ndarray], np.ndarray],
    dt: float,
    rng: np.random.Generator,
) -> AnnData:
    """Simulate snapshots of a law and store them with their truth; `types` names the cell type of states."""
    points = check_simulation(n_obs, times)
    snapshots = simulate_law(law, n_obs, points, dt=dt, rng=rng)
    return truth_adata(law, snapshots, points, genes=genes, types=types(np.concatenate(snapshots)))


def truth_adata(
    law: Law, snapshots: list[np.ndarray], times: tuple[float, ...], *, genes: Sequence[str], types: np.ndarray
) -> AnnData:
    """Store snapshots with the drift, growth and numbers of the law they come from."""
    counts = np.array([len(x) for x in snapshots])
    labels = np.array([f"{t:g}" for t in times])
    truth: dict[str, Any] = {
        "sigma": law.sigma,
        "times": np.array(times),
        "masses": counts / counts[0],
        "params": law.params,
    }
    return make_adata(
        np.repeat(np.array(times), counts),
        np.repeat(labels, counts),
        x=np.concatenate(snapshots),
        genes=genes,
        cell_types=types,
        obsm={"true_drift": np.concatenate([law.drift(x, t) for x, t in zip(snapshots, times, strict=True)])},
        obs={"true_growth": np.concatenate([law.growth(x, t) for x, t in zip(snapshots, times, strict=True)])},
        uns={"true": truth},
    )
