"""A fit of cells that split into two types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def lineage_fit() -> dict[str, Any]:
    """Options of a fit without corrections, accurate enough for fates."""
    return {
        "sigma": 0.3,
        "config": {
            "train": {"n_steps": 400},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 300},
        },
        "show_progress": False,
    }


@pytest.fixture(scope="session")
def draw_split() -> Callable[..., tuple[np.ndarray, pd.DataFrame]]:
    """A function that draws stem cells that move along the first axis and split in the second."""

    def draw(n_dims: int, down: str) -> tuple[np.ndarray, pd.DataFrame]:
        rng = np.random.default_rng(0)
        parts, times, types = [], [], []
        for t, (n_up, n_down) in enumerate(((0, 0), (150, 100), (225, 150))):
            x = 0.25 * rng.normal(size=(n_up + n_down or 200, n_dims))
            x[:, 0] += 1.5 * t
            x[:, 1] += np.repeat([t, -t], [n_up, n_down]) if t else 0
            parts.append(x)
            times += [float(t)] * len(x)
            types += ["up"] * n_up + [down] * n_down if t else ["stem"] * 200
        obs = pd.DataFrame(
            {
                "time": times,
                "cell_type": pd.Categorical(types, categories=["stem", "up", "none", down]),
            },
            index=[f"cell{i}" for i in range(len(times))],
        )
        return np.concatenate(parts), obs

    return draw


@pytest.fixture(scope="session")
def _split_once(draw_split, lineage_fit) -> ad.AnnData:
    """Stem cells that multiply and split into "up" and "down"."""
    x, obs = draw_split(2, "down")
    adata = ad.AnnData(obs=obs, obsm={"X_pca": x})
    sdo.tl.fit(adata, "time", **lineage_fit)
    return adata


@pytest.fixture
def split(_split_once):
    return _split_once.copy()
