from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import scdiffot as sdo

QUIET = {"n_trajectories": 8, "n_times": 5, "show_progress": False}
GENES = ["forward", "side", "flat"]


@pytest.fixture(scope="session")
def _split_genes_once(draw_split, lineage_fit) -> ad.AnnData:
    """Cells that move along the first gene and split in the second; the third is constant."""
    x, obs = draw_split(3, "Prog/down")
    adata = ad.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))
    sdo.tl.fit(adata, "time", use_rep="X", **lineage_fit)
    return adata


@pytest.fixture
def split(_split_genes_once):
    return _split_genes_once.copy()


def test_what_is_written(split, fingerprint):
    original = split.copy()
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
    result = split.uns["scdiffot"].pop("trajectory_genes")
    assert fingerprint(split) == fingerprint(original)
    assert result["genes"].tolist() == GENES
    assert result["fates"].tolist() == ["up", "Prog/down"]
    np.testing.assert_allclose(result["times"], [0, 0.5, 1, 1.5, 2])
    for name in ("mean", "low", "high"):
        assert result[name].shape == (2, 5, 3)
    assert (result["low"] < result["mean"]).all()
    assert (result["mean"] < result["high"]).all()
    assert (result["cell_key"], result["source_time"], result["target_time"]) == (
        "cell_type",
        0.0,
        2.0,
    )
    assert (result["n_cells"], result["n_trajectories"], result["growth"]) == (200, 8, True)
    assert 0.9 < result["share"].sum() <= 1
    ranking = result["ranking"]
    assert list(ranking.columns) == [
        "gene",
        "fate",
        "effect",
        "difference",
        "se",
        "p",
        "p_adjusted",
        "time",
        "change",
        "change_se",
    ]
    assert len(ranking) == 6
    assert ranking["effect"].abs().is_monotonic_decreasing
    assert (ranking["p_adjusted"] >= ranking["p"]).all()


def test_the_gene_that_splits_comes_first(split):
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET | {"n_trajectories": 40})
    result = split.uns["scdiffot"]["trajectory_genes"]
    ranking = result["ranking"].set_index(["gene", "fate"])
    assert result["ranking"]["gene"].tolist()[:2] == ["side", "side"]
    assert ranking.loc[("side", "up"), "effect"] > 2
    assert ranking.loc[("side", "Prog/down"), "effect"] < -2
    assert (ranking.loc["side", "p_adjusted"] < 1e-10).all()
    # All cells move forward by three units; the fates separate from the start.
    np.testing.assert_allclose(ranking.loc["forward", "change"], 3, atol=0.2)
    np.testing.assert_allclose(
        ranking.loc[("side", ["up", "Prog/down"]), "change"], [2, -2], atol=0.3
    )
    assert (ranking.loc["side", "change"].abs() > 20 * ranking.loc["side", "change_se"]).all()
    # The trends end at the observed cells of that type.
    last = split[split.obs["time"] == 2]
    for k, fate in enumerate(result["fates"]):
        observed = np.asarray(last[last.obs["cell_type"] == fate].X)
        np.testing.assert_allclose(result["mean"][k, -1], observed.mean(axis=0), atol=0.15)
        np.testing.assert_allclose(
            result["low"][k, -1], np.quantile(observed, 0.1, axis=0), atol=0.2
        )
        np.testing.assert_allclose(
            result["high"][k, -1], np.quantile(observed, 0.9, axis=0), atol=0.2
        )
    start = np.asarray(split[split.obs["time"] == 0].X).mean(axis=0)
    np.testing.assert_allclose(
        np.average(result["mean"][:, 0], axis=0, weights=result["share"]), start, atol=0.02
    )


def test_genes_can_be_selected(split):
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
    all_genes = split.uns["scdiffot"]["trajectory_genes"]
    subset = sdo.tl.trajectory_genes(split, "cell_type", genes=["flat", "side"], copy=True, **QUIET)
    result = subset.uns["scdiffot"]["trajectory_genes"]
    assert result["genes"].tolist() == ["flat", "side"]
    np.testing.assert_array_equal(result["mean"], all_genes["mean"][:, :, [2, 1]])
    first = sdo.tl.trajectory_genes(split, "cell_type", genes="side", copy=True, **QUIET)
    assert first.uns["scdiffot"]["trajectory_genes"]["genes"].tolist() == ["side"]


def test_another_decoder_decodes_the_same_paths(split):
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
    plain = split.uns["scdiffot"]["trajectory_genes"]
    pair = (lambda x: torch.log(x), lambda z: torch.exp(z))
    sdo.tl.trajectory_genes(split, "cell_type", decoder=pair, **QUIET)
    result = split.uns["scdiffot"]["trajectory_genes"]
    # Quantiles commute with a monotonic function, up to the interpolation between samples.
    np.testing.assert_allclose(result["low"], np.exp(plain["low"]), rtol=0.03)
    # By Jensen's inequality, the mean of exponentials exceeds the exponential of the mean.
    assert (result["mean"] > np.exp(plain["mean"])).all()


def test_source_and_target(split):
    sdo.tl.trajectory_genes(split, "cell_type", 1, target_time=2, **QUIET)
    result = split.uns["scdiffot"]["trajectory_genes"]
    assert (result["source_time"], result["target_time"], result["n_cells"]) == (1.0, 2.0, 250)
    sdo.tl.trajectory_genes(split, "cell_type", target_time=1, n_cells=30, growth=False, **QUIET)
    result = split.uns["scdiffot"]["trajectory_genes"]
    assert (result["target_time"], result["n_cells"], result["growth"]) == (1.0, 30, False)
    assert result["n_effective"].max() <= 30


