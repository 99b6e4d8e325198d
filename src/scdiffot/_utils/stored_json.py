"""Parse stored JSON of limited size and depth, without NaN, and of the expected types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import damaged

if TYPE_CHECKING:
    from .layout_types import StoredOptions

# Characters; the largest stored JSON is a table of time labels.
MAX_JSON = 1_000_000
MAX_FLOAT = float(np.finfo(np.float64).max)


def parse_json(text: str, type: type, place: str) -> Any:
    """Parse JSON of limited size and depth, without NaN or infinite numbers.

    Raises
    ------
    StoredFitError
        If the text is none, or holds another type.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no finite number")

    if len(text) > MAX_JSON:
        raise damaged(place, f"has {len(text)} characters, more than {MAX_JSON}")
    try:
        content = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise damaged(place, "is nested too deeply") from None
    except ValueError as error:
        raise damaged(place, f"is no JSON ({str(error)[:80]})") from None
    if not isinstance(content, type):
        raise damaged(place, f"holds no {type.__name__}")
    return content


def parse_options(text: str, options: type[StoredOptions], place: str) -> Any:
    """Parse options from the JSON of their stored form.

    Raises
    ------
    StoredFitError
        If a field is missing, unknown, of the wrong type or refused, or the version is newer.
    """
    content = parse_json(text, dict, place)
    try:
        return options.from_stored(content)
    except ValueError as error:
        raise damaged(place, str(error)) from None


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -MAX_FLOAT <= value <= MAX_FLOAT
    )
