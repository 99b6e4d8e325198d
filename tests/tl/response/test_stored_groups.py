"""Conditions, doses and contexts that changed after a fit of responses are refused."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot._utils.errors import StoredFitError

READERS = {
    "predict_response": sdo.tl.predict_response,
    "plot": lambda a: sdo.pl.response(a, return_fig=True, show=False),
}


@pytest.fixture(scope="module")
def _treated():
    adata = sdo.datasets.perturbation_response(
        240, n_dims=3, n_genes=5, n_types=2, n_donors=2, doses=(0.1, 1.0)
    )
    sdo.tl.fit_response(
        adata,
        *("condition", "control", "drug"),
        context="donor",
        dose_key="dose",
        use_rep="X_pca",
        config={"train": {"n_steps": 5}, "networks": {"n_hidden": 8}},
        show_progress=False,
    )
    sdo.tl.predict_response(adata)
    return adata


@pytest.fixture
def treated(_treated):
    return _treated.copy()


def _edit(adata, column, cell, value):
    """Give one cell another value."""
    values = adata.obs[column].astype(object).to_numpy().copy()
    values[cell] = value
    adata.obs[column] = values if column == "dose" else pd.Categorical(values)
    adata.obs["dose"] = adata.obs["dose"].astype(float)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("column", "value", "source"),
    [
        (
            "condition",
            "control",
            r"`condition_key` obs\['condition'\] with `dose_key` obs\['dose'\]",
        ),
        ("condition", np.nan, "`condition_key`"),
        ("dose", 0.1, r"with `dose_key` obs\['dose'\]"),
        ("donor", "another", r"`context` obs\['donor'\]"),
        ("donor", np.nan, "`context`"),
    ],
)
def test_a_changed_cell_is_refused(treated, fingerprint, reader, column, value, source):
    cell = np.flatnonzero((treated.obs["condition"] == "drug") & (treated.obs["dose"] == 1.0))[0]
    _edit(treated, column, cell, value)
    digest = fingerprint(treated)
    message = (
        f"{source}.* is not what the response 'scdiffot' was made with: it differs in 1 of 240 "
    )
    with pytest.raises(StoredFitError, match=message) as error:
        READERS[reader](treated)
    assert "scdiffot.tl.fit_response again" in str(error.value)
    assert fingerprint(treated) == digest


@pytest.mark.parametrize("reader", READERS)
def test_subsets_orders_and_forms_are_accepted(treated, reader):
    subset = treated[np.random.default_rng(0).permutation(treated.n_obs)[:200]].copy()
    subset.obs["condition"] = subset.obs["condition"].astype(str)
    subset.obs["donor"] = (
        subset.obs["donor"]
        .astype("category")
        .cat.reorder_categories(sorted(subset.obs["donor"].unique())[::-1])
    )
    subset.obs["dose"] = subset.obs["dose"].astype(np.float32)
    READERS[reader](subset)


def test_new_cells_are_not_compared(treated):
    other = treated.copy()
    other.obs_names = [f"new{i}" for i in range(other.n_obs)]
    del other.obsm["scdiffot_fingerprint"]
    other.obs["condition"] = "control"
    all_cells = ad.concat([treated, other], join="outer")
    all_cells.uns = treated.uns
    sdo.tl.predict_response(all_cells)
    assert np.isfinite(all_cells.obsm["scdiffot_response"][treated.n_obs :]).all()


def test_a_fit_without_contexts_ignores_them(treated):
    sdo.tl.fit_response(
        treated,
        "condition",
        "control",
        "drug",
        config={"train": {"n_steps": 5}, "networks": {"n_hidden": 8}},
        show_progress=False,
    )
    treated.obs["donor"] = "one"
    treated.obs["dose"] = 3.0
    sdo.tl.predict_response(treated)
    assert np.isfinite(treated.obsm["scdiffot_response"]).any()
