"""Errors of a fit of responses for unsuitable input."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo

GROUPS = ("condition", "control", "drug")


def _nan_state(adata):
    adata.obsm["X_pca"][3, 2] = np.nan


def _constant(adata):
    adata.obsm["X_pca"][:] = 1.0


def _drop_treated(adata):
    treated = np.flatnonzero(adata.obs["condition"] == "drug")
    adata.obs.iloc[treated[19:], adata.obs.columns.get_loc("condition")] = np.nan


def _context_without_controls(adata):
    adata.obs["batch"] = np.where(adata.obs["condition"] == "control", "one", "two")


def _few_in_a_context(adata):
    adata.obs["batch"] = np.where(np.arange(adata.n_obs) < 10, "few", "many")
    adata.obs["batch"] = adata.obs["batch"].where(adata.obs["condition"] == "control", "few")


def _as_it_is(adata):
    pass


def _negative_dose(adata):
    adata.obs["dose"] = -1.0


def _no_dose(adata):
    adata.obs["dose"] = np.nan


def _dose_in_words(adata):
    adata.obs["dose"] = np.where(adata.obs["condition"] == "drug", "high", "0")


def _duplicate(adata):
    adata.obs_names = ["same", "same", *adata.obs_names[2:]]


def _drop_pca(adata):
    adata.uns["chemistry"] = {"other": np.zeros(2)}


def _unknown_description(adata):
    adata.uns["chemistry"] = {"drug": np.array([np.nan])}


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize(
    ("spoil", "groups", "options", "error", "message"),
    [
        (
            _as_it_is,
            ("conditon", "control", "drug"),
            {},
            KeyError,
            r"`condition_key` .* Did you mean 'condition'\?",
        ),
        (
            _as_it_is,
            ("condition", "contrl", "drug"),
            {},
            KeyError,
            r"`control` is 'contrl', .* Did you mean 'control'\?",
        ),
        (
            _as_it_is,
            ("condition", "control", "Drug"),
            {},
            KeyError,
            r"`target` is 'Drug', .* Did you mean 'drug'\?",
        ),
        (
            _as_it_is,
            ("condition", "control", "control"),
            {},
            ValueError,
            "`target` 'control' is the control",
        ),
        (
            _as_it_is,
            ("condition", "control", ["drug", "drug"]),
            {},
            ValueError,
            "`target` names a condition twice",
        ),
        (
            _as_it_is,
            ("condition", "control", None),
            {},
            TypeError,
            "`target` is a NoneType: pass a name",
        ),
        (
            _as_it_is,
            GROUPS,
            {"unbalanced": True, "mass": 3},
            TypeError,
            "`mass` is a int: pass 'n_cells', a dict",
        ),
        (_as_it_is, ("condition", "control", []), {}, ValueError, "`target` names no condition"),
        (_as_it_is, ("X_pca", "control", "drug"), {}, KeyError, "`condition_key` is 'X_pca'"),
        (
            _as_it_is,
            GROUPS,
            {"use_rep": "X_pac"},
            KeyError,
            r"`use_rep` is 'X_pac', .* Did you mean 'X_pca'\?",
        ),
        (_as_it_is, GROUPS, {"n_dims": 7}, ValueError, "`n_dims` is 7"),
        (_as_it_is, GROUPS, {"context": "donr"}, KeyError, r"`context` .* Did you mean 'donor'\?"),
        (
            _as_it_is,
            GROUPS,
            {"dose_key": "dos"},
            KeyError,
            r"`dose_key` is 'dos', .* Did you mean 'dose'\?",
        ),
        (
            _as_it_is,
            GROUPS,
            {"target_embedding": "no"},
            KeyError,
            "`target_embedding` is 'no', which is no entry of uns",
        ),
        (
            _drop_pca,
            GROUPS,
            {"target_embedding": "chemistry"},
            KeyError,
            "does not describe 'drug'",
        ),
        (
            _unknown_description,
            GROUPS,
            {"target_embedding": "chemistry"},
            ValueError,
            "holds NaN or infinite",
        ),
        (
            _as_it_is,
            GROUPS,
            {"method": "linear"},
            ValueError,
            "`method` is 'linear': pass 'flow' or 'convex'",
        ),
        (_as_it_is, GROUPS, {"metric": "cosine"}, ValueError, "`metric` is 'cosine': pass"),
        (
            _as_it_is,
            GROUPS,
            {"config": {"train": {"n_steps": 0}}},
            ValueError,
            "`train.n_steps` is 0: pass at least 1",
        ),
        (
            _as_it_is,
            GROUPS,
            {"config": {"train": {"n_steps": 1.5}}},
            TypeError,
            "`train.n_steps` is a float: pass a whole number",
        ),
        (
            _as_it_is,
            GROUPS,
            {"config": {"train": {"batch_size": -1}}},
            ValueError,
            "`train.batch_size` is -1",
        ),
        (
            _as_it_is,
            GROUPS,
            {"config": {"train": {"learning_rate": 0.0}}},
            ValueError,
            "`train.learning_rate` is 0.0: pass a number above 0",
        ),
        (
            _as_it_is,
            GROUPS,
            {"config": {"scale": {"smoothing": -0.1}}},
            ValueError,
            "`scale.smoothing` is -0.1",
        ),
        (_as_it_is, GROUPS, {"rng": "seed"}, TypeError, "rng"),
        (_nan_state, GROUPS, {}, ValueError, "`use_rep` 'X_pca' is NaN or infinite in 1 of"),
        (_constant, GROUPS, {}, ValueError, "`use_rep` 'X_pca' is the same in all cells"),
        (
            _drop_treated,
            GROUPS,
            {},
            ValueError,
            "'drug' has 19 cells: a response needs at least 20",
        ),
        (
            _context_without_controls,
            GROUPS,
            {"context": "batch"},
            ValueError,
            "'two' has treated cells and no control",
        ),
        (
            _few_in_a_context,
            GROUPS,
            {"context": "batch"},
            ValueError,
            "'control' of context 'few' has 10 cells",
        ),
        (
            _negative_dose,
            GROUPS,
            {"dose_key": "dose"},
            ValueError,
            r"obs\['dose'\] holds '-1.0' in treated cells",
        ),
        (
            _no_dose,
            GROUPS,
            {"dose_key": "dose"},
            ValueError,
            r"obs\['dose'\] holds 'nan' in treated cells",
        ),
        (
            _dose_in_words,
            GROUPS,
            {"dose_key": "dose"},
            ValueError,
            "'high' in treated cells: doses must be positive",
        ),
        (_duplicate, GROUPS, {}, ValueError, "duplicated obs names"),
    ],
)
def test_bad_input_leaves_everything_untouched(
    treated, quick_response, fingerprint, spoil, groups, options, error, message
):
    spoil(treated)
    previous = fingerprint(treated)
    with pytest.raises(error, match=message):
        sdo.tl.fit_response(treated, *groups, **quick_response | options)
    assert fingerprint(treated) == previous


def test_views_and_wrong_objects(treated, quick_response):
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.fit_response(treated[:100], *GROUPS, **quick_response)
    with pytest.raises(TypeError, match="`adata` is a DataFrame"):
        sdo.tl.fit_response(treated.obs, *GROUPS, **quick_response)


def test_options_may_be_numbers_of_numpy(treated, quick_response):
    sdo.tl.fit_response(
        treated,
        *GROUPS,
        **quick_response
        | {"config": {"train": {"n_steps": np.int64(5)}, "scale": {"smoothing": np.float32(0.5)}}},
    )
    sdo.tl.predict_response(treated)
    assert "scdiffot_predicted" in treated.obsm
