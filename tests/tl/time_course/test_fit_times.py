"""The origin and the unit of time do not matter, and all functions read times equally."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.conftest import make_time_course

import scdiffot as sdo

CELLS = "cell_type"


def _fit(quick, times, **options):
    adata = make_time_course()
    adata.obs["time"] = adata.obs["time"].map(dict(zip((0.0, 1.0, 2.0), times, strict=True)))
    sdo.tl.fit(adata, "time", **quick, **options)
    return adata


def _results(adata):
    arrays = {
        name: np.asarray(adata.obsm[f"scdiffot_{name}"]) for name in ("velocity", "flow", "score")
    }
    return arrays | {
        name: adata.obs[f"scdiffot_{name}"].to_numpy() for name in ("growth", "potential")
    }


@pytest.mark.parametrize(
    "start",
    [20240101, pytest.param(1e9, marks=pytest.mark.slow), pytest.param(-5, marks=pytest.mark.slow)],
)
def test_the_origin_of_time_does_not_matter(quick, start):
    steps = [0.0, 1.0, 2.5]
    reference, shifted = (_fit(quick, [origin + s for s in steps]) for origin in (0, start))
    for name, expected in _results(reference).items():
        np.testing.assert_array_equal(_results(shifted)[name], expected, err_msg=name)
    params = shifted.uns["scdiffot"]["params"]
    np.testing.assert_array_equal(params["times"], [start + s for s in steps])
    np.testing.assert_array_equal(params["masses"], reference.uns["scdiffot"]["params"]["masses"])
    for adata, origin in ((reference, 0), (shifted, start)):
        sdo.tl.sta_forward(adata, CELLS, source=origin, n_trajectories=20, show_progress=False)
        sdo.tl.landscape(adata, times=[origin + 0.5, origin + 2.5], n_grid=10)
        sdo.tl.regulation(adata, per_time=True, decoder=(lambda x: x, lambda z: z))
        sdo.tl.validate(adata, times=origin + 1, show_progress=False)
    np.testing.assert_array_equal(shifted.obsm["scdiffot_fate"], reference.obsm["scdiffot_fate"])
    middle_states = [
        sdo.tl.interpolate(a, origin + 0.5).obsm["X_pca"]
        for a, origin in ((reference, 0), (shifted, start))
    ]
    np.testing.assert_array_equal(middle_states[1], middle_states[0])
    validations = [
        a.uns["scdiffot"]["validation"].drop(columns="time").reset_index(drop=True)
        for a in (reference, shifted)
    ]
    pd.testing.assert_frame_equal(validations[1], validations[0])
    # Times are compared relative to their intervals, not to their size.
    assert set(sdo.get.regulation(shifted, time=start + 1, all=True)["time"]) == {start + 1}
    sdo.pl.landscape(shifted, times=[start + 2.5], show=False)
    with pytest.raises(KeyError, match="at which there is no landscape"):
        sdo.pl.landscape(shifted, times=[start + 1], show=False)
    paths = sdo.tl.simulate(shifted, start, t1=start + 2.5)
    assert paths.times[0] == start
    assert paths.times[-1] == start + 2.5


def test_the_unit_of_time_scales_the_rates(quick):
    # The unit of sigma is state per square root of time; that of alpha is squared state.
    days = _results(_fit(quick, [0, 1, 2.5], alpha=1.0))
    hours = _results(_fit(quick | {"sigma": quick["sigma"] / 24**0.5}, [0, 24, 60], alpha=1.0))
    for name, unit in (("velocity", 24), ("flow", 24), ("growth", 24), ("score", 1)):
        np.testing.assert_allclose(
            unit * hours[name], days[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float64", "str", "category"])
def test_the_type_of_the_column_may_change_after_the_fit(quick, dtype):
    adata = _fit(quick, [0.1, 0.7, 1.9])
    paths = sdo.tl.simulate(adata, 0.1, t1=1.9)
    sdo.tl.sta_forward(adata, CELLS, source=0.1, n_trajectories=20, show_progress=False)
    fate = adata.obsm["scdiffot_fate"].copy()
    adata.obs["time"] = adata.obs["time"].astype(dtype)
    np.testing.assert_array_equal(
        sdo.tl.simulate(adata, 0.1, t1=np.float32(1.9)).states, paths.states
    )
    sdo.tl.sta_forward(adata, CELLS, source=np.float32(0.1), n_trajectories=20, show_progress=False)
    np.testing.assert_array_equal(adata.obsm["scdiffot_fate"], fate)


def test_dates_keep_their_masses(quick):
    adata = _fit(
        quick,
        [20240101, 20240103, 20240106],
        mass={20240101: 1, "20240103": 2, np.float64(20240106): 5},
    )
    np.testing.assert_array_equal(adata.uns["scdiffot"]["params"]["masses"], [1, 2, 5])
    sdo.tl.validate(adata, show_progress=False)
    assert adata.uns["scdiffot"]["validation"].index.tolist() == ["20240103"]


def test_a_mass_is_named_once(quick):
    with pytest.raises(ValueError, match="`mass` holds '0' and another label of the same time"):
        sdo.tl.fit(make_time_course(), "time", mass={0: 1, "0": 2, 1: 1, 2: 1}, **quick)


def test_labels_with_units_from_fit_to_fates(quick, tmp_path):
    import anndata as ad

    adata = make_time_course()
    adata.obs["age"] = pd.Categorical(adata.obs["time"].map({0.0: "12h", 1.0: "1d", 2.0: "36h"}))
    sdo.tl.fit(adata, "age", time_map="auto", held_out="1d", **quick)
    params = adata.uns["scdiffot"]["params"]
    np.testing.assert_array_equal(params["times"], [12, 36])
    np.testing.assert_array_equal(params["held_out"], [24])
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata = ad.read_h5ad(tmp_path / "a.h5ad")
    sdo.tl.sta_forward(
        adata, CELLS, source="12h", target_time="36h", n_trajectories=20, show_progress=False
    )
    fate = adata.obsm["scdiffot_fate"].copy()
    sdo.tl.sta_forward(
        adata, CELLS, source=12, target_time="36", n_trajectories=20, show_progress=False
    )
    np.testing.assert_array_equal(adata.obsm["scdiffot_fate"], fate)
    for time in ("1d", 24, "24", np.int64(24), np.float32(24)):
        assert sdo.tl.interpolate(adata, time).obs["time"].unique().tolist() == [24]
        sdo.tl.landscape(adata, times=time, n_grid=10)
        assert adata.uns["scdiffot"]["landscape"]["times"].tolist() == [24]
        assert sdo.tl.simulate(adata, t1=time, save_times=[time]).times.tolist() == [24]
