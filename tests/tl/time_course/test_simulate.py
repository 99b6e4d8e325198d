from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo


def test_defaults_follow_all_times(fitted_adata):
    paths = sdo.tl.simulate(fitted_adata)
    first = np.flatnonzero(fitted_adata.obs["time"] == 0)
    assert (paths.times[0], paths.times[-1]) == (0, 2)
    np.testing.assert_array_equal(paths.origin, first)
    np.testing.assert_allclose(
        paths.states[0], fitted_adata.obsm["X_pca"][first], rtol=1e-4, atol=1e-5
    )
    assert not paths.log_weights[0].any()
    # The clouds move by two units along the first axis.
    assert (paths.states[-1] - paths.states[0]).mean(axis=0)[0] > 0.5


def test_sources(fitted_adata):
    start = fitted_adata.obs["time"] == 0
    selected = start & (fitted_adata.obs["cell_type"] == "A")
    sources = {
        "mask": selected.to_numpy(),
        "series": selected,
        "query": "time == 0 and cell_type == 'A'",
        "names": fitted_adata.obs_names[selected],
        "list": list(fitted_adata.obs_names[selected]),
    }
    for kind, source in sources.items():
        origin = sdo.tl.simulate(fitted_adata, source, t1=1).origin
        np.testing.assert_array_equal(origin, np.flatnonzero(selected), err_msg=kind)
    for source in (0, 0.0, "0"):
        np.testing.assert_array_equal(
            sdo.tl.simulate(fitted_adata, source, t1=1).origin, np.flatnonzero(start)
        )
    name = fitted_adata.obs_names[start][0]
    assert sdo.tl.simulate(fitted_adata, name).origin.tolist() == [
        fitted_adata.obs_names.get_loc(name)
    ]


def test_start_is_the_time_of_the_cells(fitted_adata):
    assert sdo.tl.simulate(fitted_adata, 1).times[0] == 1
    assert sdo.tl.simulate(fitted_adata, t0=1).times[0] == 1
    with pytest.raises(
        ValueError,
        match="`source` has cells of the times 0, 1, 2: choose cells of one, or pass `t0`",
    ):
        sdo.tl.simulate(fitted_adata, "cell_type == 'A'")
    assert sdo.tl.simulate(fitted_adata, "cell_type == 'A'", t0=0.5).times[0] == 0.5


def test_number_of_particles(fitted_adata):
    few = sdo.tl.simulate(fitted_adata, 0, n_particles=10)
    assert len(set(few.origin)) == 10
    many = sdo.tl.simulate(fitted_adata, 0, n_particles=500)
    assert many.states.shape[1] == 500
    np.testing.assert_allclose(
        many.states[0], fitted_adata.obsm["X_pca"][many.origin], rtol=1e-4, atol=1e-5
    )


def test_backward(fitted_adata):
    forward = sdo.tl.simulate(fitted_adata, 0, n_steps=100)
    assert sdo.tl.simulate(fitted_adata, direction="backward").times[0] == 2
    states = forward.states[-1]
    other = fitted_adata.copy()
    # The states of the cells are changed on purpose; the fingerprint would refuse them.
    other.obsm["X_pca"][forward.origin] = states
    del other.obsm["scdiffot_fingerprint"]
    backward = sdo.tl.simulate(
        other, other.obs_names[forward.origin], t0=2, t1=0, direction="backward", n_steps=100
    )
    # The error is that of midpoint steps in both directions, in float32.
    np.testing.assert_allclose(backward.states[-1], forward.states[0], atol=0.02)
    np.testing.assert_allclose(backward.log_weights[-1], -forward.log_weights[-1], atol=0.02)
    ancestors = sdo.tl.simulate(fitted_adata, 2, direction="backward", kind="sde", weighted=False)
    assert not ancestors.log_weights.any()


def test_seeds_and_kinds(fitted_adata):
    first, second, other = (
        sdo.tl.simulate(fitted_adata, 0, kind="sde", rng=rng).states for rng in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    deterministic, repeated = (
        sdo.tl.simulate(fitted_adata, 0, kind="ode", rng=rng).states for rng in (1, 2)
    )
    np.testing.assert_array_equal(deterministic, repeated)


def test_save_times(fitted_adata):
    paths = sdo.tl.simulate(fitted_adata, 0, save_times=[0, 0.5, "2"])
    np.testing.assert_allclose(paths.times, [0, 0.5, 2])


def test_writes_nothing(fitted_adata, fingerprint):
    original = fingerprint(fitted_adata)
    sdo.tl.simulate(fitted_adata, 0, kind="sde")
    sdo.tl.interpolate(fitted_adata, 0.5)
    assert fingerprint(fitted_adata) == original


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("cell_type == 'C'", {}, ValueError, "`source` selects no cell"),
        (
            "nonsense",
            {},
            ValueError,
            "neither a time label .*, nor the name of a cell, nor a query",
        ),
        (
            ["cell0", "nobody"],
            {},
            KeyError,
            "`source` names cells that `adata` does not have: 'nobody'",
        ),
        (np.ones(3, dtype=bool), {}, ValueError, "`source` is a mask of length 3"),
        (
            np.array([1, 2]),
            {},
            TypeError,
            "`source` holds int64: pass names of cells, or a boolean mask",
        ),
        (7, {}, KeyError, "`source` is 7.0, no time"),
        (0, {"t1": 3}, ValueError, "`t1` is 3: the fit covers the times from 0 to 2"),
        (0, {"t0": -1}, ValueError, "`t0` is -1: the fit covers"),
        (1, {"t1": 0}, ValueError, "`t0` is 1 and `t1` is 0: that is not forward"),
        (2, {}, ValueError, "`t0` is 2 and `t1` is 2"),
        (0, {"direction": "up"}, ValueError, "`direction` is 'up'"),
        (0, {"kind": "pde"}, ValueError, "`kind` is 'pde'"),
        (0, {"n_particles": 0}, ValueError, "`n_particles` is 0"),
        (0, {"key": "other"}, KeyError, r"'other'.*There is 'scdiffot'"),
        (None, {"t0": 0.5}, ValueError, "`t0` is 0.5, where no cells were observed"),
    ],
)
def test_bad_input(fitted_adata, source, options, error, message):
    with pytest.raises(error, match=message):
        sdo.tl.simulate(fitted_adata, source, **options)
