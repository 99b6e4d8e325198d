"""What `tl.fit` refuses, with nothing of the data touched."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def _without_time_point(adata):
    adata.obs["time"] = 1.0


def _few_cells(adata):
    adata.obs.iloc[:3, adata.obs.columns.get_loc("time")] = 9.0


def _nan_state(adata):
    adata.obsm["X_pca"][0, 0] = np.nan


def _inf_state(adata):
    adata.obsm["X_pca"][0, 0] = np.inf


def _nan_time(adata):
    adata.obs.iloc[0, adata.obs.columns.get_loc("time")] = np.nan


def _inf_time(adata):
    adata.obs.iloc[0, adata.obs.columns.get_loc("time")] = np.inf


def _duplicated(adata):
    adata.obs_names = ["same", "same", *adata.obs_names[2:]]


def _constant(adata):
    adata.obsm["X_pca"][:] = 1.0


def _unchanged(adata):
    pass


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize(
    ("spoil", "time_key", "options", "error", "message"),
    [
        (_unchanged, "tim", {}, KeyError, r"`time_key` is 'tim', .* Did you mean 'time'\?"),
        (
            _unchanged,
            "time",
            {"use_rep": "X_pac"},
            KeyError,
            r"`use_rep` is 'X_pac', .* Did you mean 'X_pca'\?",
        ),
        (_unchanged, "time", {"growth_prior": "no"}, KeyError, "`growth_prior` is 'no'"),
        (_unchanged, "time", {"held_out": 5}, KeyError, "`held_out` is 5"),
        (
            _without_time_point,
            "time",
            {},
            ValueError,
            "has 1 time point: dynamics need at least two",
        ),
        (_few_cells, "time", {}, ValueError, r"fewer than 10 cells: 9 \(3 cells\)"),
        (_nan_state, "time", {}, ValueError, "`use_rep` 'X_pca' is NaN or infinite in 1 of"),
        (_inf_state, "time", {}, ValueError, "`use_rep` 'X_pca' is NaN or infinite in 1 of"),
        (_nan_time, "time", {}, ValueError, "`time_key` .* is NaN in 1 of"),
        (_inf_time, "time", {}, ValueError, "`time_key` .* has infinite times"),
        (_unchanged, "label", {}, ValueError, "labels that are no numbers .* pass `time_map`"),
        (
            _unchanged,
            "time",
            {"mass": {0: 0, 1: 1, 2: 1}},
            ValueError,
            "`mass` holds 0: pass positive",
        ),
        (
            _unchanged,
            "time",
            {"mass": {0: -1, 1: 1, 2: 1}},
            ValueError,
            "`mass` holds -1: pass positive",
        ),
        (
            _duplicated,
            "time",
            {},
            ValueError,
            r"duplicated obs names, for instance 'same': .*obs_names_make_unique",
        ),
        (_constant, "time", {}, ValueError, "is the same in all cells"),
        (_unchanged, "time", {"sigma": -1.0}, ValueError, "`sigma` is -1.0"),
        (_unchanged, "time", {"sigma": "big"}, ValueError, "`sigma` is 'big'"),
        (_unchanged, "time", {"alpha": 0.0}, ValueError, "`alpha` is 0.0"),
        (_unchanged, "time", {"form": "both"}, ValueError, "`form` is 'both'"),
        (_unchanged, "time", {"path": "round"}, ValueError, "`path` is 'round'"),
        (
            _unchanged,
            "time",
            {"config": {"train": {"n_steps": 0}}},
            ValueError,
            "`train.n_steps` is 0",
        ),
        (_unchanged, "time", {"n_dims": 9}, ValueError, "`n_dims` is 9"),
        (_unchanged, "time", {"rng": "seed"}, TypeError, "`rng` is a str"),
        (_unchanged, "time", {"rng": -1}, ValueError, "`rng` is -1"),
        (_unchanged, "time", {"key_added": "a/b"}, ValueError, "`key_added` is 'a/b'"),
        (
            _unchanged,
            "time",
            {"key_added": "pca"},
            ValueError,
            "holds something that is not a fit: name another",
        ),
    ],
)
def test_bad_input_leaves_everything_untouched(
    time_course, quick, fingerprint, spoil, time_key, options, error, message
):
    time_course.uns["pca"] = {"variance": np.ones(3)}
    spoil(time_course)
    original = fingerprint(time_course)
    with pytest.raises(error, match=message):
        sdo.tl.fit(time_course, time_key, **quick | options)
    assert fingerprint(time_course) == original


def test_views_and_empty_and_wrong_objects(time_course, quick, fingerprint):
    original = fingerprint(time_course)
    view = time_course[time_course.obs["time"] < 2]
    with pytest.raises(ValueError, match=r"`adata` is a view .* adata = adata\[...\].copy\(\)"):
        sdo.tl.fit(view, "time", **quick)
    assert view.is_view
    assert fingerprint(time_course) == original
    with pytest.raises(ValueError, match="`adata` has no cells"):
        sdo.tl.fit(time_course[:0].copy(), "time", **quick)
    with pytest.raises(TypeError, match="`adata` is a DataFrame: pass an AnnData or a MuData"):
        sdo.tl.fit(time_course.obs, "time", **quick)
