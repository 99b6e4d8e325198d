"""Times of labels: from a map of the user, from numbers, or parsed from text."""

from __future__ import annotations

import datetime
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text

from .labels import NUMBER, UnreadableLabels, read_labels
from .values import check_whole, time_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AUTO = "auto"
# Labels named in a message.
N_EXAMPLES = 10


def label_text(label: Any) -> str:
    """Convert a label to text; numbers keep all digits."""
    if isinstance(label, datetime.timedelta | np.timedelta64):
        import pandas as pd

        return str(pd.Timedelta(label))
    return number_text(label) if isinstance(label, Real) else str(label)


def is_map(time_map: Any) -> bool:
    """Whether `time_map` is a mapping, not None or `"auto"`."""
    return time_map is not None and not isinstance(time_map, str)


def label_times(levels: list[Any], time_map: Any, name: str) -> list[float]:
    """Read the times of labels: numbers, durations in days, or text.

    Raises
    ------
    KeyError
        If `time_map` lacks a label.
    TypeError
        If it is not a dict.
    ValueError
        If a time is ambiguous.
    """
    if isinstance(time_map, str) and time_map != AUTO:
        raise ValueError(f"`time_map` is {time_map!r}: pass a dict, label -> time, or 'auto'.")
    if is_map(time_map):
        return _translate(levels, time_map, name)
    if all(isinstance(p, Real) for p in levels):
        return [time_value(p) for p in levels]
    if all(isinstance(p, datetime.timedelta) for p in levels):
        import pandas as pd

        logger.info("`time_key` %s holds durations: times are in days.", name)
        return [float(pd.Timedelta(p) / pd.Timedelta(days=1)) for p in levels]
    return _parse([label_text(p) for p in levels], name, auto=time_map == AUTO)


def _translate(labels: Iterable[Any], time_map: Mapping[Any, float], name: str) -> list[float]:
    """Translate labels by a map whose keys may be numbers or text."""
    if not hasattr(time_map, "keys"):
        raise TypeError(
            f"`time_map` is a {type(time_map).__name__}: pass a dict, label -> time, or 'auto'."
        )
    entries = {key: time_map[key] for key in time_map.keys()}
    texts = {label_text(key): value for key, value in entries.items()}
    plain = {plain_text(text): value for text, value in texts.items()}
    values: list[Any] = []
    missing: list[Any] = []
    for label in labels:
        text = label_text(label)
        tables = ((entries, label), (texts, text), (plain, plain_text(text)))
        value = next((table[key] for table, key in tables if key in table), missing)
        (missing if value is missing else values).append(label if value is missing else value)
    if missing:
        raise KeyError(f"`time_map` has no time for {format_list(missing)} of {name}: add them.")
    invalid_times = [
        v
        for v in values
        if isinstance(v, bool) or not isinstance(v, Real) or not np.isfinite(time_value(v))
    ]
    if invalid_times:
        raise ValueError(f"`time_map` holds {format_list(invalid_times)}: pass finite numbers.")
    check_whole(values, name)
    return [time_value(v) for v in values]


def plain_text(text: str) -> str:
    """Normalise the spelling of a number; other text is unchanged."""
    return number_text(float(text)) if NUMBER.fullmatch(text.strip()) else text


def _parse(texts: list[str], name: str, *, auto: bool) -> list[float]:
    """Parse labels that are plain numbers; if `auto`, also labels with prefixes and units."""
    numbers = [text.strip() for text in texts]
    text_labels = [text for text in numbers if NUMBER.fullmatch(text) is None]
    if not text_labels:
        check_whole([int(text) for text in numbers if text.lstrip("+-").isdigit()], name)
        return [float(text) for text in numbers]
    try:
        times = read_labels(texts)
    except UnreadableLabels as error:
        reason = (
            "`time_map` 'auto' cannot read"
            if auto
            else "`time_key` holds labels that are no numbers in"
        )
        raise ValueError(
            f"{reason} {name} ({format_list(text_labels)}): {error}. Pass `time_map`, a dict with "
            "the time of every label (and remove cells without a time)."
        ) from error
    order = sorted(zip(times.values, texts, strict=True))
    example = ", ".join(f"{text!r}: {number_text(value)}" for value, text in order[:N_EXAMPLES])
    example = f"{{{example}{', ...' if len(order) > N_EXAMPLES else ''}}}"
    unit = f" in {times.unit}" if times.unit else ""
    if not auto:
        raise ValueError(
            f"`time_key` {name} holds labels that are no numbers ({format_list(text_labels)}): "
            f"pass `time_map`, for instance {example}{f' ({times.unit})' if unit else ''}, "
            "as time_map='auto' reads them."
        )
    logger.info("`time_map` 'auto' reads %s%s as %s.", name, unit, example)
    return times.values
