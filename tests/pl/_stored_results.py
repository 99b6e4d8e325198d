"""Artificial results of `tl` in the stored layout, with exactly known content of plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scdiffot._data.write.fate_tables import column_names
from scdiffot._utils.keys import (
    ANCESTRY,
    FATE,
    LANDSCAPE,
    OUTSIDE,
    PERTURB_SCREEN,
    PERTURBATION,
    TRAJECTORY_GENES,
    Keys,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

KEYS = Keys()
COLORS = {"A": "#ff0000", "B": "#0000ff"}
# method -> score of the first fold; each further fold adds 0.1
SCORES = {
    "flow": 0.2,
    "gaussian": 0.5,
    "mean_shift": 0.7,
    "copy": 0.6,
    "identity": 2.0,
    "observed": 0.1,
}
PAIRED_METHODS = ("flow", "gaussian", "mean_shift", "identity")


def give_fates(adata: AnnData) -> AnnData:
    """Store fates of all cells before the last time.

    A cell of the i-th type has a share of 0.6 in its own type and i + 1 descendants. Between
    snapshots, a quarter of the mass changes to the next type, and the total grows by a half.
    """
    types = list(adata.obs["cell_type"].cat.categories)
    times = np.unique(adata.obs["time"])
    names = [*types, OUTSIDE]
    n = len(types)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    shares = np.zeros((adata.n_obs, n + 1))
    shares[np.arange(adata.n_obs), codes] = 0.6
    shares[np.arange(adata.n_obs), (codes + 1) % n] = 0.4
    is_last = (adata.obs["time"] == times[-1]).to_numpy()
    shares[is_last] = np.nan
    adata.obsm[KEYS.fate] = pd.DataFrame(shares, adata.obs_names, column_names(names))
    adata.obsm[KEYS.fate_se] = pd.DataFrame(
        np.where(np.isnan(shares), np.nan, 0.05), adata.obs_names, column_names(names)
    )
    adata.obs[KEYS.n_descendants] = np.where(is_last, np.nan, codes + 1.0)
    mass, masses, flows = np.zeros(n + 1), [], []
    n_source_cells = (~is_last).sum()
    for time in times[:-1]:
        mass[:n] += np.bincount(codes[adata.obs["time"] == time], minlength=n) / n_source_cells
        masses.append(mass)
        flow = np.diag(0.75 * mass)
        flow[np.arange(n), (np.arange(n) + 1) % n] += 0.25 * mass[:n]
        flows.append(1.5 * flow)
        mass = flows[-1].sum(axis=0)
    masses.append(mass)
    adata.uns["scdiffot"][FATE] = {
        "cell_key": "cell_type",
        "target_time": float(times[-1]),
        "classes": np.array(names),
        "accuracy": 0.9,
        "n_trajectories": 10,
        "growth": True,
        "flow_times": times,
        "flow_classes": np.array(names),
        "flow_masses": np.array(masses),
        "flows": np.array(flows),
    }
    return adata


def give_ancestry(adata: AnnData) -> AnnData:
    """Store ancestors at the second time: uniform over the cells of the same type."""
    types = list(adata.obs["cell_type"].cat.categories)
    times = np.unique(adata.obs["time"])
    is_target = (adata.obs["time"] == times[1]).to_numpy()
    density = pd.get_dummies(adata.obs["cell_type"]).to_numpy(dtype=float) * is_target[:, None]
    density /= np.maximum(density.sum(axis=0), 1)
    density[~is_target] = np.nan
    adata.obsm[KEYS.ancestry] = pd.DataFrame(density, adata.obs_names, column_names(types))
    composition = pd.DataFrame(np.eye(len(types)), types, column_names(types))
    adata.uns["scdiffot"][ANCESTRY] = {
        "cell_key": "cell_type",
        "source_time": float(times[-1]),
        "target_time": float(times[1]),
        "weighted": False,
        "types": np.array(types),
        "source_types": np.array(types),
        "composition": composition,
        "mass": 1.0,
    }
    return adata


def give_landscape(adata: AnnData) -> AnnData:
    """Store a well that moves with time; the potential is NaN beyond three units."""
    times = np.unique(adata.obs["time"])
    x, y = np.linspace(-3, 5, 33), np.linspace(-4, 4, 41)
    xx, yy = np.meshgrid(x, y)
    square = np.stack([(xx - t) ** 2 + yy**2 for t in times])
    wells = [
        (t, name, t, float(i), 1.0)
        for t in times
        for i, name in enumerate(adata.obs["cell_type"].cat.categories)
    ]
    adata.uns["scdiffot"][LANDSCAPE] = {
        "basis": "X_pca",
        "cell_key": "cell_type",
        "times": times,
        "x": x,
        "y": y,
        "potential": np.where(square < 9, square + 2, np.nan),
        "lambda": np.where(square < 9, np.broadcast_to(xx, square.shape), np.nan),
        "basins": pd.DataFrame(wells, columns=["time", "type", "x", "y", "depth"]),
        "barriers": pd.DataFrame([(0.0, "A", "B", 0.5)], columns=["time", "from", "to", "barrier"]),
    }
    return adata


def give_trends(adata: AnnData, n_genes: int = 4) -> AnnData:
    """Store trends of genes g0, g1, ...: gene i has slope i towards fate i modulo their number."""
    types = list(adata.obs["cell_type"].cat.categories)
    genes, times = np.array([f"g{i}" for i in range(n_genes)]), np.linspace(0, 2, 5)
    slope = np.arange(n_genes) * (np.arange(len(types))[:, None] == np.arange(n_genes) % len(types))
    mean = 1 + slope[:, None] * times[:, None]
    ranking = pd.DataFrame(
        {
            "gene": np.tile(genes, len(types)),
            "fate": np.repeat(types, n_genes),
            "effect": slope.ravel(),
        }
    )
    adata.uns["scdiffot"][TRAJECTORY_GENES] = {
        "cell_key": "cell_type",
        "times": times,
        "genes": genes,
        "fates": np.array(types),
        "mean": mean,
        "low": mean - 0.5,
        "high": mean + 0.25,
        "ranking": ranking.sort_values("effect", ascending=False, kind="stable"),
    }
    return adata


def give_perturbations(adata: AnnData) -> AnnData:
    """Store a perturbation that moves a share of 0.25 from A: 0.15 to B and 0.1 to outside.

    Only the change of A is significant.
    """
    adata.uns["cell_type_colors"] = list(COLORS.values())
    control = np.array([[0.7, 0.3, 0.0], [0.5, 0.5, 0.0], [0.6, 0.4, 0.0]])
    shift = np.array([[-0.25, 0.15, 0.1]] * 3)
    adata.uns["scdiffot"][PERTURBATION] = {
        "Gata1": {
            "name": "Gata1",
            "values": np.array([np.nan]),
            "kind": "knockout",
            "sustained": True,
            "cell_key": "cell_type",
            "sources": np.array(["A", "B", "all"]),
            "fates": np.array(["A", "B", "outside"]),
            "control": control,
            "perturbed": control + shift,
            "shift": shift,
            "control_se": np.full((3, 3), 0.02),
            "perturbed_se": np.full((3, 3), 0.01),
            "se": np.full((3, 3), 0.005),
            "p_adjusted": np.array([[0.001, 0.2, 0.2]] * 3),
            "mass_ratio": np.array([0.5, 1.0, 0.75]),
        }
    }
    adata.uns["scdiffot"][PERTURB_SCREEN] = {
        "gene": np.array(["Gata1", "Spi1", "Gata1"]),
        "partner": np.array(["", "", "Spi1"]),
        "effect": np.array([0.3, 0.2, 0.1]),
        "se": np.array([0.01, 0.02, 0.03]),
        "p_adjusted": np.array([0.001, 0.01, 0.5]),
        "fates": np.array(["A", "B", "outside"]),
        "shift": np.array([[-0.3, 0.3, 0.0], [0.2, -0.15, -0.05], [0.1, -0.1, 0.0]]),
        "shift_se": np.full((3, 3), 0.04),
        "fate": "",
        "kind": "knockdown",
        "sustained": False,
        "cell_key": "cell_type",
    }
    return adata


def give_evaluation(
    adata: AnnData,
    folds: Sequence[str] = ("a", "b"),
    targets: Sequence[str] = ("drug",),
    key: str = "scdiffot",
) -> AnnData:
    """Store scores, equal for both metrics, with intervals from -0.1 to +0.2 around them."""
    rows = [
        {
            "split": "oos",
            "fold": fold,
            "target": target,
            "method": method,
            "metric": metric,
            "value": value + 0.1 * i,
            "low": value + 0.1 * i - 0.1,
            "high": value + 0.1 * i + 0.2,
            "n_control": 50,
            "n_treated": 60,
        }
        for i, fold in enumerate(folds)
        for target in targets
        for method, value in SCORES.items()
        for metric in ("energy_distance", "unexplained")
        if metric == "energy_distance" or method in PAIRED_METHODS
    ]
    adata.uns[Keys(key).response_evaluation] = pd.DataFrame(rows)
    return adata
