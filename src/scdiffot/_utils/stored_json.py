"""Parse stored JSON of limited size and depth, without NaN, and of the expected types."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from .errors import damaged

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


def parse_options(text: str, options: type, place: str) -> Any:
    """Parse a dataclass of options from the JSON of its fields.

    Raises
    ------
    StoredFitError
        If a field is missing, unknown, of the wrong type, or refused by the dataclass.
    """
    content = parse_json(text, dict, place)
    hints = get_type_hints(options)
    names = [f.name for f in fields(options)]  # type: ignore[arg-type]
    unknown, missing = sorted(set(content) - set(names)), [n for n in names if n not in content]
    if unknown or missing:
        raise damaged(
            place,
            f"has other options than this version: {', '.join(map(repr, (unknown + missing)[:5]))}",
        )
    mistyped_names = [name for name in names if not _has_type(content[name], hints[name])]
    if mistyped_names:
        raise damaged(
            place,
            f"has {str(content[mistyped_names[0]])[:40]!r} for the option {mistyped_names[0]!r}",
        )
    try:
        return options(**content)
    except (TypeError, ValueError) as error:
        raise damaged(place, f"has an option that is refused ({error})") from None


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -MAX_FLOAT <= value <= MAX_FLOAT
    )


def _has_type(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return any(value == option and type(value) is type(option) for option in get_args(hint))
    if get_args(hint):
        return any(_has_type(value, part) for part in get_args(hint))
    if hint is float:
        return is_number(value)
    return type(value) is (type(None) if hint is None else hint)
