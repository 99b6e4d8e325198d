"""Exact times from numbers of any type, and equality of times up to rounding."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .columns import TimePoint

# Rounding error of a few sums, in units in the last place.
MAX_ULPS = 4
# Gaps below this share of the range of all times are rounding errors of a distant origin.
MIN_SHARE = 1e-9
# Gaps above this share of the shortest interval are no rounding errors of single precision.
MAX_SHARE_OF_INTERVAL = 1e-4
# A float64 with at least this many digits, and this many more than its float32, was rounded to
# float32 before.
MIN_DIGITS_NOISE, MIN_EXTRA_DIGITS = 15, 6
# Largest error of a number that a user types, relative to the time and to the shortest interval.
RELATIVE_TOLERANCE, INTERVAL_TOLERANCE = 1e-6, 1e-3


def time_value(value: Any) -> float:
    """Convert a number to double precision.

    Numbers of single or half precision become the shortest decimal number that identifies them.

    Examples
    --------
    >>> time_value(np.float32(0.1)), time_value(float(np.float32(0.1))), time_value(0.1)
    (0.1, 0.1, 0.1)
    """
    if isinstance(value, np.float16 | np.float32):
        return float(number_text(value))
    try:
        number = float(value)
    except OverflowError:
        return float("inf")
    if not np.isfinite(number) or number.is_integer() or abs(number) > np.finfo(np.float32).max:
        return number
    single = np.float32(number)
    if float(single) != number:
        return number
    n_digits, n_single = _n_digits(repr(number)), _n_digits(str(single))
    is_rounded_float32 = n_digits >= MIN_DIGITS_NOISE and n_digits - n_single >= MIN_EXTRA_DIGITS
    return float(str(single)) if is_rounded_float32 else number


def _n_digits(text: str) -> int:
    return len(text.lower().partition("e")[0].replace(".", "").lstrip("-0"))


def merge_equal(values: Iterable[float], precision: float) -> np.ndarray:
    """Merge times that are equal up to rounding into the one with the shortest text.

    Different whole numbers are never merged.

    Parameters
    ----------
    values
        Finite times, ``(n,)``.
    precision
        Relative spacing of the numbers of their type.

    Returns
    -------
    The merged times, shape ``(n,)``, float64.
    """
    numbers = np.array(list(values), dtype=np.float64)
    points = np.unique(numbers)
    if len(points) < 2:
        return numbers
    gaps = np.diff(points)
    size = np.maximum(np.abs(points[1:]), np.abs(points[:-1]))
    is_whole = points == np.rint(points)
    distinct = is_whole[1:] & is_whole[:-1]
    equal = ~distinct & (
        gaps <= np.maximum(MAX_ULPS * precision * size, MIN_SHARE * np.ptp(points))
    )
    equal &= gaps <= MAX_SHARE_OF_INTERVAL * gaps[~equal].min(
        initial=np.inf if (~equal).any() else 0
    )
    equal |= ~distinct & (gaps <= MAX_ULPS * np.finfo(np.float64).eps * size)
    cluster = np.concatenate([[0], np.cumsum(~equal)])
    shortest = {
        k: min(points[cluster == k], key=lambda t: (len(number_text(t)), t))
        for k in range(int(cluster[-1]) + 1)
    }
    return np.array([shortest[int(cluster[i])] for i in np.searchsorted(points, numbers)])


def closest(points: np.ndarray, time: float) -> int | None:
    """Index of the time point that equals a number up to typing precision; None if there is none.

    Whole numbers are compared exactly.
    """
    if not np.isfinite(time) or len(points) == 0:
        return None
    k = int(np.abs(points - time).argmin())
    gap, size = abs(points[k] - time), max(abs(time), abs(points[k]))
    if gap == 0:
        return k
    if float(time).is_integer() and float(points[k]).is_integer():
        return None
    interval = float(np.diff(points).min()) if len(points) > 1 else MIN_SHARE * size
    tolerance = min(INTERVAL_TOLERANCE * interval, RELATIVE_TOLERANCE * max(size, interval))
    return k if gap <= tolerance else None


def check_whole(numbers: Iterable[Any], name: str) -> None:
    """Refuse whole numbers that double precision cannot distinguish.

    Raises
    ------
    ValueError
        If the rounding error of one exceeds a millionth of the shortest interval.
    """
    whole = sorted({int(n) for n in numbers if isinstance(n, Integral)})
    gaps = [b - a for a, b in zip(whole[:-1], whole[1:], strict=True)]
    # float() overflows above 1.8e308; such times are refused as infinite.
    errors = [abs(int(float(n)) - n) for n in whole if abs(n) <= 10**300]
    if gaps and max(errors, default=0) > RELATIVE_TOLERANCE * min(gaps):
        k = gaps.index(min(gaps))
        raise ValueError(
            f"`time_key` {name} holds {format_list(whole[k : k + 2])}, which are too large to be "
            "distinguished as times: subtract the first time, or pass a larger unit."
        )


def as_list(times: Any) -> list[TimePoint]:
    """Return one time or several as a list."""
    times = times.tolist() if isinstance(times, np.ndarray) and times.ndim == 0 else times
    return [times] if isinstance(times, str) or not hasattr(times, "__iter__") else list(times)
