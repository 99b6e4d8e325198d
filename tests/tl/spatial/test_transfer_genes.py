from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo


def make_platform(n: int, seed: int, gain: float = 1.0) -> ad.AnnData:
    """60 genes along three gradients of the tissue, with noise; `gain` is the platform's unit."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(size=(n, 2))
    loadings = np.random.default_rng(99).normal(size=(3, 60))
    states = np.c_[np.sin(3 * place[:, 0]), np.cos(3 * place[:, 1]), place[:, 0] * place[:, 1]]
    mean = states @ loadings + 2
    X = np.maximum(gain * (mean + 0.3 * rng.normal(size=(n, 60))), 0)
    obsm = {"spatial": place, "X_states": states}
    adata = ad.AnnData(X.astype(np.float32), obsm=obsm, layers={"mean": gain * np.maximum(mean, 0)})
    adata.var_names = [f"gene{i}" for i in range(60)]
    adata.obs_names = [f"spot{i}" for i in range(n)]
    return adata


@pytest.fixture
def pair() -> tuple[ad.AnnData, ad.AnnData]:
    """A slice of 40 genes, and a reference with them in another order and 20 more."""
    return make_platform(150, 0)[:, :40].copy(), make_platform(200, 1, gain=3.0)[:, ::-1].copy()


@pytest.mark.parametrize("options", [{}, {"use_rep": "X_states"}, {"spatial_key": "spatial"}])
def test_missing_genes_are_predicted(pair, options):
    adata, reference = pair
    sdo.tl.transfer_genes(adata, reference, n_neighbors=20, **options)
    predicted = adata.obsm["scdiffot_transferred"]
    assert sorted(predicted.columns) == sorted(f"gene{i}" for i in range(40, 60))
    truth = make_platform(150, 0)[:, list(predicted.columns)].layers["mean"]
    correlation = [np.corrcoef(truth[:, g], predicted.to_numpy()[:, g])[0, 1] for g in range(20)]
    assert np.mean(correlation) > 0.85
    # predictions are in the unit of the reference
    assert predicted.to_numpy().mean() == pytest.approx(3 * truth.mean(), rel=0.1)


def test_scores_are_of_held_out_genes(pair):
    adata, reference = pair
    sdo.tl.transfer_genes(adata, reference, n_neighbors=20)
    scores = adata.uns["scdiffot_transfer"]["scores"]
    assert len(scores) == 8
    assert set(scores["gene"]) <= set(adata.var_names)
    assert scores["correlation"].mean() > 0.7
    assert scores["correlation"].mean() > scores["correlation_nearest"].mean()
    assert scores["error"].mean() < scores["error_nearest"].mean() < 1
    # values of a gene that is held out must not reach its prediction
    wrong = adata.copy()
    wrong.X[:, wrong.var_names.get_indexer(scores["gene"])] = np.random.default_rng(0).random(
        (adata.n_obs, 8)
    )
    sdo.tl.transfer_genes(wrong, reference, n_neighbors=20)
    assert abs(wrong.uns["scdiffot_transfer"]["scores"]["correlation"].mean()) < 0.2


def test_sparse_and_dense_agree(pair):
    adata, reference = pair
    sdo.tl.transfer_genes(adata, reference)
    other = adata.copy()
    other.X, reference.X = sparse.csr_matrix(adata.X), sparse.csr_matrix(reference.X)
    sdo.tl.transfer_genes(other, reference)
    first, second = adata.obsm["scdiffot_transferred"], other.obsm["scdiffot_transferred"]
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-3)


def test_units_of_the_platforms_do_not_matter(pair):
    adata, reference = pair
    sdo.tl.transfer_genes(adata, reference)
    scaled = adata.copy()
    scaled.X = scaled.X * np.float32(7)
    sdo.tl.transfer_genes(scaled, reference)
    np.testing.assert_allclose(
        scaled.obsm["scdiffot_transferred"],
        adata.obsm["scdiffot_transferred"],
        rtol=1e-3,
        atol=1e-3,
    )


def test_named_genes_copy_and_equal_seeds(pair, fingerprint):
    adata, reference = pair
    previous = fingerprint(adata), fingerprint(reference)
    options = {
        "genes": ["gene50", "gene3"],
        "n_held_out": 4,
        "rng": 3,
        "key_added": "map",
        "copy": True,
    }
    first = sdo.tl.transfer_genes(adata, reference, **options)
    second = sdo.tl.transfer_genes(adata, reference, **options)
    assert (fingerprint(adata), fingerprint(reference)) == previous
    assert sorted(first.obsm["map_transferred"].columns) == ["gene3", "gene50"]
    pd.testing.assert_frame_equal(
        first.uns["map_transfer"]["scores"], second.uns["map_transfer"]["scores"]
    )
    no_held_out = sdo.tl.transfer_genes(adata, reference, n_held_out=0, copy=True)
    assert len(no_held_out.uns["scdiffot_transfer"]["scores"]) == 0


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_columns_are_in_the_requested_order(pair, container):
    adata, reference = pair
    reference.X = container(reference.X)
    every = sdo.tl.transfer_genes(adata, reference, copy=True).obsm["scdiffot_transferred"]
    genes = ["gene57", "gene41", "gene50", "gene44"]
    selection = sdo.tl.transfer_genes(adata, reference, genes=genes, copy=True).obsm[
        "scdiffot_transferred"
    ]
    assert selection.columns.tolist() == genes
    np.testing.assert_allclose(selection, every[genes], rtol=1e-6)


def test_result_can_be_written(pair, tmp_path):
    adata, reference = pair
    sdo.tl.transfer_genes(adata, reference, spatial_key="spatial")
    adata.write_h5ad(tmp_path / "adata.h5ad")
    from_file = ad.read_h5ad(tmp_path / "adata.h5ad")
    pd.testing.assert_frame_equal(
        from_file.obsm["scdiffot_transferred"], adata.obsm["scdiffot_transferred"]
    )


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (
            lambda a, r: setattr(a, "var_names", [f"x{i}" for i in range(40)]),
            {},
            ValueError,
            "share 0 genes",
        ),
        (
            lambda a, r: setattr(a, "var_names", [f"GENE{i}" for i in range(40)]),
            {},
            ValueError,
            "differ in case only",
        ),
        (
            lambda a, r: setattr(a, "X", np.ones(a.shape, np.float32) * [1.5]),
            {},
            ValueError,
            "0 of 40 shared genes vary",
        ),
        (lambda a, r: setattr(a, "X", np.rint(a.X)), {}, ValueError, "holds counts"),
        (lambda a, r: None, {"genes": ["gene99"]}, KeyError, "`genes` names 'gene99'"),
        (
            lambda a, r: None,
            {"genes": ["gene50", "gene41", "gene50"]},
            ValueError,
            "names a gene twice: 'gene50'",
        ),
        (
            lambda a, r: setattr(r, "var_names", ["gene50", *r.var_names[1:]]),
            {"genes": ["gene50"]},
            ValueError,
            "uses 'gene50', duplicated in adata.var_names",
        ),
        (lambda a, r: None, {"layer": "log"}, KeyError, "`layer` is 'log'"),
        (lambda a, r: None, {"use_rep": "X_pca"}, KeyError, "`use_rep` is 'X_pca'"),
        (
            lambda a, r: a.obsm.update(X_states=np.ones((150, 2))),
            {"use_rep": "X_states"},
            ValueError,
            "in one space",
        ),
        (lambda a, r: None, {"spatial_weight": 1}, ValueError, "`spatial_weight` is 1"),
        (lambda a, r: None, {"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
        (lambda a, r: None, {"n_held_out": 2.5}, TypeError, "`n_held_out` is a float"),
    ],
)
def test_bad_input(pair, fingerprint, change, options, error, message):
    adata, reference = pair
    change(adata, reference)
    previous = fingerprint(adata)
    with pytest.raises(error, match=message):
        sdo.tl.transfer_genes(adata, reference, **options)
    assert fingerprint(adata) == previous


def test_no_missing_genes_is_an_error(pair):
    adata, reference = pair
    with pytest.raises(ValueError, match="has all 40 genes"):
        sdo.tl.transfer_genes(adata, reference[:, reference.var_names.isin(adata.var_names)].copy())


def test_views_are_refused(pair):
    adata, reference = pair
    with pytest.raises(ValueError, match="view"):
        sdo.tl.transfer_genes(adata[:100], reference)
