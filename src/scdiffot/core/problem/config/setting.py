"""Settings: fields of frozen dataclasses that carry bounds, unit, meaning and measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scdiffot._utils.options import check_choice, check_count, check_flag, check_number

# Source of a value for which no measurement is on record.
UNMEASURED = "no recorded measurement"


@dataclass(frozen=True)
class Bounds:
    """Range of a number; ``above`` excludes ``low``."""

    low: float
    high: float
    above: bool


def setting(
    default: Any,
    meaning: str,
    *,
    low: float = 0,
    high: float = 1e6,
    above: bool = False,
    optional: bool = False,
    unit: str = "",
    source: str = UNMEASURED,
) -> Any:
    """Field of a :class:`Settings` dataclass.

    Parameters
    ----------
    default
        Default value.
    meaning
        The sentence that documents the setting.
    low, high, above
        Range of a number; `above` excludes `low`.
    optional
        Whether the value may be None: the data or other options then determine it.
    unit
        Unit of the value; empty for counts, ratios, flags and names.
    source
        What was measured for the default.
    """
    metadata = {
        "meaning": meaning,
        "bounds": Bounds(low, high, above),
        "optional": optional,
        "unit": unit,
        "source": source,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Base of groups of settings, which are checked whenever a group is made.

    Numbers become plain numbers, lists become tuples, and a dict in the place of a group changes
    these settings of its default.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for f in fields(self):
            value = _checked(
                self._place(f.name), getattr(self, f.name), hints[f.name], f.metadata, f.default
            )
            object.__setattr__(self, f.name, value)

    @classmethod
    def _place(cls, name: str) -> str:
        """Name of a setting in messages: that of its group and its own."""
        group = cls.__dict__.get("GROUP", "")
        return f"{group}.{name}" if group else name


def change(settings: Settings, changes: Mapping[str, Any]) -> Any:
    """Return settings with some changes.

    Raises
    ------
    TypeError
        If the changes are no dict, or name an unknown setting.
    """
    names = [f.name for f in fields(settings)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        group = type(settings)._place(str(unknown[0]))
        raise TypeError(f"`{group}` is not a setting: pass one of {', '.join(names)}.")
    return replace(settings, **changes)


def _checked(
    place: str, value: Any, hint: Any, metadata: Mapping[str, Any], default: Any = None
) -> Any:
    """Check one value by its type and its bounds."""
    if value is None and metadata.get("optional"):
        return None
    if is_dataclass(hint):
        if isinstance(value, Mapping):
            return change(default, value)
        if not isinstance(value, hint):  # type: ignore[arg-type]
            raise TypeError(f"`{place}` is a {type(value).__name__}: pass a dict of settings.")
        return value
    if hint is bool:
        return check_flag(place, value)
    if get_origin(hint) is Literal:
        return check_choice(place, value, get_args(hint))
    bounds = metadata["bounds"]
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or not value:
            raise TypeError(f"`{place}` is a {type(value).__name__}: pass a tuple of numbers.")
        return tuple(_checked(place, v, get_args(hint)[0], metadata) for v in value)
    if isinstance(value, str) and str in get_args(hint):
        return value
    if hint is int:
        return check_count(place, value, int(bounds.low), int(bounds.high))
    if get_args(hint) and isinstance(value, str):
        if value == "auto":
            return value
        raise ValueError(f"`{place}` is {value!r}: pass a number or 'auto'.")
    return check_number(place, value, bounds.low, bounds.high, above=bounds.above)
