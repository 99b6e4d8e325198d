"""Assemble simulated snapshots and the truth about them in an AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._utils.number_text import number_text
from scdiffot._utils.options import MAX_PARTICLES, check_count, check_numbers
from scdiffot.datasets._published.frame import make_adata

from .laws import Law, simulate_law

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def check_simulation(n_obs: int, times: Sequence[float]) -> tuple[float, ...]:
    """Check the arguments that all simulators share; return the times as floats."""
    check_count("n_obs", n_obs, 1, MAX_PARTICLES)
    points = check_numbers("times", times)
    if (np.diff(points) <= 0).any():
        raise ValueError(f"`times` is {times!r}: pass times that increase, such as (0, 1, 2).")
    return tuple(points)


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
    """Simulate snapshots of a law and store them with their truth.

    `types` returns the cell types of states ``(n, d)``.
    """
    points = check_simulation(n_obs, times)
    snapshots = simulate_law(law, n_obs, points, dt=dt, rng=rng)
    return truth_adata(law, snapshots, points, genes=genes, types=types(np.concatenate(snapshots)))


def truth_adata(
    law: Law,
    snapshots: list[np.ndarray],
    times: tuple[float, ...],
    *,
    genes: Sequence[str],
    types: np.ndarray,
) -> AnnData:
    """Store snapshots with the drift, the growth and the parameters of their law."""
    counts = np.array([len(x) for x in snapshots])
    labels = np.array([number_text(t) for t in times])
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
        obsm={
            "true_drift": np.concatenate(
                [law.drift(x, t) for x, t in zip(snapshots, times, strict=True)]
            )
        },
        obs={
            "true_growth": np.concatenate(
                [law.growth(x, t) for x, t in zip(snapshots, times, strict=True)]
            )
        },
        uns={"true": truth},
    )


def expression_adata(states: np.ndarray, loadings: np.ndarray) -> tuple[AnnData, np.ndarray]:
    """Compute the expression of states ``(n, d)`` by loadings ``(n_genes, d)``.

    Returns the AnnData, with its principal components, and their rotation ``(d, d)``.
    """
    import pandas as pd

    deviations = states - states.mean(axis=0)
    variance, rotation = np.linalg.eigh(deviations.T @ deviations / (len(states) - 1))
    # with fewer cells than dimensions, rounding makes zero variances negative
    variance, rotation = np.maximum(variance[::-1], 0), rotation[:, ::-1]
    components = loadings @ rotation
    # the sign of a component is free: its largest loading is positive
    signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(len(variance))])
    rotation, components = rotation * signs, components * signs
    expression = deviations @ loadings.T
    expression -= expression.min(axis=0)
    adata = AnnData(
        X=expression.astype(np.float32),
        obs=pd.DataFrame(index=[f"cell{i}" for i in range(len(states))]),
        var=pd.DataFrame(index=[f"gene_{i + 1}" for i in range(len(loadings))]),
        obsm={"X_pca": (deviations @ rotation).astype(np.float32)},
        varm={"PCs": components},
        uns={
            "pca": {
                "params": {"zero_center": True},
                "variance": variance,
                "variance_ratio": variance / variance.sum(),
            }
        },
    )
    return adata, rotation
