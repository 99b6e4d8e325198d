from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import scdiffot as sdo

QUIET = {"n_trajectories": 20, "show_progress": False}
NAMES = {"A": "β T-cell, naïve", "B": "Prog/Mono"}


@pytest.fixture(scope="session")
def _split_once() -> ad.AnnData:
    """A cloud of stem cells that multiplies and splits in two, "up" and "down"."""
    rng = np.random.default_rng(0)
    parts, times, types = [], [], []
    for t, (n_up, n_down) in enumerate(((0, 0), (150, 100), (225, 150))):
        x = 0.25 * rng.normal(size=(n_up + n_down or 200, 2))
        x[:, 0] += 1.5 * t
        x[:, 1] += np.repeat([t, -t], [n_up, n_down]) if t else 0
        parts.append(x)
        times += [float(t)] * len(x)
        types += ["up"] * n_up + ["down"] * n_down if t else ["stem"] * 200
    obs = pd.DataFrame(
        {
            "time": times,
            "cell_type": pd.Categorical(types, categories=["stem", "up", "none", "down"]),
        },
        index=[f"cell{i}" for i in range(len(times))],
    )
    adata = ad.AnnData(obs=obs, obsm={"X_pca": np.concatenate(parts)})
    sdo.tl.fit(
        adata, "time", sigma=0.3, n_steps=400, n_corrections=0, n_landmarks=300, show_progress=False
    )
    return adata


@pytest.fixture
def split(_split_once):
    return _split_once.copy()


def test_what_is_written(fitted):
    sdo.tl.sta_forward(fitted, "cell_type", 0, path=True, **QUIET)
    first = (fitted.obs["time"] == 0).to_numpy()
    for name in ("fate", "fate_se", "fate_path"):
        table = fitted.obsm[f"scdiffot_{name}"]
        assert list(table.columns) == ["A", "B", "outside"]
        assert table.index.equals(fitted.obs_names)
        np.testing.assert_array_equal(table.notna().all(axis=1), first)
        np.testing.assert_array_equal(table.isna().all(axis=1), ~first)
        if name != "fate_se":
            np.testing.assert_allclose(table[first].sum(axis=1), 1)
    for name in ("n_descendants", "n_descendants_se", "fate_ess"):
        np.testing.assert_array_equal(fitted.obs[f"scdiffot_{name}"].notna(), first)
    time = fitted.obs["scdiffot_commitment_time"][first]
    assert ((time >= 0) & (time <= 2)).all()
    found = fitted.uns["scdiffot"]["fate"]
    assert (found["cell_key"], found["target_time"], found["n_trajectories"]) == (
        "cell_type",
        2.0,
        20,
    )
    assert found["classes"].tolist() == ["A", "B", "outside"]
    assert found["growth"] is True
    assert 0.5 < found["accuracy"] <= 1
    by_type = found["accuracy_by_type"]
    assert by_type.index.tolist() == ["A", "B"]
    assert by_type["n_cells"].tolist() == [
        int(((fitted.obs["time"] == 2) & (fitted.obs["cell_type"] == t)).sum()) for t in "AB"
    ]
    assert np.average(by_type["accuracy"], weights=by_type["n_cells"]) == pytest.approx(
        found["accuracy"]
    )
    np.testing.assert_allclose(found["flow_times"], [0, 1, 2])
    masses, flows = found["flow_masses"], found["flows"]
    assert (masses.shape, flows.shape) == ((3, 3), (2, 3, 3))
    types = fitted.obs["cell_type"][first].value_counts(normalize=True)
    np.testing.assert_allclose(masses[0], [types["A"], types["B"], 0])
    np.testing.assert_allclose(flows.sum(axis=1), masses[1:])
    np.testing.assert_allclose(masses[-1].sum(), fitted.obs["scdiffot_n_descendants"].mean())
    # another question drops what it has no answer to
    sdo.tl.sta_forward(fitted, "cell_type", 0, **QUIET)
    assert "scdiffot_fate_path" not in fitted.obsm


