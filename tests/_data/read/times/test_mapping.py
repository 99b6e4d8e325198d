"""Times of labels by a map, or parsed with `time_map="auto"`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from _time_columns import read_times, with_times

from scdiffot._data.read.times.columns import cell_times


def test_a_map_translates_labels(time_course):
    times = cell_times(time_course, "label", time_map={"day2": 48, "day0": 0, "day1": 24.0})
    np.testing.assert_array_equal(times.values, 24 * time_course.obs["time"])
    assert times.find("day1", "x") == 24
    assert times.label(48.0) == "day2"


def test_a_map_translates_numbers(time_course):
    for time_map in ({0: 0, 1: 5, 2: 7}, {"0": 0, "1": 5, "2": 7}):
        times = cell_times(time_course, "time", time_map=time_map)
        np.testing.assert_array_equal(times.points, [0, 5, 7])
    # Numbers are times, and strings are labels.
    assert times.find(5, "x") == times.find("1", "x") == 5
    assert times.find("7", "x") == 7
    with pytest.raises(KeyError, match="`x` is 1, no time of"):
        times.find(1, "x")


def test_labels_may_share_a_time(time_course):
    times = cell_times(time_course, "label", time_map={"day0": 0, "day1": 1, "day2": 1})
    np.testing.assert_array_equal(times.points, [0, 1])
    assert len(times.cells(1.0)) == (time_course.obs["time"] > 0).sum()


def test_labels_without_a_map_raise_an_error_that_proposes_one(time_course):
    with pytest.raises(
        ValueError,
        match=r"no numbers .* pass `time_map`, for instance \{'day0': 0, 'day1': 1, 'day2': 2\}",
    ):
        cell_times(time_course, "label")
    words = time_course.obs["time"].map({0.0: "early", 1.0: "late", 2.0: "nan"})
    with pytest.raises(ValueError, match=r"'\w+' holds no number. Pass `time_map`, a dict"):
        cell_times(with_times(time_course, words), "t")


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "0x1", "", "1d"])
def test_only_plain_numbers_are_numbers(time_course, text):
    column = time_course.obs["time"].map({0.0: "0", 1.0: "1", 2.0: text})
    with pytest.raises(ValueError, match="labels that are no numbers"):
        cell_times(with_times(time_course, column), "t")


@pytest.mark.parametrize(
    ("time_map", "error", "message"),
    [
        ({"day0": 0, "day1": 1}, KeyError, "no time for 'day2'"),
        ({"day0": 0, "day1": 1, "day2": "2"}, ValueError, "`time_map` holds '2'"),
        ({"day0": 0, "day1": 1, "day2": np.nan}, ValueError, "`time_map` holds nan"),
        ([0, 1, 2], TypeError, "`time_map` is a list"),
    ],
)
def test_invalid_maps_are_refused(time_course, time_map, error, message):
    with pytest.raises(error, match=message):
        cell_times(time_course, "label", time_map=time_map)


def test_auto_reads_units(time_course, caplog):
    with caplog.at_level("INFO", "scdiffot"):
        times = read_times(time_course, ["6h", "12h", "1d"], time_map="auto")
    np.testing.assert_array_equal(times.points, [6, 12, 24])
    assert times.find("1d", "x") == times.find(24, "x") == 24
    assert "in hours as {'6h': 6, '12h': 12, '1d': 24}" in caplog.text
    # Numbers and durations need no parsing.
    np.testing.assert_array_equal(
        cell_times(time_course, "time", time_map="auto").points, [0, 1, 2]
    )
    with pytest.raises(ValueError, match="`time_map` is 'automatic': pass a dict"):
        cell_times(time_course, "time", time_map="automatic")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["unassigned", "6h", "12h"], "'unassigned' holds no number"),
        (["E18", "P0", "P7"], "may count from different starts"),
    ],
)
def test_auto_refuses_ambiguous_labels(time_course, labels, message):
    for time_map in (None, "auto"):
        with pytest.raises(ValueError, match=message) as error:
            read_times(time_course, labels, time_map=time_map)
        assert "for instance" not in str(error.value)


def test_suggestions_are_in_chronological_order(time_course):
    with pytest.raises(
        ValueError,
        match=r"\{'6h': 6, '12h': 12, '1d': 24\} \(hours\), as time_map='auto' reads them",
    ):
        read_times(time_course, ["1d", "6h", "12h"])
    with pytest.raises(ValueError, match=r"\{'D-1': -1, 'D0': 0, 'D2': 2\}"):
        read_times(time_course, ["D2", "D-1", "D0"])


@pytest.mark.parametrize("value", [np.nan, np.inf, True, "2", None, 1j])
def test_other_values_of_a_map_than_numbers_are_refused(time_course, value):
    with pytest.raises(ValueError, match="`time_map` holds"):
        cell_times(time_course, "label", time_map={"day0": 0, "day1": 1, "day2": value})
    # Values of labels without cells are ignored.
    time_map = {"day0": np.float32(0.1), "day1": np.int8(1), "day2": 2, "never": value}
    np.testing.assert_array_equal(
        cell_times(time_course, "label", time_map=time_map).points, [0.1, 1, 2]
    )


def test_keys_of_a_map_may_be_numbers_in_any_spelling(time_course):
    for time_map in (
        {"0.0": 0, "1.0": 5, "2.0": 7},
        {"0": 0, "1e0": 5, np.float32(2): 7},
        pd.Series([0, 5, 7]),
    ):
        np.testing.assert_array_equal(
            cell_times(time_course, "time", time_map=time_map).points, [0, 5, 7]
        )
