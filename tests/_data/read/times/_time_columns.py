"""Columns of times in a time course, and the times that are read from them."""

from __future__ import annotations

import pandas as pd

from scdiffot._data.read.times.columns import cell_times


def with_times(time_course, column):
    time_course.obs["t"] = column
    return time_course


def read_times(time_course, values, **options):
    """Times of a column with one value for each of the three snapshots."""
    column = pd.Series(
        [values[int(t)] for t in time_course.obs["time"]], index=time_course.obs_names
    )
    return cell_times(with_times(time_course, column), "t", **options)
