"""Read stored entries by their layouts, which are checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import damaged
from .layout_types import Array, Each, Json, Kind, Layout, Options, Record, Scalar, Table
from .stored_json import parse_json, parse_options

__all__ = [
    "Array",
    "Each",
    "Json",
    "Layout",
    "Options",
    "Record",
    "Scalar",
    "StoredEntry",
    "Table",
    "check_range",
    "poses_as_many",
    "read",
    "read_weights",
]

DTYPES = {"number": "fiu", "whole": "iu", "flag": "b", "text": "UOT"}
NAMES = {"number": "numbers", "whole": "whole numbers", "flag": "True and False", "text": "text"}
SINGULAR = {
    "number": "a number",
    "whole": "a whole number",
    "flag": "True or False",
    "text": "text",
}
# Largest whole number up to which float64 represents all of them.
MAX_WHOLE = 2**53
# Largest array that may repeat its elements by strides of zero.
MAX_REPEATED = 1_000_000


class StoredEntry(dict):
    """A stored record, in which a missing entry raises a StoredFitError."""

    def __init__(self, content: Mapping[str, Any], place: str) -> None:
        super().__init__(content)
        self.place = place

    def __missing__(self, name: str) -> Any:
        raise damaged(f"{self.place}[{name!r}]", "is missing")


def read(value: Any, layout: Layout, place: str, sizes: dict[str, int] | None = None) -> Any:
    """Check a stored value, and return it as plain Python objects and arrays.

    Types and shapes of all entries are checked before their values, so that nothing of a wrong size
    is allocated.

    Parameters
    ----------
    value
        The stored value.
    layout
        Its layout.
    place
        Its place in the AnnData, for the message.
    sizes
        Sizes by letter; sizes of new letters are added.

    Raises
    ------
    StoredFitError
        If the value does not have the layout.
    """
    _check_form(value, layout, place, {} if sizes is None else sizes)
    return _convert(value, layout, place)


def _check_form(value: Any, layout: Layout, place: str, sizes: dict[str, int]) -> None:
    if isinstance(layout, Record | Each):
        if not isinstance(value, Mapping):
            raise damaged(place, f"is a {type(value).__name__}, not a dict")
        for name, part, is_required in _list_parts(value, layout):
            if name in value:
                entry_sizes = dict(sizes) if isinstance(layout, Each) else sizes
                _check_form(value[name], part, f"{place}[{name!r}]", entry_sizes)
            elif is_required:
                raise damaged(f"{place}[{name!r}]", "is missing")
    elif isinstance(layout, Table):
        _check_table(value, layout, place, sizes)
    elif isinstance(layout, Array):
        _check_array(value, layout, place, sizes)
    else:
        _convert_scalar(value, layout.kind if isinstance(layout, Scalar) else "text", place)


def _list_parts(value: Mapping, layout: Record | Each) -> list[tuple[str, Layout, bool]]:
    """Names and layouts of entries, and whether they are required."""
    if isinstance(layout, Each):
        return [(name, layout.layout, True) for name in value]
    required: list[tuple[str, Layout, bool]] = [
        (name, part, True) for name, part in layout.entries.items()
    ]
    return required + [(name, part, False) for name, part in (layout.optional or {}).items()]


def _check_array(value: Any, layout: Array, place: str, sizes: dict[str, int]) -> None:
    if not layout.shape and not isinstance(value, np.ndarray):
        # Files may return a number for an array without dimensions.
        _convert_scalar(value, layout.kind, place)
        return
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or shape is None:
        raise damaged(place, f"is a {type(value).__name__}, not an array")
    if getattr(dtype, "kind", "O") not in DTYPES[layout.kind]:
        raise damaged(place, f"holds {dtype}, not {NAMES[layout.kind]}")
    if poses_as_many(value):
        raise damaged(place, f"repeats a number {value.size} times")
    expected_shape = []
    for size, letter in zip(shape, layout.shape, strict=False):
        name, _, less = str(letter).partition("-")
        fixed = int(name) if name.isdigit() else sizes.setdefault(name, int(size) + int(less or 0))
        expected_shape.append(fixed - int(less or 0))
    if len(shape) != len(layout.shape):
        raise damaged(place, f"has {len(shape)} dimensions, not {len(layout.shape)}")
    if tuple(shape) != tuple(expected_shape):
        raise damaged(place, f"has shape {tuple(shape)}, not {tuple(expected_shape)}")


def poses_as_many(array: Any) -> bool:
    """Whether a large array repeats elements by strides of zero, which no file returns."""
    return isinstance(array, np.ndarray) and array.size > MAX_REPEATED and 0 in array.strides


def _check_table(value: Any, layout: Table, place: str, sizes: dict[str, int]) -> None:
    if not hasattr(value, "columns") or not hasattr(value, "iloc"):
        raise damaged(place, f"is a {type(value).__name__}, not a data frame")
    missing = [name for name in layout.columns if name not in value.columns]
    if missing:
        raise damaged(place, f"lacks the columns {', '.join(map(repr, missing))}")
    if layout.rows and len(value) != sizes.setdefault(layout.rows, len(value)):
        raise damaged(place, f"has {len(value)} rows, not {sizes[layout.rows]}")
    for name, kind in layout.columns.items():
        column = value[name]
        if column.ndim != 1:
            raise damaged(place, f"has the column {name!r} twice")
        categories = getattr(getattr(column, "cat", None), "categories", column)
        dtype = getattr(categories, "dtype", None)
        if kind == "text":
            if not all(isinstance(v, str) for v in np.asarray(categories)):
                raise damaged(place, f"holds {dtype} in the column {name!r}, not {NAMES[kind]}")
        elif getattr(dtype, "kind", "O") not in DTYPES[kind]:
            raise damaged(place, f"holds {dtype} in the column {name!r}, not {NAMES[kind]}")


def _convert(value: Any, layout: Layout, place: str) -> Any:
    if isinstance(layout, Record | Each):
        parts = {name: part for name, part, _ in _list_parts(value, layout) if name in value}
        return StoredEntry(
            {
                n: _convert(v, parts[n], f"{place}[{n!r}]") if n in parts else v
                for n, v in value.items()
            },
            place,
        )
    if isinstance(layout, Array):
        return _convert_array(value, layout, place)
    if isinstance(layout, Json):
        text = _convert_scalar(value, "text", place)
        return text if text in layout.plain else parse_json(text, layout.type, place)
    if isinstance(layout, Options):
        return parse_options(_convert_scalar(value, "text", place), layout.type, place)
    if isinstance(layout, Scalar):
        plain = _convert_scalar(value, layout.kind, place)
        if layout.kind in ("number", "whole"):
            check_range(np.asarray(float(plain)), layout, place)
        if layout.options and plain not in layout.options:
            raise damaged(place, f"is {plain[:40]!r}, not {' or '.join(map(repr, layout.options))}")
        return plain
    # A table that is read lazily.
    return value.to_memory() if hasattr(value, "to_memory") else value


def _convert_array(value: Any, layout: Array, place: str) -> np.ndarray:
    array = np.asarray(value)
    if layout.kind == "text":
        array = array.astype(object)
        if not all(isinstance(v, str) for v in array.ravel()):
            raise damaged(place, "does not hold text alone")
        return array.astype(str)
    if layout.kind in ("number", "whole"):
        check_range(array, layout, place)
    if layout.kind == "number" and array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if layout.increasing and not (np.diff(array.astype(np.float64)) > 0).all():
        raise damaged(place, "does not increase")
    return array


def check_range(array: np.ndarray, layout: Array | Scalar, place: str) -> None:
    """Refuse numbers that are not finite, or out of range."""
    if not layout.nan and np.isnan(array).any():
        raise damaged(place, "holds NaN")
    if not layout.infinite and np.isinf(array).any():
        raise damaged(place, "holds infinite values")
    smallest = np.fmin.reduce(array.ravel(), dtype=np.float64, initial=np.inf)
    largest = np.fmax.reduce(array.ravel(), dtype=np.float64, initial=-np.inf)
    if smallest < layout.low or largest > layout.high:
        raise damaged(
            place, f"holds values that are not between {layout.low:g} and {layout.high:g}"
        )


def _convert_scalar(value: Any, kind: Kind, place: str) -> Any:
    """Convert to a plain number, flag or text; files may return an array without dimensions."""
    plain = (
        value.item()
        if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0
        else value
    )
    types: Any = {"number": (int, float), "whole": int, "flag": bool, "text": str}[kind]
    if not isinstance(plain, types) or (isinstance(plain, bool) and kind != "flag"):
        raise damaged(place, f"is a {type(value).__name__}, not {SINGULAR[kind]}")
    if isinstance(plain, int) and abs(plain) > MAX_WHOLE:
        raise damaged(place, f"is beyond {MAX_WHOLE:g}")
    return float(plain) if kind == "number" else plain


def read_weights(
    value: Any, shapes: Mapping[str, tuple[int, ...]], place: str, *, infinite: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read the weights of networks as float32.

    Parameters
    ----------
    value
        The stored value.
    shapes
        Shape of every array.
    place
        Its place in the AnnData, for the message.
    infinite
        Arrays that may hold infinite values.

    Raises
    ------
    StoredFitError
        If arrays are missing, unknown, of another shape or type, or not finite in single precision.
    """
    layout = Record(
        {name: Array(shape, infinite=name in infinite) for name, shape in shapes.items()}
    )
    arrays = read(value, layout, place)
    unknown = sorted(set(map(str, arrays)) - set(shapes))
    if unknown:
        raise damaged(f"{place}[{unknown[0]!r}]", "belongs to no network of these options")
    with np.errstate(over="ignore"):
        weights = {name: np.array(array, dtype=np.float32) for name, array in arrays.items()}
    for name, array in weights.items():
        check_range(array, Array((), infinite=name in infinite), f"{place}[{name!r}]")
    return weights
