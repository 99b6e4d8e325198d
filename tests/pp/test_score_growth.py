from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot.pp._gene_sets import APOPTOSIS, PROLIFERATION


def _cells(case=str.upper, n=60):
    """A third of the cells divides, a third dies, and a third is at rest; 200 other genes."""
    rng = np.random.default_rng(0)
    birth, death = PROLIFERATION.split(), APOPTOSIS.split()
    names = [*birth, *death, *(f"OTHER{i}" for i in range(200))]
    rates = np.full((3 * n, len(names)), 1.0)
    rates[:n, : len(birth)] = 5
    rates[n : 2 * n, len(birth) : len(birth) + len(death)] = 5
    adata = ad.AnnData(sparse.csr_matrix(np.log1p(rng.poisson(rates)).astype(np.float32)))
    adata.var_names = [case(name) for name in names]
    adata.obs["state"] = np.repeat(["divides", "dies", "rests"], n)
    adata.obs["time"] = np.tile([0.0, 1.0], 3 * n // 2)
    return adata


@pytest.mark.parametrize("case", [str.upper, str.capitalize], ids=["human", "mouse"])
def test_dividing_cells_grow(case, fingerprint):
    adata = _cells(case)
    previous = fingerprint(adata)
    assert sdo.pp.score_growth(adata) is None
    mean = adata.obs["growth_prior"].groupby(adata.obs["state"].to_numpy()).mean()
    assert mean["divides"] > 1
    assert mean["dies"] < -1
    # resting cells have scores of zero, so equal rates of birth and death: 0.3 + 1.4 / (1 + e^2)
    assert abs(mean["rests"]) < 0.15
    assert list(adata.obs.columns) == ["state", "time", "growth_prior"]
    del adata.obs["growth_prior"]
    assert fingerprint(adata) == previous


def test_rates_are_those_of_the_formula():
    from scanpy.tl import score_genes

    adata = _cells()
    genes = [g for g in PROLIFERATION.split() if g in adata.var_names]
    sdo.pp.score_growth(adata, birth_rates=(0.1, 0.9), death_rates=(0.2, 0.2), rng=3)
    seed = int(np.random.default_rng(3).integers(2**31))
    score_genes(adata, genes, random_state=seed, score_name="s")
    expected = 0.1 + 0.8 / (1 + np.exp(-8 * (adata.obs["s"].to_numpy() - 0.25))) - 0.2
    np.testing.assert_allclose(adata.obs["growth_prior"], expected, rtol=1e-5)


def test_scores_are_a_growth_prior_of_a_fit(quick):
    adata = _cells()
    sdo.pp.score_growth(adata, key_added="prior")
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    sdo.tl.fit(
        adata,
        "time",
        growth_prior="prior",
        **{**quick, "config": {**quick["config"], "train": {"n_steps": 5}}},
    )
    assert adata.uns["scdiffot"]["params"]["growth_prior"] == "prior"


def test_own_genes_layers_and_copies(caplog, fingerprint):
    adata = _cells()
    adata.layers["log"] = adata.X.copy()
    adata.X = sparse.csr_matrix(np.expm1(adata.X.toarray()).round())
    previous = fingerprint(adata)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        copy = sdo.pp.score_growth(
            adata,
            proliferation=["MKI67", "absent"],
            apoptosis=["BAX"],
            layer="log",
            rng=1,
            copy=True,
        )
    assert "`proliferation`: 'absent' are not among adata.var_names" in caplog.text
    assert fingerprint(adata) == previous
    assert np.isfinite(copy.obs["growth_prior"]).all()


def test_bad_input(mdata, fingerprint):
    adata = _cells()
    adata.layers["counts"] = sparse.csr_matrix(np.expm1(adata.X.toarray()).round())
    adata.layers["normalised"] = 100 * adata.X.toarray() + 0.5
    previous = fingerprint(adata)
    cases = [
        (
            ValueError,
            "`proliferation` names 'nothing', none of which",
            {"proliferation": "nothing"},
        ),
        (TypeError, "`apoptosis` holds 3", {"apoptosis": [3]}),
        (ValueError, r"`layer` 'counts' holds counts.*Pass layer=None \(X\)", {"layer": "counts"}),
        (
            ValueError,
            "`layer` 'normalised' holds values up to .* no logarithms",
            {"layer": "normalised"},
        ),
        (KeyError, "`layer` is 'log'", {"layer": "log"}),
        (ValueError, r"`birth_rates` is \(2, 1\)", {"birth_rates": (2, 1)}),
        (TypeError, "`death_rates` is 1", {"death_rates": 1}),
        (ValueError, "`key_added` is ''", {"key_added": ""}),
    ]
    for error, message, options in cases:
        with pytest.raises(error, match=message):
            sdo.pp.score_growth(adata, **options)
    assert fingerprint(adata) == previous
    panel = adata[:, :30].copy()
    with pytest.raises(
        ValueError,
        match="`adata` has 30 genes, none of which is expressed like those of `proliferation`",
    ):
        sdo.pp.score_growth(
            panel, proliferation=list(panel.var_names[:3]), apoptosis=list(panel.var_names[3:5])
        )
    with pytest.raises(TypeError, match="is a MuData"):
        sdo.pp.score_growth(mdata)
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    with pytest.raises(
        ValueError, match=r"`proliferation` is None, but adata.var_names has 0 of the 83 genes"
    ):
        sdo.pp.score_growth(adata)
