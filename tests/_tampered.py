"""Stored entries with one value changed, in the ways of damaged files and of users."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

DELETED = object()
HUGE = np.broadcast_to(np.float64(1), (10**9,))
REPLACEMENTS = [
    DELETED,
    None,
    "x",
    b"x",
    3,
    -0.5,
    True,
    {},
    {"a": {"b": 1}},
    [1.0],
    np.array([]),
    np.array("x"),
    HUGE,
]


def _numbers(array: np.ndarray) -> Iterator[Any]:
    replacements = (np.nan, np.inf, -np.inf, -1.5, 0, 1e300)
    for value in replacements if array.size else ():
        changed = np.array(array, dtype=np.float64)
        changed.flat[0] = value
        yield changed
        yield np.full(array.shape, value)
    yield from (
        array.ravel(),
        array[None],
        array[..., None],
        array.astype(complex),
        array.astype(str),
    )
    yield from (array.astype(object), array.astype(bool), array.tolist(), array.astype(np.float16))
    if array.ndim:
        yield from (
            array[:-1],
            array[::-1],
            np.concatenate([array, array]),
            array[..., :-1],
            array.T,
        )
        yield np.broadcast_to(np.float32(1), (10**9, *array.shape[1:]))


def _texts(text: str) -> Iterator[Any]:
    yield from (
        "",
        "[" * 100_000,
        '{"a":' * 100_000,
        "null",
        "{}",
        "[]",
        '{"a": NaN}',
        "1e999",
        "9" * 5000,
        "a" * 10**7,
    )
    yield from (np.array([text]), np.bytes_(text.encode()), text + "x")
    try:
        content = json.loads(text)
    except ValueError:
        return
    for name in content if isinstance(content, dict) else ():
        for value in (None, "x", "auto", True, -1, 0, 0.5, 10**9, 10**400, 1e300, [], {"a": 1}):
            yield json.dumps(content | {name: value})
        yield json.dumps({k: v for k, v in content.items() if k != name})
    if isinstance(content, dict):
        yield json.dumps(content | {"newer": 1})


def _frames(frame: pd.DataFrame) -> Iterator[Any]:
    yield from (
        frame.iloc[:0],
        frame.iloc[:, :0],
        frame.iloc[:-1],
        frame.astype(str),
        frame.to_numpy(),
        frame.T,
    )
    yield pd.concat([frame, frame], axis=1)
    for name in frame:
        yield frame.drop(columns=name)
        for value in (np.nan, "x", 1.5, True):
            yield frame.assign(**{str(name): value})


def changes(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every path in an entry, with each of its replacements."""
    for change in REPLACEMENTS:
        if path:
            yield path, change
    if isinstance(value, pd.DataFrame):
        yield from ((path, change) for change in _frames(value))
    elif isinstance(value, dict):
        for name in value:
            yield from changes(value[name], (*path, name))
    elif isinstance(value, str):
        yield from ((path, change) for change in _texts(value))
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        yield from ((path, change) for change in _numbers(value))
    elif isinstance(value, np.ndarray):
        yield from (
            (path, change) for change in (value[:-1], value[None], value.astype("S9"), value[::-1])
        )
    elif isinstance(value, int | float | np.generic):
        for change in (
            np.nan,
            np.inf,
            -1,
            0,
            2,
            10**400,
            1e300,
            np.array([value]),
            np.str_(value),
            value + 0.5,
        ):
            yield path, change


def changed(entry: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of an entry with the value at one path changed."""
    first, *subpath = path
    copy = dict(entry)
    if subpath:
        copy[first] = changed(entry[first], tuple(subpath), value)
    elif value is DELETED:
        del copy[first]
    else:
        copy[first] = value
    return copy
