from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from scdiffot._data.read.times.columns import cell_times


def _with(course, column):
    course.obs["t"] = column
    return course


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int64", "int8", "Int64", "Float64", "category"]
)
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
    assert times.find("7", "x") == 7
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
    with pytest.raises(
        ValueError, match=f"NaN in 1 of {course.n_obs} cells, for instance '{course.obs_names[3]}'"
    ):
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
        ValueError,
        match=r"no numbers .* pass `time_map`, for instance \{'day0': 0, 'day1': 1, 'day2': 2\}",
    ):
        cell_times(course, "label")
    words = course.obs["time"].map({0.0: "early", 1.0: "late", 2.0: "nan"})
    with pytest.raises(ValueError, match=r"'\w+' holds no number. Pass `time_map`, a dict"):
        cell_times(_with(course, words), "t")


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "0x1", "", "1d"])
def test_only_plain_numbers_are_numbers(course, text):
    column = course.obs["time"].map({0.0: "0", 1.0: "1", 2.0: text})
    with pytest.raises(ValueError, match="labels that are no numbers"):
        cell_times(_with(course, column), "t")


def test_ordered_categories_against_their_numbers(course):
    text = course.obs["time"].map({0.0: "0", 1.0: "9", 2.0: "10"})
    text_order = pd.Categorical(text, categories=["0", "10", "9"], ordered=True)
    with pytest.raises(
        ValueError,
        match="ordered categorical whose order, '0', '10', '9', is not that of its numbers",
    ):
        cell_times(_with(course, text_order), "t")
    number_order = pd.Categorical(text, categories=["0", "9", "10"], ordered=True)
    np.testing.assert_array_equal(cell_times(_with(course, number_order), "t").points, [0, 9, 10])
    np.testing.assert_array_equal(
        cell_times(_with(course, text_order), "t", time_map={"0": 0, "9": 9, "10": 10}).points,
        [0, 9, 10],
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
    with pytest.raises(
        TypeError, match=r"holds dates \(datetime64.*take the difference to the first date"
    ):
        cell_times(_with(course, dates), "t")


def test_mudata_columns(course, mdata):
    np.testing.assert_array_equal(cell_times(mdata, "atac:time").values, course.obs["time"])
    mdata.obs["time"] = course.obs["time"] + 1
    np.testing.assert_array_equal(cell_times(mdata, "time").points, [1, 2, 3])
    with pytest.raises(KeyError, match=r"Did you mean 'rna:time'\?|Did you mean 'atac:time'\?"):
        cell_times(mdata, "rna:tim")


def _times(course, values, **options):
    """Times of a column with one value for each of the three snapshots."""
    column = pd.Series([values[int(t)] for t in course.obs["time"]], index=course.obs_names)
    return cell_times(_with(course, column), "t", **options)


def test_dates_as_whole_numbers_stay_apart(course):
    dates = [20240101, 20240103, 20240104]
    for kind in (int, float, np.float64, str, "{}.0".format):
        times = _times(course, [kind(d) for d in dates])
        np.testing.assert_array_equal(times.points, dates)
        assert len(times.labels) == 3
        assert [times.find(times.label(t), "x") for t in times.points] == dates
        assert [len(times.cells(t)) for t in times.points] == course.obs[
            "time"
        ].value_counts().sort_index().tolist()
        with pytest.raises(KeyError, match="`x` is 20240102"):
            times.find(20240102, "x")


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "Float32", "Float64", "object", "category"]
)
def test_precision_does_not_matter(course, dtype):
    values = [0.1, 0.7, 1.3]
    column = pd.Series([values[int(t)] for t in course.obs["time"]], index=course.obs_names)
    if dtype == "category":
        column = column.astype("float32")
    times = cell_times(_with(course, column.astype(dtype)), "t")
    np.testing.assert_array_equal(times.points, values)
    assert list(times.labels) == [str(t) for t in times.labels.values()]
    for kind in (np.float32, np.float64, float, str):
        assert times.find(kind(0.7), "x") == 0.7


