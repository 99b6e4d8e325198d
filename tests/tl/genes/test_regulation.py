"""Regulation between genes and growth genes, from an AnnData and back."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import scdiffot as sdo
from scdiffot.core.genes.regulation import growth_gradients, jacobians

N_GENES = 12
TOOLS = [sdo.tl.regulation, sdo.tl.growth_genes]


def _run(tool, adata, *args, **options):
    tool(adata, *args, **{"show_progress": False} | options)
    return adata.uns[options.get("key", "scdiffot")][tool.__name__]


def test_pca_regulation_is_that_of_the_states(genes):
    result = _run(sdo.tl.regulation, genes)
    assert list(result["genes"]) == [f"g{i}" for i in range(N_GENES)]
    assert (list(result["groups"]), result["n_cells"].tolist()) == (["all"], [120])
    assert np.isnan(result["times"]).all()
    single = jacobians(sdo.get.model(genes), genes.obsm["X_pca"], genes.obs["time"].to_numpy())
    loadings = genes.varm["PCs"][:N_GENES]
    expected = loadings @ single @ loadings.T
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result["mean"][0], expected.mean(axis=0), atol=1e-5 * scale)
    np.testing.assert_allclose(result["sd"][0], expected.std(axis=0), atol=1e-5 * scale)
    assert result["mean"].dtype == result["sd"].dtype == result["stability"].dtype == np.float32
    # rows are targets
    assert np.abs(result["mean"][0] - result["mean"][0].T).max() > 0.01 * scale


def test_growth_genes_of_a_pca(genes):
    table = _run(sdo.tl.growth_genes, genes)
    gradient = growth_gradients(
        sdo.get.model(genes), genes.obsm["X_pca"], genes.obs["time"].to_numpy()
    )
    loadings = genes.varm["PCs"][:N_GENES]
    single = gradient @ loadings.T
    by_gene = table.set_index("gene").loc[[f"g{i}" for i in range(N_GENES)]]
    np.testing.assert_allclose(by_gene["mean"], single.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(by_gene["sd"], single.std(axis=0), atol=1e-6)
    # the data have only four components
    spread = genes[:, by_gene.index].X.std(axis=0)
    np.testing.assert_allclose(
        by_gene["effect"], single.mean(axis=0) * spread, rtol=1e-3, atol=1e-6
    )
    assert (np.diff(np.abs(table["effect"])) <= 0).all()


def test_decay_is_left_out_of_all_pairs(genes):
    """Through a PCA, decay connects all genes by their loadings."""
    reference, automatic = (
        _run(sdo.tl.regulation, genes),
        _run(sdo.tl.regulation, genes, decay="auto"),
    )
    single = jacobians(sdo.get.model(genes), genes.obsm["X_pca"], genes.obs["time"].to_numpy())
    rate = -np.linalg.eigvals(single.mean(axis=0)).real.min()
    assert automatic["decay"] == pytest.approx(rate, rel=1e-4)
    assert rate > 0
    loadings = genes.varm["PCs"][:N_GENES]
    np.testing.assert_allclose(
        automatic["mean"][0] - reference["mean"][0], rate * loadings @ loadings.T, atol=1e-4
    )
    for decay in (-1.0, "fast"):
        with pytest.raises(ValueError, match="`decay` is"):
            _run(sdo.tl.regulation, genes, decay=decay)


@pytest.mark.parametrize("tool", TOOLS)
def test_selected_genes_are_a_subset_of_all(genes, tool):
    reference = _run(tool, genes)
    part = _run(tool, genes, ["g7", "g2"])
    if tool is sdo.tl.regulation:
        assert list(part["genes"]) == ["g7", "g2"]
        for name in ("mean", "sd", "stability"):
            np.testing.assert_allclose(
                part[name], reference[name][:, [7, 2]][:, :, [7, 2]], atol=1e-6
            )
    else:
        pd.testing.assert_frame_equal(
            part, reference[reference["gene"].isin(["g7", "g2"])].reset_index(drop=True)
        )


def test_groups_and_times(genes):
    result = _run(sdo.tl.regulation, genes, groupby="cell_type", per_time=True)
    counts = genes.obs.groupby(["cell_type", "time"], observed=True).size()
    assert list(zip(result["groups"], result["times"], strict=True)) == list(counts.index)
    assert result["n_cells"].tolist() == counts.tolist()
    of_type = _run(sdo.tl.regulation, genes, groupby="cell_type")
    assert list(of_type["groups"]) == ["A/1", "B"]
    weights = result["n_cells"][:3] / result["n_cells"][:3].sum()
    np.testing.assert_allclose(
        np.tensordot(weights, result["mean"][:3], 1), of_type["mean"][0], atol=1e-6
    )
    for k, time in enumerate([0, 1, 2]):
        source = _run(sdo.tl.regulation, genes, source=f"cell_type == 'A/1' and time == {time}")
        np.testing.assert_allclose(source["mean"][0], result["mean"][k], atol=1e-6)
    # one table of growth genes per model
    table = _run(sdo.tl.growth_genes, genes, groupby="cell_type", per_time=True)
    assert list(table.groupby(["group", "time"], sort=False).size().index) == list(counts.index)
    reference = _run(sdo.tl.growth_genes, genes, groupby="cell_type")
    mean = (
        table[(table["group"] == "A/1")].pivot(index="gene", columns="time", values="mean")
        @ weights
    )
    np.testing.assert_allclose(
        mean,
        reference[reference["group"] == "A/1"].set_index("gene")["mean"].loc[mean.index],
        atol=1e-6,
    )


def test_cells_without_a_group_are_left_out(genes):
    genes.obs["partly"] = genes.obs["cell_type"].where(genes.obs["time"] < 2)
    assert _run(sdo.tl.regulation, genes, groupby="partly")["n_cells"].sum() == 80


def test_a_sample_of_cells_and_its_seed(genes):
    options = {"groupby": "cell_type", "n_cells": 10}
    result = [_run(sdo.tl.regulation, genes, rng=seed, **options)["mean"] for seed in (0, 0, 1)]
    assert genes.uns["scdiffot"]["regulation"]["n_cells"].tolist() == [10, 10]
    np.testing.assert_array_equal(result[0], result[1])
    assert not np.array_equal(result[0], result[2])


@pytest.mark.parametrize("tool", TOOLS)
def test_decoder_of_the_user(genes, tool):
    loadings = torch.tensor(np.asarray(genes.varm["PCs"]), dtype=torch.float32)
    pair = (lambda x: x @ loadings, lambda z: z @ loadings.T)
    by_pca = _run(tool, genes)
    explicit = _run(tool, genes, decoder=pair)
    if tool is sdo.tl.regulation:
        # constant and filtered genes do not vary in it
        assert list(explicit["genes"]) == list(by_pca["genes"])
        np.testing.assert_allclose(explicit["mean"], by_pca["mean"], atol=1e-6)
    else:
        pd.testing.assert_frame_equal(explicit, by_pca, rtol=1e-3, atol=1e-6)


def test_expression_itself_needs_no_decoder(time_course, quick):
    sdo.tl.fit(time_course, "time", use_rep="X", **quick)
    result = _run(sdo.tl.regulation, time_course)
    assert list(result["genes"]) == list(time_course.var_names)
    expected = jacobians(
        sdo.get.model(time_course), time_course.X, time_course.obs["time"].to_numpy()
    ).mean(axis=0)
    np.testing.assert_allclose(result["mean"][0], expected, atol=1e-6)


def test_modality(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X", form="separate", **quick)
    result = _run(sdo.tl.regulation, mdata, groupby="rna:cell_type")
    assert list(result["genes"]) == list(mdata["rna"].var_names)
    assert list(result["groups"]) == ["A", "B"]
    assert set(_run(sdo.tl.growth_genes, mdata)["gene"]) == set(mdata["rna"].var_names)


@pytest.mark.parametrize("tool", TOOLS)
def test_copy_leaves_the_data_unchanged(genes, tool, fingerprint):
    previous = fingerprint(genes)
    other = tool(genes, copy=True, show_progress=False)
    assert fingerprint(genes) == previous
    del other.uns["scdiffot"][tool.__name__]
    assert fingerprint(other) == previous


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
def test_results_survive_a_file(genes, tmp_path, suffix):
    for per_time in (False, True):
        options = {"groupby": "cell_type", "per_time": per_time}
        _run(sdo.tl.regulation, genes, **options)
        table = _run(sdo.tl.growth_genes, genes, **options)
        path = tmp_path / f"genes{per_time}{suffix}"
        if suffix == ".zarr":
            genes.write_zarr(path)
            read = ad.read_zarr(path)
        else:
            genes.write_h5ad(path)
            read = ad.read_h5ad(path)
        pd.testing.assert_frame_equal(
            sdo.get.regulation(read, all=True), sdo.get.regulation(genes, all=True)
        )
        result = read.uns["scdiffot"]["growth_genes"].reset_index(drop=True)
        pd.testing.assert_frame_equal(result.astype(table.dtypes), table)
        assert sdo.pl.growth_genes(read, return_fig=True).axes
        assert sdo.pl.regulation(read, return_fig=True).axes


def test_a_new_fit_drops_the_results(genes, quick):
    for tool in TOOLS:
        _run(tool, genes)
    sdo.tl.fit(genes, "time", **quick)
    assert not {"regulation", "growth_genes"} & set(genes.uns["scdiffot"])


def test_regulation_of_a_potential_is_warned_of(fitted_adata, genes, caplog):
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        for tool in TOOLS:
            _run(tool, genes)
        assert not caplog.records
        fitted_adata.var_names = ["g0", "g1", "g2"]
        sdo.tl.fit(
            fitted_adata,
            "time",
            use_rep="X",
            config={"train": {"n_steps": 20}, "corrections": {"n_rounds": 0}},
            sigma=0.3,
            show_progress=False,
        )
        caplog.clear()
        result = _run(sdo.tl.regulation, fitted_adata)
        assert "does not tell regulators from targets" in caplog.text
        np.testing.assert_allclose(result["mean"][0], result["mean"][0].T, atol=1e-6)
        table = _run(sdo.tl.growth_genes, fitted_adata).set_index("gene")["mean"]
        assert "gradient of its growth" in caplog.text
    rises = fitted_adata.obsm["scdiffot_velocity"].mean(axis=0)
    ratio = table.loc[fitted_adata.var_names] / rises
    np.testing.assert_allclose(ratio, ratio.iloc[0], rtol=1e-2)
