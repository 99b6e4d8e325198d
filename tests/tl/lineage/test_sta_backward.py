from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

QUIET = {"n_trajectories": 10, "show_progress": False}


@pytest.fixture(scope="session")
def _lanes_once(lineage_fit) -> ad.AnnData:
    """Two distant types; the first triples between the times, the second does not grow."""
    rng = np.random.default_rng(0)
    counts = [(100, 200), (300, 200)]
    parts = [
        np.concatenate(
            [0.3 * rng.normal(size=(n, 2)) + [t, y] for n, y in zip(pair, (2, -2), strict=True)]
        )
        for t, pair in enumerate(counts)
    ]
    obs = pd.DataFrame(
        {
            "time": np.repeat([0.0, 1.0], [300, 500]),
            "cell_type": pd.Categorical(
                np.concatenate([np.repeat(["fast", "slow"], pair) for pair in counts])
            ),
        },
        index=[f"cell{i}" for i in range(800)],
    )
    adata = ad.AnnData(obs=obs, obsm={"X_pca": np.concatenate(parts)})
    sdo.tl.fit(adata, "time", **lineage_fit)
    return adata


@pytest.fixture
def lanes(_lanes_once):
    return _lanes_once.copy()


def test_what_is_written(fitted_adata):
    sdo.tl.sta_backward(fitted_adata, "cell_type", target_time=1, **QUIET)
    table = fitted_adata.obsm["scdiffot_ancestry"]
    assert list(table.columns) == ["A", "B"]
    np.testing.assert_array_equal(table.notna().all(axis=1), fitted_adata.obs["time"] == 1)
    np.testing.assert_allclose(table.sum(), 1)
    assert (table.min() >= 0).all()
    result = fitted_adata.uns["scdiffot"]["ancestry"]
    assert (result["cell_key"], result["source_time"], result["target_time"]) == (
        "cell_type",
        2.0,
        1.0,
    )
    assert (result["weighted"], result["mass"]) == (False, 1.0)
    by_type = table.groupby(fitted_adata.obs["cell_type"], observed=True).sum().T
    np.testing.assert_allclose(result["composition"], by_type)
    assert list(result["composition"].index) == list(result["composition"].columns) == ["A", "B"]


def test_ancestors_in_lanes(lanes):
    sdo.tl.sta_backward(lanes, "cell_type", **QUIET)
    composition = lanes.uns["scdiffot"]["ancestry"]["composition"]
    np.testing.assert_allclose(composition, np.eye(2), atol=0.02)
    # Within a lane, every cell may be an ancestor.
    density = lanes.obsm["scdiffot_ancestry"]["slow"].dropna()[100:]
    assert 1 / (density**2).sum() > 150


def test_weighted_ancestors_are_the_earlier_population(lanes):
    sdo.tl.sta_backward(lanes, "cell_type", weighted=True, **QUIET)
    result = lanes.uns["scdiffot"]["ancestry"]
    # A third of the initial mass of one is fast, although three fifths of the later cells are.
    assert result["mass"] == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(result["composition"], np.diag([1 / 3, 2 / 3]), atol=0.05)
    np.testing.assert_allclose(
        lanes.obsm["scdiffot_ancestry"].sum(), np.diag(result["composition"]), atol=0.02
    )
    total = lanes.obsm["scdiffot_ancestry"].sum(axis=1)[:300]
    # Each of the 300 cells has the same share, up to the smoothing.
    assert np.abs(total / total.sum() - 1 / 300).sum() / 2 < 0.15


def test_agrees_with_fates(lanes):
    sdo.tl.sta_forward(lanes, "cell_type", n_trajectories=100, show_progress=False)
    sdo.tl.sta_backward(lanes, "cell_type", **QUIET)
    forward = lanes.obsm["scdiffot_fate"].mul(lanes.obs["scdiffot_n_descendants"], axis=0).dropna()
    ancestry = lanes.obsm["scdiffot_ancestry"].dropna()
    x = lanes.obsm["X_pca"][:300]
    for name in ("fast", "slow"):
        lane = (lanes.obs["cell_type"] == name).to_numpy()[:300]
        # Shares of the thirds of each lane.
        part = np.digitize(x[:, 0], np.quantile(x[lane, 0], [1 / 3, 2 / 3])) + 3 * lane
        first, second = (
            np.bincount(part, values[name], 6) / values[name].sum()
            for values in (forward, ancestry)
        )
        assert np.abs(first - second).sum() / 2 < 0.05


def test_sources(fitted_adata):
    selected = (fitted_adata.obs["time"] == 1) & (fitted_adata.obs["cell_type"] == "A")
    for source in (
        selected,
        "time == 1 and cell_type == 'A'",
        list(fitted_adata.obs_names[selected]),
    ):
        sdo.tl.sta_backward(fitted_adata, "cell_type", source, **QUIET)
        assert list(fitted_adata.obsm["scdiffot_ancestry"].columns) == ["A"]
        np.testing.assert_array_equal(
            fitted_adata.obsm["scdiffot_ancestry"]["A"].notna(), fitted_adata.obs["time"] == 0
        )


