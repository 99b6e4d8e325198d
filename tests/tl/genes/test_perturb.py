from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse
from scipy.stats import false_discovery_control

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}
GENES = ["Gata1", "H2-K/D", "Spi1"]


def test_stored_fields(gene_adata):
    sdo.tl.perturb(gene_adata, {"H2-K/D": 6.5}, "cell_type", source="time < 2", **QUIET)
    assert list(gene_adata.uns["scdiffot"]["perturbation"]) == ["H2-K|D"]
    result = gene_adata.uns["scdiffot"]["perturbation"]["H2-K|D"]
    assert result["name"] == "H2-K/D"
    assert result["sources"].tolist() == ["down", "up/on", "all"]
    assert result["fates"].tolist() == ["down", "up/on", "outside"]
    n = int((gene_adata.obs["time"] < 2).sum())
    assert result["n_cells"][-1] == n == result["n_cells"][:-1].sum()
    np.testing.assert_allclose(result["control"].sum(axis=1), 1)
    np.testing.assert_allclose(result["perturbed"].sum(axis=1), 1)
    np.testing.assert_allclose(result["perturbed"] - result["control"], result["shift"])
    np.testing.assert_allclose(
        result["p_adjusted"][:-1], false_discovery_control(result["p"][:-1].ravel()).reshape(2, 3)
    )
    # cells with a low value move up
    down, up = result["shift"][0], result["shift"][1]
    assert down[1] > 0.5 > 0.2 > up[1] > -0.02
    assert result["p_adjusted"][0, 1] < 1e-6
    # recomputed from the cells: all shares are those of descendants
    table = sdo.get.perturbation(gene_adata, by="cell")
    assert (
        table["cell"].unique().tolist() == gene_adata.obs_names[gene_adata.obs["time"] < 2].tolist()
    )
    assert len(table) == 3 * n


def test_control_is_the_fate(gene_adata):
    options = {"n_trajectories": 100, "show_progress": False}
    sdo.tl.perturb(gene_adata, "Gata1", "cell_type", kind="knockdown", factor=0.9, **options)
    sdo.tl.sta_forward(gene_adata, "cell_type", rng=1, **options)
    result = gene_adata.uns["scdiffot"]["perturbation"]["Gata1"]
    first = gene_adata.obs["time"] == 0
    numbers = gene_adata.obs["scdiffot_n_descendants"][first].to_numpy()
    expected = np.average(gene_adata.obsm["scdiffot_fate"][first], axis=0, weights=numbers)
    error = 5 * result["control_se"][-1] + 1e-3
    assert np.all(np.abs(result["control"][-1] - expected) < error)
    np.testing.assert_allclose(result["n_descendants"][-1, 0], numbers.mean(), rtol=0.01)


def test_side_by_side_and_in_files(gene_adata, tmp_path):
    sdo.tl.perturb(
        gene_adata, {"H2-K/D": 6.0, "Spi1": None}, "cell_type", kind="overexpress", **QUIET
    )
    sdo.tl.perturb(gene_adata, ["Gata1"], "cell_type", name="Gata1, held", sustained=True, **QUIET)
    previous = sdo.get.perturbation(gene_adata)
    assert previous["perturbation"].unique().tolist() == ["H2-K/D+Spi1", "Gata1, held"]
    gene_adata.write_h5ad(tmp_path / "a.h5ad")
    from_file = ad.read_h5ad(tmp_path / "a.h5ad")
    for name in previous["perturbation"].unique():
        pd.testing.assert_frame_equal(
            sdo.get.perturbation(from_file, name), sdo.get.perturbation(gene_adata, name)
        )
    values = from_file.uns["scdiffot"]["perturbation"]["H2-K|D+Spi1"]["values"]
    np.testing.assert_array_equal(values, [6, np.nan])
    sdo.tl.perturb(from_file, "Gata1", "cell_type", **QUIET)
    assert len(sdo.get.perturbation(from_file)["perturbation"].unique()) == 3
    assert (
        sdo.tl.perturb(from_file, "Gata1", "cell_type", copy=True, name="x", **QUIET)
        is not from_file
    )
    assert "x" not in from_file.uns["scdiffot"]["perturbation"]


def test_equal_seeds_and_kinds(gene_adata):
    for name, arguments in {
        "a": {"genes": "Spi1"},
        "b": {"genes": {"Spi1": 0.0}},
        "c": {"genes": "Spi1", "kind": "knockdown"},
        "d": {"genes": "Spi1", "kind": "knockdown", "factor": 0.5},
    }.items():
        sdo.tl.perturb(gene_adata, cell_key="cell_type", name=name, **arguments, **QUIET)
    result = gene_adata.uns["scdiffot"]["perturbation"]
    np.testing.assert_array_equal(result["a"]["perturbed"], result["b"]["perturbed"])
    np.testing.assert_array_equal(result["c"]["perturbed"], result["d"]["perturbed"])
    assert np.any(result["a"]["perturbed"] != result["c"]["perturbed"])


