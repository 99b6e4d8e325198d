from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo

COLUMNS = [
    "w1",
    "w2",
    "mmd",
    "mass_error",
    "w1_mccann",
    "w1_previous",
    "w1_next",
    "w1_pooled",
    "w1_floor",
]


def test_one_row_for_every_inner_time(fitted_adata, tmp_path, fingerprint):
    original = fingerprint(fitted_adata)
    assert sdo.tl.validate(fitted_adata, "time", show_progress=False) is None
    table = fitted_adata.uns["scdiffot"]["validation"]
    assert table["time"].tolist() == [1.0]
    assert set(COLUMNS) <= set(table.columns)
    assert np.isfinite(table).all(axis=None)
    # The clouds are one unit apart, and the middle one lies half way.
    assert table["w1"].iloc[0] < table["w1_previous"].iloc[0] * 1.2
    updated = fingerprint(fitted_adata)
    assert updated["obsm"] == original["obsm"]
    assert updated["obs"] == original["obs"]
    fitted_adata.write_h5ad(tmp_path / "validated.h5ad")
    result = ad.read_h5ad(tmp_path / "validated.h5ad").uns["scdiffot"]["validation"]
    np.testing.assert_allclose(result[COLUMNS], table[COLUMNS])
    assert result.index.tolist() == table.index.tolist()


def test_seeds_and_copy(fitted_adata, fingerprint):
    original = fingerprint(fitted_adata)
    first, second = (
        sdo.tl.validate(fitted_adata, copy=True, rng=5, show_progress=False).uns["scdiffot"][
            "validation"
        ]
        for _ in range(2)
    )
    assert first.equals(second)
    assert fingerprint(fitted_adata) == original


def test_times_to_leave_out(time_course, quick):
    time_course.obs["time"] += time_course.obs["time"].eq(2) * np.repeat(
        [0, 1], [60, time_course.n_obs - 60]
    )
    sdo.tl.fit(time_course, "time", held_out=2, **quick)
    sdo.tl.validate(time_course, show_progress=False)
    assert time_course.uns["scdiffot"]["validation"]["time"].tolist() == [1.0]
    # Snapshots that the fit held out can be left out, too.
    sdo.tl.validate(time_course, times=[2], show_progress=False)
    assert time_course.uns["scdiffot"]["validation"]["time"].tolist() == [2.0]
    with pytest.raises(
        ValueError, match="`times` holds 3.0: only inner time points can be left out, 1.0"
    ):
        sdo.tl.validate(time_course, times=3, show_progress=False)
    with pytest.raises(KeyError, match="`times` is 7, no time"):
        sdo.tl.validate(time_course, times=7, show_progress=False)


def test_two_snapshots_are_too_few(time_course, quick, fingerprint):
    adata = time_course[time_course.obs["time"] < 2].copy()
    sdo.tl.fit(adata, "time", **quick)
    original = fingerprint(adata)
    with pytest.raises(
        ValueError, match="has 2 time points in this fit: leaving one out takes three"
    ):
        sdo.tl.validate(adata, "time", show_progress=False)
    assert fingerprint(adata) == original


def test_without_a_fit(time_course):
    with pytest.raises(KeyError, match=r"`key` is 'scdiffot', .* is missing: run scdiffot.tl.fit"):
        sdo.tl.validate(time_course, "time")
