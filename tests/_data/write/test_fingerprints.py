"""States that changed after a fit are refused; operations that keep them are accepted."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot._utils.errors import StoredFitError

READERS = {
    "simulate": lambda a: sdo.tl.simulate(a, n_particles=3),
    "sta_forward": lambda a: sdo.tl.sta_forward(
        a, "cell_type", n_trajectories=3, show_progress=False
    ),
    "sta_backward": lambda a: sdo.tl.sta_backward(a, "cell_type", show_progress=False),
    "validate": lambda a: sdo.tl.validate(a, show_progress=False),
    "interpolate": lambda a: sdo.tl.interpolate(a, 0.5),
    "landscape": lambda a: sdo.tl.landscape(a, n_grid=10),
    "transition_matrix": sdo.tl.transition_matrix,
    "project": lambda a: sdo.tl.project(a, "X_umap"),
    "velocity": lambda a: sdo.pl.velocity(a, return_fig=True),
    "growth": lambda a: sdo.pl.growth(a, return_fig=True),
}
# Changes by repeating scanpy.pp.pca, by another method or by a mistake of indexing.
CHANGES = {
    "sign": lambda x: x * [1, -1, 1],
    "scale": lambda x: x * 1.001,
    "shift": lambda x: x + [0, 0, 0.01],
    "columns": lambda x: x[:, [1, 0, 2]],
    "rows": lambda x: x[::-1],
    "one cell": lambda x: np.concatenate([x[:-1], x[-1:] + 0.01]),
    "other": lambda x: np.random.default_rng(1).normal(size=x.shape),
}


@pytest.fixture
def umap_adata(fitted_adata):
    fitted_adata.obsm["X_umap"] = np.c_[
        fitted_adata.obsm["X_pca"][:, 0], np.sin(fitted_adata.obsm["X_pca"][:, 1])
    ]
    return fitted_adata


@pytest.mark.parametrize("change", CHANGES)
def test_changed_states_are_refused(fitted_adata, fingerprint, change):
    fitted_adata.obsm["X_pca"] = np.array(CHANGES[change](fitted_adata.obsm["X_pca"]))
    digest = fingerprint(fitted_adata)
    n = 1 if change == "one cell" else r"1\d\d"
    with pytest.raises(
        StoredFitError,
        match=rf"`use_rep` 'X_pca' is not what the fit.*in {n} of 132 cells.*tl.fit again",
    ):
        sdo.tl.simulate(fitted_adata)
    assert fingerprint(fitted_adata) == digest


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses(umap_adata, reader):
    umap_adata.obsm["X_pca"] = -umap_adata.obsm["X_pca"]
    with pytest.raises(StoredFitError, match="`use_rep` 'X_pca' is not what the fit"):
        READERS[reader](umap_adata)


def _paths(adata, cells):
    return sdo.tl.simulate(adata, cells, t0=0.0, n_steps=3).states[-1]


def _file(adata, path):
    if path.suffix == ".zarr":
        adata.write_zarr(path)
        return ad.read_zarr(path)
    adata.write_h5ad(path)
    return ad.read_h5ad(path)


def _stored_as(adata, array):
    copy = adata.copy()
    copy.obsm["X_pca"] = array
    return copy


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize(
    "change",
    [
        lambda a, _: a[::-1].copy(),
        lambda a, _: a[a.obs["time"] == 0].copy(),
        lambda a, _: _stored_as(a, a.obsm["X_pca"].astype(np.float32)),
        lambda a, _: _stored_as(a, a.obsm["X_pca"].astype(np.float32).astype(np.float64)),
        lambda a, _: _stored_as(a, np.c_[a.obsm["X_pca"], np.ones(a.n_obs)]),
        lambda a, _: _stored_as(a, sparse.csr_matrix(a.obsm["X_pca"])),
        lambda a, _: _stored_as(a, pd.DataFrame(a.obsm["X_pca"], a.obs_names, list("abc"))),
        lambda a, path: _file(a, path / "a.h5ad"),
        lambda a, path: _file(a, path / "a.zarr"),
    ],
    ids=[
        "order",
        "subset",
        "float32",
        "rounded",
        "more columns",
        "sparse",
        "frame",
        "h5ad",
        "zarr",
    ],
)
def test_the_same_states_are_accepted(fitted_adata, tmp_path, caplog, change):
    cells = list(fitted_adata.obs_names[fitted_adata.obs["time"] == 0][:4])
    expected = _paths(fitted_adata, cells)
    changed = change(fitted_adata, tmp_path)
    np.testing.assert_allclose(_paths(changed, cells), expected, atol=1e-4)
    assert "fingerprint" not in caplog.text


def test_a_single_cell_is_checked(fitted_adata, caplog):
    cell = fitted_adata.obs_names[fitted_adata.obs["time"] == 0][0]
    expected = _paths(fitted_adata, [cell])
    single = fitted_adata[[cell]].copy()
    np.testing.assert_allclose(_paths(single, [cell]), expected, atol=1e-5)
    single.obsm["X_pca"] = single.obsm["X_pca"] * [1, 1, -1]
    with pytest.raises(StoredFitError, match="in 1 of 1 cells"):
        _paths(single, [cell])
    assert not caplog.records


def test_new_and_renamed_cells_are_accepted(fitted_adata):
    cells = list(fitted_adata.obs_names[fitted_adata.obs["time"] == 0][:4])
    expected = _paths(fitted_adata, cells)
    new_cells = ad.AnnData(
        np.ones((5, 3), np.float32), obs=pd.DataFrame({"time": 1.0}, [f"new{i}" for i in range(5)])
    )
    new_cells.obsm["X_pca"], new_cells.var_names = np.ones((5, 3)), fitted_adata.var_names
    combined = ad.concat([fitted_adata, new_cells], join="outer", uns_merge="first")
    np.testing.assert_array_equal(_paths(combined, cells), expected)
    combined.obsm["X_pca"][-5:] = 2
    np.testing.assert_array_equal(_paths(combined, cells), expected)
    combined.obs_names = [f"{name}-1" for name in combined.obs_names]
    np.testing.assert_array_equal(_paths(combined, [f"{cell}-1" for cell in cells]), expected)
    combined.obsm["X_pca"][0] += 1
    with pytest.raises(StoredFitError, match=f"in 1 of {fitted_adata.n_obs} cells"):
        sdo.tl.simulate(combined)


def test_missing_fingerprints_raise_a_warning(fitted_adata, caplog):
    expected = sdo.tl.simulate(fitted_adata).states
    del fitted_adata.obsm["scdiffot_fingerprint"]
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(sdo.tl.simulate(fitted_adata).states, expected)
    assert "whether 'X_pca' is what it was made with cannot be checked" in caplog.text
    caplog.clear()
    # Entries of version 1 had no fingerprint.
    for name in ("version", "digest"):
        del fitted_adata.uns["scdiffot"][name]
    np.testing.assert_array_equal(sdo.tl.simulate(fitted_adata).states, expected)
    assert not caplog.records


def test_another_fit_replaces_its_fingerprints(umap_adata, quick):
    sdo.tl.project(umap_adata, "X_umap")
    sdo.tl.fit(umap_adata, "time", key_added="second", **quick)
    umap_adata.obsm["X_pca"] = umap_adata.obsm["X_pca"] * [1, -1, 1]
    sdo.tl.fit(umap_adata, "time", key_added="second", **quick)
    assert set(umap_adata.obsm["second_fingerprint"]) == {"state", "time"}
    sdo.tl.simulate(umap_adata, n_particles=3, key="second")
    with pytest.raises(StoredFitError, match="the fit 'scdiffot'"):
        sdo.tl.simulate(umap_adata, n_particles=3)


def test_changed_states_of_a_modality_are_refused(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="atac:X_pca", **quick)
    expected = sdo.tl.simulate(mdata, n_particles=3).states
    np.testing.assert_array_equal(sdo.tl.simulate(mdata.copy(), n_particles=3).states, expected)
    mdata["atac"].obsm["X_pca"] = mdata["atac"].obsm["X_pca"][::-1].copy()
    with pytest.raises(StoredFitError, match="`use_rep` 'atac:X_pca' is not what the fit"):
        sdo.tl.simulate(mdata)


def test_trajectories_and_results_of_an_earlier_fit_are_refused(fitted_adata, quick, tmp_path):
    """A fit of the same name invalidates all results of the earlier one."""
    trajectories = sdo.tl.simulate(fitted_adata, n_particles=5)
    sdo.tl.sta_forward(fitted_adata, "cell_type", n_trajectories=3, path=True, show_progress=False)
    sdo.tl.sta_backward(fitted_adata, "cell_type", show_progress=False)
    reversed_adata = _file(fitted_adata[::-1].copy(), tmp_path / "a.h5ad")
    for plot in (sdo.pl.trajectories, sdo.pl.population):
        assert plot(reversed_adata, trajectories, return_fig=True) is not None
    sdo.tl.fit(fitted_adata, "time", rng=5, **quick)
    sdo.tl.landscape(fitted_adata, n_grid=10)
    for plot in (
        sdo.pl.trajectories,
        sdo.pl.population,
        lambda a, p, **o: sdo.pl.landscape(a, paths=p, **o),
    ):
        with pytest.raises(ValueError, match="`paths` follows another fit.*tl.simulate again"):
            plot(fitted_adata, trajectories, return_fig=True)
    for read in (sdo.get.fate, sdo.pl.fate, sdo.pl.ancestry):
        with pytest.raises(KeyError, match="run scdiffot.tl.sta_"):
            read(fitted_adata)
    assert not [
        name
        for name in [*fitted_adata.obsm, *fitted_adata.obs]
        if "fate" in name or "ancestry" in name
    ]