def test_states_far_from_the_data_are_logged_with_a_number(gene_adata, caplog):
    sdo.tl.perturb(gene_adata, "Gata1", "cell_type", **QUIET)
    assert "Gata1: 100 % of the changed cells are farther from the cells of the fit" in caplog.text
    assert gene_adata.uns["scdiffot"]["perturbation"]["Gata1"]["outside_start"] == 1
    caplog.clear()
    sdo.tl.perturb(gene_adata, {"Gata1": 5.0}, "cell_type", **QUIET)
    assert caplog.text == ""
    result = gene_adata.uns["scdiffot"]["perturbation"]["Gata1"]
    assert result["outside_start"] < 0.1
    assert max(result["outside_way"]) < 0.1


@pytest.mark.parametrize("source", ["time < 2", "time == 0"])
def test_trajectories_far_from_the_data_are_logged(gene_adata, caplog, source):
    """A gene held at a value within the data gives no warning, one held outside does."""
    sdo.tl.perturb(gene_adata, {"H2-K/D": 5.0}, "cell_type", source=source, sustained=True, **QUIET)
    result = gene_adata.uns["scdiffot"]["perturbation"]["H2-K|D"]
    assert result["outside_start"] < 0.1
    assert result["outside_way"][0] < 0.1
    sdo.tl.perturb(gene_adata, {"Gata1": 9.0}, "cell_type", source=source, sustained=True, **QUIET)
    result = gene_adata.uns["scdiffot"]["perturbation"]["Gata1"]
    assert result["outside_way"][1] > 0.9
    assert f"Gata1: for {100 * result['outside_way'][1]:.0f} % of their way" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"genes": "Gata2"}, KeyError, "Did you mean 'Gata1'"),
        (
            {"genes": {"Gata1": -1.0}},
            ValueError,
            "'Gata1' to -1, but its expression is never below zero",
        ),
        ({"genes": {"Gata1": 900}}, ValueError, "no gene is above .* not a count"),
        # several times the highest log-expression
        ({"genes": {"Gata1": 30}}, ValueError, "no gene is above .* not a count"),
        ({"genes": {"Gata1": "off"}}, TypeError, "'Gata1' to a str"),
        ({"genes": {"Gata1": np.nan}}, ValueError, "to nan: pass a finite number"),
        ({"genes": {}}, ValueError, "names no gene"),
        ({"genes": "Gata1", "kind": "delete"}, ValueError, "`kind` is 'delete'"),
        ({"genes": "Gata1", "factor": 2.0}, ValueError, "a knock-out sets genes to zero"),
        ({"genes": "Gata1", "kind": "knockdown", "factor": 2.0}, ValueError, "from 0 to below 1"),
        ({"genes": "Gata1", "kind": "overexpress", "factor": 0.5}, ValueError, "above 1"),
        ({"genes": "Gata1", "source": 2.0}, ValueError, "choose earlier cells, or a later target"),
        ({"genes": "Gata1", "cell_key": "type"}, KeyError, "`cell_key` is 'type'"),
        ({"genes": "Gata1", "n_trajectories": 1}, ValueError, "`n_trajectories` is 1"),
        ({"genes": "Gata1", "name": ""}, ValueError, "`name` is '', which is empty"),
        ({"genes": "Gata1", "key": "other"}, KeyError, "`key` is 'other'"),
        ({"genes": "Gata1", "decoder": 3}, TypeError, "`decoder` is a int"),
    ],
)
def test_errors_write_nothing(gene_adata, fingerprint, arguments, error, message):
    previous = fingerprint(gene_adata)
    with pytest.raises(error, match=message):
        sdo.tl.perturb(gene_adata, **{"cell_key": "cell_type", **QUIET, **arguments})
    assert fingerprint(gene_adata) == previous


def test_names_that_collide_in_files_are_errors(gene_adata):
    sdo.tl.perturb(gene_adata, "H2-K/D", "cell_type", kind="knockdown", **QUIET)
    with pytest.raises(ValueError, match=r"'H2-K\|D', and 'H2-K/D' is there"):
        sdo.tl.perturb(gene_adata, "Spi1", "cell_type", kind="knockdown", name="H2-K|D", **QUIET)


