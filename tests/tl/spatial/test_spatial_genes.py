"""Spatially variable genes, against the definition of Moran's I and against squidpy."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot.core.spatial.domains.neighbourhoods import nearest_spots

TABLE = "scdiffot_spatial_genes"


def _tissue(n: int = 200) -> ad.AnnData:
    """Two slices: a gradient, a marker, a gene constant in one slice, 20 without a pattern."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(size=(2 * n, 2))
    second = np.arange(2 * n) >= n
    rate = np.full((2 * n, 23), 3.0)
    rate[:, 0] = 1 + 8 * xy[:, 1]
    rate[:, 1] = np.where(xy[:, 0] > 0.5, 6, 1)
    values = np.log1p(rng.poisson(rate)).astype(np.float32)
    values[second, 2] = 0
    names = ["gradient", "marker", "half", *(f"none{i}" for i in range(20))]
    obs = pd.DataFrame(
        {
            "slice": pd.Categorical(np.where(second, "s1", "s0")),
            "scdiffot_domain": pd.Categorical(np.where(xy[:, 0] > 0.5, "1", "0")),
        },
        index=[f"spot{i}" for i in range(2 * n)],
    )
    return ad.AnnData(
        sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=names), obsm={"spatial": xy}
    )


def _moran(x: np.ndarray, positions: np.ndarray) -> float:
    links = nearest_spots(positions, 6).toarray()
    weights = links / links.sum(axis=1, keepdims=True)
    x = x - x.mean()
    return float(x @ weights @ x / (x @ x) * len(x) / weights.sum())


@pytest.mark.parametrize("tool", [sdo.tl.spatial_genes, sdo.tl.spatial_domains])
def test_a_graph_across_slices_is_logged(tool, caplog):
    adata = _tissue(60)
    adata.obsm["X_spatial"] = adata.X.toarray()
    tool(
        adata,
        **({"n_domains": 2, "n_init": 1, "refine": 1} if tool is sdo.tl.spatial_domains else {}),
    )
    assert "All spots are taken as one slice, but spots of different obs['slice']" in caplog.text


def test_names_of_slices_become_columns_of_a_file(tmp_path):
    adata = _tissue(60)
    adata.obs["slice"] = adata.obs["slice"].cat.rename_categories({"s0": "a/b", "s1": "."})
    sdo.tl.spatial_genes(adata, library_key="slice")
    assert {"moran_i_a|b", "moran_i_."} <= set(adata.uns[TABLE].columns)
    adata.write_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(
        ad.read_h5ad(tmp_path / "a.h5ad").uns[TABLE], adata.uns[TABLE], check_dtype=False
    )
    adata.obs["slice"] = adata.obs["slice"].cat.rename_categories({".": "a|b"})
    with pytest.raises(
        ValueError, match="`library_key` obs\\['slice'\\] has the slices 'a/b', 'a|b'"
    ):
        sdo.tl.spatial_genes(adata, library_key="slice")


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
def test_patterns_come_first(dense, fingerprint):
    adata = _tissue()
    if dense:
        adata.X = adata.X.toarray()
    previous = fingerprint(adata)
    assert sdo.tl.spatial_genes(adata, library_key="slice") is None
    table = adata.uns.pop(TABLE)
    assert fingerprint(adata) == previous
    assert set(table["gene"][:2]) == {"gradient", "marker"}
    by_gene = table.set_index("gene")
    assert by_gene.loc[["gradient", "marker"], "pval_adj"].max() < 1e-10
    # false positives among 21 genes without a pattern, at a rate of 5 %
    assert (by_gene["pval_adj"].drop(["gradient", "marker"]) < 0.05).sum() <= 1
    values, first = adata.to_df(), (adata.obs["slice"] == "s0").to_numpy()
    for gene in ("gradient", "none3"):
        parts = [
            _moran(values.loc[rows, gene].to_numpy(float), adata.obsm["spatial"][rows])
            for rows in (first, ~first)
        ]
        np.testing.assert_allclose(
            by_gene.loc[gene, ["moran_i_s0", "moran_i_s1"]].to_numpy(float), parts, rtol=1e-4
        )
        assert by_gene.loc[gene, "moran_i"] == pytest.approx(np.mean(parts), rel=1e-4)
    assert np.isnan(by_gene.loc["half", "moran_i_s1"])
    assert by_gene.loc["half", "moran_i"] == by_gene.loc["half", "moran_i_s0"]


def test_markers_of_domains():
    adata = _tissue()
    sdo.tl.spatial_genes(adata)
    row = adata.uns[TABLE].set_index("gene").loc["marker"]
    assert row["domain"] == "1"
    assert row["marker_pval_adj"] < 1e-10
    # means of 6 and 1 counts, on the scale of expm1 as in scanpy
    assert row["logfoldchange"] == pytest.approx(np.log2(6), abs=0.3)
    adata.obs["other"] = adata.obs["scdiffot_domain"].cat.rename_categories(["left", "right"])
    sdo.tl.spatial_genes(adata, ["marker", "none0"], domain_key="other", method="wilcoxon")
    assert list(adata.uns[TABLE]["gene"]) == ["marker", "none0"]
    assert adata.uns[TABLE]["domain"][0] == "right"


def test_no_domains_no_markers(tmp_path):
    adata = _tissue()
    del adata.obs["scdiffot_domain"]
    sdo.tl.spatial_genes(adata)
    assert list(adata.uns[TABLE].columns) == ["gene", "moran_i", "pval", "pval_adj"]
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    pd.testing.assert_frame_equal(
        ad.read_h5ad(tmp_path / "tissue.h5ad").uns[TABLE], adata.uns[TABLE]
    )


# warnings of squidpy itself
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_squidpy_finds_the_same():
    squidpy = pytest.importorskip("squidpy")
    adata = _tissue()
    squidpy.gr.spatial_neighbors(adata, coord_type="generic", delaunay=True)
    squidpy.gr.spatial_autocorr(adata, mode="moran", genes=list(adata.var_names), n_perms=None)
    sdo.tl.spatial_genes(adata, connectivity_key="spatial_connectivities")
    table, squidpy_table = adata.uns[TABLE].set_index("gene"), adata.uns["moranI"]
    np.testing.assert_allclose(table["moran_i"], squidpy_table.loc[table.index, "I"], atol=1e-5)
    above = table["moran_i"] > 0
    np.testing.assert_allclose(
        table["pval"][above], squidpy_table.loc[table.index[above], "pval_norm"], atol=1e-4
    )


def _counts(adata: ad.AnnData) -> None:
    adata.X = adata.X.expm1().rint()


def _constant(adata: ad.AnnData) -> None:
    adata.X = np.zeros(adata.shape, np.float32)


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (_counts, {}, ValueError, "counts"),
        (_constant, {}, ValueError, "no gene that varies"),
        (None, {"genes": ["marker", "markr"]}, KeyError, "Did you mean 'marker'"),
        (None, {"genes": []}, ValueError, "names no gene"),
        (None, {"domain_key": "layer"}, KeyError, "`domain_key` is 'layer'"),
        (None, {"method": "logreg"}, ValueError, "`method`"),
        (None, {"layer": "logs"}, KeyError, "logs"),
        (None, {"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
        (None, {"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(spoil, options, error, message, fingerprint):
    adata = _tissue()
    if spoil is not None:
        spoil(adata)
    previous = fingerprint(adata)
    with pytest.raises(error, match=message):
        sdo.tl.spatial_genes(adata, **options)
    assert fingerprint(adata) == previous
