"""Data and arguments that `tl.sta_forward` accepts and refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}


def test_a_fit_without_growth(time_course, quick, fingerprint):
    sdo.tl.fit(time_course, "time", growth=False, **quick)
    original = fingerprint(time_course)
    with pytest.raises(ValueError, match="`growth` is True, but the fit has no growth"):
        sdo.tl.sta_forward(time_course, "cell_type", growth=True, **QUIET)
    assert fingerprint(time_course) == original
    sdo.tl.sta_forward(time_course, "cell_type", path=True, **QUIET)
    np.testing.assert_allclose(time_course.obs["scdiffot_n_descendants"].dropna(), 1)
    np.testing.assert_allclose(
        time_course.obsm["scdiffot_fate"], time_course.obsm["scdiffot_fate_path"]
    )
    assert time_course.uns["scdiffot"]["fate"]["growth"] is False


def test_mudata(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", **quick)
    sdo.tl.sta_forward(mdata, "rna:cell_type", **QUIET)
    sdo.tl.sta_backward(mdata, "rna:cell_type", n_trajectories=5, show_progress=False)
    assert (
        mdata.obsm["scdiffot_fate"].notna().all(axis=1).sum()
        == (mdata.mod["rna"].obs["time"] < 2).sum()
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"cell_key": "celltype"},
            KeyError,
            "`cell_key` is 'celltype', .*Did you mean 'cell_type'",
        ),
        ({"cell_key": 3}, TypeError, "`cell_key` is a int"),
        ({"cell_key": "scdiffot_growth"}, TypeError, "`cell_key` .* holds float"),
        ({"cell_key": "empty"}, ValueError, "`cell_key` .* is NaN in all cells"),
        (
            {"cell_key": "early"},
            ValueError,
            "`target_time` is 2, but no cell of that time has a type",
        ),
        ({"cell_key": "wrong"}, ValueError, "has the types 'outside'"),
        ({"cell_key": "slashes"}, ValueError, r"has the types 'a/b', 'a\|b'"),
        ({"source": "cell_type == 'C'"}, ValueError, "`source` selects no cell"),
        ({"source": ["nobody"]}, KeyError, "`source` names cells that `adata` does not have"),
        (
            {"source": 1, "target_time": 1},
            ValueError,
            "`target_time` is 1, but 44 of the 44 cells of `source`",
        ),
        (
            {"source": 1, "target_time": 0},
            ValueError,
            r"`target_time` is 0, .* or later \(up to 1\)",
        ),
        (
            {"source": "cell_type == 'A'"},
            ValueError,
            "`target_time` is 2, but .* are of that time or later",
        ),
        ({"target_time": 1.5}, KeyError, "`target_time` is 1.5, no time of"),
        ({"target_time": "day9"}, KeyError, "`target_time` is 'day9', no label"),
        ({"n_trajectories": 1}, ValueError, "`n_trajectories` is 1: pass at least 2"),
        ({"n_trajectories": 2.5}, TypeError, "`n_trajectories` is a float"),
        ({"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
        ({"n_steps": 0}, ValueError, "`n_steps` is 0"),
        ({"threshold": 1.5}, ValueError, "`threshold` is 1.5"),
        ({"threshold": "x"}, TypeError, "`threshold` is a str"),
        ({"classifier": "knn"}, TypeError, "`classifier` is a str without"),
        (
            {"classifier": LinearSVC()},
            TypeError,
            "`classifier` is a LinearSVC without 'predict_proba'",
        ),
        ({"classifier": LogisticRegression}, TypeError, "pass an instance"),
        ({"rng": "x"}, TypeError, "`rng` is a str"),
        ({"key": "other"}, KeyError, "'other'.*There is 'scdiffot'"),
    ],
)
def test_bad_input_leaves_adata_alone(fitted_adata, fingerprint, options, error, message):
    types = fitted_adata.obs["cell_type"]
    fitted_adata.obs["empty"] = pd.Categorical([None] * fitted_adata.n_obs, categories=["A"])
    fitted_adata.obs["early"] = types.where(fitted_adata.obs["time"] < 2)
    fitted_adata.obs["wrong"] = types.cat.rename_categories({"A": "outside"})
    fitted_adata.obs["slashes"] = types.cat.rename_categories({"A": "a/b", "B": "a|b"})
    original = fingerprint(fitted_adata)
    with pytest.raises(error, match=message):
        sdo.tl.sta_forward(fitted_adata, **{"cell_key": "cell_type", **QUIET, **options})
    assert fingerprint(fitted_adata) == original


def test_views_and_times_outside_the_fit(fitted_adata, quick, fingerprint):
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.sta_forward(fitted_adata[:100], "cell_type", **QUIET)
    sdo.tl.fit(fitted_adata, "time", held_out=[2], **quick)
    original = fingerprint(fitted_adata)
    with pytest.raises(
        ValueError, match="`target_time` is 2: the fit covers the times from 0 to 1"
    ):
        sdo.tl.sta_forward(fitted_adata, "cell_type", target_time=2, **QUIET)
    assert fingerprint(fitted_adata) == original


def test_a_held_out_time_can_be_the_target(time_course, quick):
    sdo.tl.fit(time_course, "time", held_out=[1], **quick)
    sdo.tl.sta_forward(time_course, "cell_type", target_time=1, **QUIET)
    assert time_course.uns["scdiffot"]["fate"]["flow_times"].tolist() == [0, 1]
