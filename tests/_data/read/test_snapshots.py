from __future__ import annotations

import numpy as np
import pytest

from scdiffot._data.read.snapshots import read_time_series


def _snapshots(adata, **options):
    return read_time_series(adata, "time", **({"use_rep": "X_pca"} | options)).snapshots


def test_cells_are_grouped_by_time(time_course):
    snapshots = _snapshots(time_course)
    np.testing.assert_array_equal(snapshots.times, [0, 1, 2])
    for time, states in zip(snapshots.times, snapshots.states, strict=True):
        np.testing.assert_array_equal(
            states, time_course.obsm["X_pca"][time_course.obs["time"] == time]
        )


def test_masses_are_relative_to_the_first_snapshot(time_course):
    counts = time_course.obs["time"].value_counts().sort_index().to_numpy()
    np.testing.assert_allclose(_snapshots(time_course).masses, counts / counts[0])
    np.testing.assert_array_equal(_snapshots(time_course, mass=None).masses, 1)
    np.testing.assert_allclose(
        _snapshots(time_course, mass={0: 2, 1.0: 3, "2": 5}).masses, [1, 1.5, 2.5]
    )
    snapshots = _snapshots(time_course, mass={0: 2, 1: 3, 2: 5}, held_out=0)
    np.testing.assert_allclose(snapshots.masses, [1, 5 / 3])


def test_held_out_times_are_no_snapshots(time_course):
    series = read_time_series(time_course, "time", use_rep="X_pca", held_out=[1])
    np.testing.assert_array_equal(series.snapshots.times, [0, 2])
    assert series.held_out == (1.0,)
    assert len(series.states) == time_course.n_obs
    for held_out in ("1", 1, np.array([1.0]), ["1", 1]):
        np.testing.assert_array_equal(_snapshots(time_course, held_out=held_out).times, [0, 2])


def test_growth_priors_are_grouped_by_time(time_course):
    time_course.obs["prior"] = np.arange(time_course.n_obs)
    for prior in ("prior", time_course.obs["prior"], np.arange(time_course.n_obs)):
        values = _snapshots(time_course, growth_prior=prior).growth_prior
        np.testing.assert_array_equal(
            values[1], time_course.obs["prior"][time_course.obs["time"] == 1]
        )


def test_held_out_points_may_be_small(time_course):
    adata = time_course[
        (time_course.obs["time"] != 1) | (np.cumsum(time_course.obs["time"] == 1) <= 4)
    ].copy()
    np.testing.assert_array_equal(_snapshots(adata, held_out=1).times, [0, 2])
    with pytest.raises(
        ValueError, match=r"fewer than 10 cells: 1 \(4 cells\). Please leave them out"
    ):
        _snapshots(adata)


def test_only_constant_states_are_refused(time_course):
    time_course.obsm["X_pca"][:, 1] = 3
    assert _snapshots(time_course).n_dims == 3
    time_course.obsm["X_pca"][:] = 3
    with pytest.raises(ValueError, match="`use_rep` 'X_pca' is the same in all cells"):
        _snapshots(time_course)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"held_out": [0, 1]}, ValueError, r"has 1 time point outside `held_out` \(of 3 in all\)"),
        ({"held_out": 7}, KeyError, "`held_out` is 7, no time"),
        ({"held_out": "7"}, KeyError, "`held_out` is '7', no label"),
        ({"mass": "cells"}, ValueError, "`mass` is 'cells'"),
        ({"mass": 3.0}, TypeError, "`mass` is a float"),
        ({"mass": {0: 1, 1: 1}}, KeyError, "`mass` has no value for the time points '2'"),
        ({"mass": {0: 1, 1: 0, 2: 1}}, ValueError, "`mass` holds 0: pass positive"),
        ({"mass": {0: 1, 1: -2.5, 2: 1}}, ValueError, "`mass` holds -2.5: pass positive"),
        ({"mass": {0: 1, 1: np.nan, 2: 1}}, ValueError, "`mass` holds nan"),
        ({"mass": {0: 1, 1: 1, 2: 1, 9: 1}}, KeyError, "`mass` is 9, no time"),
        ({"growth_prior": "g"}, KeyError, "`growth_prior` is 'g', which is no column"),
        ({"growth_prior": "cell_type"}, TypeError, "`growth_prior` holds"),
        ({"growth_prior": np.ones(3)}, ValueError, r"`growth_prior` has shape \(3,\)"),
    ],
)
def test_invalid_options_are_refused(time_course, options, error, message):
    with pytest.raises(error, match=message):
        _snapshots(time_course, **options)


def test_growth_priors_with_gaps_are_refused(time_course):
    prior = np.zeros(time_course.n_obs)
    prior[0] = np.nan
    with pytest.raises(ValueError, match="`growth_prior` is NaN or infinite in 1 of"):
        _snapshots(time_course, growth_prior=prior)


def test_one_time_point_is_refused(time_course):
    with pytest.raises(ValueError, match="has 1 time point: dynamics need at least two"):
        _snapshots(time_course[time_course.obs["time"] == 0].copy())


def test_continuous_times_should_be_binned(time_course):
    time_course.obs["time"] += np.linspace(0, 0.5, time_course.n_obs)
    with pytest.raises(
        ValueError, match=r"fewer than 10 cells: .* \(\d+ in all\). Please bin the times"
    ):
        _snapshots(time_course)
