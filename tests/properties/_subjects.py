"""Small data sets with every result of the package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData, concat

import scdiffot as sdo

if TYPE_CHECKING:
    from scdiffot.core import Trajectories

QUIET = {"show_progress": False}
FIT = {
    "sigma": 0.5,
    "config": {
        "train": {"n_steps": 3, "batch_size": 32},
        "corrections": {"n_rounds": 0},
        "coupling": {"n_landmarks": 40},
    },
    **QUIET,
}
FIT_RESPONSE = {
    "metric": "euclidean",
    "config": {"train": {"n_steps": 3, "batch_size": 32}, "coupling": {"n_landmarks": 40}},
    **QUIET,
}


@cache
def dynamics() -> AnnData:
    """A time course of 3 snapshots with genes, types and every result of a fit."""
    adata = sdo.datasets.regulatory_network(30, n_genes=30, times=(0.0, 1.0, 2.0))
    adata.uns.pop("true")
    sc.pp.pca(adata, n_comps=4)
    adata.obsm["X_umap"] = adata.obsm["X_pca"][:, :2] * [1.0, -1.0]
    adata.obs["batch"] = np.where(np.arange(adata.n_obs) % 2 == 0, "one", "two")
    adata.var["symbol"] = [f"Gene{i}" for i in range(adata.n_vars)]
    sdo.tl.fit(adata, "time", **FIT)
    steps = {"n_steps": 2, **QUIET}
    sdo.tl.validate(adata, **QUIET)
    sdo.tl.sta_forward(adata, "cell_type", n_trajectories=4, **steps)
    sdo.tl.sta_backward(adata, "cell_type", n_trajectories=4, **steps)
    sdo.tl.landscape(adata, "umap", n_grid=10)
    sdo.tl.project(adata, "umap", n_neighbors=5)
    sdo.tl.transition_matrix(adata, n_neighbors=5)
    sdo.tl.gene_velocity(adata)
    sdo.tl.regulation(adata, list(adata.var_names[:4]), n_cells=20, stability=0.5, **QUIET)
    sdo.tl.growth_genes(adata, n_cells=20, **QUIET)
    sdo.tl.trajectory_genes(adata, "cell_type", n_cells=10, n_trajectories=4, n_times=4, **steps)
    sdo.tl.perturb(adata, adata.var_names[0], "cell_type", n_trajectories=4, **steps)
    screened = list(adata.var_names[:3])
    sdo.tl.perturb_screen(adata, "cell_type", screened, n_trajectories=4, n_refined=2, **steps)
    return adata


@cache
def many_genes() -> AnnData:
    """Cells with enough genes for control sets of `pp.score_growth`."""
    adata = sdo.datasets.regulatory_network(30, n_genes=100, times=(0.0, 1.0))
    adata.uns.pop("true")
    adata.var["symbol"] = [f"Gene{i}" for i in range(adata.n_vars)]
    return adata


@cache
def paths() -> Trajectories:
    """Trajectories of the fit of `dynamics`."""
    return sdo.tl.simulate(dynamics(), n_particles=20, n_steps=2)


@cache
def responses() -> AnnData:
    """Control and treated cells with a fitted, predicted and evaluated response."""
    adata = sdo.datasets.perturbation_response(
        300, n_dims=4, n_genes=12, n_types=2, n_donors=2, doses=(0.5, 1.0), death=0.2
    )
    adata.uns.pop("true")
    adata.obsm["X_umap"] = adata.obsm["X_pca"][:, :2].copy()
    adata.var["symbol"] = [f"Gene{i}" for i in range(adata.n_vars)]
    treatment = ("condition", "control", "drug")
    sdo.tl.fit_response(
        adata, *treatment, context="donor", dose_key="dose", unbalanced=True, **FIT_RESPONSE
    )
    sdo.tl.predict_response(adata, dose=1.0, genes=True)
    sdo.tl.evaluate_response(adata, *treatment, n_boot=5, **FIT_RESPONSE)
    sdo.tl.response_subpopulations(adata, groupby="subpopulation")
    return adata


@cache
def tissue() -> AnnData:
    """Two aligned slices with domains and spatial genes."""
    adata = sdo.datasets.spatial_slices(60, n_times=2, n_genes=8, n_dims=3, n_paths=10)
    adata.uns.pop("true", None)
    adata.obs["slice"] = adata.obs["time"].map({0.0: "s0", 3.0: "s1"}).astype("category")
    adata.var["symbol"] = [f"Gene{i}" for i in range(adata.n_vars)]
    options = {"use_rep": "X", "n_starts": 4, **QUIET}
    sdo.tl.align_slices(adata, "slice", **options)
    sdo.pp.spatial_embedding(adata, use_rep="X", n_neighbors=4, n_components=3, library_key="slice")
    sdo.tl.spatial_domains(adata, 2, n_init=2, n_neighbors=4, library_key="slice")
    sdo.tl.spatial_genes(adata, domain_key="scdiffot_domain", library_key="slice", n_neighbors=4)
    return adata


@cache
def measured_elsewhere() -> AnnData:
    """The same tissue on a platform with two more genes."""
    adata = tissue()
    more = AnnData(
        np.asarray(adata.X)[:, :2] + 1.0,
        obs=adata.obs,
        var=pd.DataFrame(index=["more_1", "more_2"]),
    )
    result = concat([adata, more], axis="var", merge="same")
    result.obsm = adata.obsm.copy()
    result.var["symbol"] = [f"Gene{i}" for i in range(result.n_vars)]
    return result
