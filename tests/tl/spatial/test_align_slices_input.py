"""Slices that cannot be aligned, in part or at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.tl.spatial.conftest import make_slices

import scdiffot as sdo
from scdiffot._data.write.alignment import slice_order


def test_spots_of_no_slice_are_nan():
    adata = make_slices()
    adata = adata[adata.obs["slice"] != "s11"].copy()
    adata.obs["slice"] = adata.obs["slice"].where(np.arange(adata.n_obs) >= 5)
    out = sdo.tl.align_slices(adata, "slice", copy=True, show_progress=False)
    assert np.isnan(out.obsm["scdiffot_aligned"][:5]).all()
    assert np.isfinite(out.obsm["scdiffot_aligned"][5:]).all()
    assert "scdiffot_aligned" not in adata.obsm


def test_slices_that_have_nothing_in_common_are_reported(caplog):
    adata = make_slices()
    rng = np.random.default_rng(0)
    adata = adata[adata.obs["slice"] != "s11"].copy()
    adata.obsm["X_pca"] = rng.normal(size=(adata.n_obs, 3))
    sdo.tl.align_slices(adata, "slice", show_progress=False)
    assert sdo.get.alignment(adata).table["score"].min() < 0.4


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (
            None,
            {"method": "elastic"},
            ValueError,
            "`method` is 'elastic': pass one of 'rigid', 'nonrigid'",
        ),
        (None, {"reference": "s1"}, KeyError, "`reference` is 's1', which is no slice"),
        (None, {"library_key": "slide"}, KeyError, "`library_key` is 'slide'"),
        (None, {"use_rep": "X_none"}, KeyError, "`use_rep`"),
        (None, {"partial": 1}, TypeError, "`partial` is a int"),
        (None, {"feature_weight": 0.0}, ValueError, "`feature_weight` is 0.0"),
        (None, {"n_starts": 2}, ValueError, "`n_starts` is 2"),
        ("nan", {}, ValueError, "`spatial_key`.*NaN"),
        ("one", {}, ValueError, "has 1 slice"),
        ("3d", {}, ValueError, "3 columns"),
        ("same", {}, ValueError, "distinct positions"),
        ("missing", {}, KeyError, "`spatial_key`"),
        ("wide", {}, ValueError, "`spatial_key` 'spatial' has values up to .*e\\+201"),
        ("narrow", {}, ValueError, "`spatial_key` gives slice 's10' the extent .*e-200"),
        ("states", {}, ValueError, "`use_rep` 'X_pca' has values up to .*e\\+160"),
        ("names", {}, ValueError, "holds different values that read '1': make all labels strings"),
        ("few", {}, ValueError, "Slice 's9' has 2 spots"),
    ],
)
def test_errors_leave_the_data_alone(change, arguments, error, message):
    adata = make_slices()
    if change == "nan":
        adata.obsm["spatial"][3] = np.nan
    elif change == "one":
        adata.obs["slice"] = "all"
    elif change == "3d":
        adata.obsm["spatial"] = np.column_stack([adata.obsm["spatial"], np.zeros(adata.n_obs)])
    elif change == "same":
        adata.obsm["spatial"][:120] = 1.0
    elif change in ("wide", "narrow"):
        adata.obsm["spatial"] = adata.obsm["spatial"] * (1e200 if change == "wide" else 1e-200)
    elif change == "states":
        adata.obsm["X_pca"] = adata.obsm["X_pca"].astype(np.float64) * 1e160
    elif change == "names":
        adata.obs["slice"] = pd.Categorical(
            [1 if name == "s9" else "1" for name in adata.obs["slice"]]
        )
    elif change == "few":
        adata = adata[118:].copy()
    elif change == "missing":
        del adata.obsm["spatial"]
    previous = set(adata.obsm), set(adata.uns), set(adata.obs)
    with pytest.raises(error, match=message):
        sdo.tl.align_slices(adata, **{"library_key": "slice", "show_progress": False} | arguments)
    assert (set(adata.obsm), set(adata.uns), set(adata.obs)) == previous


def test_no_alignment_to_read():
    with pytest.raises(
        KeyError, match=r"no adata.uns\['scdiffot_slices'\]: run scdiffot.tl.align_slices"
    ):
        sdo.get.alignment(make_slices())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["s10", "s11", "s9"], ["s9", "s10", "s11"]),
        (["E10.5", "E11.5", "E9.5"], ["E9.5", "E10.5", "E11.5"]),
        (["b", "a"], ["b", "a"]),
        (["0", "1.5", "10", "2"], ["0", "1.5", "2", "10"]),
    ],
)
def test_names_of_slices_are_sorted_by_their_numbers(names, expected):
    assert slice_order(names) == expected