def test_all_cells_before_the_target_are_followed(fitted):
    first = sdo.tl.sta_forward(fitted, "cell_type", 0, copy=True, **QUIET)
    sdo.tl.sta_forward(fitted, "cell_type", **QUIET)
    followed = fitted.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(followed, fitted.obs["time"] < 2)
    # the flow is that of the first time, to which later cells add nothing
    for name in ("flow_times", "flow_masses", "flows"):
        np.testing.assert_array_equal(
            fitted.uns["scdiffot"]["fate"][name], first.uns["scdiffot"]["fate"][name]
        )
    sdo.tl.sta_forward(fitted, "cell_type", target_time=1, **QUIET)
    np.testing.assert_array_equal(
        fitted.obsm["scdiffot_fate"].notna().all(axis=1), fitted.obs["time"] == 0
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
    # decided after the start, before the end, and the later the nearer to the middle a cell starts
    time = split.obs["scdiffot_commitment_time"].dropna().to_numpy()
    near = np.abs(split.obsm["X_pca"][: len(table), 1]) < 0.1
    assert max(0.05, 2 * time[~near].mean()) < time[near].mean() < 1.5


def test_each_cell_starts_at_its_own_time(split):
    query = "cell_type == 'stem' or (cell_type == 'down' and time < 2)"
    sdo.tl.sta_forward(split, "cell_type", query, **QUIET)
    followed = split.obsm["scdiffot_fate"].notna().all(axis=1)
    np.testing.assert_array_equal(followed, split.obs.eval(query))
    late = split.obs["time"][followed] == 1
    assert split.obsm["scdiffot_fate"][followed][late]["down"].mean() > 0.9
    assert (split.obs["scdiffot_commitment_time"][followed][late] >= 1).all()
    masses = split.uns["scdiffot"]["fate"]["flow_masses"]
    share = late.mean()
    # cells of the first time are stem cells; at the second, the others join their descendants
    np.testing.assert_allclose(masses[0], [1 - share, 0, 0, 0])
    arrived = split.uns["scdiffot"]["fate"]["flows"][0].sum(axis=0)
    np.testing.assert_allclose(masses[1] - arrived, [0, 0, share, 0], atol=1e-12)


def test_sources_and_targets(fitted):
    first = (fitted.obs["time"] == 0).to_numpy()
    chosen = first & (fitted.obs["cell_type"] == "A").to_numpy()
    for source in (chosen, "time == 0 and cell_type == 'A'", fitted.obs_names[chosen][::-1]):
        sdo.tl.sta_forward(fitted, "cell_type", source, target_time="1", **QUIET)
        np.testing.assert_array_equal(fitted.obsm["scdiffot_fate"].notna().all(axis=1), chosen)
    assert fitted.uns["scdiffot"]["fate"]["flow_times"].tolist() == [0, 1]
    sdo.tl.sta_forward(fitted, "cell_type", 1, **QUIET)
    np.testing.assert_array_equal(
        fitted.obsm["scdiffot_fate"].notna().all(axis=1), fitted.obs["time"] == 1
    )


def test_seeds_and_copies(fitted, fingerprint):
    before = fingerprint(fitted)
    one, two, other = (
        sdo.tl.sta_forward(fitted, "cell_type", rng=r, copy=True, **QUIET) for r in (1, 1, 2)
    )
    assert fingerprint(fitted) == before
    assert fingerprint(one) == fingerprint(two)
    assert not one.obsm["scdiffot_fate"].equals(other.obsm["scdiffot_fate"])


def test_a_fit_without_growth(course, quick, fingerprint):
    sdo.tl.fit(course, "time", growth=False, **quick)
    before = fingerprint(course)
    with pytest.raises(ValueError, match="`growth` is True, but the fit has no growth"):
        sdo.tl.sta_forward(course, "cell_type", growth=True, **QUIET)
    assert fingerprint(course) == before
    sdo.tl.sta_forward(course, "cell_type", path=True, **QUIET)
    np.testing.assert_allclose(course.obs["scdiffot_n_descendants"].dropna(), 1)
    np.testing.assert_allclose(course.obsm["scdiffot_fate"], course.obsm["scdiffot_fate_path"])
    assert course.uns["scdiffot"]["fate"]["growth"] is False


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["logistic", "pipeline"],
)
def test_other_classifiers(split, classifier):
    by_neighbors = sdo.tl.sta_forward(split, "cell_type", copy=True, **QUIET)
    sdo.tl.sta_forward(split, "cell_type", classifier=classifier, **QUIET)
    assert split.uns["scdiffot"]["fate"]["accuracy"] > 0.99
    difference = split.obsm["scdiffot_fate"] - by_neighbors.obsm["scdiffot_fate"]
    # the paths are the same
    assert np.nanmax(np.abs(difference["outside"])) < 1e-12
    assert np.nanmax(np.abs(difference)) < 0.1
    # a clone was fitted
    assert not hasattr(classifier, "classes_")


def test_classifier_with_few_cells_of_a_type(split):
    rare = np.flatnonzero(split.obs["time"] == 2)[:3]
    split.obs["cell_type"] = split.obs["cell_type"].astype(str)
    split.obs.iloc[rare, split.obs.columns.get_loc("cell_type")] = "rare"
    sdo.tl.sta_forward(split, "cell_type", classifier=LogisticRegression(), **QUIET)
    assert list(split.obsm["scdiffot_fate"].columns) == ["down", "rare", "up", "outside"]


