"""Fits of genes themselves and of genes behind a PCA."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import scdiffot as sdo

N_GENES = 12
GENES = ["Gata1", "H2-K/D", "Spi1"]


FLAT, FILTERED = "Flat", "Filtered"


@pytest.fixture(scope="session")
def _with_genes_once(quick):
    """A fit of 14 genes through a PCA; one is constant and one is not in the mask."""
    import scanpy as sc

    rng = np.random.default_rng(0)
    time = np.repeat([0.0, 1.0, 2.0], 40)
    latent = rng.normal(size=(120, 4)) + time[:, None] * [1, 0.5, 0, 0]
    expression = np.column_stack(
        [latent @ rng.normal(size=(4, N_GENES)) + 5, np.full(120, 2.0), rng.normal(size=120)]
    )
    names = [*(f"g{i}" for i in range(N_GENES)), FLAT, FILTERED]
    adata = ad.AnnData(
        expression.astype(np.float32),
        obs=pd.DataFrame(
            {"time": time, "cell_type": pd.Categorical(np.where(latent[:, 1] > 0.5, "A/1", "B"))},
            index=[f"cell{i}" for i in range(120)],
        ),
        var=pd.DataFrame({"used": [True] * (N_GENES + 1) + [False]}, index=names),
    )
    sc.pp.pca(adata, n_comps=4, mask_var="used")
    sdo.tl.fit(adata, "time", form="separate", **quick)
    return adata


@pytest.fixture
def genes(_with_genes_once):
    return _with_genes_once.copy()


@pytest.fixture(scope="session")
def _gene_adata_once() -> ad.AnnData:
    """Three genes: the second determines the fate, and Gata1 increases growth."""
    rng = np.random.default_rng(0)
    states, time = [], []
    for t in (0.0, 1.0, 2.0):
        x = rng.normal(5, 0.6, size=(int(80 * 1.2**t), 3))
        x[:, 1] += np.where(x[:, 1] > 5, t, -t)
        states.append(x)
        time += [t] * len(x)
    x = np.concatenate(states).clip(min=0).astype(np.float32)
    cell_type = pd.Categorical(np.where(x[:, 1] > 5, "up/on", "down"))
    obs = pd.DataFrame(
        {"time": time, "cell_type": cell_type}, index=[f"cell{i}" for i in range(len(x))]
    )
    adata = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=GENES))
    options = {
        "sigma": 0.5,
        "config": {
            "train": {"n_steps": 150},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 100},
        },
        "show_progress": False,
    }
    sdo.tl.fit(adata, "time", use_rep="X", **options)
    return adata


@pytest.fixture
def gene_adata(_gene_adata_once):
    return _gene_adata_once.copy()


@pytest.fixture(scope="session")
def _components_once() -> ad.AnnData:
    """Twenty genes with a PCA of three dimensions; the last gene is constant."""
    rng = np.random.default_rng(1)
    time = np.repeat([0.0, 1.0, 2.0], 60)
    z = rng.normal(size=(180, 3))
    z[:, 0] += time
    x = np.maximum(
        z @ rng.normal(size=(3, 20)) * 0.4 + 2 + 0.1 * rng.normal(size=(180, 20)), 0
    ).astype(np.float32)
    x[:, 19] = 1.5
    obs = pd.DataFrame(
        {"time": time, "cell_type": pd.Categorical(np.where(z[:, 1] > 0, "A", "B"))},
        index=[f"cell{i}" for i in range(180)],
    )
    adata = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"Gene{i}" for i in range(20)]))
    sc.pp.pca(adata, n_comps=3)
    sdo.tl.fit(
        adata,
        "time",
        sigma=0.4,
        config={
            "train": {"n_steps": 150, "batch_size": 128},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 100},
        },
        show_progress=False,
    )
    return adata


@pytest.fixture
def components(_components_once):
    return _components_once.copy()
