"""Numbers as text: exact, or short and distinct."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

# Whole numbers up to here are written without an exponent.
MAX_WHOLE = 1e16


def number_text(value: Any) -> str:
    """Shortest text that is parsed as the same number, at the precision of its type.

    Examples
    --------
    >>> number_text(20240101.0), number_text(np.float32(0.1)), number_text(0.1 + 0.2)
    ('20240101', '0.1', '0.30000000000000004')
    """
    if isinstance(value, Integral):
        return str(int(value))
    number = float(str(value)) if isinstance(value, np.float16 | np.float32) else float(value)
    if number.is_integer() and abs(number) < MAX_WHOLE:
        return str(int(number))
    text = f"{number:g}"
    return text if float(text) == number or not np.isfinite(number) else repr(number)


def distinct_texts(values: np.ndarray) -> list[str]:
    """Short texts of numbers: six digits, or as many as distinguish different numbers."""
    numbers = [float(v) for v in values]
    for n_digits in range(6, 17):
        texts = [number_text(v) if v.is_integer() else f"{v:.{n_digits}g}" for v in numbers]
        if len(set(texts)) == len(set(numbers)):
            return texts
    return [number_text(v) for v in numbers]
