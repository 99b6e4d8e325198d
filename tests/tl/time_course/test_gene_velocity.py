from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch

import scdiffot as sdo
from scdiffot._data.write.decoders import read_genes


@pytest.fixture
def genes(fitted_adata):
    """A fit in three components of ten genes; two more genes are not in the components."""
    rng = np.random.default_rng(0)
    loadings = np.zeros((12, 3))
    loadings[:10] = np.linalg.qr(rng.normal(size=(10, 3)))[0]
    expression = fitted_adata.obsm["X_pca"] @ loadings.T + rng.normal(size=12)
    adata = ad.AnnData(
        expression.astype(np.float32),
        obs=fitted_adata.obs,
        obsm=fitted_adata.obsm,
        uns=fitted_adata.uns,
    )
    adata.obsm["X_pca"] = np.array(adata.obsm["X_pca"])
    adata.var_names = [f"Gene{i}" for i in range(12)]
    adata.varm["PCs"] = loadings
    adata.var["used"] = np.arange(12) < 11
    adata.uns["pca"] = {"params": {"zero_center": True, "mask_var": "used"}}
    # The mean of the cells is not zero: the offset of the expression is not in the components.
    return adata


def _nonlinear_decoder(adata):
    loadings = torch.as_tensor(adata.varm["PCs"], dtype=torch.float32)
    return (lambda x: torch.asinh(x) @ loadings, lambda z: torch.sinh(z @ loadings.T / 4))


def test_components_carry_the_drift(genes):
    assert sdo.tl.gene_velocity(genes) is None
    result = genes.layers["scdiffot_velocity"]
    assert result.dtype == np.float32
    expected = genes.obsm["scdiffot_velocity"] @ genes.varm["PCs"].T
    np.testing.assert_allclose(result[:, :11], expected[:, :11], atol=1e-5)
    # One gene is in the mask but has no weight; the other is outside the mask.
    assert (result[:, 10] == 0).all()
    assert np.isnan(result[:, 11]).all()


@pytest.mark.parametrize("nonlinear", [False, True])
def test_it_is_the_slope_of_expression_along_the_drift(genes, nonlinear):
    decoder = _nonlinear_decoder(genes) if nonlinear else None
    sdo.tl.gene_velocity(genes, decoder=decoder)
    space = read_genes(genes, "scdiffot", decoder)
    states, drift = genes.obsm["X_pca"], genes.obsm["scdiffot_velocity"]
    step = 1e-2
    slope = (space.decode(states + step * drift) - space.decode(states - step * drift)) / (2 * step)
    # Errors are float32 rounding over the step, and the third derivative times its square.
    result = genes.layers["scdiffot_velocity"][:, space.columns]
    np.testing.assert_allclose(result, slope, atol=2e-3 * np.abs(slope).max())


def test_named_genes_copies_and_other_fits(genes, fingerprint):
    original = fingerprint(genes)
    copy = sdo.tl.gene_velocity(genes, genes=["Gene7", "Gene2"], copy=True)
    assert fingerprint(genes) == original
    computed = np.isfinite(copy.layers["scdiffot_velocity"]).all(axis=0)
    assert list(copy.var_names[computed]) == ["Gene2", "Gene7"]
    sdo.tl.gene_velocity(genes)
    np.testing.assert_array_equal(
        copy.layers["scdiffot_velocity"][:, computed],
        genes.layers["scdiffot_velocity"][:, computed],
    )


def test_expression_itself(fitted_adata, quick):
    sdo.tl.fit(
        fitted_adata,
        "time",
        use_rep="X",
        key_added="x",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    sdo.tl.gene_velocity(fitted_adata, key="x")
    np.testing.assert_array_equal(
        fitted_adata.layers["x_velocity"], fitted_adata.obsm["x_velocity"]
    )
    # A new fit of that name removes its gene velocities.
    sdo.tl.fit(
        fitted_adata,
        "time",
        use_rep="X",
        key_added="x",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    assert "x_velocity" not in fitted_adata.layers


def test_modalities_in_another_order(mdata, quick):
    mdata.obs["time"] = mdata.mod["rna"].obs["time"]
    sdo.tl.fit(
        mdata,
        "time",
        use_rep="atac:X",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    sdo.tl.gene_velocity(mdata)
    layer = mdata.mod["atac"].layers["scdiffot_velocity"]
    rows = mdata.mod["atac"].obs_names.get_indexer(mdata.obs_names)
    np.testing.assert_array_equal(layer[rows], mdata.obsm["scdiffot_velocity"])
    assert "scdiffot_velocity" not in mdata.mod["rna"].layers


def test_files(genes, tmp_path):
    sdo.tl.gene_velocity(genes)
    genes.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(
        read.layers["scdiffot_velocity"], genes.layers["scdiffot_velocity"]
    )
    del read.layers["scdiffot_velocity"]
    sdo.tl.gene_velocity(read)
    np.testing.assert_array_equal(
        read.layers["scdiffot_velocity"], genes.layers["scdiffot_velocity"]
    )


def test_bad_input(genes, fitted_adata, time_course, fingerprint):
    original = fingerprint(genes)
    with pytest.raises(KeyError, match="'Gene11', which 'X_pca' was computed without"):
        sdo.tl.gene_velocity(genes, genes=["Gene11"])
    with pytest.raises(KeyError, match="Did you mean 'Gene1'"):
        sdo.tl.gene_velocity(genes, genes="gene1")
    with pytest.raises(
        ValueError, match="`genes` names 'Gene10', constant wherever 'X_pca' is decoded"
    ):
        sdo.tl.gene_velocity(genes, genes=["Gene10", "Gene1"])
    with pytest.raises(TypeError, match="`decoder` is a int"):
        sdo.tl.gene_velocity(genes, decoder=3)
    with pytest.raises(ValueError, match="is a view"):
        sdo.tl.gene_velocity(genes[:20])
    assert fingerprint(genes) == original
    with pytest.raises(ValueError, match="'X_pca' has no decoder"):
        sdo.tl.gene_velocity(fitted_adata)
    with pytest.raises(KeyError, match="run scdiffot.tl.fit"):
        sdo.tl.gene_velocity(time_course)