def test_far_from_every_cell_is_outside(split, caplog):
    # without the cells that go down, half of the descendants end where none is left
    split = split[~((split.obs["time"] == 2) & (split.obs["cell_type"] == "down"))].copy()
    sdo.tl.sta_forward(split, "cell_type", path=True, **QUIET)
    path = split.obsm["scdiffot_fate_path"].dropna().mean()
    assert path["outside"] > 0.25
    assert path["up"] > 0.4
    assert "end far from every cell of time 2 and count as 'outside'" in caplog.text


def test_missing_types(fitted):
    fitted.obs.loc[fitted.obs["time"] < 2, "cell_type"] = np.nan
    some = fitted.obs_names[fitted.obs["time"] == 2][:10]
    fitted.obs.loc[some, "cell_type"] = np.nan
    sdo.tl.sta_forward(fitted, "cell_type", 0, **QUIET)
    np.testing.assert_allclose(fitted.obsm["scdiffot_fate"].dropna().sum(axis=1), 1)
    found = fitted.uns["scdiffot"]["fate"]
    assert found["classes"].tolist() == ["A", "B", "unknown", "outside"]
    # the middle has no types to flow through; those of the start flow from the class of cells without one
    assert found["flow_times"].tolist() == [0, 2]
    assert found["flow_classes"].tolist() == ["A", "B", "unknown", "outside"]
    np.testing.assert_allclose(found["flow_masses"][0], [0, 0, 1, 0])
    np.testing.assert_allclose(found["flows"][0].sum(), fitted.obs["scdiffot_n_descendants"].mean())


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_names_of_all_kinds_survive_a_file(fitted, tmp_path, suffix):
    fitted.obs["kind of cell"] = fitted.obs["cell_type"].cat.rename_categories(NAMES)
    sdo.tl.sta_forward(fitted, "kind of cell", **QUIET)
    sdo.tl.sta_backward(fitted, "kind of cell", n_trajectories=5, show_progress=False)
    assert list(fitted.obsm["scdiffot_fate"].columns) == ["β T-cell, naïve", "Prog|Mono", "outside"]
    path = tmp_path / f"fates.{suffix}"
    getattr(fitted, f"write_{suffix}")(path)
    again = getattr(ad, f"read_{suffix}")(path)
    for name in ("fate", "fate_se", "ancestry"):
        pd.testing.assert_frame_equal(
            again.obsm[f"scdiffot_{name}"], fitted.obsm[f"scdiffot_{name}"]
        )
    table = sdo.get.fate(again)
    assert list(table["fate"].cat.categories) == ["β T-cell, naïve", "Prog/Mono", "outside"]
    pd.testing.assert_frame_equal(table, sdo.get.fate(fitted))
    # what was read can be asked again
    sdo.tl.sta_forward(again, "kind of cell", **QUIET)
    np.testing.assert_array_equal(again.obsm["scdiffot_fate"], fitted.obsm["scdiffot_fate"])


def test_a_new_fit_drops_what_came_from_the_old_one(fitted, quick):
    fitted.obsm["X_umap"] = fitted.obsm["X_pca"][:, :2].copy()
    before = {part: set(getattr(fitted, part)) for part in ("obs", "obsm", "obsp")}
    sdo.tl.sta_forward(fitted, "cell_type", path=True, **QUIET)
    sdo.tl.sta_backward(fitted, "cell_type", n_trajectories=5, show_progress=False)
    sdo.tl.project(fitted, "umap")
    sdo.tl.transition_matrix(fitted)
    other = fitted.copy()
    sdo.tl.fit(other, "time", key_added="scdiffot_velocity", **quick)
    sdo.tl.fit(fitted, "time", **quick)
    assert {part: set(getattr(fitted, part)) for part in before} == before
    assert not {"fate", "ancestry"} & set(fitted.uns["scdiffot"])
    # another run is left alone, even if its name begins alike
    sdo.tl.fit(other, "time", **quick)
    assert "scdiffot_velocity_velocity" in other.obsm


