"""Subpopulations by response are found, ranked and compared, on constructed responses."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

GROUPS, FEATURES, CLUSTER = (
    f"scdiffot_response_{name}" for name in ("subpopulations", "features", "cluster")
)


def test_types_with_similar_responses_are_found(cells_with_response):
    assert sdo.tl.response_subpopulations(cells_with_response) is None
    cluster = cells_with_response.obs[CLUSTER]
    # A has the larger effect; the first control and treated cells have no prediction
    predicted = cells_with_response.obs["scdiffot_effect_size"].notna()
    assert cluster.notna().equals(predicted)
    assert cluster.cat.categories.tolist() == ["1", "2"]
    expected = (
        cells_with_response.obs.loc[predicted, "cell_type"].map({"A": "1", "B": "2"}).astype(str)
    )
    assert (cluster[predicted].astype(str) == expected).all()
    assert cells_with_response.uns[GROUPS]["groupby"].unique().tolist() == [CLUSTER]


def test_table_of_groups(cells_with_response):
    sdo.tl.response_subpopulations(cells_with_response, groupby="cell_type")
    assert CLUSTER not in cells_with_response.obs
    table = cells_with_response.uns[GROUPS].set_index("group")
    assert table.index.tolist() == ["A", "B"]
    assert table["rank"].tolist() == [1, 2]
    predicted = cells_with_response.obs["scdiffot_effect_size"].notna()
    assert (
        table["n_cells"].to_dict()
        == cells_with_response.obs.loc[predicted, "cell_type"].value_counts().to_dict()
    )
    by_type = cells_with_response.obs.loc[predicted].groupby("cell_type", observed=True)
    np.testing.assert_allclose(
        table["effect_size"], by_type["scdiffot_effect_size"].mean(), rtol=1e-6
    )
    np.testing.assert_allclose(table["survival"], by_type["scdiffot_survival"].mean(), rtol=1e-6)
    # all cells of a type have the same direction
    np.testing.assert_allclose(table["coherence"], 1, rtol=1e-6)
    np.testing.assert_allclose(table["response_length"], [2, 1], rtol=0.1)
    np.testing.assert_allclose(table["survival_sd"], by_type["scdiffot_survival"].std(), rtol=1e-5)
    # cells are not replicates, so tests between them would be pseudo-replication
    assert not [name for name in table if "_p" in name or name.endswith("_se")]
    assert (
        (table["effect_low"] < table["effect_size"]) & (table["effect_size"] < table["effect_high"])
    ).all()


def test_table_of_genes(cells_with_response):
    sdo.tl.response_subpopulations(cells_with_response, groupby="cell_type")
    table = cells_with_response.uns[FEATURES]
    assert table["group"].unique().tolist() == ["all", "A", "B"]
    means = table.pivot_table(index="group", columns="gene", values="mean")
    np.testing.assert_allclose(means.loc["A"], [2, 0, 0], atol=0.1)
    np.testing.assert_allclose(means.loc["B"], [0, -1, 0], atol=0.1)
    share = table[table["group"] == "all"].set_index("gene")["heterogeneity"]
    assert share.is_monotonic_decreasing
    # the response of a type differs by a twentieth; the third gene does not respond, up to
    # rounding of the states
    assert (share[["0", "1"]] > 0.95).all()
    assert means.loc["all", "2"] == pytest.approx(0, abs=1e-6)


def test_number_of_clusters(cells_with_response):
    sdo.tl.response_subpopulations(cells_with_response, n_clusters=3)
    assert cells_with_response.obs[CLUSTER].nunique() == 3
    assert cells_with_response.uns[GROUPS]["effect_size"].is_monotonic_decreasing
    repeat = sdo.tl.response_subpopulations(cells_with_response, n_clusters=3, copy=True)
    pd.testing.assert_frame_equal(repeat.uns[GROUPS], cells_with_response.uns[GROUPS])


def test_equal_responses_are_one_cluster(cells_with_response):
    cells_with_response.obsm["scdiffot_response"][:] = [1.0, 1.0, 0.0]
    cells_with_response.obs["scdiffot_effect_size"] = 1.0
    sdo.tl.response_subpopulations(cells_with_response)
    assert cells_with_response.obs[CLUSTER].unique().tolist() == ["1"]


def test_balanced_responses_have_no_survival(cells_with_response):
    del cells_with_response.obs["scdiffot_survival"]
    sdo.tl.response_subpopulations(cells_with_response)
    assert not [name for name in cells_with_response.uns[GROUPS] if name.startswith("survival")]


def test_representation_without_genes(cells_with_response, caplog):
    cells_with_response.obsm["X_emb"] = cells_with_response.X.copy()
    fit = cells_with_response.uns["scdiffot_response"]
    fit["params"]["use_rep"] = "X_emb"
    # a fit of the first format version, which had no digest of its content
    del fit["version"], fit["digest"]
    cells_with_response.uns[FEATURES] = pd.DataFrame({"gene": ["old"]})
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.response_subpopulations(cells_with_response)
    assert "Genes are left out" in caplog.text
    assert FEATURES not in cells_with_response.uns
    # encoder and decoder
    sdo.tl.response_subpopulations(
        cells_with_response, groupby="cell_type", decoder=(lambda x: x / 2, lambda z: 2 * z)
    )
    table = cells_with_response.uns[FEATURES].set_index(["group", "gene"])
    assert table.loc[("A", "0"), "mean"] == pytest.approx(4, abs=0.1)


def test_fit_in_another_anndata(cells_with_response):
    new = cells_with_response[cells_with_response.obs["treatment"] == "none"].copy()
    del new.uns["scdiffot_response"]
    with pytest.raises(KeyError, match=r"run scdiffot.tl.fit_response first"):
        sdo.tl.response_subpopulations(new)
    sdo.tl.response_subpopulations(new, reference=cells_with_response)
    sdo.tl.response_subpopulations(cells_with_response)
    pd.testing.assert_frame_equal(new.uns[GROUPS], cells_with_response.uns[GROUPS])


def test_file_and_copy(cells_with_response, tmp_path, fingerprint):
    previous = fingerprint(cells_with_response)
    copy = sdo.tl.response_subpopulations(cells_with_response, copy=True)
    assert fingerprint(cells_with_response) == previous
    copy.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    for table in ("subpopulations", "features"):
        pd.testing.assert_frame_equal(
            sdo.get.response(read, table), sdo.get.response(copy, table), check_dtype=False
        )
    assert read.obs[CLUSTER].cat.categories.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groupby": "no"}, KeyError, "`groupby` is 'no'"),
        (
            {"groupby": "cell_type", "n_clusters": 2},
            ValueError,
            "`groupby` and `n_clusters` were both given",
        ),
        ({"n_clusters": 0}, ValueError, "`n_clusters` is 0: pass at least 1"),
        ({"n_clusters": 1.5}, TypeError, "`n_clusters` is a float"),
        ({"n_clusters": 500}, ValueError, "`n_clusters` is 500, but only"),
        ({"groupby": "name"}, ValueError, "`groupby` 'name' has a group 'all'"),
        ({"groupby": "late"}, ValueError, "`groupby` 'late' is empty for all cells"),
        ({"key": "other"}, KeyError, "run scdiffot.tl.fit_response first"),
    ],
)
def test_clear_errors_and_nothing_written(
    cells_with_response, options, error, message, fingerprint
):
    cells_with_response.obs["name"] = pd.Categorical(["all"] * cells_with_response.n_obs)
    cells_with_response.obs["late"] = pd.Categorical(
        np.where(cells_with_response.obs["treatment"] == "drug", "A", None)
    )
    previous = fingerprint(cells_with_response)
    with pytest.raises(error, match=message):
        sdo.tl.response_subpopulations(cells_with_response, **options)
    assert fingerprint(cells_with_response) == previous


def test_nothing_predicted(cells_with_response):
    del cells_with_response.obsm["scdiffot_response"]
    with pytest.raises(
        KeyError, match=r"obsm\['scdiffot_response'\] is missing: run scdiffot.tl.predict_response"
    ):
        sdo.tl.response_subpopulations(cells_with_response)


@pytest.mark.slow
def test_subpopulations_of_the_simulator_are_found_by_their_response():
    from sklearn.metrics import adjusted_rand_score

    adata = sdo.datasets.perturbation_response(2000)
    sdo.tl.fit_response(
        adata, "condition", control="control", target="drug", context="donor", show_progress=False
    )
    sdo.tl.predict_response(adata)
    sdo.tl.response_subpopulations(adata)
    control = adata.obs["condition"] == "control"
    result = adjusted_rand_score(
        adata.obs.loc[control, "subpopulation"], adata.obs.loc[control, CLUSTER]
    )
    # clusters of the true responses reach 0.9: some subpopulations hold two kinds of responses
    assert result > 0.75
    sdo.tl.response_subpopulations(adata, groupby="subpopulation")
    labels = sdo.get.response(adata, "subpopulations")["group"]
    amplitude = pd.Series(adata.uns["true"]["amplitude"][0], [f"type_{k + 1}" for k in range(5)])
    assert labels.tolist() == amplitude.sort_values(ascending=False).index.tolist()
