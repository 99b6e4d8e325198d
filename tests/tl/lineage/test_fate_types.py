"""Classifiers, untyped cells and names of types in `tl.sta_forward`."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}
NAMES = {"A": "β T-cell, naïve", "B": "Prog/Mono"}


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["logistic", "pipeline"],
)
def test_other_classifiers(split, classifier):
    by_neighbors = sdo.tl.sta_forward(split, "cell_type", copy=True, **QUIET)
    sdo.tl.sta_forward(split, "cell_type", classifier=classifier, **QUIET)
    assert split.uns["scdiffot"]["fate"]["accuracy"] > 0.99
    difference = split.obsm["scdiffot_fate"] - by_neighbors.obsm["scdiffot_fate"]
    # The trajectories are the same.
    assert np.nanmax(np.abs(difference["outside"])) < 1e-12
    assert np.nanmax(np.abs(difference)) < 0.1
    # A clone was fitted.
    assert not hasattr(classifier, "classes_")


def test_classifier_with_few_cells_of_a_type(split):
    rare = np.flatnonzero(split.obs["time"] == 2)[:3]
    split.obs["cell_type"] = split.obs["cell_type"].astype(str)
    split.obs.iloc[rare, split.obs.columns.get_loc("cell_type")] = "rare"
    sdo.tl.sta_forward(split, "cell_type", classifier=LogisticRegression(), **QUIET)
    assert list(split.obsm["scdiffot_fate"].columns) == ["down", "rare", "up", "outside"]


def test_far_from_every_cell_is_outside(split, caplog):
    # Without the cells "down", half of the descendants end far from every cell.
    split = split[~((split.obs["time"] == 2) & (split.obs["cell_type"] == "down"))].copy()
    sdo.tl.sta_forward(split, "cell_type", path=True, **QUIET)
    path = split.obsm["scdiffot_fate_path"].dropna().mean()
    assert path["outside"] > 0.25
    assert path["up"] > 0.4
    assert "end far from every cell of time 2 and count as 'outside'" in caplog.text


def test_missing_types(fitted_adata):
    fitted_adata.obs.loc[fitted_adata.obs["time"] < 2, "cell_type"] = np.nan
    untyped = fitted_adata.obs_names[fitted_adata.obs["time"] == 2][:10]
    fitted_adata.obs.loc[untyped, "cell_type"] = np.nan
    sdo.tl.sta_forward(fitted_adata, "cell_type", 0, **QUIET)
    np.testing.assert_allclose(fitted_adata.obsm["scdiffot_fate"].dropna().sum(axis=1), 1)
    result = fitted_adata.uns["scdiffot"]["fate"]
    assert result["classes"].tolist() == ["A", "B", "unknown", "outside"]
    # The middle time has no types; the flow starts from the class of untyped cells.
    assert result["flow_times"].tolist() == [0, 2]
    assert result["flow_classes"].tolist() == ["A", "B", "unknown", "outside"]
    np.testing.assert_allclose(result["flow_masses"][0], [0, 0, 1, 0])
    np.testing.assert_allclose(
        result["flows"][0].sum(), fitted_adata.obs["scdiffot_n_descendants"].mean()
    )


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_names_of_all_kinds_survive_a_file(fitted_adata, tmp_path, suffix):
    fitted_adata.obs["kind of cell"] = fitted_adata.obs["cell_type"].cat.rename_categories(NAMES)
    sdo.tl.sta_forward(fitted_adata, "kind of cell", **QUIET)
    sdo.tl.sta_backward(fitted_adata, "kind of cell", n_trajectories=5, show_progress=False)
    assert list(fitted_adata.obsm["scdiffot_fate"].columns) == [
        "β T-cell, naïve",
        "Prog|Mono",
        "outside",
    ]
    path = tmp_path / f"fates.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    restored = getattr(ad, f"read_{suffix}")(path)
    for name in ("fate", "fate_se", "ancestry"):
        pd.testing.assert_frame_equal(
            restored.obsm[f"scdiffot_{name}"], fitted_adata.obsm[f"scdiffot_{name}"]
        )
    table = sdo.get.fate(restored)
    assert list(table["fate"].cat.categories) == ["β T-cell, naïve", "Prog/Mono", "outside"]
    pd.testing.assert_frame_equal(table, sdo.get.fate(fitted_adata))
    # A fit that was read from a file can be used again.
    sdo.tl.sta_forward(restored, "kind of cell", **QUIET)
    np.testing.assert_array_equal(
        restored.obsm["scdiffot_fate"], fitted_adata.obsm["scdiffot_fate"]
    )


def test_types_of_one_cell_are_named(fitted_adata, caplog):
    last = np.flatnonzero(fitted_adata.obs["time"] == 2)
    fitted_adata.obs["cell_type"] = fitted_adata.obs["cell_type"].cat.add_categories("alone")
    fitted_adata.obs.iloc[last[0], fitted_adata.obs.columns.get_loc("cell_type")] = "alone"
    result = sdo.tl.sta_forward(
        fitted_adata, "cell_type", n_trajectories=3, show_progress=False, copy=True
    )
    assert "At time 2, 'alone' of obs['cell_type'] have a single cell" in caplog.text
    # The number of neighbours is a tenth of the 48 cells.
    assert "from 1 / 4 on" in caplog.text
    assert "alone" in result.obsm["scdiffot_fate"]
    caplog.clear()
    sdo.tl.sta_forward(
        fitted_adata, "cell_type", n_trajectories=3, n_neighbors=1, show_progress=False
    )
    fitted_adata.obs.iloc[last[1], fitted_adata.obs.columns.get_loc("cell_type")] = "alone"
    sdo.tl.sta_forward(fitted_adata, "cell_type", n_trajectories=3, show_progress=False)
    assert "single cell" not in caplog.text
