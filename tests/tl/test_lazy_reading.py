"""Lazy and backed files give the same results as data in memory."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

QUIET = {"n_trajectories": 5, "show_progress": False}


def _analyse(adata, rows=slice(None)):
    """Run all tools that use cell types; return plain tables."""
    sdo.tl.sta_forward(adata, "cell_type", "time < 2 and cell_type == 'A'", **QUIET)
    sdo.tl.sta_backward(adata, "cell_type", **QUIET)
    sdo.tl.perturb(adata, {"g0": 1.0}, "cell_type", source="flag and time < 1", **QUIET)
    sdo.tl.landscape(adata, times=[1], cell_key="cell_type", n_grid=12)
    entry = adata.uns["scdiffot"]
    return [
        sdo.get.fate(adata),
        pd.DataFrame(adata.obsm["scdiffot_ancestry"]),
        sdo.get.perturbation(adata),
        pd.DataFrame(entry["landscape"]["basins"]),
    ]


@pytest.fixture(params=["lazy zarr", "lazy h5ad", "backed"])
def memory_and_file(request, fitted_adata, quick, tmp_path):
    """The same data in memory and read lazily."""
    fitted_adata.var_names = [f"g{i}" for i in range(fitted_adata.n_vars)]
    fitted_adata.obs["flag"] = pd.array(np.arange(fitted_adata.n_obs) % 2 == 0, dtype="boolean")
    fitted_adata.obs["cell_type"] = fitted_adata.obs["cell_type"].where(
        np.arange(fitted_adata.n_obs) % 9 != 0
    )
    sdo.tl.fit(fitted_adata, "time", use_rep="X", growth_prior="time", **quick)
    suffix = request.param.rpartition(" ")[2].replace("backed", "h5ad")
    path = tmp_path / f"a.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    if request.param == "backed":
        return fitted_adata, ad.read_h5ad(path, backed="r+")
    return fitted_adata, ad.experimental.read_lazy(path)


def test_lazy_files_give_the_results_of_memory(memory_and_file):
    memory, other = memory_and_file
    for first, second in zip(_analyse(memory), _analyse(other), strict=True):
        assert len(first) > 0
        # an index that is read lazily has its name in the file
        second.index.name = None
        pd.testing.assert_frame_equal(
            first, second, check_dtype=False, check_categorical=False, check_index_type=False
        )
    assert sdo.pl.fate(other, return_fig=True) is not None
    assert sdo.pl.fate(other, kind="composition", groupby="cell_type", return_fig=True) is not None
    assert sdo.pl.velocity(other, color="cell_type", return_fig=True) is not None


def test_results_that_are_read_lazily(fitted_adata, tmp_path):
    fitted_adata.obs.loc[fitted_adata.obs_names[:9], "cell_type"] = np.nan
    sdo.tl.sta_forward(fitted_adata, "cell_type", **QUIET)
    sdo.tl.sta_backward(fitted_adata, "cell_type", **QUIET)
    fitted_adata.write_zarr(tmp_path / "a.zarr")
    lazy = ad.experimental.read_lazy(tmp_path / "a.zarr")
    pd.testing.assert_frame_equal(sdo.get.fate(lazy), sdo.get.fate(fitted_adata), check_dtype=False)
    assert sdo.pl.fate(lazy, return_fig=True) is not None
    assert sdo.pl.ancestry(lazy, kind="composition", return_fig=True) is not None


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_another_fit_drops_results_that_are_read_lazily(fitted_adata, quick, tmp_path, suffix):
    sdo.tl.sta_forward(fitted_adata, "cell_type", **QUIET)
    path = tmp_path / f"a.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    lazy = ad.experimental.read_lazy(path)
    for adata in (fitted_adata, lazy):
        sdo.tl.fit(adata, "time", rng=1, **quick)
        with pytest.raises(KeyError, match="sta_forward"):
            sdo.get.fate(adata)
    assert set(lazy.obs.columns) == set(fitted_adata.obs.columns)
    assert set(lazy.obsm) == set(fitted_adata.obsm)
    np.testing.assert_allclose(
        np.asarray(lazy.obs["scdiffot_growth"]), fitted_adata.obs["scdiffot_growth"], rtol=1e-5
    )


LOADERS = {
    "lazy h5ad": lambda path: ad.experimental.read_lazy(path.with_suffix(".h5ad")),
    "lazy zarr": lambda path: ad.experimental.read_lazy(path.with_suffix(".zarr")),
    "backed": lambda path: ad.read_h5ad(path.with_suffix(".h5ad"), backed="r"),
}


def _load(adata, tmp_path, how):
    """The same data, read from a file in another way."""
    path = tmp_path / "a.h5ad"
    adata.write_h5ad(path)
    adata.write_zarr(path.with_suffix(".zarr"))
    return LOADERS[how](path)


def _assert_same(first, second):
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(
            first, second, check_dtype=False, check_categorical=False, check_index_type=False
        )
    else:
        np.testing.assert_allclose(
            np.asarray(second, dtype=float), np.asarray(first, dtype=float), rtol=1e-4, atol=1e-4
        )


def _respond(adata, quick_response):
    adata.obs["dose"] = np.where(np.asarray(adata.obs["condition"]) == "drug", 2.0, 0.0)
    treatment = ("condition", "control", "drug")
    sdo.tl.fit_response(adata, *treatment, context="donor", dose_key="dose", **quick_response)
    sdo.tl.predict_response(adata, genes=True)
    sdo.tl.evaluate_response(adata, *treatment, context="donor", n_boot=5, **quick_response)
    sdo.tl.response_subpopulations(adata, groupby="subpopulation")


def _read_responses(adata):
    assert sdo.pl.response(adata, return_fig=True) is not None
    tables = (
        "scdiffot_response_evaluation",
        "scdiffot_response_subpopulations",
        "scdiffot_response_features",
    )
    read = [
        sdo.get.response(adata),
        sdo.get.response(adata, "genes"),
        *(adata.uns[name] for name in tables),
    ]
    return [*read, adata.obs["scdiffot_effect_size"]]


@pytest.mark.slow
@pytest.mark.parametrize("how", LOADERS)
def test_responses(treated, quick_response, tmp_path, how):
    other = _load(treated, tmp_path, how)
    for adata in (treated, other):
        _respond(adata, quick_response)
    for first, second in zip(_read_responses(treated), _read_responses(other), strict=True):
        _assert_same(first, second)


@pytest.mark.parametrize("how", LOADERS)
def test_stored_responses(treated, quick_response, tmp_path, how):
    """Responses and their tables may be read lazily."""
    _respond(treated, quick_response)
    other = _load(treated, tmp_path, how)
    for kind in ("cells", "genes"):
        _assert_same(sdo.get.response(treated, kind), sdo.get.response(other, kind))
    for plot in (sdo.pl.response, sdo.pl.response_evaluation):
        assert plot(other, return_fig=True) is not None
    sdo.tl.predict_response(other, target="drug", dose=1.0)
    sdo.tl.predict_response(treated, target="drug", dose=1.0)
    _assert_same(treated.obsm["scdiffot_predicted"], other.obsm["scdiffot_predicted"])


def _tissue():
    """Two sections of one tissue, at two times."""
    rng = np.random.default_rng(0)
    place = rng.uniform(size=(160, 2)) * [3, 2]
    states = np.c_[np.sin(place), place[:, 0] ** 2, place[:, 1] * 3, rng.normal(size=(160, 4)) + 2]
    adata = ad.AnnData(np.abs(states).astype(np.float32))
    adata.obs["slice"] = pd.Categorical(np.repeat(["a", "b"], 80))
    adata.obs["time"], adata.obs["depth"] = np.repeat([0.0, 1.0], 80), np.repeat([1.0, 3.0], 80)
    adata.obs["kind"] = np.where(place[:, 0] > 1.5, "left", "right")
    adata.obsm["spatial"], adata.obsm["X_pca"] = place, states
    return adata


@pytest.mark.slow
@pytest.mark.parametrize("how", LOADERS)
def test_tissue(quick, tmp_path, how, caplog):
    pytest.importorskip("squidpy")
    memory = _tissue()
    other = _load(memory, tmp_path, how)
    reference = _tissue()
    reference.var_names = [*reference.var_names[:5], "n0", "n1", "n2"]
    results = []
    for adata in (memory, other):
        caplog.clear()
        sdo.tl.align_slices(adata, "slice", show_progress=False)
        sdo.tl.spatial_domains(adata, 2, use_rep="X", library_key="slice")
        sdo.tl.spatial_genes(adata)
        assert "Pass `library_key`='slice'" in caplog.text
        sdo.tl.spatial_genes(adata, library_key="slice", domain_key="kind")
        sdo.tl.transfer_genes(adata, reference, n_neighbors=5)
        backward = sdo.tl.transfer_genes(reference, adata, n_neighbors=5, copy=True)
        options = {"use_rep": "X", "library_key": "slice", "cell_keys": "kind", "depth": "depth"}
        interpolation = sdo.tl.interpolate_slices(adata, ("a", "b"), 2.0, **options)
        sdo.tl.fit(adata, "time", spatial_key="spatial", key_added="fit", **quick)
        results.append(
            [
                sdo.get.alignment(adata).table,
                adata.obsm["scdiffot_domain_probability"],
                adata.uns["scdiffot_spatial_genes"],
                adata.obsm["scdiffot_transferred"],
                backward.obsm["scdiffot_transferred"],
                interpolation.X,
                interpolation.obsm["kind_probability"],
                adata.obsm["fit_migration"],
                sdo.tl.simulate(adata, n_particles=5, key="fit").states,
            ]
        )
    for first, second in zip(*results, strict=True):
        _assert_same(first, second)


def test_columns_of_a_modality(mdata, quick):
    """Prior, selection, types and colours of a modality, in the order of the MuData."""
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", growth_prior="rna:time", **quick)
    other = mdata.copy()
    values = mdata.mod["rna"].obs["time"].loc[mdata.obs_names].to_numpy()
    sdo.tl.fit(other, "rna:time", use_rep="rna:X_pca", growth_prior=values, **quick)
    np.testing.assert_array_equal(mdata.obs["scdiffot_growth"], other.obs["scdiffot_growth"])
    sdo.tl.sta_forward(mdata, "rna:cell_type", "rna:time < 1", **QUIET)
    has_fate = mdata.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(has_fate, values < 1)
    figure = sdo.pl.velocity(mdata, color="rna:cell_type", return_fig=True)
    assert {"A", "B"} <= {t.get_text() for t in figure.axes[0].get_legend().get_texts()}
    with pytest.raises(KeyError, match="`color` is 'rna:celltype', .*Did you mean 'rna:cell_type'"):
        sdo.pl.velocity(mdata, color="rna:celltype", return_fig=True)