def test_one_fate_has_trends_but_no_differences(split, caplog):
    sdo.tl.trajectory_genes(split, "cell_type", "time == 1 and cell_type == 'up'", **QUIET)
    result = split.uns["scdiffot"]["trajectory_genes"]
    assert result["fates"].tolist() == ["up"]
    assert "All trajectories lead to 'up'" in caplog.text
    assert result["ranking"]["p_adjusted"].isna().all()
    assert result["ranking"]["gene"].tolist()[:1] == ["forward"]
    assert result["ranking"]["change"].notna().all()


def test_equal_seeds_give_equal_results(split):
    results = []
    for seed in (0, 0, 1):
        sdo.tl.trajectory_genes(split, "cell_type", rng=seed, **QUIET)
        results.append(split.uns["scdiffot"]["trajectory_genes"])
    np.testing.assert_array_equal(results[0]["mean"], results[1]["mean"])
    pd.testing.assert_frame_equal(results[0]["ranking"], results[1]["ranking"])
    assert not np.array_equal(results[0]["mean"], results[2]["mean"])


def test_genes_of_a_pca(split):
    """States are principal components, from which expression is decoded."""
    import scanpy as sc

    x = np.asarray(split.X)
    mixing = np.random.default_rng(1).normal(size=(3, 12))
    genes = ad.AnnData(x @ mixing + 5, obs=split.obs)
    sc.pp.pca(genes, n_comps=3)
    sdo.tl.fit(
        genes,
        "time",
        sigma=0.3,
        config={
            "train": {"n_steps": 200},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 200},
        },
        show_progress=False,
    )
    sdo.tl.trajectory_genes(genes, "cell_type", **QUIET)
    result = genes.uns["scdiffot"]["trajectory_genes"]
    start = np.asarray(genes[genes.obs["time"] == 0].X).mean(axis=0)
    np.testing.assert_allclose(
        np.average(result["mean"][:, 0], axis=0, weights=result["share"]), start, atol=0.12
    )
    up = result["mean"][0, -1] - result["mean"][1, -1]
    np.testing.assert_allclose(up / mixing[1], 4, rtol=0.3)


def test_round_trip(split, tmp_path):
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
    split.write_h5ad(tmp_path / "a.h5ad")
    restored = ad.read_h5ad(tmp_path / "a.h5ad")
    original, updated = (a.uns["scdiffot"]["trajectory_genes"] for a in (split, restored))
    assert updated["fates"].tolist() == ["up", "Prog/down"]
    for name in ("times", "mean", "low", "high"):
        np.testing.assert_array_equal(updated[name], original[name])
    np.testing.assert_allclose(updated["ranking"]["effect"], original["ranking"]["effect"])
    assert updated["ranking"]["gene"].tolist() == original["ranking"]["gene"].tolist()
    sdo.pl.trajectory_genes(restored, show=False)


def test_a_new_fit_drops_them(split, quick):
    sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
    sdo.tl.fit(split, "time", use_rep="X", **quick)
    assert "trajectory_genes" not in split.uns["scdiffot"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"genes": ["sid"]}, KeyError, "Did you mean 'side'"),
        ({"genes": []}, ValueError, "`genes` names no gene"),
        ({"source": "time < 2"}, ValueError, "`source` has cells of the times 0, 1"),
        ({"source": "cell0"}, ValueError, "`source` selects one cell"),
        ({"source": 2}, ValueError, "`target_time` is 2, but the source cells are of time 2"),
        ({"target_time": 7}, KeyError, "`target_time` is 7"),
        ({"n_cells": 1}, ValueError, "`n_cells` is 1"),
        ({"n_trajectories": 0}, ValueError, "`n_trajectories` is 0"),
        ({"n_times": 1}, ValueError, "`n_times` is 1"),
        ({"n_times": 2.5}, TypeError, "`n_times` is a float"),
        ({"n_steps": 0}, ValueError, "`n_steps` is 0"),
        ({"band": 0.9}, TypeError, "`band` is 0.9"),
        ({"band": (0.9, 0.1)}, ValueError, r"`band` is \(0.9, 0.1\)"),
        ({"classifier": 3}, TypeError, "`classifier`"),
        ({"decoder": 3}, TypeError, "`decoder` is a int"),
    ],
)
def test_wrong_input_is_named_and_nothing_written(split, fingerprint, arguments, error, match):
    original = fingerprint(split)
    with pytest.raises(error, match=match):
        sdo.tl.trajectory_genes(split, "cell_type", **QUIET | arguments)
    assert fingerprint(split) == original


def test_a_representation_without_decoder_is_refused(fitted_adata):
    with pytest.raises(ValueError, match="`use_rep` 'X_pca' has no decoder"):
        sdo.tl.trajectory_genes(fitted_adata, "cell_type", **QUIET)


def test_cells_that_leave_the_data_are_no_fate(split):
    # No trajectory reaches the displaced late cells; the fingerprint would refuse them.
    split.X[(split.obs["time"] == 2).to_numpy()] += 50
    del split.obsm["scdiffot_fingerprint"]
    with pytest.raises(ValueError, match="`source` leads to no fate at 2"):
        sdo.tl.trajectory_genes(split, "cell_type", **QUIET)
