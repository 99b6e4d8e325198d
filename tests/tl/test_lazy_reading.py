"""Files that are read lazily or in backed mode give what the same data in memory give."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

pytest.importorskip("xarray")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

QUIET = {"n_trajectories": 5, "show_progress": False}


def _analyse(adata, rows=slice(None)):
    """Everything that tells types from states; returns plain tables."""
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
def stored(request, fitted, quick, tmp_path):
    """The same data in memory and not."""
    fitted.var_names = [f"g{i}" for i in range(fitted.n_vars)]
    fitted.obs["flag"] = pd.array(np.arange(fitted.n_obs) % 2 == 0, dtype="boolean")
    fitted.obs["cell_type"] = fitted.obs["cell_type"].where(np.arange(fitted.n_obs) % 9 != 0)
    sdo.tl.fit(fitted, "time", use_rep="X", growth_prior="time", **quick)
    suffix = request.param.rpartition(" ")[2].replace("backed", "h5ad")
    path = tmp_path / f"a.{suffix}"
    getattr(fitted, f"write_{suffix}")(path)
    if request.param == "backed":
        return fitted, ad.read_h5ad(path, backed="r+")
    return fitted, ad.experimental.read_lazy(path)


def test_the_same_results(stored):
    memory, other = stored
    for one, two in zip(_analyse(memory), _analyse(other), strict=True):
        assert len(one) > 0
        # An index that is read lazily has the name that it has in the file.
        two.index.name = None
        pd.testing.assert_frame_equal(one, two, check_dtype=False, check_categorical=False, check_index_type=False)
    assert sdo.pl.fate(other, return_fig=True) is not None
    assert sdo.pl.fate(other, kind="composition", groupby="cell_type", return_fig=True) is not None
    assert sdo.pl.velocity(other, color="cell_type", return_fig=True) is not None


def test_results_that_are_read_lazily(fitted, tmp_path):
    fitted.obs.loc[fitted.obs_names[:9], "cell_type"] = np.nan
    sdo.tl.sta_forward(fitted, "cell_type", **QUIET)
    sdo.tl.sta_backward(fitted, "cell_type", **QUIET)
    fitted.write_zarr(tmp_path / "a.zarr")
    lazy = ad.experimental.read_lazy(tmp_path / "a.zarr")
    pd.testing.assert_frame_equal(sdo.get.fate(lazy), sdo.get.fate(fitted), check_dtype=False)
    assert sdo.pl.fate(lazy, return_fig=True) is not None
    assert sdo.pl.ancestry(lazy, kind="composition", return_fig=True) is not None


def test_columns_of_a_modality(mdata, quick):
    """The prior, the selection, the types and the colours of a modality, in the order of the whole."""
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", growth_prior="rna:time", **quick)
    other = mdata.copy()
    values = mdata.mod["rna"].obs["time"].loc[mdata.obs_names].to_numpy()
    sdo.tl.fit(other, "rna:time", use_rep="rna:X_pca", growth_prior=values, **quick)
    np.testing.assert_array_equal(mdata.obs["scdiffot_growth"], other.obs["scdiffot_growth"])
    sdo.tl.sta_forward(mdata, "rna:cell_type", "rna:time < 1", **QUIET)
    followed = mdata.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(followed, values < 1)
    figure = sdo.pl.velocity(mdata, color="rna:cell_type", return_fig=True)
    assert {"A", "B"} <= {t.get_text() for t in figure.axes[0].get_legend().get_texts()}
    with pytest.raises(KeyError, match="`color` is 'rna:celltype', .*Did you mean 'rna:cell_type'"):
        sdo.pl.velocity(mdata, color="rna:celltype", return_fig=True)
