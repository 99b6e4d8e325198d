"""Exact times from numbers of any type, and which of them are equal up to rounding."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import some
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .columns import TimePoint

# Rounding errors of a few sums, in units in the last place.
MAX_ULPS = 4
# Gaps below this share of the whole course are rounding errors of an origin far away.
MIN_SHARE = 1e-9
# Rounding errors of single precision are small beside the intervals between time points.
MAX_SHARE_OF_INTERVAL = 1e-4
# Digits of float64 beyond which a number that float32 can hold is one that float32 held.
MIN_DIGITS_NOISE, MIN_EXTRA_DIGITS = 15, 6
# How far a number that a user types may be from a time point, relative to both and to the interval.
TYPED, TYPED_OF_INTERVAL = 1e-6, 1e-3


def time_value(value: Any) -> float:
    """A number in double precision: the shortest decimal number that single or half precision tells from others.

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
    noise = n_digits >= MIN_DIGITS_NOISE and n_digits - n_single >= MIN_EXTRA_DIGITS
    return float(str(single)) if noise else number


def _n_digits(text: str) -> int:
    return len(text.lower().partition("e")[0].replace(".", "").lstrip("-0"))


def merge_equal(values: Iterable[float], precision: float) -> np.ndarray:
    """Give times that are equal up to rounding one value, that with the shortest text; whole numbers stay apart.

    Parameters
    ----------
    values
        Finite times.
    precision
        Relative spacing of the numbers of their type.
    """
    numbers = np.array(list(values), dtype=np.float64)
    points = np.unique(numbers)
    if len(points) < 2:
        return numbers
    gaps = np.diff(points)
    size = np.maximum(np.abs(points[1:]), np.abs(points[:-1]))
    whole = points == np.rint(points)
    apart = whole[1:] & whole[:-1]
    near = ~apart & (gaps <= np.maximum(MAX_ULPS * precision * size, MIN_SHARE * np.ptp(points)))
    near &= gaps <= MAX_SHARE_OF_INTERVAL * gaps[~near].min(initial=np.inf if (~near).any() else 0)
    near |= ~apart & (gaps <= MAX_ULPS * np.finfo(np.float64).eps * size)
    cluster = np.concatenate([[0], np.cumsum(~near)])
    shortest = {
        k: min(points[cluster == k], key=lambda t: (len(number_text(t)), t))
        for k in range(int(cluster[-1]) + 1)
    }
    return np.array([shortest[int(cluster[i])] for i in np.searchsorted(points, numbers)])


def closest(points: np.ndarray, time: float) -> int | None:
    """Index of the time point that a number means, up to the digits that a user types; whole numbers are exact."""
    if not np.isfinite(time) or len(points) == 0:
        return None
    k = int(np.abs(points - time).argmin())
    gap, size = abs(points[k] - time), max(abs(time), abs(points[k]))
    if gap == 0:
        return k
    if float(time).is_integer() and float(points[k]).is_integer():
        return None
    interval = float(np.diff(points).min()) if len(points) > 1 else MIN_SHARE * size
    return k if gap <= min(TYPED_OF_INTERVAL * interval, TYPED * max(size, interval)) else None


def check_whole(numbers: Iterable[Any], name: str) -> None:
    """Refuse whole numbers that double precision cannot tell apart.

    Raises
    ------
    ValueError
        If the rounding of one is not small beside the intervals.
    """
    whole = sorted({int(n) for n in numbers if isinstance(n, Integral)})
    gaps = [b - a for a, b in zip(whole[:-1], whole[1:], strict=True)]
    # beyond the range of float they count as infinite
    errors = [abs(int(float(n)) - n) for n in whole if abs(n) <= 10**300]
    if gaps and max(errors, default=0) > TYPED * min(gaps):
        k = gaps.index(min(gaps))
        raise ValueError(
            f"`time_key` {name} holds {some(whole[k : k + 2])}, which are too large to be told apart as times: subtract the "
            "first time, or pass a larger unit."
        )


def several(times: Any) -> list[TimePoint]:
    """One time, or several, as a list."""
    times = times.tolist() if isinstance(times, np.ndarray) and times.ndim == 0 else times
    return [times] if isinstance(times, str) or not hasattr(times, "__iter__") else list(times)
