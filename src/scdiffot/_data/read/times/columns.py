"""Times of cells: from a column of labels to numbers."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list, suggest
from scdiffot._data.read.columns import read_column
from scdiffot._utils.number_text import number_text

from .labels import NUMBER
from .mapping import is_map, label_text, label_times
from .values import check_whole, closest, merge_equal, time_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    TimePoint = str | float


@dataclass(frozen=True)
class CellTimes:
    """The time of every cell.

    Parameters
    ----------
    column
        Name of the column of `obs`.
    values
        Time of every cell, shape ``(n,)``, float64.
    points
        Distinct times, increasing, shape ``(T,)``.
    labels
        Time of every label of the column; labels of a numeric column are its numbers as text.
    """

    column: str
    values: np.ndarray
    points: np.ndarray
    labels: dict[str, float]

    def find(self, time: TimePoint, argument: str) -> float:
        """Find the time point of a label or a number; a label comes first.

        Raises
        ------
        KeyError
            If there is no such time point.
        TypeError
            If it is neither a label nor a number.
        """
        value, label = self._parse_time(time, argument)
        k = None if value is None else self.nearest(value)
        if k is not None:
            return float(self.points[k])
        if label is not None:
            raise KeyError(
                f"`{argument}` is {label!r}, no label of obs[{self.column!r}]. "
                f"{suggest(label, self.labels)}"
            )
        raise KeyError(
            f"`{argument}` is {time!r}, no time of obs[{self.column!r}]: pass one of "
            f"{format_list(self.points.tolist())}, or a label."
        )

    def read(self, time: TimePoint, argument: str) -> float:
        """Read any time: a time point by its label or number, or a number between time points.

        Raises
        ------
        KeyError
            If there is no such label.
        TypeError
            If it is neither a label nor a number.
        ValueError
            If it is NaN or infinite.
        """
        value, _ = self._parse_time(time, argument)
        if value is None:
            return self.find(time, argument)
        if not np.isfinite(value):
            raise ValueError(f"`{argument}` is {time!r}: pass a finite time.")
        k = self.nearest(value)
        return value if k is None else float(self.points[k])

    def _parse_time(self, time: Any, argument: str) -> tuple[float | None, str | None]:
        """Parse a time into its number, None if it has none, and its text if it is no label."""
        if isinstance(time, np.ndarray) and time.ndim == 0:
            time = time.item()
        if isinstance(time, datetime.timedelta | np.timedelta64):
            time = label_text(time)
        if isinstance(time, str):
            if time in self.labels:
                return self.labels[time], None
            number = time.strip()
            return (float(number) if NUMBER.fullmatch(number) else None), str(time)
        if isinstance(time, Real) and not isinstance(time, bool):
            return time_value(time), None
        raise TypeError(
            f"`{argument}` holds a {type(time).__name__}: "
            "pass a number or the label of a time point."
        )

    def nearest(self, time: float) -> int | None:
        """Index of the time point that equals a number up to rounding; None if there is none."""
        return closest(self.points, time_value(time))

    def check_points(self, times: np.ndarray, key: str) -> None:
        """Refuse data without cells of some time of a fit, because snapshots are found by rank.

        Raises
        ------
        KeyError
            If a time has no cells.
        """
        missing = [number_text(t) for t in times if self.nearest(float(t)) is None]
        if missing:
            raise KeyError(
                f"`adata` has no cells of time {', '.join(missing)}, from which the fit {key!r} "
                "learned: pass all cells of the fit, or fit again."
            )

    def cells(self, time: float) -> np.ndarray:
        """Indices of the cells of a time point."""
        return np.flatnonzero(self.values == time)

    def label(self, time: float) -> str:
        """Label of a time point in the column."""
        return next(
            (name for name, value in self.labels.items() if value == time), number_text(time)
        )


def cell_times(
    adata: AnnData | MuData,
    time_key: str,
    *,
    time_map: Mapping[Any, float] | str | None = None,
    reference: np.ndarray | None = None,
) -> CellTimes:
    """Read the times of all cells.

    Numbers of any precision are read as their shortest decimal number. Times that are equal up to
    rounding are merged.

    Parameters
    ----------
    adata
        The data.
    time_key
        Column of `obs`: numbers, durations (in days), or labels (strings, categories) that are
        plain numbers or that `time_map` translates. For a MuData also `"modality:column"`.
    time_map
        Time of every label, or `"auto"` to read a common prefix and units.
    reference
        Times of a fit, which replace times equal to them up to rounding.

    Raises
    ------
    KeyError
        If there is no such column, or `time_map` lacks a label.
    TypeError
        If the column holds neither numbers nor labels.
    ValueError
        If times are missing or infinite, labels cannot be read as numbers, or ordered categories
        contradict them.
    """
    column = read_column(adata, time_key, "time_key")
    name = f"obs[{time_key!r}]"
    missing = np.asarray(column.isna())
    if missing.any():
        raise ValueError(
            f"`time_key` {name} is NaN in {missing.sum()} of {len(missing)} cells, for instance "
            f"{format_list(adata.obs_names[missing][:3])}: remove these cells, "
            f"adata = adata[adata.{name}.notna()].copy()."
        )
    levels, codes = _read_levels(column, name)
    check_whole(levels, name)
    numbers = np.array(label_times(levels, time_map, name), dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"`time_key` {name} has infinite times: "
            "remove these cells, or give them a time in `time_map`."
        )
    precision = max(
        (np.finfo(type(p)).eps for p in levels if isinstance(p, np.floating)), default=0.0
    )
    numbers = merge_equal(numbers, float(precision) if time_map is None else 0.0)
    if reference is not None:
        matches = [closest(reference, t) for t in numbers]
        numbers = np.array(
            [t if k is None else reference[k] for t, k in zip(numbers, matches, strict=True)]
        )
    if (
        getattr(column.dtype, "ordered", False)
        and not is_map(time_map)
        and (np.diff(numbers) < 0).any()
    ):
        raise ValueError(
            f"`time_key` {name} is an ordered categorical whose order, {format_list(levels)}, is "
            "not that of its numbers: pass `time_map`, or bring the categories in order with "
            ".cat.reorder_categories."
        )
    labels: dict[str, float] = {}
    for text, number in zip(map(label_text, levels), numbers.tolist(), strict=True):
        if labels.setdefault(text, number) != number:
            raise ValueError(
                f"`time_key` {name} has two labels that read {text!r}, at different times: "
                "rename one."
            )
    return CellTimes(time_key, numbers[codes], np.unique(numbers), labels)


def _read_levels(column: pd.Series, name: str) -> tuple[list[Any], np.ndarray]:
    """Labels that occur, as scalars of their type, and the position of that of every cell.

    Raises
    ------
    TypeError
        If they are booleans, dates, or complex numbers.
    """
    import pandas as pd

    values = (
        column.cat.remove_unused_categories().cat.categories
        if hasattr(column, "cat")
        else column.unique()
    )
    dtype: Any = values.dtype
    kind = getattr(dtype, "kind", "O")
    if kind in "iuf":
        values = np.asarray(values, dtype=getattr(dtype, "numpy_dtype", dtype))
    levels = [pd.Timedelta(v) for v in values] if kind == "m" else list(values)
    invalid_levels = [
        p for p in levels if isinstance(p, bool | np.bool_ | complex | np.complexfloating)
    ]
    if invalid_levels:
        raise TypeError(
            f"`time_key` {name} holds {dtype}, for instance {format_list(invalid_levels[:1])}: "
            "pass numbers or labels of time points; name another column."
        )
    if kind == "M" or any(isinstance(p, datetime.date | np.datetime64) for p in levels):
        raise TypeError(
            f"`time_key` {name} holds dates ({dtype}), which have no zero: "
            "take the difference to the first date, "
            f"adata.{name} - adata.{name}.min(), which is read in days."
        )
    codes = (
        column.cat.remove_unused_categories().cat.codes
        if hasattr(column, "cat")
        else pd.factorize(column)[0]
    )
    return levels, np.asarray(codes, dtype=np.intp)