def test_components(components):
    sdo.tl.perturb(components, "Gene0", "cell_type", **QUIET)
    assert components.uns["scdiffot"]["perturbation"]["Gene0"]["shift"].any()
    with pytest.raises(KeyError, match="'Gene19', which 'X_pca' was computed without"):
        sdo.tl.perturb(components, "Gene19", "cell_type", **QUIET)


def test_genes_that_do_not_vary(gene_adata):
    gene_adata.X[:, 2] = 3.0
    del gene_adata.obsm["scdiffot_fingerprint"]
    with pytest.raises(
        ValueError, match="'Spi1', which 'X' gives the same expression in all cells"
    ):
        sdo.tl.perturb(gene_adata, "Spi1", "cell_type", **QUIET)
    sdo.tl.perturb_screen(gene_adata, "cell_type", kind="knockdown", **QUIET)
    assert sorted(sdo.get.perturb_screen(gene_adata)["gene"]) == GENES[:2]
    with pytest.raises(ValueError, match="'Spi1', which 'X'"):
        sdo.tl.perturb_screen(gene_adata, "cell_type", GENES, kind="knockdown", **QUIET)


def test_scaled_expression_has_no_zero_for_knock_outs(components):
    sc.pp.scale(components)
    sc.pp.pca(components, n_comps=3)
    sdo.tl.fit(
        components,
        "time",
        sigma=0.4,
        config={
            "train": {"n_steps": 20},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 50},
        },
        show_progress=False,
    )
    with pytest.raises(ValueError, match="expression of 'Gene2' goes below zero"):
        sdo.tl.perturb(components, "Gene2", "cell_type", **QUIET)
    sdo.tl.perturb(components, {"Gene2": -1.0}, "cell_type", **QUIET)
    sdo.tl.perturb(components, "Gene2", "cell_type", kind="overexpress", **QUIET)


def test_without_a_decoder(fitted_adata):
    with pytest.raises(ValueError, match="has no decoder"):
        sdo.tl.perturb(fitted_adata, "0", "cell_type", **QUIET)
    sdo.tl.perturb(
        fitted_adata,
        "0",
        "cell_type",
        kind="overexpress",
        decoder=(lambda x: x, lambda z: z),
        **QUIET,
    )


def test_reading_back(gene_adata):
    with pytest.raises(KeyError, match="has no 'perturbation': run scdiffot.tl.perturb"):
        sdo.get.perturbation(gene_adata)
    with pytest.raises(KeyError, match="has no 'perturb_screen': run scdiffot.tl.perturb_screen"):
        sdo.get.perturb_screen(gene_adata)
    sdo.tl.perturb(gene_adata, "Spi1", "cell_type", kind="knockdown", **QUIET)
    with pytest.raises(KeyError, match="Did you mean 'Spi1'"):
        sdo.get.perturbation(gene_adata, "Spi2")
    with pytest.raises(ValueError, match="`by` is 'type'"):
        sdo.get.perturbation(gene_adata, by="type")
    table = sdo.get.perturbation(gene_adata)
    assert list(table.columns[:3]) == ["perturbation", "source", "fate"]
    assert len(table) == 9


def test_modalities(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X", **quick)
    sdo.tl.perturb(mdata, {"1": 2.0}, "rna:cell_type", **QUIET)
    sdo.tl.perturb_screen(mdata, "rna:cell_type", kind="overexpress", **QUIET)
    assert sdo.get.perturbation(mdata).set_index(["source", "fate"])["shift"]["all", "A"] > 0.2
    assert len(sdo.get.perturb_screen(mdata)) == 3


def test_backed_and_sparse(components, tmp_path):
    options = {"kind": "knockdown", **QUIET}
    sdo.tl.perturb(components, "Gene3", "cell_type", **options)
    expected = components.uns["scdiffot"]["perturbation"]["Gene3"]["shift"]
    components.write_h5ad(tmp_path / "dense.h5ad")
    components.X = sparse.csr_matrix(components.X)
    components.write_h5ad(tmp_path / "sparse.h5ad")
    for name in ("dense", "sparse"):
        adata = ad.read_h5ad(tmp_path / f"{name}.h5ad", backed="r")
        sdo.tl.perturb(adata, "Gene3", "cell_type", **options)
        np.testing.assert_allclose(
            adata.uns["scdiffot"]["perturbation"]["Gene3"]["shift"], expected, atol=1e-6
        )
        with pytest.raises(ValueError, match="never below zero"):
            sdo.tl.perturb(adata, {"Gene3": -1.0}, "cell_type", **options)
        adata.file.close()
