"""Fates, numbers of descendants and flows of `tl.sta_forward`."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}


def test_what_is_written(fitted_adata):
    sdo.tl.sta_forward(fitted_adata, "cell_type", 0, path=True, **QUIET)
    first = (fitted_adata.obs["time"] == 0).to_numpy()
    for name in ("fate", "fate_se", "fate_path"):
        table = fitted_adata.obsm[f"scdiffot_{name}"]
        assert list(table.columns) == ["A", "B", "outside"]
        assert table.index.equals(fitted_adata.obs_names)
        np.testing.assert_array_equal(table.notna().all(axis=1), first)
        np.testing.assert_array_equal(table.isna().all(axis=1), ~first)
        if name != "fate_se":
            np.testing.assert_allclose(table[first].sum(axis=1), 1)
    for name in ("n_descendants", "n_descendants_se", "fate_ess"):
        np.testing.assert_array_equal(fitted_adata.obs[f"scdiffot_{name}"].notna(), first)
    time = fitted_adata.obs["scdiffot_commitment_time"][first]
    assert ((time >= 0) & (time <= 2)).all()
    result = fitted_adata.uns["scdiffot"]["fate"]
    assert (result["cell_key"], result["target_time"], result["n_trajectories"]) == (
        "cell_type",
        2.0,
        20,
    )
    assert result["classes"].tolist() == ["A", "B", "outside"]
    assert result["growth"] is True
    assert 0.5 < result["accuracy"] <= 1
    by_type = result["accuracy_by_type"]
    assert by_type.index.tolist() == ["A", "B"]
    assert by_type["n_cells"].tolist() == [
        int(((fitted_adata.obs["time"] == 2) & (fitted_adata.obs["cell_type"] == t)).sum())
        for t in "AB"
    ]
    assert np.average(by_type["accuracy"], weights=by_type["n_cells"]) == pytest.approx(
        result["accuracy"]
    )
    np.testing.assert_allclose(result["flow_times"], [0, 1, 2])
    masses, flows = result["flow_masses"], result["flows"]
    assert (masses.shape, flows.shape) == ((3, 3), (2, 3, 3))
    types = fitted_adata.obs["cell_type"][first].value_counts(normalize=True)
    np.testing.assert_allclose(masses[0], [types["A"], types["B"], 0])
    np.testing.assert_allclose(flows.sum(axis=1), masses[1:])
    np.testing.assert_allclose(masses[-1].sum(), fitted_adata.obs["scdiffot_n_descendants"].mean())
    # A new run without `path` removes the earlier probabilities of paths.
    sdo.tl.sta_forward(fitted_adata, "cell_type", 0, **QUIET)
    assert "scdiffot_fate_path" not in fitted_adata.obsm


def test_all_cells_before_the_target_are_followed(fitted_adata):
    first = sdo.tl.sta_forward(fitted_adata, "cell_type", 0, copy=True, **QUIET)
    sdo.tl.sta_forward(fitted_adata, "cell_type", **QUIET)
    with_fate = fitted_adata.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(with_fate, fitted_adata.obs["time"] < 2)
    # The flow is that of the first time; later cells do not contribute.
    for name in ("flow_times", "flow_masses", "flows"):
        np.testing.assert_array_equal(
            fitted_adata.uns["scdiffot"]["fate"][name], first.uns["scdiffot"]["fate"][name]
        )
    sdo.tl.sta_forward(fitted_adata, "cell_type", target_time=1, **QUIET)
    np.testing.assert_array_equal(
        fitted_adata.obsm["scdiffot_fate"].notna().all(axis=1), fitted_adata.obs["time"] == 0
    )


def test_fates_of_a_cloud_that_splits(split):
    sdo.tl.sta_forward(split, "cell_type", 0, path=True, **QUIET | {"n_trajectories": 200})
    table = split.obsm["scdiffot_fate"].dropna()
    assert list(table.columns) == ["up", "down", "outside"]
    n = split.obs["scdiffot_n_descendants"].dropna()
    composition = np.average(table, axis=0, weights=n)
    assert composition[0] == pytest.approx(0.6, abs=0.05)
    assert n.mean() == pytest.approx(375 / 200, rel=0.05)
    assert composition[2] < 0.06
    high = split.obsm["X_pca"][: len(table), 1] > 0.2
    assert table["up"].to_numpy()[high].mean() > table["up"].to_numpy()[~high].mean() + 0.2
    masses = split.uns["scdiffot"]["fate"]["flow_masses"]
    assert split.uns["scdiffot"]["fate"]["flow_classes"].tolist() == [
        "stem",
        "up",
        "down",
        "outside",
    ]
    np.testing.assert_allclose(masses[:, 1], [0, 150 / 200, 225 / 200], atol=0.1)
    assert split.uns["scdiffot"]["fate"]["accuracy"] > 0.99
    # Cells commit between start and end, and later if they start near the middle.
    time = split.obs["scdiffot_commitment_time"].dropna().to_numpy()
    is_central = np.abs(split.obsm["X_pca"][: len(table), 1]) < 0.1
    assert max(0.05, 2 * time[~is_central].mean()) < time[is_central].mean() < 1.5


def test_each_cell_starts_at_its_own_time(split):
    query = "cell_type == 'stem' or (cell_type == 'down' and time < 2)"
    sdo.tl.sta_forward(split, "cell_type", query, **QUIET)
    with_fate = split.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(with_fate, split.obs.eval(query))
    late = split.obs["time"][with_fate] == 1
    assert split.obsm["scdiffot_fate"][with_fate][late]["down"].mean() > 0.9
    assert (split.obs["scdiffot_commitment_time"][with_fate][late] >= 1).all()
    masses = split.uns["scdiffot"]["fate"]["flow_masses"]
    share = late.mean()
    # Cells of the first time are stem cells; at the second time, the other cells join.
    np.testing.assert_allclose(masses[0], [1 - share, 0, 0, 0])
    arrivals = split.uns["scdiffot"]["fate"]["flows"][0].sum(axis=0)
    np.testing.assert_allclose(masses[1] - arrivals, [0, 0, share, 0], atol=1e-12)


def test_sources_and_targets(fitted_adata):
    first = (fitted_adata.obs["time"] == 0).to_numpy()
    selected = first & (fitted_adata.obs["cell_type"] == "A").to_numpy()
    for source in (
        selected,
        "time == 0 and cell_type == 'A'",
        fitted_adata.obs_names[selected][::-1],
    ):
        sdo.tl.sta_forward(fitted_adata, "cell_type", source, target_time="1", **QUIET)
        np.testing.assert_array_equal(
            fitted_adata.obsm["scdiffot_fate"].notna().all(axis=1), selected
        )
    assert fitted_adata.uns["scdiffot"]["fate"]["flow_times"].tolist() == [0, 1]
    sdo.tl.sta_forward(fitted_adata, "cell_type", 1, **QUIET)
    np.testing.assert_array_equal(
        fitted_adata.obsm["scdiffot_fate"].notna().all(axis=1), fitted_adata.obs["time"] == 1
    )


def test_seeds_and_copies(fitted_adata, fingerprint):
    original = fingerprint(fitted_adata)
    first, second, other = (
        sdo.tl.sta_forward(fitted_adata, "cell_type", rng=r, copy=True, **QUIET) for r in (1, 1, 2)
    )
    assert fingerprint(fitted_adata) == original
    assert fingerprint(first) == fingerprint(second)
    assert not first.obsm["scdiffot_fate"].equals(other.obsm["scdiffot_fate"])


def test_a_new_fit_drops_what_came_from_the_old_one(fitted_adata, quick):
    fitted_adata.obsm["X_umap"] = fitted_adata.obsm["X_pca"][:, :2].copy()
    original = {part: set(getattr(fitted_adata, part)) for part in ("obs", "obsm", "obsp")}
    sdo.tl.sta_forward(fitted_adata, "cell_type", path=True, **QUIET)
    sdo.tl.sta_backward(fitted_adata, "cell_type", n_trajectories=5, show_progress=False)
    sdo.tl.project(fitted_adata, "umap")
    sdo.tl.transition_matrix(fitted_adata)
    other = fitted_adata.copy()
    sdo.tl.fit(other, "time", key_added="scdiffot_velocity", **quick)
    sdo.tl.fit(fitted_adata, "time", **quick)
    assert {part: set(getattr(fitted_adata, part)) for part in original} == original
    assert not {"fate", "ancestry"} & set(fitted_adata.uns["scdiffot"])
    # Another fit is unchanged, even if its name begins with the same letters.
    sdo.tl.fit(other, "time", **quick)
    assert "scdiffot_velocity_velocity" in other.obsm
