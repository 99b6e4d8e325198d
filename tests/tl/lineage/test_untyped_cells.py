"""Fates among a typed cluster, an untyped cluster and a rare type."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}
N, N_RARE = 150, 5


@pytest.fixture(scope="session")
def _fork_once(lineage_fit) -> ad.AnnData:
    """Stem cells become 75 cells "up" and 75 without a type; 5 distant rare cells do not move."""
    rng = np.random.default_rng(0)
    parts, types = [], []
    for t in (0.0, 1.0):
        x = 0.3 * rng.normal(size=(N, 2)) + 5
        x[:, 0] += 2 * t
        x[:, 1] += np.repeat([3 * t, -3 * t], N // 2)
        parts += [x, 0.1 * rng.normal(size=(N_RARE, 2)) + [15, 5]]
        types += [
            *(["up"] * (N // 2) + [None] * (N // 2) if t else ["stem"] * N),
            *["rare"] * N_RARE,
        ]
    obs = pd.DataFrame(
        {"time": np.repeat([0.0, 1.0], N + N_RARE), "cell_type": pd.Categorical(types)},
        index=[f"cell{i}" for i in range(len(types))],
    )
    x = np.concatenate(parts).astype(np.float32)
    adata = ad.AnnData(x, obs=obs, var=pd.DataFrame(index=["G0", "G1"]))
    sdo.tl.fit(adata, "time", use_rep="X", growth=False, **lineage_fit)
    return adata


@pytest.fixture
def fork(_fork_once):
    return _fork_once.copy()


@pytest.mark.parametrize("unknown_label", ["none", "category"])
def test_descendants_among_untyped_cells_are_unknown(fork, caplog, unknown_label):
    """Half of the descendants have no known type, also if the user has a type "unknown"."""
    if unknown_label == "category":
        # Some of the untyped cells have the type "unknown".
        fork.obs["cell_type"] = fork.obs["cell_type"].cat.add_categories("unknown")
        fork.obs.loc[fork.obs_names[fork.obs["cell_type"].isna()][:30], "cell_type"] = "unknown"
    sdo.tl.sta_forward(fork, "cell_type", **QUIET)
    table = fork.obsm["scdiffot_fate"].dropna()
    assert sorted(table.columns) == ["outside", "rare", "unknown", "up"]
    assert table.columns[-1] == "outside"
    stem = table[:N].mean()
    assert stem["up"] == pytest.approx(0.5, abs=0.05)
    assert stem["unknown"] == pytest.approx(0.5, abs=0.05)
    if unknown_label == "none":
        assert "75 of the 155 cells of time 1 have no type in obs['cell_type']" in caplog.text
    # The flows have the same shares.
    result = fork.uns["scdiffot"]["fate"]
    flows = pd.DataFrame(result["flows"][0], result["flow_classes"], result["flow_classes"])
    assert flows.loc["stem", "unknown"] == pytest.approx(0.5 * N / (N + N_RARE), abs=0.05)


def test_an_estimator_has_the_same_share_of_untyped_cells(fork):
    from sklearn.linear_model import LogisticRegression

    sdo.tl.sta_forward(fork, "cell_type", classifier=LogisticRegression(), **QUIET)
    stem = fork.obsm["scdiffot_fate"][:N].mean()
    assert stem["unknown"] == pytest.approx(0.5, abs=0.05)
    assert stem.sum() == pytest.approx(1)


def test_a_separate_rare_type_has_the_whole_share(fork):
    """Of 15 neighbours of a rare cell, 10 are of other types, which gave a share of a third."""
    sdo.tl.sta_forward(fork, "cell_type", **QUIET)
    fate = fork.obsm["scdiffot_fate"][N : N + N_RARE].mean()
    assert fate["rare"] > 0.9
    accuracy = fork.uns["scdiffot"]["fate"]["accuracy_by_type"]
    assert accuracy.loc["rare"].tolist() == [1.0, N_RARE]
    # Its ancestors are rare cells, too.
    sdo.tl.sta_backward(fork, "cell_type", **QUIET)
    composition = fork.uns["scdiffot"]["ancestry"]["composition"]
    assert composition.loc["rare", "rare"] > 0.9


def test_ancestors_of_and_among_untyped_cells(fork, caplog):
    sdo.tl.sta_backward(fork, "cell_type", **QUIET)
    assert list(fork.obsm["scdiffot_ancestry"].columns) == ["rare", "up", "unknown"]
    np.testing.assert_allclose(fork.obsm["scdiffot_ancestry"].sum(), 1)
    composition = fork.uns["scdiffot"]["ancestry"]["composition"]
    assert composition.loc["unknown", "stem"] > 0.9
    fork.obs.loc[fork.obs_names[:N], "cell_type"] = np.nan
    sdo.tl.sta_backward(fork, "cell_type", **QUIET)
    composition = fork.uns["scdiffot"]["ancestry"]["composition"]
    assert composition.loc["up", "unknown"] > 0.9
    assert "150 of the 155 cells of time 0 have no type" in caplog.text


def test_perturbed_cells_among_untyped_ones(fork, caplog):
    """With the gene set to the value of the untyped cells, all descendants are among these."""
    sdo.tl.perturb(
        fork, {"G1": 3.5}, "cell_type", source="cell_type == 'stem'", name="down", **QUIET
    )
    result = fork.uns["scdiffot"]["perturbation"]["down"]
    assert result["fates"].tolist() == ["rare", "up", "unknown", "outside"]
    assert result["control"][-1, 2] == pytest.approx(0.5, abs=0.05)
    assert result["perturbed"][-1, 1] < 0.1
    assert result["perturbed"][-1, 2:].sum() > 0.9
    assert "have no type in obs['cell_type']" in caplog.text
    table = sdo.get.perturbation(fork)
    assert "unknown" in table["fate"].tolist()
    fork.obs.loc[fork.obs_names[:50], "cell_type"] = np.nan
    sdo.tl.perturb(fork, {"G1": 3.5}, "cell_type", source=0, name="down", **QUIET)
    result = fork.uns["scdiffot"]["perturbation"]["down"]
    assert result["sources"].tolist() == ["rare", "stem", "unknown", "all"]
    assert result["n_cells"].tolist() == [5, 100, 50, 155]
    sdo.tl.perturb_screen(fork, "cell_type", **QUIET)
    screen = fork.uns["scdiffot"]["perturb_screen"]
    assert screen["fates"].tolist() == ["rare", "up", "unknown", "outside"]
    assert screen["control"][2] == pytest.approx(0.5 * N / (N + N_RARE), abs=0.05)


def test_genes_along_paths_to_untyped_cells(fork, caplog):
    sdo.tl.trajectory_genes(fork, "cell_type", **QUIET)
    result = fork.uns["scdiffot"]["trajectory_genes"]
    assert result["fates"].tolist() == ["rare", "up"]
    assert result["share"][1] == pytest.approx(0.5 * N / (N + N_RARE), abs=0.05)
    # At the end, the mean is that of the typed cells alone.
    assert result["mean"][1, -1, 1] == pytest.approx(8, abs=0.2)
    assert "75 of the 155 cells of time 1 have no type" in caplog.text


def test_wells_of_untyped_cells(fork):
    sdo.tl.landscape(fork, times=[1], cell_key="cell_type")
    basins = fork.uns["scdiffot"]["landscape"]["basins"].set_index("type")
    assert basins.loc["up", "y"] == pytest.approx(8, abs=0.7)
    assert basins.loc["unknown", "y"] == pytest.approx(2, abs=0.7)


def test_plots_show_the_class(fork, tmp_path):
    sdo.tl.sta_forward(fork, "cell_type", **QUIET)
    fork.write_h5ad(tmp_path / "a.h5ad")
    restored = ad.read_h5ad(tmp_path / "a.h5ad")
    for kind in ("embedding", "composition", "alluvial"):
        figure = sdo.pl.fate(restored, kind=kind, return_fig=True)
        words = [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text"))]
        assert "unknown" in words, kind
    table = sdo.get.fate(restored)
    assert table["fate"].cat.categories[-2:].tolist() == ["unknown", "outside"]
    paths = sdo.tl.simulate(restored, source=0, n_particles=20)
    figure = sdo.pl.trajectories(restored, paths, by="fate", return_fig=True)
    assert "unknown" in [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
