from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scdiffot._data.times import cell_times


def _with(course, column):
    course.obs["t"] = column
    return course


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "Int64", "Float64", "category"])
def test_numeric_columns(course, dtype):
    times = cell_times(_with(course, course.obs["time"].astype(dtype)), "t")
    np.testing.assert_array_equal(times.values, course.obs["time"])
    np.testing.assert_array_equal(times.points, [0, 1, 2])


@pytest.mark.parametrize("dtype", ["str", "category", "string"])
def test_labels_that_are_numbers_are_sorted_as_numbers(course, dtype):
    text = course.obs["time"].map({0.0: "10", 1.0: "9.5", 2.0: "1e2"}).astype(dtype)
    times = cell_times(_with(course, text), "t")
    np.testing.assert_array_equal(times.points, [9.5, 10, 100])
    assert times.find("1e2", "t") == times.find(100, "t") == 100
    assert times.label(100.0) == "1e2"


def test_labels_with_a_map(course):
    times = cell_times(course, "label", time_map={"day2": 48, "day0": 0, "day1": 24.0})
    np.testing.assert_array_equal(times.values, 24 * course.obs["time"])
    assert times.find("day1", "x") == 24
    assert times.label(48.0) == "day2"


def test_a_map_translates_numbers_too(course):
    for time_map in ({0: 0, 1: 5, 2: 7}, {"0": 0, "1": 5, "2": 7}):
        times = cell_times(course, "time", time_map=time_map)
        np.testing.assert_array_equal(times.points, [0, 5, 7])
    # numbers are times, strings are labels
    assert times.find(5, "x") == times.find("1", "x") == 5
    with pytest.raises(KeyError, match="`x` is 1, no time of"):
        times.find(1, "x")


def test_labels_may_share_a_time(course):
    times = cell_times(course, "label", time_map={"day0": 0, "day1": 1, "day2": 1})
    np.testing.assert_array_equal(times.points, [0, 1])
    assert len(times.cells(1.0)) == (course.obs["time"] > 0).sum()


def test_unused_categories_do_not_matter(course):
    course.obs["label"] = course.obs["label"].cat.add_categories(["never"])
    times = cell_times(course, "label", time_map={"day0": 0, "day1": 1, "day2": 2})
    assert set(times.labels) == {"day0", "day1", "day2"}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3.15e7])
def test_times_are_found_in_any_unit(course, scale):
    column = (course.obs["time"] * scale).astype("float32")
    times = cell_times(_with(course, column), "t")
    assert times.find(2 * scale, "x") == pytest.approx(2 * scale, rel=1e-6)
    with pytest.raises(KeyError, match="no time of"):
        times.find(2.01 * scale, "x")


def test_missing_column(course):
    with pytest.raises(KeyError, match=r"`time_key` is 'tme', .* Did you mean 'time'\?"):
        cell_times(course, "tme")
    with pytest.raises(TypeError, match="`time_key` is a list"):
        cell_times(course, ["time"])


def test_missing_and_infinite_times(course):
    column = course.obs["time"].copy()
    column.iloc[3] = np.nan
    with pytest.raises(ValueError, match=f"NaN in 1 of {course.n_obs} cells, for instance '{course.obs_names[3]}'"):
        cell_times(_with(course, column), "t")
    column.iloc[3] = np.inf
    with pytest.raises(ValueError, match="has infinite times"):
        cell_times(_with(course, column), "t")
    labels = course.obs["label"].copy()
    labels.iloc[:2] = np.nan
    with pytest.raises(ValueError, match=r"obs\['t'\] is NaN in 2 of"):
        cell_times(_with(course, labels), "t", time_map={"day0": 0, "day1": 1, "day2": 2})


def test_labels_without_a_map_get_a_proposal(course):
    with pytest.raises(
        ValueError, match=r"no numbers .* pass `time_map`, for instance \{'day0': 0, 'day1': 1, 'day2': 2\}"
    ):
        cell_times(course, "label")
    words = course.obs["time"].map({0.0: "early", 1.0: "late", 2.0: "nan"})
    with pytest.raises(ValueError, match=r"pass `time_map`, for instance \{'"):
        cell_times(_with(course, words), "t")


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "0x1", "", "1d"])
def test_only_plain_numbers_are_numbers(course, text):
    column = course.obs["time"].map({0.0: "0", 1.0: "1", 2.0: text})
    with pytest.raises(ValueError, match="labels that are no numbers"):
        cell_times(_with(course, column), "t")


def test_ordered_categories_against_their_numbers(course):
    text = course.obs["time"].map({0.0: "0", 1.0: "9", 2.0: "10"})
    wrong = pd.Categorical(text, categories=["0", "10", "9"], ordered=True)
    with pytest.raises(ValueError, match="ordered categorical whose order, '0', '10', '9', is not that of its numbers"):
        cell_times(_with(course, wrong), "t")
    right = pd.Categorical(text, categories=["0", "9", "10"], ordered=True)
    np.testing.assert_array_equal(cell_times(_with(course, right), "t").points, [0, 9, 10])
    np.testing.assert_array_equal(
        cell_times(_with(course, wrong), "t", time_map={"0": 0, "9": 9, "10": 10}).points, [0, 9, 10]
    )


@pytest.mark.parametrize(
    ("time_map", "error", "message"),
    [
        ({"day0": 0, "day1": 1}, KeyError, "no time for 'day2'"),
        ({"day0": 0, "day1": 1, "day2": "2"}, ValueError, "`time_map` holds '2'"),
        ({"day0": 0, "day1": 1, "day2": np.nan}, ValueError, "`time_map` holds nan"),
        ([0, 1, 2], TypeError, "`time_map` is a list"),
    ],
)
def test_bad_maps(course, time_map, error, message):
    with pytest.raises(error, match=message):
        cell_times(course, "label", time_map=time_map)


def test_columns_that_hold_no_times(course):
    with pytest.raises(TypeError, match="holds bool"):
        cell_times(_with(course, course.obs["time"] > 0), "t")
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(course.obs["time"], unit="D")
    with pytest.raises(TypeError, match="holds datetime64.* take the difference to the first date"):
        cell_times(_with(course, dates), "t")


def test_mudata_columns(course, mdata):
    np.testing.assert_array_equal(cell_times(mdata, "atac:time").values, course.obs["time"])
    mdata.obs["time"] = course.obs["time"] + 1
    np.testing.assert_array_equal(cell_times(mdata, "time").points, [1, 2, 3])
    with pytest.raises(KeyError, match=r"Did you mean 'rna:time'\?|Did you mean 'atac:time'\?"):
        cell_times(mdata, "rna:tim")
