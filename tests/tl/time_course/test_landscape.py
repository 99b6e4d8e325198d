from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo


@pytest.fixture
def planar(time_course, quick):
    """A fit in two dimensions, with cell types whose names are hard to write into a file."""
    time_course.obs["cell_type"] = time_course.obs["cell_type"].cat.rename_categories(
        {"A": "Prog/Mono", "B": "Früh & spät"}
    )
    sdo.tl.fit(time_course, "time", n_dims=2, **quick)
    return time_course


def _landscape(adata, key="scdiffot"):
    return adata.uns[key]["landscape"]


def test_the_space_of_a_fit_has_the_density_of_the_fit(time_course, quick):
    planar = time_course
    # The snapshots are so far apart that no cell of one is near the others.
    planar.obsm["X_pca"][:, 0] += 20 * planar.obs["time"]
    sdo.tl.fit(planar, "time", n_dims=2, **quick)
    assert sdo.tl.landscape(planar, n_grid=40) is None
    result = _landscape(planar)
    assert set(result) == {"basis", "times", "x", "y", "potential", "lambda"}
    assert result["basis"] == "X_pca"
    np.testing.assert_array_equal(result["times"], [0, 1, 2])
    assert result["potential"].shape == result["lambda"].shape == (3, 40, 40)
    model = sdo.get.model(planar)
    xx, yy = np.meshgrid(result["x"], result["y"])
    is_near = np.isfinite(result["potential"][1])
    grid = np.column_stack([xx[is_near], yy[is_near]])
    np.testing.assert_allclose(
        result["potential"][1][is_near], model.potential(grid, 1.0), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        result["lambda"][1][is_near], model.alpha * model.growth(grid, 1.0), rtol=1e-4, atol=1e-6
    )
    # cells of the second snapshot lie around 21, within 3
    assert np.abs(result["x"][is_near.any(axis=0)] - 21).max() < 10
    cells = planar.obsm["X_pca"][:, :2]
    assert result["x"][0] < cells[:, 0].min()
    assert result["x"][-1] > cells[:, 0].max()


def test_times_between_snapshots_and_labels(planar):
    sdo.tl.landscape(planar, None, [1.5, "0"], n_grid=20)
    np.testing.assert_array_equal(_landscape(planar)["times"], [0, 1.5])
    sdo.tl.landscape(planar, times=1, n_grid=20)
    np.testing.assert_array_equal(_landscape(planar)["times"], [1])


def test_an_embedding_has_the_density_of_carried_cells(time_course, quick):
    sdo.tl.fit(time_course, "time", **quick)
    # The embedding swaps the axes and doubles the scale.
    time_course.obsm["X_umap"] = 2 * time_course.obsm["X_pca"][:, [1, 0]]
    sdo.tl.landscape(time_course, times=[0, 1.5], n_grid=60)
    plain = _landscape(time_course)
    sdo.tl.landscape(time_course, "umap", [0, 1.5], n_grid=60)
    result = _landscape(time_course)
    assert result["basis"] == "X_umap"
    model = sdo.get.model(time_course)
    for k, time in enumerate((0.0, 1.5)):
        mass = (
            np.nansum(np.exp(-result["potential"][k]))
            * np.diff(result["x"])[0]
            * np.diff(result["y"])[0]
        )
        expected = sdo.tl.interpolate(time_course, time).obs["weight"].sum()
        assert mass == pytest.approx(expected, rel=0.03)
        cost = np.exp(-result["potential"][k]) * result["lambda"][k]
        virtual = sdo.tl.interpolate(time_course, time)
        growth = model.growth(virtual.obsm["X_pca"], time)
        mean = np.nansum(cost) * np.diff(result["x"])[0] * np.diff(result["y"])[0]
        assert mean == pytest.approx(model.alpha * (virtual.obs["weight"] * growth).sum(), rel=0.05)
        # The population has the same mean in both.
        first, second = (
            np.exp(-np.nan_to_num(f["potential"][k], nan=np.inf)) for f in (plain, result)
        )
        means = [
            (f.sum(0) @ g["x"] / f.sum(), f.sum(1) @ g["y"] / f.sum())
            for f, g in ((first, plain), (second, result))
        ]
        np.testing.assert_allclose(np.array(means[1]), 2 * np.array(means[0])[::-1], atol=0.25)


