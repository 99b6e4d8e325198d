"""Embeddings, positions, responses, loadings and networks that changed after a fit are refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo
from scdiffot._utils.errors import StoredFitError


@pytest.fixture
def umap_adata(fitted_adata):
    fitted_adata.obsm["X_umap"] = np.c_[
        fitted_adata.obsm["X_pca"][:, 0], np.sin(fitted_adata.obsm["X_pca"][:, 1])
    ]
    return fitted_adata


def test_changed_embeddings_under_arrows_and_landscapes_are_refused(umap_adata):
    sdo.tl.project(umap_adata, "X_umap")
    sdo.tl.landscape(umap_adata, "X_umap", n_grid=10)
    assert sdo.pl.velocity(umap_adata, basis="X_umap", return_fig=True).axes
    assert sdo.pl.landscape(umap_adata, return_fig=True).axes
    umap_adata.obsm["X_umap"] = umap_adata.obsm["X_umap"] * [-1, 1]
    with pytest.raises(
        StoredFitError, match="`basis` 'X_umap' is not what.*velocity_umap.*tl.project"
    ):
        sdo.pl.velocity(umap_adata, basis="X_umap", return_fig=True)
    with pytest.raises(
        StoredFitError, match="`basis` 'X_umap' is not what the landscape.*tl.landscape"
    ):
        sdo.pl.landscape(umap_adata, return_fig=True)
    sdo.tl.project(umap_adata, "X_umap")
    assert sdo.pl.velocity(umap_adata, basis="X_umap", return_fig=True).axes


def test_changed_positions_in_a_tissue_are_refused(time_course, quick):
    time_course.obsm["spatial"] = (
        np.random.default_rng(0).uniform(size=(time_course.n_obs, 2)) * 100 + 1000
    )
    sdo.tl.fit(time_course, "time", spatial_key="spatial", spatial_align=False, **quick)
    expected = sdo.tl.simulate(time_course, n_particles=3).states
    part = time_course[::-1].copy()
    part.obsm["spatial"] = part.obsm["spatial"].astype(np.float32)
    assert sdo.tl.simulate(part, n_particles=3).states.shape == expected.shape
    time_course.obsm["spatial"] = time_course.obsm["spatial"][:, ::-1].copy()
    for read in (sdo.tl.simulate, lambda a: sdo.tl.interpolate(a, 0.5)):
        with pytest.raises(StoredFitError, match="`spatial_key` 'spatial' is not what the fit"):
            read(time_course)


def test_changed_positions_of_an_alignment_are_refused():
    p = np.random.default_rng(0).uniform(size=(150, 2)) * [3, 2]
    wave = np.c_[np.sin(p), p[:, 0] ** 2]
    adata = ad.AnnData(
        np.r_[wave, wave], obsm={"spatial": np.r_[p, p @ [[0.8, 0.6], [-0.6, 0.8]] + [5, 1]]}
    )
    adata.obs["slice"] = ["a"] * 150 + ["b"] * 150
    sdo.tl.align_slices(adata, "slice", use_rep="X", show_progress=False)
    part = adata[:200].copy()
    assert sdo.get.alignment(part).table.equals(sdo.get.alignment(adata).table)
    adata.obsm["spatial"] = adata.obsm["spatial"] * 0.65
    with pytest.raises(
        StoredFitError, match="`spatial_key` 'spatial' is not what.*tl.align_slices again"
    ):
        sdo.get.alignment(adata)


@pytest.fixture
def response_adata():
    adata = sdo.datasets.perturbation_response(200, n_dims=3)
    options = {
        "config": {"train": {"n_steps": 5}, "networks": {"n_hidden": 8}},
        "show_progress": False,
    }
    sdo.tl.fit_response(adata, "condition", "control", "drug", **options)
    return adata


def test_changed_states_of_a_response_are_refused(response_adata):
    sdo.tl.predict_response(response_adata)
    expected = response_adata.obsm["scdiffot_predicted"]
    part = response_adata[::2].copy()
    sdo.tl.predict_response(part)
    np.testing.assert_allclose(part.obsm["scdiffot_predicted"], expected[::2], atol=1e-5)
    new_cells = ad.AnnData(
        response_adata.X,
        obs=response_adata.obs,
        var=response_adata.var,
        obsm={"X_pca": response_adata.obsm["X_pca"]},
    )
    new_cells.varm["PCs"] = response_adata.varm["PCs"]
    sdo.tl.predict_response(new_cells, reference=response_adata)
    np.testing.assert_array_equal(new_cells.obsm["scdiffot_predicted"], expected)
    # Repeating the PCA can change signs of states and loadings.
    for adata in (response_adata, new_cells):
        adata.obsm["X_pca"], adata.varm["PCs"] = (
            adata.obsm["X_pca"] * [1, -1, 1],
            adata.varm["PCs"] * [1, -1, 1],
        )
    for read in (
        lambda: sdo.tl.predict_response(response_adata),
        lambda: sdo.tl.predict_response(new_cells, reference=response_adata),
        lambda: sdo.tl.predict_response(new_cells, reference=response_adata, project=True),
    ):
        with pytest.raises(
            StoredFitError,
            match="`use_rep` 'X_pca' is not what the response.*tl.fit_response again",
        ):
            read()


def test_changed_loadings_are_refused(response_adata):
    sdo.tl.predict_response(response_adata)
    expected = sdo.get.response(response_adata, "genes").set_index("gene")["response"]
    part = response_adata[:, ::-1].copy()
    result = sdo.get.response(part, "genes").set_index("gene")["response"]
    np.testing.assert_allclose(result[expected.index], expected, atol=1e-5)
    # Without X, the loadings can be compared with their fingerprint only.
    response_adata.X, response_adata.var["mean"] = None, 0.0
    response_adata.varm["PCs"] = response_adata.varm["PCs"] * [1, -1, 1]
    for read in (
        lambda: sdo.get.response(response_adata, "genes"),
        lambda: sdo.tl.predict_response(response_adata, genes=True),
        lambda: sdo.tl.response_subpopulations(response_adata, n_clusters=1),
    ):
        with pytest.raises(
            StoredFitError, match="loadings or networks behind `use_rep` 'X_pca' are not those"
        ):
            read()


def test_an_autoencoder_that_was_trained_again_is_refused(time_course, quick):
    options = {"n_hidden": 4, "max_epochs": 2, "show_progress": False}
    sdo.pp.autoencoder(time_course, 2, **options)
    sdo.tl.fit(time_course, "time", use_rep="X_ae", **quick)
    sdo.tl.gene_velocity(time_course)
    states = time_course.obsm["X_ae"]
    sdo.pp.autoencoder(time_course, 2, rng=1, **options)
    with pytest.raises(StoredFitError, match="`use_rep` 'X_ae'"):
        sdo.tl.simulate(time_course)
    time_course.obsm["X_ae"] = states
    with pytest.raises(
        StoredFitError, match="loadings or networks behind `use_rep` 'X_ae' are not those"
    ):
        sdo.tl.gene_velocity(time_course)
