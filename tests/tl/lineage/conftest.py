"""A fit of cells that split into two types."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo


@pytest.fixture(scope="session")
def _split_once() -> ad.AnnData:
    """Stem cells that multiply and split into "up" and "down"."""
    rng = np.random.default_rng(0)
    parts, times, types = [], [], []
    for t, (n_up, n_down) in enumerate(((0, 0), (150, 100), (225, 150))):
        x = 0.25 * rng.normal(size=(n_up + n_down or 200, 2))
        x[:, 0] += 1.5 * t
        x[:, 1] += np.repeat([t, -t], [n_up, n_down]) if t else 0
        parts.append(x)
        times += [float(t)] * len(x)
        types += ["up"] * n_up + ["down"] * n_down if t else ["stem"] * 200
    obs = pd.DataFrame(
        {
            "time": times,
            "cell_type": pd.Categorical(types, categories=["stem", "up", "none", "down"]),
        },
        index=[f"cell{i}" for i in range(len(times))],
    )
    adata = ad.AnnData(obs=obs, obsm={"X_pca": np.concatenate(parts)})
    sdo.tl.fit(
        adata,
        "time",
        sigma=0.3,
        config={
            "train": {"n_steps": 400},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 300},
        },
        show_progress=False,
    )
    return adata


@pytest.fixture
def split(_split_once):
    return _split_once.copy()
