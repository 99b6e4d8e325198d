"""Times in labels: clear labels are parsed, ambiguous ones are refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot._data.read.times.labels import UnreadableLabels, read_labels
from scdiffot._data.responses.treatments import Treatments
from scdiffot._utils.number_text import distinct_texts, number_text


@pytest.mark.parametrize(
    ("labels", "values", "unit"),
    [
        (["day7", "Day10", "d2"], [7, 10, 2], "days"),
        (["D-1", "D0", "D2"], [-1, 0, 2], "days"),
        (["day-0", "day-3"], [0, 3], "days"),
        (["day_-1", "day_1"], [-1, 1], "days"),
        (["-1d", "0d"], [-1, 0], "days"),
        (["E9.5", "E10"], [9.5, 10], ""),
        (["P0", "P7"], [0, 7], ""),
        (["T1", "T2"], [1, 2], ""),
        (["t=1", "t=2"], [1, 2], ""),
        (["6h", "12h", "1d"], [6, 12, 24], "hours"),
        (["0", "90 min", "3 hours"], [0, 90, 180], "minutes"),
        (["0h", "day1", "2 days"], [0, 1, 2], "days"),
        (["week 3", "day 2"], [21, 2], "days"),
        (["10hpf", "2dpf"], [10, 48], "hours"),
        (["hpf 10", "hpf 12"], [10, 12], "hours"),
        (["3 days post infection", "12 hours post infection"], [72, 12], "hours"),
        (["1 month", "1yr"], [1, 12], "months"),
        (["5S", "10S"], [5, 10], ""),
        (["0.1h", "0.2h"], [0.1, 0.2], "hours"),
    ],
)
def test_clear_labels_are_parsed(labels, values, unit):
    times = read_labels(labels)
    assert times.values == values
    assert times.unit == unit


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["unassigned", "day0"], "'unassigned' holds no number"),
        (["control", "6h"], "'control' holds no number"),
        (["", "6h"], "'' holds no number"),
        (["rep1_day0", "rep1_day3"], "'rep1_day0' holds several numbers"),
        (["2024-01-03", "2024-01-05"], "several numbers"),
        (["0-2h", "2-4h"], "several numbers"),
        (["E8_5", "E9_5"], "several numbers"),
        (["E18", "P0"], "'E18', 'P0' differ in more than number and unit"),
        (["24hpi", "2dpf"], "different starts"),
        (["7d_control", "7d_treated"], "different starts"),
        (["donor1", "sample1"], "different starts"),
        (["3", "6h"], "'3' has no unit, while '6h' has"),
        (["D-1", "D-2"], "the hyphen in 'D-1' may be a minus sign or not"),
        (["24h+", "6h"], "'24h[+]' is not only words and a number"),
        (["<6h", "7h"], "not only words"),
        (["D.5", "D1"], "not only words"),
        (["day7h", "day8h"], "two units, days and hours"),
        (["1 month", "3 days"], "months .* have no fixed number of days"),
    ],
)
def test_ambiguous_labels_are_refused(labels, message):
    with pytest.raises(UnreadableLabels, match=message):
        read_labels(labels)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (20240101.0, "20240101"),
        (np.int64(2**53 + 1), "9007199254740993"),
        (np.float16(0.1), "0.1"),
        (np.float32(1e-7), "1e-07"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e6, "1000000"),
        (-0.0, "0"),
        (1.5, "1.5"),
    ],
)
def test_text_of_numbers_is_exact(number, text):
    assert number_text(number) == text
    assert type(number)(text) == number


def test_texts_of_different_numbers_differ():
    assert distinct_texts(np.array([0.1, 1 / 3, 2])) == ["0.1", "0.333333", "2"]
    assert distinct_texts(np.array([1e9 + 0.001, 1e9 + 0.002])) == [
        "1000000000.001",
        "1000000000.002",
    ]


def test_names_of_different_doses_differ():
    flat = np.zeros((1, 1))
    treatments = Treatments(["drug"], [[20240101.0, 20240103.0]], flat, "", flat, flat)
    assert treatments.condition_names == ["drug at 20240101", "drug at 20240103"]