def test_the_mass_of_some_cells_is_their_part(fitted_adata):
    whole = sdo.tl.sta_backward(fitted_adata, "cell_type", weighted=True, copy=True, **QUIET)
    part = sdo.tl.sta_backward(
        fitted_adata,
        "cell_type",
        "time == 2 and cell_type == 'A'",
        weighted=True,
        copy=True,
        **QUIET,
    )
    masses = whole.obsm["scdiffot_ancestry"].sum()
    assert whole.uns["scdiffot"]["ancestry"]["mass"] == pytest.approx(masses.sum())
    assert part.uns["scdiffot"]["ancestry"]["mass"] == pytest.approx(masses["A"], rel=0.05)


def test_cells_without_a_type(fitted_adata):
    late = fitted_adata.obs_names[fitted_adata.obs["time"] == 2][:20]
    fitted_adata.obs.loc[late, "cell_type"] = np.nan
    early = fitted_adata.obs_names[fitted_adata.obs["time"] == 0][:20]
    fitted_adata.obs.loc[early, "cell_type"] = np.nan
    sdo.tl.sta_backward(fitted_adata, "cell_type", **QUIET)
    np.testing.assert_allclose(fitted_adata.obsm["scdiffot_ancestry"].sum(), 1)
    composition = fitted_adata.uns["scdiffot"]["ancestry"]["composition"]
    assert list(composition.index) == list(composition.columns) == ["A", "B", "unknown"]
    np.testing.assert_allclose(composition.sum(axis=1), 1)
    # Half of the early cells have no type, at random positions.
    np.testing.assert_allclose(composition["unknown"], 0.5, atol=0.2)


def test_far_from_every_cell(lanes, caplog):
    # Without the early cells of a lane, its ancestors are far from every cell.
    lanes = lanes[~((lanes.obs["time"] == 0) & (lanes.obs["cell_type"] == "fast"))].copy()
    sdo.tl.sta_backward(lanes, "cell_type", **QUIET)
    outside = lanes.uns["scdiffot"]["ancestry"]["outside"]
    assert outside[0] > 0.95
    assert outside[1] < 0.1
    assert "of the ancestors are far from every cell of time 0" in caplog.text


def test_seeds_and_copies(fitted_adata, fingerprint):
    original = fingerprint(fitted_adata)
    first, second, other = (
        sdo.tl.sta_backward(fitted_adata, "cell_type", rng=r, copy=True, **QUIET) for r in (1, 1, 2)
    )
    assert fingerprint(fitted_adata) == original
    assert fingerprint(first) == fingerprint(second)
    assert not first.obsm["scdiffot_ancestry"].equals(other.obsm["scdiffot_ancestry"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell_key": "celltype"}, KeyError, "`cell_key` is 'celltype'"),
        ({"source": "cell_type == 'C'"}, ValueError, "`source` selects no cell"),
        (
            {"source": "cell_type == 'A'"},
            ValueError,
            "`source` has cells of the times 0.0, 1.0, 2.0: choose cells of one",
        ),
        ({"source": 0}, ValueError, "`target_time` is 0, but the cells of `source` are of time 0"),
        (
            {"source": 1, "target_time": 2},
            ValueError,
            "`target_time` is 2, but the cells of `source` are of time 1",
        ),
        ({"target_time": 0.5}, KeyError, "`target_time` is 0.5, no time"),
        (
            {"cell_key": "late"},
            ValueError,
            "`target_time` is 0, but no cell of that time has a type",
        ),
        ({"cell_key": "early"}, ValueError, "`source` selects cells that have no type"),
        ({"n_trajectories": 0}, ValueError, "`n_trajectories` is 0"),
        ({"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
        ({"n_steps": 0.5}, TypeError, "`n_steps` is a float"),
        ({"key": "other"}, KeyError, "'other'"),
    ],
)
def test_bad_input_leaves_adata_alone(fitted_adata, fingerprint, options, error, message):
    fitted_adata.obs["early"] = fitted_adata.obs["cell_type"].where(fitted_adata.obs["time"] < 2)
    fitted_adata.obs["late"] = fitted_adata.obs["cell_type"].where(fitted_adata.obs["time"] > 0)
    original = fingerprint(fitted_adata)
    with pytest.raises(error, match=message):
        sdo.tl.sta_backward(fitted_adata, **{"cell_key": "cell_type", **QUIET, **options})
    assert fingerprint(fitted_adata) == original


def test_a_fit_without_growth_has_no_weights(time_course, quick, fingerprint):
    sdo.tl.fit(time_course, "time", growth=False, **quick)
    original = fingerprint(time_course)
    with pytest.raises(ValueError, match="`weighted` is True, but the fit has no growth"):
        sdo.tl.sta_backward(time_course, "cell_type", weighted=True, **QUIET)
    assert fingerprint(time_course) == original
    sdo.tl.sta_backward(time_course, "cell_type", **QUIET)