def test_wells_and_barriers(planar):
    sdo.tl.landscape(planar, cell_key="cell_type", n_grid=50)
    result = _landscape(planar)
    assert result["cell_key"] == "cell_type"
    basins, barriers = result["basins"], result["barriers"]
    assert basins.columns.tolist() == ["time", "type", "x", "y", "depth"]
    assert barriers.columns.tolist() == ["time", "from", "to", "barrier"]
    assert len(basins) == len(barriers) == 6
    for row in basins.itertuples():
        k = int(np.flatnonzero(result["times"] == row.time)[0])
        i, j = (
            int(np.argmin(np.abs(result["y"] - row.y))),
            int(np.argmin(np.abs(result["x"] - row.x))),
        )
        assert result["potential"][k, i, j] == pytest.approx(row.depth)
        # Types are the sign of the second dimension, up to the distance of neighbours.
        assert (row.y > -0.3) if row.type == "Prog/Mono" else (row.y < 0.3)
    # The barriers of both directions differ by the depths of the wells.
    for time, part in barriers.groupby("time"):
        depth = basins[basins["time"] == time].set_index("type")["depth"]
        heights = part["barrier"] + part["from"].map(depth)
        assert np.ptp(heights) < 1e-9
        assert (part["barrier"] >= 0).all()


def test_one_type_has_no_barriers_and_files_keep_everything(planar, tmp_path):
    planar.obs["all"] = "every/where"
    sdo.tl.landscape(planar, cell_key="all", n_grid=20)
    assert len(_landscape(planar)["barriers"]) == 0
    planar.write_h5ad(tmp_path / "one.h5ad")
    assert len(_landscape(ad.read_h5ad(tmp_path / "one.h5ad"))["barriers"]) == 0
    sdo.tl.landscape(planar, cell_key="cell_type", n_grid=20)
    planar.write_h5ad(tmp_path / "two.h5ad")
    result, read = _landscape(planar), _landscape(ad.read_h5ad(tmp_path / "two.h5ad"))
    assert set(read) == set(result)
    np.testing.assert_array_equal(read["potential"], result["potential"])
    for name in ("basins", "barriers"):
        pd.testing.assert_frame_equal(
            read[name].astype({"time": float}),
            result[name],
            check_dtype=False,
            check_index_type=False,
        )


def test_without_growth_there_is_no_lambda(time_course, quick):
    sdo.tl.fit(time_course, "time", n_dims=2, growth=False, **quick)
    sdo.tl.landscape(time_course, n_grid=20)
    assert "lambda" not in _landscape(time_course)
    time_course.obsm["X_umap"] = time_course.obsm["X_pca"][:, :2]
    sdo.tl.landscape(time_course, "umap", n_grid=20)
    assert "lambda" not in _landscape(time_course)


def test_basins_of_cells_without_a_type_are_unknown(planar):
    planar.obs["cell_type"] = planar.obs["cell_type"].where(planar.obs["time"] > 0)
    sdo.tl.landscape(planar, cell_key="cell_type", n_grid=20)
    # The only cells near some of the basins have no type.
    assert set(_landscape(planar)["basins"]["type"]) == {"Prog/Mono", "Früh & spät", "unknown"}


def test_copy_and_seed(time_course, quick, fingerprint):
    sdo.tl.fit(time_course, "time", **quick)
    original = fingerprint(time_course)
    first, second = (sdo.tl.landscape(time_course, rng=3, n_grid=20, copy=True) for _ in range(2))
    assert fingerprint(time_course) == original
    assert fingerprint(first) == fingerprint(second)


def test_mudata(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", n_dims=2, **quick)
    sdo.tl.landscape(mdata, cell_key="rna:cell_type", n_grid=20)
    assert _landscape(mdata)["basis"] == "rna:X_pca"
    assert set(_landscape(mdata)["basins"]["type"]) == {"A", "B"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"basis": "umap"}, KeyError, "`basis` is 'umap', which is no key of obsm"),
        ({"times": 3}, ValueError, "`times` holds 3: the fit covers the times from 0 to 2"),
        ({"times": "day9"}, KeyError, "`times` is 'day9', no label"),
        ({"times": []}, ValueError, "`times` is empty"),
        ({"times": [None]}, TypeError, "`times` holds a NoneType"),
        (
            {"cell_key": "type"},
            KeyError,
            "`cell_key` is 'type', which is no column of obs. Did you mean 'cell_type'",
        ),
        (
            {"cell_key": "scdiffot_growth"},
            TypeError,
            "`cell_key` obs\\['scdiffot_growth'\\] holds float32",
        ),
        ({"n_grid": 5}, ValueError, "`n_grid` is 5: pass at least 10"),
        ({"n_grid": 20.0}, TypeError, "`n_grid` is a float"),
        ({"key": "other"}, KeyError, "run scdiffot.tl.fit"),
    ],
)
def test_bad_input(fitted_adata, fingerprint, options, error, message):
    original = fingerprint(fitted_adata)
    with pytest.raises(error, match=message):
        sdo.tl.landscape(fitted_adata, **options)
    assert fingerprint(fitted_adata) == original


def test_one_dimension_is_no_plane(time_course, quick):
    sdo.tl.fit(time_course, "time", n_dims=1, **quick)
    with pytest.raises(
        ValueError, match="`basis` 'X_pca' has one dimension: pass an embedding of two"
    ):
        sdo.tl.landscape(time_course)
    with pytest.raises(ValueError, match="is a view"):
        sdo.tl.landscape(time_course[:60], "X_pca")