def test_times_equal_up_to_rounding_are_one(course):
    third = (course.obs["time"] == 0).to_numpy().cumsum() % 3
    column = course.obs["time"].to_numpy() + 0.3
    column[course.obs["time"] == 0] = np.array([0.3, 0.1 + 0.2, float(np.float32(0.3))])[
        third[course.obs["time"] == 0]
    ]
    times = cell_times(_with(course, column), "t")
    np.testing.assert_array_equal(times.points, [0.3, 1.3, 2.3])
    assert len(times.cells(0.3)) == (course.obs["time"] == 0).sum()
    # mixed precisions, as pd.concat of two tables may leave
    mixed_precision = [np.float32(v) if i % 2 else v for i, v in enumerate(column)]
    np.testing.assert_array_equal(
        cell_times(_with(course, pd.Series(mixed_precision, course.obs_names, object)), "t").points,
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
def test_different_times_stay_apart(course, values):
    for scale in (1, 2.0):
        times = _times(course, [v * scale for v in values])
        np.testing.assert_array_equal(times.points, [v * scale for v in values])
        assert [times.find(times.label(t), "x") for t in times.points] == times.points.tolist()
        assert [times.find(t, "x") for t in times.points.tolist()] == times.points.tolist()


def test_whole_numbers_that_floats_cannot_hold(course):
    for kind in (int, str):
        with pytest.raises(
            ValueError, match="9007199254740992, 9007199254740993, .*subtract the first time"
        ):
            _times(course, [kind(v) for v in (2**53, 2**53 + 1, 2**53 + 10**9)])
    # nanoseconds since 1970, hours apart
    stamps = [1704067200000000001 + 3600 * 10**9 * k for k in range(3)]
    times = _times(course, stamps)
    assert list(times.labels) == [
        str(_of) for _of in pd.unique(_with(course, course.obs["t"]).obs["t"])
    ]
    assert times.find(stamps[1], "x") == times.find(str(stamps[1]), "x") == float(stamps[1])


def test_durations_are_days(course):
    hours = pd.to_timedelta(6 * course.obs["time"], unit="h")
    for column in (hours, hours.astype("category"), hours.astype(object)):
        times = cell_times(_with(course, column), "t")
        np.testing.assert_array_equal(times.points, [0, 0.25, 0.5])
        assert (
            times.find(pd.Timedelta("6h"), "x") == times.find(np.timedelta64(6, "h"), "x") == 0.25
        )
        assert times.find(datetime.timedelta(hours=12), "x") == times.find("0.5", "x") == 0.5
        assert times.find(times.label(0.25), "x") == 0.25
    times_in_hours = cell_times(
        course, "t", time_map={pd.Timedelta(hours=h): h for h in (0, 6, 12)}
    )
    np.testing.assert_array_equal(times_in_hours.points, [0, 6, 12])
    with pytest.raises(KeyError, match="no label"):
        times.find(pd.Timedelta("7h"), "x")


def test_dates_are_refused(course):
    dates = pd.Timestamp("2024-01-01") + pd.to_timedelta(course.obs["time"], unit="D")
    for column in (
        dates,
        dates.astype("category"),
        dates.astype(object),
        dates.dt.date,
        dates.dt.tz_localize("UTC"),
    ):
        with pytest.raises(TypeError, match="dates.*take the difference to the first date"):
            cell_times(_with(course, column), "t")
    np.testing.assert_array_equal(
        cell_times(_with(course, dates - dates.min()), "t").points, [0, 1, 2]
    )


@pytest.mark.parametrize("dtype", ["bool", "boolean", "category", "object", "complex"])
def test_truth_values_and_complex_numbers_are_refused(course, dtype):
    column = course.obs["time"] if dtype == "complex" else course.obs["time"] > 0
    with pytest.raises(TypeError, match="pass numbers or labels of time points"):
        cell_times(_with(course, column.astype(dtype)), "t")


def test_auto_reads_units(course, caplog):
    with caplog.at_level("INFO", "scdiffot"):
        times = _times(course, ["6h", "12h", "1d"], time_map="auto")
    np.testing.assert_array_equal(times.points, [6, 12, 24])
    assert times.find("1d", "x") == times.find(24, "x") == 24
    assert "in hours as {'6h': 6, '12h': 12, '1d': 24}" in caplog.text
    # numbers and durations need no reading
    np.testing.assert_array_equal(cell_times(course, "time", time_map="auto").points, [0, 1, 2])
    with pytest.raises(ValueError, match="`time_map` is 'automatic': pass a dict"):
        cell_times(course, "time", time_map="automatic")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["unassigned", "6h", "12h"], "'unassigned' holds no number"),
        (["E18", "P0", "P7"], "may count from different starts"),
    ],
)
def test_auto_refuses_what_is_not_clear(course, labels, message):
    for time_map in (None, "auto"):
        with pytest.raises(ValueError, match=message) as error:
            _times(course, labels, time_map=time_map)
        assert "for instance" not in str(error.value)


