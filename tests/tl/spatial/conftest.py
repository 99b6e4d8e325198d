"""Sections of one tissue."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from scdiffot.core.spatial.align.pose import Pose

SIZES = {"s9": 120, "s10": 160, "s11": 140}


def make_slices(bend=0.0, noise=0.2):
    """Three sections of one tissue, each rotated, the second also mirrored."""
    rng = np.random.default_rng(0)
    positions, true, states = [], [], []
    for k, n in enumerate(SIZES.values()):
        spots = rng.uniform([-3, -2], [3, 2], size=(4 * n, 2))
        x, y = spots.T
        is_inside = ((x / 3) ** 2 + (y / 2) ** 2 < 1) & ((x - 1.5) ** 2 + (y - 1.3) ** 2 > 0.6)
        spots = spots[is_inside][:n]
        x, y = spots.T
        states.append(np.column_stack([np.sin(1.3 * x), np.cos(1.1 * y), np.tanh(x - y)]))
        states[-1] += noise * rng.normal(size=(n, 3))
        true.append(spots)
        deformed_spots = spots + (bend * k) * np.column_stack([np.sin(1.2 * y), np.sin(1.1 * x)])
        pose = Pose(Pose.turn(1.0 + 2 * k, reflected=k == 1).rotation, np.array([5.0 * k, -3.0]))
        positions.append(pose.apply(deformed_spots))
    adata = ad.AnnData(
        np.vstack(states), obsm={"spatial": np.vstack(positions), "true": np.vstack(true)}
    )
    adata.obsm["X_pca"] = adata.X.astype(np.float32)
    adata.obs["slice"] = pd.Categorical(np.repeat(list(SIZES), list(SIZES.values())))
    return adata
