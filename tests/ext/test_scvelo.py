from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo


@pytest.fixture
def genes(fitted_adata, quick):
    """A fit of expression in which two of three genes have velocities."""
    sdo.tl.fit(
        fitted_adata,
        "time",
        use_rep="X",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    sdo.tl.gene_velocity(fitted_adata, genes=list(fitted_adata.var_names[:2]))
    return fitted_adata


def test_exported_fields(genes, tmp_path):
    assert sdo.ext.scvelo(genes) is None
    np.testing.assert_array_equal(genes.layers["velocity"], genes.layers["scdiffot_velocity"])
    np.testing.assert_array_equal(genes.layers["Ms"][:, :2], genes.X[:, :2])
    assert np.isnan(genes.layers["Ms"][:, 2]).all()
    assert genes.var["velocity_genes"].tolist() == [True, True, False]
    genes.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    assert read.uns["velocity_params"]["mode"] == "scdiffot"
    # an export may replace an earlier one, also one from a file
    sdo.ext.scvelo(read)


def test_rna_velocity_is_not_overwritten(genes, fingerprint):
    genes.layers["velocity"] = np.ones(genes.shape)
    genes.layers["Ms"] = np.ones(genes.shape)
    genes.layers["variance_velocity"] = np.ones(genes.shape)
    genes.uns["velocity_params"] = {"mode": "stochastic"}
    genes.uns["velocity_graph"] = np.eye(genes.n_obs)
    genes.obsm["velocity_pca"] = np.ones((genes.n_obs, 2))
    genes.obs["velocity_length"] = 1.0
    previous = fingerprint(genes)
    with pytest.raises(
        ValueError, match=r"`overwrite` is False.*layers\['velocity'\], layers\['Ms'\]"
    ):
        sdo.ext.scvelo(genes)
    assert fingerprint(genes) == previous
    copy = sdo.ext.scvelo(genes, overwrite=True, copy=True)
    assert fingerprint(genes) == previous
    assert copy.uns["velocity_params"]["mode"] == "scdiffot"
    np.testing.assert_array_equal(copy.layers["velocity"], genes.layers["scdiffot_velocity"])
    # results derived from other velocities are removed
    assert not {"velocity_graph"} & set(copy.uns)
    assert "velocity_pca" not in copy.obsm
    assert "variance_velocity" not in copy.layers
    assert "velocity_length" not in copy.obs
    assert set(genes.obsm) - set(copy.obsm) == {"velocity_pca"}


def test_modalities_in_another_order(mdata, quick):
    mdata.obs["time"] = mdata.mod["rna"].obs["time"]
    sdo.tl.fit(
        mdata,
        "time",
        use_rep="atac:X",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    sdo.tl.gene_velocity(mdata)
    sdo.ext.scvelo(mdata)
    atac = mdata.mod["atac"]
    np.testing.assert_array_equal(atac.layers["Ms"], atac.X)
    np.testing.assert_array_equal(atac.layers["velocity"], atac.layers["scdiffot_velocity"])


def test_bad_input(fitted_adata, time_course, fingerprint):
    with pytest.raises(KeyError, match="run scdiffot.tl.fit"):
        sdo.ext.scvelo(time_course)
    with pytest.raises(ValueError, match="'X_pca' has no decoder"):
        sdo.ext.scvelo(fitted_adata)
    previous = fingerprint(fitted_adata)
    decoder = (lambda x: x, lambda z: z)
    with pytest.raises(
        KeyError, match=r"layers\['scdiffot_velocity'\] is missing: run scdiffot.tl.gene_velocity"
    ):
        sdo.ext.scvelo(fitted_adata, decoder=decoder)
    assert fingerprint(fitted_adata) == previous