def test_mudata(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", **quick)
    sdo.tl.sta_forward(mdata, "rna:cell_type", **QUIET)
    sdo.tl.sta_backward(mdata, "rna:cell_type", n_trajectories=5, show_progress=False)
    assert (
        mdata.obsm["scdiffot_fate"].notna().all(axis=1).sum()
        == (mdata.mod["rna"].obs["time"] < 2).sum()
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"cell_key": "celltype"},
            KeyError,
            "`cell_key` is 'celltype', .*Did you mean 'cell_type'",
        ),
        ({"cell_key": 3}, TypeError, "`cell_key` is a int"),
        ({"cell_key": "scdiffot_growth"}, TypeError, "`cell_key` .* holds float"),
        ({"cell_key": "empty"}, ValueError, "`cell_key` .* is NaN in all cells"),
        (
            {"cell_key": "early"},
            ValueError,
            "`target_time` is 2, but no cell of that time has a type",
        ),
        ({"cell_key": "wrong"}, ValueError, "has the types 'outside'"),
        ({"cell_key": "slashes"}, ValueError, r"has the types 'a/b', 'a\|b'"),
        ({"source": "cell_type == 'C'"}, ValueError, "`source` selects no cell"),
        ({"source": ["nobody"]}, KeyError, "`source` names cells that `adata` does not have"),
        (
            {"source": 1, "target_time": 1},
            ValueError,
            "`target_time` is 1, but 44 of the 44 cells of `source`",
        ),
        (
            {"source": 1, "target_time": 0},
            ValueError,
            r"`target_time` is 0, .* or later \(up to 1\)",
        ),
        (
            {"source": "cell_type == 'A'"},
            ValueError,
            "`target_time` is 2, but .* are of that time or later",
        ),
        ({"target_time": 1.5}, KeyError, "`target_time` is 1.5, no time of"),
        ({"target_time": "day9"}, KeyError, "`target_time` is 'day9', no label"),
        ({"n_trajectories": 1}, ValueError, "`n_trajectories` is 1: pass at least 2"),
        ({"n_trajectories": 2.5}, TypeError, "`n_trajectories` is a float"),
        ({"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
        ({"n_steps": 0}, ValueError, "`n_steps` is 0"),
        ({"threshold": 1.5}, ValueError, "`threshold` is 1.5"),
        ({"threshold": "x"}, TypeError, "`threshold` is a str"),
        ({"classifier": "knn"}, TypeError, "`classifier` is a str without"),
        (
            {"classifier": LinearSVC()},
            TypeError,
            "`classifier` is a LinearSVC without 'predict_proba'",
        ),
        ({"classifier": LogisticRegression}, TypeError, "pass an instance"),
        ({"rng": "x"}, TypeError, "`rng` is a str"),
        ({"key": "other"}, KeyError, "'other'.*There is 'scdiffot'"),
    ],
)
def test_bad_input_leaves_adata_alone(fitted, fingerprint, options, error, message):
    types = fitted.obs["cell_type"]
    fitted.obs["empty"] = pd.Categorical([None] * fitted.n_obs, categories=["A"])
    fitted.obs["early"] = types.where(fitted.obs["time"] < 2)
    fitted.obs["wrong"] = types.cat.rename_categories({"A": "outside"})
    fitted.obs["slashes"] = types.cat.rename_categories({"A": "a/b", "B": "a|b"})
    before = fingerprint(fitted)
    with pytest.raises(error, match=message):
        sdo.tl.sta_forward(fitted, **{"cell_key": "cell_type", **QUIET, **options})
    assert fingerprint(fitted) == before


def test_views_and_times_outside_the_fit(fitted, quick, fingerprint):
    with pytest.raises(ValueError, match="`adata` is a view"):
        sdo.tl.sta_forward(fitted[:100], "cell_type", **QUIET)
    sdo.tl.fit(fitted, "time", held_out=[2], **quick)
    before = fingerprint(fitted)
    with pytest.raises(
        ValueError, match="`target_time` is 2: the fit covers the times from 0 to 1"
    ):
        sdo.tl.sta_forward(fitted, "cell_type", target_time=2, **QUIET)
    assert fingerprint(fitted) == before


def test_a_held_out_time_can_be_the_target(course, quick):
    sdo.tl.fit(course, "time", held_out=[1], **quick)
    sdo.tl.sta_forward(course, "cell_type", target_time=1, **QUIET)
    assert course.uns["scdiffot"]["fate"]["flow_times"].tolist() == [0, 1]


def test_types_of_one_cell_are_named(fitted, caplog):
    last = np.flatnonzero(fitted.obs["time"] == 2)
    fitted.obs["cell_type"] = fitted.obs["cell_type"].cat.add_categories("alone")
    fitted.obs.iloc[last[0], fitted.obs.columns.get_loc("cell_type")] = "alone"
    result = sdo.tl.sta_forward(
        fitted, "cell_type", n_trajectories=3, show_progress=False, copy=True
    )
    assert "At time 2, 'alone' of obs['cell_type'] have a single cell" in caplog.text
    # a tenth of the 48 cells
    assert "from 1 / 4 on" in caplog.text
    assert "alone" in result.obsm["scdiffot_fate"]
    caplog.clear()
    sdo.tl.sta_forward(fitted, "cell_type", n_trajectories=3, n_neighbors=1, show_progress=False)
    fitted.obs.iloc[last[1], fitted.obs.columns.get_loc("cell_type")] = "alone"
    sdo.tl.sta_forward(fitted, "cell_type", n_trajectories=3, show_progress=False)
    assert "single cell" not in caplog.text
