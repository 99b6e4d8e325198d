from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_table(fitted_adata):
    sdo.tl.sta_forward(fitted_adata, "cell_type", 0, n_trajectories=20, show_progress=False)
    table = sdo.get.fate(fitted_adata)
    first = fitted_adata.obs_names[fitted_adata.obs["time"] == 0]
    assert len(table) == 3 * len(first)
    assert list(table["cell"].unique()) == list(first)
    assert list(table["fate"].cat.categories) == ["A", "B", "outside"]
    wide = table.pivot(index="cell", columns="fate", values="share").loc[first]
    np.testing.assert_allclose(wide, fitted_adata.obsm["scdiffot_fate"].loc[first])
    errors = table.pivot(index="cell", columns="fate", values="se").loc[first]
    np.testing.assert_allclose(errors, fitted_adata.obsm["scdiffot_fate_se"].loc[first])
    total = table.groupby("cell")["n_descendants"].sum().loc[first]
    np.testing.assert_allclose(total, fitted_adata.obs["scdiffot_n_descendants"].loc[first])
    assert "path" not in table
    sdo.tl.sta_forward(
        fitted_adata, "cell_type", 0, n_trajectories=20, path=True, show_progress=False
    )
    table = sdo.get.fate(fitted_adata)
    np.testing.assert_allclose(table.groupby("cell")["path"].sum(), 1)


def test_without_fates(fitted_adata):
    with pytest.raises(
        KeyError, match=r"has no 'fate': run scdiffot.tl.sta_forward\(adata, cell_key\) first"
    ):
        sdo.get.fate(fitted_adata)
    with pytest.raises(KeyError, match="`key` is 'other'"):
        sdo.get.fate(fitted_adata, key="other")