def test_suggestions_are_in_chronological_order(course):
    with pytest.raises(
        ValueError,
        match=r"\{'6h': 6, '12h': 12, '1d': 24\} \(hours\), which is what time_map='auto'",
    ):
        _times(course, ["1d", "6h", "12h"])
    with pytest.raises(ValueError, match=r"\{'D-1': -1, 'D0': 0, 'D2': 2\}"):
        _times(course, ["D2", "D-1", "D0"])


@pytest.mark.parametrize("value", [np.nan, np.inf, True, "2", None, 1j])
def test_values_of_a_map_are_numbers(course, value):
    with pytest.raises(ValueError, match="`time_map` holds"):
        cell_times(course, "label", time_map={"day0": 0, "day1": 1, "day2": value})
    # what no cell has does not matter
    time_map = {"day0": np.float32(0.1), "day1": np.int8(1), "day2": 2, "never": value}
    np.testing.assert_array_equal(
        cell_times(course, "label", time_map=time_map).points, [0.1, 1, 2]
    )


def test_keys_of_a_map_are_numbers_in_any_spelling(course):
    for time_map in (
        {"0.0": 0, "1.0": 5, "2.0": 7},
        {"0": 0, "1e0": 5, np.float32(2): 7},
        pd.Series([0, 5, 7]),
    ):
        np.testing.assert_array_equal(
            cell_times(course, "time", time_map=time_map).points, [0, 5, 7]
        )


@pytest.mark.parametrize("time", [True, [1], None, 1j])
def test_what_is_no_time(course, time):
    with pytest.raises(TypeError, match="`x` holds a .*: pass a number or the label"):
        cell_times(course, "time").find(time, "x")


@pytest.mark.parametrize("time", [np.nan, -np.inf, "inf", 1.5, "0.5", "one"])
def test_what_is_no_time_point(course, time):
    with pytest.raises(KeyError, match="`x` is"):
        cell_times(course, "time").find(time, "x")


def test_a_single_time_point_is_exact(course):
    for number in (20240101, 1e9, 0.0):
        times = _times(course, [number] * 3)
        assert times.find(number, "x") == number
        for distinct in (number + 1, number + 0.5, number - 9):
            with pytest.raises(KeyError):
                times.find(distinct, "x")


def test_times_between_time_points(course):
    times = cell_times(course, "label", time_map={"day0": 0, "day1": 1 / 3, "day2": 2})
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


def test_times_of_a_fit_are_taken(course):
    fit_times = cell_times(course, "time").points + 1 / 3
    noisy = (course.obs["time"] + 1 / 3) * (1 + 1e-12)
    times = cell_times(_with(course, noisy.astype("float32")), "t", reference=fit_times)
    np.testing.assert_array_equal(times.points, fit_times)


def test_labels_that_read_alike(course):
    mixed_types = pd.Series(
        [1 if t == 0 else "1" for t in course.obs["time"]], index=course.obs_names, dtype=object
    )
    assert cell_times(_with(course, mixed_types), "t").points.tolist() == [1]
    with pytest.raises(ValueError, match="two labels that read '1', at different times"):
        cell_times(_with(course, mixed_types), "t", time_map={1: 0, "1": 1})
