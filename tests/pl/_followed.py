"""Results of stochastic trajectory analysis made by hand, so that what a plot must show is known exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scdiffot._data.write.fate_tables import column_names
from scdiffot._utils.keys import ANCESTRY, FATE, LANDSCAPE, OUTSIDE, TRAJECTORY_GENES, Keys

if TYPE_CHECKING:
    from anndata import AnnData

KEYS = Keys()


def give_fates(adata: AnnData) -> AnnData:
    """Fates of all cells before the last time: a cell of the i-th type keeps it with 0.6, and grows by i + 1.

    Between snapshots, a quarter goes over to the next type, and all grow by a half.
    """
    types = list(adata.obs["cell_type"].cat.categories)
    times = np.unique(adata.obs["time"])
    names = [*types, OUTSIDE]
    n = len(types)
    codes = adata.obs["cell_type"].cat.codes.to_numpy()
    shares = np.zeros((adata.n_obs, n + 1))
    shares[np.arange(adata.n_obs), codes] = 0.6
    shares[np.arange(adata.n_obs), (codes + 1) % n] = 0.4
    late = (adata.obs["time"] == times[-1]).to_numpy()
    shares[late] = np.nan
    adata.obsm[KEYS.fate] = pd.DataFrame(shares, adata.obs_names, column_names(names))
    adata.obsm[KEYS.fate_se] = pd.DataFrame(
        np.where(np.isnan(shares), np.nan, 0.05), adata.obs_names, column_names(names)
    )
    adata.obs[KEYS.n_descendants] = np.where(late, np.nan, codes + 1.0)
    mass, masses, flows = np.zeros(n + 1), [], []
    n_followed = (~late).sum()
    for time in times[:-1]:
        mass[:n] += np.bincount(codes[adata.obs["time"] == time], minlength=n) / n_followed
        masses.append(mass)
        # a quarter changes to the next type, and all grow by a half
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
    """Ancestors at the second time: as likely as any cell of the same type, and no other."""
    types = list(adata.obs["cell_type"].cat.categories)
    times = np.unique(adata.obs["time"])
    early = (adata.obs["time"] == times[1]).to_numpy()
    density = pd.get_dummies(adata.obs["cell_type"]).to_numpy(dtype=float) * early[:, None]
    density /= np.maximum(density.sum(axis=0), 1)
    density[~early] = np.nan
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
    """A well around the origin that moves with time, and is not known beyond three units."""
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
    """Trends of genes g0, g1, ... to every type: the i-th gene goes up by i to the i-th fate, and stays for all others."""
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
