"""Checks of numbers, flags and choices, with errors that name the option."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

Choice = TypeVar("Choice", bound=str)
# Upper bounds; larger values are mistakes or exhaust the memory. Steps of training, hidden layers,
# and units of a layer; points of a batch, cells of a coupling (whose cost matrix takes 1.6 GB), and
# pairs; particles, and points of a grid along an axis.
MAX_STEPS, MAX_LAYERS, MAX_HIDDEN = 1_000_000, 32, 4096
MAX_BATCH, MAX_LANDMARKS, MAX_PAIRS = 1_000_000, 20_000, 10_000_000
MAX_PARTICLES, MAX_GRID = 10_000_000, 5000


def check_number(
    name: str,
    value: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    above: bool = False,
) -> float:
    """Return a finite number from `low` (or above it) to `high` as a float.

    Raises
    ------
    TypeError
        If it is no number, or a boolean.
    ValueError
        If it is NaN, infinite or out of range.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"`{name}` is a {type(value).__name__}: pass a number.")
    number = float(value)
    inside = number > low if above else number >= low
    if not np.isfinite(number) or not inside or number > high:
        raise ValueError(f"`{name}` is {value}: pass {_describe_range(low, high, above)}.")
    return number


def check_numbers(
    name: str, values: Any, low: float = -np.inf, high: float = np.inf, *, above: bool = False
) -> list[float]:
    """Return one or more finite numbers from `low` (or above it) to `high` as floats.

    Raises
    ------
    TypeError
        If it is no sequence, or holds anything but numbers.
    ValueError
        If it is empty, or a number is NaN, infinite or out of range.
    """
    array = None if isinstance(values, str) else np.asarray(values, dtype=object)
    if array is None or array.ndim != 1:
        raise TypeError(f"`{name}` is {values!r}: pass a sequence of numbers.")
    if len(array) == 0:
        raise ValueError(f"`{name}` is {values!r}: pass one or more numbers.")
    return [
        check_number(f"{name}[{i}]", value, low, high, above=above) for i, value in enumerate(array)
    ]


def check_count(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a whole number from `low` to `high` as an int.

    Raises
    ------
    TypeError
        If it is no whole number, or a boolean.
    ValueError
        If it is out of range.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is a {type(value).__name__}: pass a whole number.")
    count = int(value)
    if count < low:
        raise ValueError(f"`{name}` is {value}: pass at least {low}.")
    if high is not None and count > high:
        raise ValueError(f"`{name}` is {value}: pass at most {high}.")
    return count


def check_flag(name: str, value: Any) -> bool:
    """Return a flag, of Python or NumPy, as a bool.

    Raises
    ------
    TypeError
        If it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` is {value!r}: pass True or False.")
    return bool(value)


def check_choice(name: str, value: Any, choices: Iterable[Choice]) -> Choice:
    """Return one of some strings.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is none of them.
    """
    options = list(choices)
    parts = [", ".join(map(repr, options[:-1])), repr(options[-1])]
    text = " or ".join(parts[len(options) < 2 :])
    if not isinstance(value, str):
        raise TypeError(f"`{name}` is a {type(value).__name__}: pass {text}.")
    for option in options:
        if value == option:
            return option
    raise ValueError(f"`{name}` is {value!r}: pass {text}.")


def _describe_range(low: float, high: float, above: bool) -> str:
    if np.isinf(low) and np.isinf(high):
        return "a finite number"
    if np.isinf(high):
        if low == 0:
            return "a positive number" if above else "a number that is zero or positive"
        return f"a number {'above' if above else 'of at least'} {low:g}"
    if np.isinf(low):
        return f"a number of at most {high:g}"
    if above:
        return f"a number above {low:g}, and at most {high:g}"
    return f"a number from {low:g} to {high:g}"
