"""Screens of perturbations of many genes."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}


def test_screen_agrees_with_single_perturbations(components):
    source = components.obs_names[components.obs["time"] == 0][:30]
    options = {"kind": "knockdown", "source": source, "show_progress": False}
    sdo.tl.perturb_screen(
        components, "cell_type", n_trajectories=60, n_first=8, n_refined=6, rng=1, **options
    )
    table = sdo.get.perturb_screen(components)
    assert len(table) == 19
    assert table["n_trajectories"].tolist() == [60] * 6 + [8] * 13
    assert (table["effect"][:6].diff().dropna() <= 0).all()
    by_fate = sdo.get.perturb_screen(components, fates=True)
    assert len(by_fate) == 19 * 3
    singles = []
    for gene in table["gene"]:
        sdo.tl.perturb(components, gene, "cell_type", n_trajectories=60, rng=2, **options)
        single = components.uns["scdiffot"]["perturbation"][gene]
        singles.append(np.abs(single["shift"][-1]).sum() / 2)
        of_gene = by_fate[by_fate["gene"] == gene]
        z = (of_gene["shift"].to_numpy() - single["shift"][-1]) / np.hypot(
            of_gene["se"], single["se"][-1]
        ).clip(1e-12)
        assert np.abs(z).max() < 4.5, gene
    assert np.corrcoef(table["effect"], singles)[0, 1] > 0.9
    # the largest effect is in the second pass
    assert np.argmax(singles) < 6


def test_screen_of_a_fate_and_of_pairs(gene_adata, tmp_path):
    options = {"kind": "overexpress", "factor": 1.2, "show_progress": False, "n_trajectories": 20}
    sdo.tl.perturb_screen(gene_adata, "cell_type", fate="up/on", pairs=True, **options)
    gene_adata.write_h5ad(tmp_path / "a.h5ad")
    table = sdo.get.perturb_screen(ad.read_h5ad(tmp_path / "a.h5ad"))
    assert len(table) == 6
    assert (table["partner"] == "").sum() == 3
    first = table.iloc[0]
    assert "H2-K/D" in (first["gene"], first["partner"])
    assert first["effect"] > 0.2
    sdo.tl.perturb_screen(gene_adata, "cell_type", ["Gata1"], pairs=[("Spi1", "H2-K/D")], **options)
    result = {
        frozenset(pair) - {""}
        for pair in sdo.get.perturb_screen(gene_adata)[["gene", "partner"]].to_numpy()
    }
    assert result == {frozenset({"Gata1"}), frozenset({"Spi1", "H2-K/D"})}
    np.testing.assert_allclose(gene_adata.uns["scdiffot"]["perturb_screen"]["control"].sum(), 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fate": "stem"}, KeyError, "`fate` is 'stem'"),
        ({"genes": "Gata1"}, TypeError, "a single name"),
        ({"genes": ["Gata1", "Nope"]}, KeyError, "'Nope', not among adata.var_names"),
        ({"pairs": [("Gata1", "Gata1")]}, ValueError, "pairs of two different genes"),
        ({"pairs": [("Gata1", "Spi2")]}, KeyError, "Did you mean 'Spi1'"),
        ({"n_first": 1}, ValueError, "`n_first` is 1"),
        ({"kind": "off"}, ValueError, "`kind` is 'off'"),
    ],
)
def test_errors_of_the_screen(gene_adata, fingerprint, arguments, error, message):
    previous = fingerprint(gene_adata)
    with pytest.raises(error, match=message):
        sdo.tl.perturb_screen(gene_adata, "cell_type", **{**QUIET, **arguments})
    assert fingerprint(gene_adata) == previous
