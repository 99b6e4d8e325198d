"""Genes behind representations: all variants of scanpy's PCA, expression, given decoders."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import torch
from scipy import sparse
from sklearn.decomposition import PCA

import scdiffot as sdo
from scdiffot._data.write.decoders import read_genes

N_GENES = 12


def make_expression(n: int = 60, seed: int = 0) -> ad.AnnData:
    """Log-normalised counts at three times, with a layer of counts and eight variable genes."""
    rng = np.random.default_rng(seed)
    time = np.repeat([0.0, 1.0, 2.0], n)
    activity = np.exp(0.6 * rng.normal(size=(len(time), 3)) + 0.3 * time[:, None])
    counts = rng.poisson(activity @ rng.gamma(1, 4, (3, N_GENES)))
    adata = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)))
    adata.obs["time"] = time
    adata.obs_names = [f"cell{i}" for i in range(adata.n_obs)]
    adata.var_names = [f"Gene{i}" for i in range(N_GENES)]
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=100)
    sc.pp.log1p(adata)
    adata.var["highly_variable"] = np.arange(N_GENES) % 3 != 2
    return adata


def with_fit(adata: ad.AnnData, quick: dict, use_rep: str = "X_pca", **options) -> ad.AnnData:
    sdo.tl.fit(
        adata,
        "time",
        use_rep=use_rep,
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}, **options},
    )
    return adata


def check_round_trip(adata: ad.AnnData, expected: np.ndarray, use_rep: str = "X_pca") -> None:
    """Encoding restores the coordinates, from decoded and from original expression."""
    space = read_genes(adata, "scdiffot")
    states = np.asarray(adata.obsm[use_rep])
    decoded = space.decode(states)
    assert decoded.shape == (adata.n_obs, len(space.names))
    with torch.no_grad():
        round_trip = space.decoder.encode(torch.as_tensor(decoded)).numpy()
        encoded = space.decoder.encode(torch.as_tensor(expected, dtype=torch.float32)).numpy()
    # The coordinates are float32 numbers of about ten.
    np.testing.assert_allclose(round_trip, states, atol=2e-5)
    np.testing.assert_allclose(encoded, states, atol=2e-5)


def _dense(values):
    return np.asarray(values.toarray() if sparse.issparse(values) else values)


def test_pca_of_the_variable_genes_equals_that_of_scikit_learn(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=5)
    with_fit(adata, quick)
    mask = adata.var["highly_variable"].to_numpy()
    space = read_genes(adata, "scdiffot")
    assert list(space.names) == list(adata.var_names[mask])
    check_round_trip(adata, _dense(adata.X)[:, mask])

    values = _dense(adata.X)[:, mask]
    pca = PCA(5).fit(values)
    np.testing.assert_allclose(
        space.decode(adata.obsm["X_pca"]), pca.inverse_transform(pca.transform(values)), atol=1e-4
    )


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("zero_center", [True, False])
@pytest.mark.parametrize("mask_var", [None, "highly_variable", "own"])
def test_all_options_of_scanpy_are_supported(quick, dense, zero_center, mask_var):
    adata = make_expression()
    if dense:
        adata.X = adata.X.toarray()
    adata.var["own"] = np.arange(N_GENES) > 2
    sc.pp.pca(adata, n_comps=4, zero_center=zero_center, mask_var=mask_var)
    with_fit(adata, quick)
    mask = np.ones(N_GENES, bool) if mask_var is None else adata.var[mask_var].to_numpy()
    check_round_trip(adata, _dense(adata.X)[:, mask])


def test_the_layer_of_a_pca_is_found_after_renaming(quick):
    adata = make_expression()
    adata.layers["scaled"] = sc.pp.scale(adata.X.toarray(), copy=True)
    sc.pp.pca(adata, n_comps=4, layer="scaled", mask_var=None, key_added="pca_scaled")
    with_fit(adata, quick, "pca_scaled")
    check_round_trip(adata, adata.layers["scaled"], "pca_scaled")

    adata.layers["renamed"] = adata.layers.pop("scaled")
    check_round_trip(adata, adata.layers["renamed"], "pca_scaled")


def test_the_mean_is_exact_after_removing_cells(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    part = with_fit(adata[adata.obs["time"] < 1.5].copy(), quick)
    mask = part.var["highly_variable"].to_numpy()
    check_round_trip(part, _dense(part.X)[:, mask])


def test_a_mask_that_contradicts_the_loadings_is_ignored(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    mask = adata.var["highly_variable"].to_numpy()
    adata.var["highly_variable"] = ~mask
    with_fit(adata, quick)
    assert list(read_genes(adata, "scdiffot").names) == list(adata.var_names[mask])


def test_fewer_dimensions_than_components(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=5)
    with_fit(adata, quick, n_dims=2)
    space = read_genes(adata, "scdiffot")
    z = torch.as_tensor(adata.obsm["X_pca"][:, :2])
    torch.testing.assert_close(space.decoder.encode(space.decoder.decode(z)), z, atol=2e-5, rtol=0)


@pytest.mark.parametrize("sparse_file", [True, False])
def test_backed_expression_is_read(quick, tmp_path, sparse_file):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    if not sparse_file:
        adata.X = adata.X.toarray()
    expected = _dense(adata.X)[:, adata.var["highly_variable"]]
    with_fit(adata, quick).write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    check_round_trip(backed, expected)
    backed.file.close()


@pytest.mark.parametrize("sparse_chunks", [True, False])
def test_dask_expression_is_read(quick, sparse_chunks):
    da = pytest.importorskip("dask.array")
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    with_fit(adata, quick)
    expected = _dense(adata.X)[:, adata.var["highly_variable"]]
    adata.X = da.from_array(
        adata.X if sparse_chunks else adata.X.toarray(), chunks=(50, N_GENES), asarray=False
    )
    check_round_trip(adata, expected)


def test_expression_is_its_own_decoder(quick):
    adata = with_fit(make_expression(), quick, "X")
    space = read_genes(adata, "scdiffot")
    assert list(space.names) == list(adata.var_names)
    np.testing.assert_array_equal(space.decode(_dense(adata.X)), _dense(adata.X))


def test_genes_are_those_of_the_modality(mdata, quick):
    mdata.obs["time"] = mdata.mod["rna"].obs["time"]
    sdo.tl.fit(
        mdata,
        "time",
        use_rep="atac:X",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    assert read_genes(mdata, "scdiffot").owner is mdata.mod["atac"]
    mdata.obsm["joint"] = np.asarray(mdata.mod["rna"].X)
    sdo.tl.fit(
        mdata,
        "time",
        use_rep="joint",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    with pytest.raises(ValueError, match="'joint' belongs to no modality"):
        read_genes(mdata, "scdiffot")


def test_counts_in_place_of_the_source_of_a_pca_are_refused(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    with_fit(adata, quick)
    del adata.layers["counts"]
    adata.X = np.expm1(adata.X)
    with pytest.raises(
        ValueError, match=r"'X_pca' was not computed from 'X'.*log-normalised, say, not counts"
    ):
        read_genes(adata, "scdiffot")
    adata.layers["logcounts"] = adata.X.log1p()
    assert len(read_genes(adata, "scdiffot").names) == 8


def test_a_pca_without_expression_needs_the_stored_mean(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    with_fit(adata, quick)
    for layer in list(adata.layers):
        del adata.layers[layer]
    adata.X = None
    with pytest.raises(ValueError, match="not computed from anything that is left"):
        read_genes(adata, "scdiffot")
    # `datasets.emt` stores the mean.
    adata.var["mean"] = _dense(make_expression().X).mean(axis=0)
    assert read_genes(adata, "scdiffot").decode(np.zeros((1, 4))).shape == (1, 8)


def test_representations_without_decoder_are_refused(quick):
    adata = make_expression()
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    with_fit(adata, quick, "X_umap")
    with pytest.raises(
        ValueError,
        match=r"'X_umap' has no decoder.*scanpy.pp.pca.*pp.autoencoder.*decoder=\(encode, decode\)",
    ):
        read_genes(adata, "scdiffot")


def test_genes_are_found_by_name(quick):
    adata = make_expression()
    sc.pp.pca(adata, n_comps=4)
    space = read_genes(with_fit(adata, quick), "scdiffot")
    assert list(space.names[space.find(["Gene4", "Gene0"])]) == ["Gene4", "Gene0"]
    assert list(space.find("Gene1")) == [1]
    with pytest.raises(
        KeyError,
        match=r"`genes` names 'Gene2', 'Gene5', which 'X_pca' was computed without: its 8 genes",
    ):
        space.find(["Gene2", "Gene5", "Gene0"])
    with pytest.raises(KeyError, match=r"`sources` names 'gene10'.*Did you mean 'Gene10'"):
        space.find(["gene10"], "sources")
    with pytest.raises(ValueError, match="names a gene twice: 'Gene1'"):
        space.find(["Gene1", "Gene1"])
    with pytest.raises(ValueError, match="names no gene"):
        space.find([])
    with pytest.raises(TypeError, match="holds 3: pass names"):
        space.find([3])


def test_decoders_of_the_user_are_checked(quick):
    adata = with_fit(make_expression(), quick, "X", n_dims=3)
    loadings = torch.as_tensor(
        np.random.default_rng(0).normal(size=(3, N_GENES)), dtype=torch.float32
    )
    pair = (lambda x: x[:, :3], lambda z: z @ loadings)
    z = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(
        read_genes(adata, "scdiffot", pair).decode(z), z @ loadings.numpy(), rtol=1e-5
    )
    with pytest.raises(TypeError, match="`decoder` is a str"):
        read_genes(adata, "scdiffot", "X_pca")
    with pytest.raises(ValueError, match=r"turns states of shape \(3, 3\) into \(3, 3\).*12 genes"):
        read_genes(adata, "scdiffot", (lambda x: x, lambda z: z))
    with pytest.raises(ValueError, match="must give tensors"):
        read_genes(adata, "scdiffot", (lambda x: x, lambda z: z.numpy() @ loadings.numpy()))
