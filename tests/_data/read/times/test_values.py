"""Equality of times up to rounding, and exact times of any type."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from _time_columns import read_times, with_times

from scdiffot._data.read.times.columns import cell_times


def test_dates_as_whole_numbers_remain_distinct(time_course):
    dates = [20240101, 20240103, 20240104]
    for kind in (int, float, np.float64, str, "{}.0".format):
        times = read_times(time_course, [kind(d) for d in dates])
        np.testing.assert_array_equal(times.points, dates)
        assert len(times.labels) == 3
        assert [times.find(times.label(t), "x") for t in times.points] == dates
        assert [len(times.cells(t)) for t in times.points] == time_course.obs[
            "time"
        ].value_counts().sort_index().tolist()
        with pytest.raises(KeyError, match="`x` is 20240102"):
            times.find(20240102, "x")


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "Float32", "Float64", "object", "category"]
)
def test_times_of_any_precision_are_equal(time_course, dtype):
    values = [0.1, 0.7, 1.3]
    column = pd.Series(
        [values[int(t)] for t in time_course.obs["time"]], index=time_course.obs_names
    )
    if dtype == "category":
        column = column.astype("float32")
    times = cell_times(with_times(time_course, column.astype(dtype)), "t")
    np.testing.assert_array_equal(times.points, values)
    assert list(times.labels) == [str(t) for t in times.labels.values()]
    for kind in (np.float32, np.float64, float, str):
        assert times.find(kind(0.7), "x") == 0.7


def test_times_equal_up_to_rounding_are_merged(time_course):
    third = (time_course.obs["time"] == 0).to_numpy().cumsum() % 3
    column = time_course.obs["time"].to_numpy() + 0.3
    column[time_course.obs["time"] == 0] = np.array([0.3, 0.1 + 0.2, float(np.float32(0.3))])[
        third[time_course.obs["time"] == 0]
    ]
    times = cell_times(with_times(time_course, column), "t")
    np.testing.assert_array_equal(times.points, [0.3, 1.3, 2.3])
    assert len(times.cells(0.3)) == (time_course.obs["time"] == 0).sum()
    # Concatenation of two tables can mix precisions.
    mixed_precision = [np.float32(v) if i % 2 else v for i, v in enumerate(column)]
    np.testing.assert_array_equal(
        cell_times(
            with_times(time_course, pd.Series(mixed_precision, time_course.obs_names, object)), "t"
        ).points,
        [0.3, 1.3, 2.3],
    )


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 10**9],
        [10**9, 10**9 + 0.5, 10**9 + 1],
        [1e9, 1e9 + 1e-5, 1e9 + 2e-5],
        [2**53, 2**53 + 2, 2**53 + 4],
        [1e-12, 2e-12, 3e-12],
        [0.0, 0.001, 1000.0],
        [-3, -1.5, 2],
        [1.7e18, 1.7e18 + 3.6e12, 1.7e18 + 7.2e12],
        [20240101.25, 20240101.5, 20240102],
        [10.0625, 10.125, 10.1875],
    ],
)
def test_different_times_remain_distinct(time_course, values):
    for scale in (1, 2.0):
        times = read_times(time_course, [v * scale for v in values])
        np.testing.assert_array_equal(times.points, [v * scale for v in values])
        assert [times.find(times.label(t), "x") for t in times.points] == times.points.tolist()
        assert [times.find(t, "x") for t in times.points.tolist()] == times.points.tolist()


def test_whole_numbers_beyond_the_precision_of_floats_are_refused(time_course):
    for kind in (int, str):
        with pytest.raises(
            ValueError, match="9007199254740992, 9007199254740993, .*subtract the first time"
        ):
            read_times(time_course, [kind(v) for v in (2**53, 2**53 + 1, 2**53 + 10**9)])
    # Nanoseconds since 1970, at intervals of an hour.
    stamps = [1704067200000000001 + 3600 * 10**9 * k for k in range(3)]
    times = read_times(time_course, stamps)
    assert list(times.labels) == [
        str(_of) for _of in pd.unique(with_times(time_course, time_course.obs["t"]).obs["t"])
    ]
    assert times.find(stamps[1], "x") == times.find(str(stamps[1]), "x") == float(stamps[1])


def test_a_single_time_point_is_exact(time_course):
    for number in (20240101, 1e9, 0.0):
        times = read_times(time_course, [number] * 3)
        assert times.find(number, "x") == number
        for distinct in (number + 1, number + 0.5, number - 9):
            with pytest.raises(KeyError):
                times.find(distinct, "x")
