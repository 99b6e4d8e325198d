"""Times from columns of numbers, labels and durations; other columns are refused."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from _time_columns import with_times

from scdiffot._data.read.times.columns import cell_times


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int64", "int8", "Int64", "Float64", "category"]
)
def test_numeric_columns_of_any_type_are_read(time_course, dtype):
    times = cell_times(with_times(time_course, time_course.obs["time"].astype(dtype)), "t")
    np.testing.assert_array_equal(times.values, time_course.obs["time"])
    np.testing.assert_array_equal(times.points, [0, 1, 2])


@pytest.mark.parametrize("dtype", ["str", "category", "string"])
def test_labels_that_are_numbers_are_sorted_as_numbers(time_course, dtype):
    text = time_course.obs["time"].map({0.0: "10", 1.0: "9.5", 2.0: "1e2"}).astype(dtype)
    times = cell_times(with_times(time_course, text), "t")
    np.testing.assert_array_equal(times.points, [9.5, 10, 100])
    assert times.find("1e2", "t") == times.find(100, "t") == 100
    assert times.label(100.0) == "1e2"


def test_unused_categories_are_ignored(time_course):
    time_course.obs["label"] = time_course.obs["label"].cat.add_categories(["never"])
    times = cell_times(time_course, "label", time_map={"day0": 0, "day1": 1, "day2": 2})
    assert set(times.labels) == {"day0", "day1", "day2"}


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3.15e7])
def test_times_are_found_in_any_unit(time_course, scale):
    column = (time_course.obs["time"] * scale).astype("float32")
    times = cell_times(with_times(time_course, column), "t")
    assert times.find(2 * scale, "x") == pytest.approx(2 * scale, rel=1e-6)
    with pytest.raises(KeyError, match="no time of"):
        times.find(2.01 * scale, "x")


def test_missing_columns_are_refused(time_course):
    with pytest.raises(KeyError, match=r"`time_key` is 'tme', .* Did you mean 'time'\?"):
        cell_times(time_course, "tme")
    with pytest.raises(TypeError, match="`time_key` is a list"):
        cell_times(time_course, ["time"])


def test_missing_and_infinite_times_are_refused(time_course):
    column = time_course.obs["time"].copy()
    column.iloc[3] = np.nan
    with pytest.raises(
        ValueError,
        match=f"NaN in 1 of {time_course.n_obs} cells, for instance '{time_course.obs_names[3]}'",
    ):
        cell_times(with_times(time_course, column), "t")
    column.iloc[3] = np.inf
    with pytest.raises(ValueError, match="has infinite times"):
        cell_times(with_times(time_course, column), "t")
    labels = time_course.obs["label"].copy()
    labels.iloc[:2] = np.nan
    with pytest.raises(ValueError, match=r"obs\['t'\] is NaN in 2 of"):
        cell_times(with_times(time_course, labels), "t", time_map={"day0": 0, "day1": 1, "day2": 2})


def test_categories_in_another_order_than_their_numbers_are_refused(time_course):
    text = time_course.obs["time"].map({0.0: "0", 1.0: "9", 2.0: "10"})
    text_order = pd.Categorical(text, categories=["0", "10", "9"], ordered=True)
    with pytest.raises(
        ValueError,
        match="ordered categorical whose order, '0', '10', '9', is not that of its numbers",
    ):
        cell_times(with_times(time_course, text_order), "t")
    number_order = pd.Categorical(text, categories=["0", "9", "10"], ordered=True)
    np.testing.assert_array_equal(
        cell_times(with_times(time_course, number_order), "t").points, [0, 9, 10]
    )
    np.testing.assert_array_equal(
        cell_times(
            with_times(time_course, text_order), "t", time_map={"0": 0, "9": 9, "10": 10}
        ).points,
        [0, 9, 10],
    )


def test_columns_without_times_are_refused(time_course):
    with pytest.raises(TypeError, match="holds bool"):
        cell_times(with_times(time_course, time_course.obs["time"] > 0), "t")
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(time_course.obs["time"], unit="D")
    with pytest.raises(
        TypeError, match=r"holds dates \(datetime64.*take the difference to the first date"
    ):
        cell_times(with_times(time_course, dates), "t")


def test_columns_of_a_modality_are_read(time_course, mdata):
    np.testing.assert_array_equal(cell_times(mdata, "atac:time").values, time_course.obs["time"])
    mdata.obs["time"] = time_course.obs["time"] + 1
    np.testing.assert_array_equal(cell_times(mdata, "time").points, [1, 2, 3])
    with pytest.raises(KeyError, match=r"Did you mean 'rna:time'\?|Did you mean 'atac:time'\?"):
        cell_times(mdata, "rna:tim")


def test_durations_are_read_in_days(time_course):
    hours = pd.to_timedelta(6 * time_course.obs["time"], unit="h")
    for column in (hours, hours.astype("category"), hours.astype(object)):
        times = cell_times(with_times(time_course, column), "t")
        np.testing.assert_array_equal(times.points, [0, 0.25, 0.5])
        assert (
            times.find(pd.Timedelta("6h"), "x") == times.find(np.timedelta64(6, "h"), "x") == 0.25
        )
        assert times.find(datetime.timedelta(hours=12), "x") == times.find("0.5", "x") == 0.5
        assert times.find(times.label(0.25), "x") == 0.25
    times_in_hours = cell_times(
        time_course, "t", time_map={pd.Timedelta(hours=h): h for h in (0, 6, 12)}
    )
    np.testing.assert_array_equal(times_in_hours.points, [0, 6, 12])
    with pytest.raises(KeyError, match="no label"):
        times.find(pd.Timedelta("7h"), "x")


def test_dates_are_refused(time_course):
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(time_course.obs["time"], unit="D")
    for column in (
        dates,
        dates.astype("category"),
        dates.astype(object),
        dates.dt.date,
        dates.dt.tz_localize("UTC"),
    ):
        with pytest.raises(TypeError, match="dates.*take the difference to the first date"):
            cell_times(with_times(time_course, column), "t")
    np.testing.assert_array_equal(
        cell_times(with_times(time_course, dates - dates.min()), "t").points, [0, 1, 2]
    )


@pytest.mark.parametrize("dtype", ["bool", "boolean", "category", "object", "complex"])
def test_truth_values_and_complex_numbers_are_refused(time_course, dtype):
    column = time_course.obs["time"] if dtype == "complex" else time_course.obs["time"] > 0
    with pytest.raises(TypeError, match="pass numbers or labels of time points"):
        cell_times(with_times(time_course, column.astype(dtype)), "t")


@pytest.mark.parametrize("time", [True, [1], None, 1j])
def test_other_types_than_times_are_refused(time_course, time):
    with pytest.raises(TypeError, match="`x` holds a .*: pass a number or the label"):
        cell_times(time_course, "time").find(time, "x")


@pytest.mark.parametrize("time", [np.nan, -np.inf, "inf", 1.5, "0.5", "one"])
def test_other_times_than_time_points_are_refused(time_course, time):
    with pytest.raises(KeyError, match="`x` is"):
        cell_times(time_course, "time").find(time, "x")


def test_times_between_time_points_are_read(time_course):
    times = cell_times(time_course, "label", time_map={"day0": 0, "day1": 1 / 3, "day2": 2})
    assert (
        times.read("day1", "x")
        == times.read(0.333333333, "x")
        == times.read("0.333333333", "x")
        == 1 / 3
    )
    assert times.read(0.4, "x") == times.read("0.4", "x") == 0.4
    with pytest.raises(KeyError, match="Did you mean 'day1'"):
        times.read("day11", "x")
    with pytest.raises(ValueError, match="pass a finite time"):
        times.read(np.nan, "x")


def test_times_of_a_fit_replace_equal_times(time_course):
    fit_times = cell_times(time_course, "time").points + 1 / 3
    noisy = (time_course.obs["time"] + 1 / 3) * (1 + 1e-12)
    times = cell_times(with_times(time_course, noisy.astype("float32")), "t", reference=fit_times)
    np.testing.assert_array_equal(times.points, fit_times)


def test_labels_with_equal_text_and_different_times_are_refused(time_course):
    mixed_types = pd.Series(
        [1 if t == 0 else "1" for t in time_course.obs["time"]],
        index=time_course.obs_names,
        dtype=object,
    )
    assert cell_times(with_times(time_course, mixed_types), "t").points.tolist() == [1]
    with pytest.raises(ValueError, match="two labels that read '1', at different times"):
        cell_times(with_times(time_course, mixed_types), "t", time_map={1: 0, "1": 1})
