"""Gene symbols are equivalent to `var_names`; ambiguous names are errors when used."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.conftest import QUICK, make_mudata, make_time_course

import scdiffot as sdo
from scdiffot._data.read.gene_names import gene_columns, gene_names
from scdiffot._data.write.decoders import read_genes

NAMES, SYMBOLS = ["ENSG0", "ENSG1", "ENSG2"], ["Sox2", "Gata1", "Myc"]
PATHS: dict[str, Any] = {"n_trajectories": 4, "n_steps": 2, "show_progress": False}


@pytest.fixture(scope="module")
def fit() -> ad.AnnData:
    adata = make_time_course()
    adata.var_names = NAMES
    adata.var["symbol"] = SYMBOLS
    sdo.tl.fit(adata, "time", use_rep="X", form="separate", **QUICK)
    return adata


def _perturb(adata, genes, **options):
    sdo.tl.perturb(
        adata, genes, "cell_type", name="p", sustained=True, kind="overexpress", **PATHS, **options
    )
    result = adata.uns["scdiffot"]["perturbation"]["p"]
    return result["genes"].tolist(), np.vstack([result["shift"], result["perturbed"]])


def _screen(adata, genes, **options):
    sdo.tl.perturb_screen(adata, "cell_type", genes=genes, kind="overexpress", **PATHS, **options)
    result = adata.uns["scdiffot"]["perturb_screen"]
    return result["gene"].tolist(), result["shift"]


def _regulation(adata, genes, **options):
    sdo.tl.regulation(adata, genes, show_progress=False, **options)
    result = adata.uns["scdiffot"]["regulation"]
    return result["genes"].tolist(), result["mean"]


def _growth_genes(adata, genes, **options):
    sdo.tl.growth_genes(adata, genes, show_progress=False, **options)
    result = adata.uns["scdiffot"]["growth_genes"]
    return result["gene"].tolist(), result["mean"].to_numpy()


def _trajectory_genes(adata, genes, **options):
    sdo.tl.trajectory_genes(
        adata, "cell_type", genes=genes, n_cells=20, n_times=3, **PATHS, **options
    )
    result = adata.uns["scdiffot"]["trajectory_genes"]
    return result["genes"].tolist(), result["mean"]


def _gene_velocity(adata, genes, **options):
    sdo.tl.gene_velocity(adata, genes=genes, **options)
    layer = adata.layers["scdiffot_velocity"]
    return np.flatnonzero(np.isfinite(layer).all(axis=0)).tolist(), layer


CALLS = {
    f.__name__.strip("_"): f
    for f in (_perturb, _screen, _regulation, _growth_genes, _trajectory_genes, _gene_velocity)
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@every_call
def test_symbols_mean_the_same_genes(fit, call):
    names, expected = call(fit.copy(), ["ENSG2", "ENSG0"])
    symbols, result = call(fit.copy(), ["Myc", "Sox2"], gene_symbols="symbol")
    np.testing.assert_array_equal(result, expected)
    if call is not _gene_velocity:
        assert symbols == [dict(zip(NAMES, SYMBOLS, strict=True))[name] for name in names]
    for container in (tuple, np.array, pd.Index, pd.Series):
        np.testing.assert_array_equal(call(fit.copy(), container(["ENSG2", "ENSG0"]))[1], expected)


@every_call
def test_a_duplicated_name_is_refused_where_it_is_used(fit, call, fingerprint):
    _, expected = call(fit.copy(), ["ENSG0"])
    adata = fit.copy()
    adata.var_names = ["ENSG0", "Dup", "Dup"]
    adata.var["twice"] = ["Sox2", "Dup", "Dup"]
    previous = fingerprint(adata)
    for options in ({}, {"gene_symbols": "twice"}):
        with pytest.raises(
            ValueError, match=r"uses 'Dup', duplicated in adata.var(_names|\['twice'\])"
        ):
            call(adata, ["Dup"], **options)
        # velocities of all genes do not need unique names
        if call not in (_perturb, _gene_velocity):
            with pytest.raises(ValueError, match="uses 'Dup', duplicated"):
                call(adata, None, **options)
    assert fingerprint(adata) == previous
    np.testing.assert_array_equal(call(adata, ["ENSG0"])[1], expected)


@every_call
def test_unknown_genes_are_refused(fit, call, fingerprint):
    adata = fit.copy()
    adata.var["partly"] = ["Sox2", np.nan, ""]
    previous = fingerprint(adata)
    for genes, options, error, message in (
        (
            ["Sox3"],
            {"gene_symbols": "symbol"},
            KeyError,
            "not among adata.var.*symbol.*Did you mean 'Sox2'",
        ),
        (["ENSG0"], {"gene_symbols": "symbol"}, KeyError, "not among adata.var"),
        (
            ["ENSG0"],
            {"gene_symbols": "symbl"},
            KeyError,
            "`gene_symbols` is 'symbl', .*Did you mean 'symbol'",
        ),
        (["ENSG0"], {"gene_symbols": 3}, TypeError, "`gene_symbols` is a int"),
        (["nan"], {"gene_symbols": "partly"}, KeyError, "names 'nan'"),
        ([""], {"gene_symbols": "partly"}, KeyError, "names ''"),
        ([], {}, ValueError, "`genes` names no gene"),
        (["ENSG0", "ENSG0"], {}, ValueError, "`genes` names a gene twice: 'ENSG0'"),
        ([0], {}, TypeError, "`genes` holds 0: pass names"),
        (5, {}, TypeError, "`genes` is a int: pass names"),
    ):
        with pytest.raises(error, match=message):
            call(adata, genes, **options)
    assert fingerprint(adata) == previous


def test_genes_without_a_symbol_are_left_out(fit):
    adata = fit.copy()
    adata.var["partly"] = ["Sox2", np.nan, "Myc"]
    for call in (_screen, _regulation, _growth_genes, _trajectory_genes):
        assert set(call(adata, None, gene_symbols="partly")[0]) == {"Sox2", "Myc"}
    # the same random numbers and the same means of fewer genes
    np.testing.assert_array_equal(
        _regulation(adata, None, gene_symbols="partly")[1],
        _regulation(adata, ["ENSG0", "ENSG2"])[1],
    )


def test_values_belong_to_their_genes(fit):
    by_name = _perturb(fit.copy(), {"ENSG2": 1.5, "ENSG0": None})[1]
    symbols = {np.str_("Myc"): 1.5, np.str_("Sox2"): None}
    names, by_symbol = _perturb(fit.copy(), symbols, gene_symbols="symbol")
    assert names == ["Myc", "Sox2"]
    np.testing.assert_array_equal(by_symbol, by_name)


def test_names_with_a_modality(quick):
    time_course = make_time_course()
    time_course.var_names = NAMES
    mdata = make_mudata(time_course)
    mdata.obs["time"] = mdata.mod["rna"].obs["time"]
    mdata.obs["cell_type"] = mdata.mod["rna"].obs["cell_type"]
    sdo.tl.fit(mdata, "time", use_rep="rna:X", **quick)
    space = read_genes(mdata, "scdiffot")
    assert space.find(["rna:ENSG2", "ENSG0"]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="names a gene twice: 'ENSG2'"):
        space.find(["rna:ENSG2", "ENSG2"])
    with pytest.raises(KeyError, match="atac:ENSG2"):
        space.find(["atac:ENSG2"])
    expected = _perturb(mdata, {"ENSG2": 1.5})[1]
    np.testing.assert_array_equal(_perturb(mdata, {"rna:ENSG2": 1.5})[1], expected)


def test_names_of_all_genes(fit):
    adata = fit.copy()
    adata.var["partly"] = pd.Categorical(["Sox2", None, ""])
    assert gene_names(adata, "partly").tolist() == ["Sox2", None, None]
    assert gene_columns(adata, gene_symbols="partly").tolist() == [0]
    assert gene_columns(adata, {"ENSG2", "ENSG1"}).tolist() == [1, 2]
    assert gene_columns(adata, "ENSG1").tolist() == [1]


def test_growth_scores_by_symbol():
    rng = np.random.default_rng(0)
    values = np.log1p(rng.poisson(2, size=(80, 60))).astype(np.float32)
    adata = ad.AnnData(
        values,
        var=pd.DataFrame({"symbol": [f"S{i}" for i in range(60)]}, index=map(str, range(60))),
    )
    sdo.pp.score_growth(adata, proliferation=["3", "4"], apoptosis=["5"], key_added="by_name")
    by_symbol: dict[str, Any] = {
        "proliferation": ["S3", "S4"],
        "apoptosis": "S5",
        "gene_symbols": "symbol",
    }
    sdo.pp.score_growth(adata, **by_symbol, key_added="by_symbol")
    np.testing.assert_array_equal(adata.obs["by_symbol"], adata.obs["by_name"])
    # only duplicates among the requested genes are errors
    adata.var.index = [*map(str, range(58)), "x", "x"]
    sdo.pp.score_growth(adata, **by_symbol, key_added="elsewhere")
    np.testing.assert_allclose(adata.obs["elsewhere"], adata.obs["by_name"], rtol=1e-5)
    with pytest.raises(ValueError, match="`apoptosis` uses 'x', duplicated in adata.var_names"):
        sdo.pp.score_growth(adata, proliferation=["3"], apoptosis=["x"])


def test_spatial_genes_by_symbol():
    rng = np.random.default_rng(0)
    values = np.log1p(rng.poisson(3, size=(100, 4))).astype(np.float32)
    adata = ad.AnnData(values, obsm={"spatial": rng.uniform(size=(100, 2))})
    adata.var["symbol"] = ["A", "B", "C", "C"]
    sdo.tl.spatial_genes(adata, ["0", "1"])
    expected = adata.uns["scdiffot_spatial_genes"].set_index("gene")["moran_i"]
    sdo.tl.spatial_genes(adata, ["A", "B"], gene_symbols="symbol")
    result = adata.uns["scdiffot_spatial_genes"].set_index("gene")["moran_i"]
    assert result["A"] == expected["0"]
    assert result["B"] == expected["1"]
    with pytest.raises(ValueError, match=r"uses 'C', duplicated in adata.var\['symbol'\]"):
        sdo.tl.spatial_genes(adata, gene_symbols="symbol")
