"""Parse times from labels such as "day7", "E9.5", "36h" or "week 3"."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from scdiffot._data.read.checks import format_list

# A plain number; float() also accepts "nan", "inf" and "1_000".
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
LABEL = re.compile(r"([^0-9]*?)([-+−]?)([0-9]+(?:\.[0-9]+)?)([^0-9]*)")
WORDS = re.compile(r"[^\W0-9]*(?:[\s_=:#()/-]+[^\W0-9]+)*[\s_=:#()/-]*")
SEPARATORS = " \t_=:#()/-"
MINUS = ("-", "−")

_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_MONTHS = {"months": 1, "years": 12}
_NAMES = {
    "seconds": "sec secs second seconds",
    "minutes": "min mins minute minutes",
    "hours": "h hr hrs hour hours",
    "days": "d day days",
    "weeks": "w wk wks week weeks",
    "months": "mo month months",
    "years": "yr yrs year years",
}
UNITS = {name: unit for unit, names in _NAMES.items() for name in names.split()}
# Hours, days or weeks post fertilisation, infection, ...: "hpf", "dpi".
POST = re.compile(r"([hdw])(p[a-z]{1,2})")


class UnreadableLabels(ValueError):
    """Labels whose times are ambiguous; the message is the reason."""


@dataclass(frozen=True)
class LabelTimes:
    """Times of labels.

    Parameters
    ----------
    values
        Time of every label.
    unit
        Their unit, such as "hours"; empty if the labels name none.
    """

    values: list[float]
    unit: str


@dataclass(frozen=True)
class _ParsedLabel:
    """A parsed label: its number, its unit, and its other words, which name the origin of time."""

    text: str
    number: Fraction
    unit: str
    origin: tuple[str, str]
    hyphen: bool


def read_labels(texts: list[str]) -> LabelTimes:
    """Parse the times of labels with a common prefix or suffix, or with units.

    Several units are converted to the smallest of them. A zero needs no unit.

    Raises
    ------
    UnreadableLabels
        If a label holds no number or several, or labels differ in more than number and unit, so
        that they may count from different starts.

    Examples
    --------
    >>> read_labels(["6h", "12h", "1d"])
    LabelTimes(values=[6.0, 12.0, 24.0], unit='hours')
    >>> read_labels(["D-1", "D0", "D2"]).values
    [-1.0, 0.0, 2.0]
    """
    parts = _apply_signs([_parse_label(text) for text in texts])
    informative_parts = [p for p in parts if p.number or any(p.origin)] or parts
    _check_origins(informative_parts)
    units = {p.unit: p.text for p in informative_parts if p.number}
    unit_names = [unit for unit in units if unit]
    if unit_names and "" in units:
        raise UnreadableLabels(f"{units['']!r} has no unit, while {units[unit_names[0]]!r} has")
    table = _MONTHS if all(unit in _MONTHS for unit in unit_names) else _SECONDS
    inexact_units = [unit for unit in unit_names if unit not in table]
    if inexact_units:
        exact_unit = next(unit for unit in unit_names if unit in table)
        raise UnreadableLabels(
            f"{inexact_units[0]} ({units[inexact_units[0]]!r}) have no fixed number of "
            f"{exact_unit} ({units[exact_unit]!r})"
        )
    unit = min(
        unit_names,
        key=lambda name: table[name],
        default=next((p.unit for p in parts if p.unit), ""),
    )
    return LabelTimes([float(p.number * _unit_ratio(table, p.unit, unit)) for p in parts], unit)


def _unit_ratio(table: dict[str, int], unit: str, base: str) -> Fraction:
    # Zero is the same in every unit, so its label may lack one.
    return Fraction(table.get(unit, 1), table.get(base, 1)) if unit else Fraction(1)


def _parse_label(text: str) -> _ParsedLabel:
    match = LABEL.fullmatch(text.strip())
    if NUMBER.fullmatch(text.strip()):
        return _ParsedLabel(text, Fraction(text.strip()), "", ("", ""), hyphen=False)
    if match is None:
        n_numbers = len(re.findall(r"[0-9]+", text))
        raise UnreadableLabels(f"{text!r} holds {'several numbers' if n_numbers else 'no number'}")
    prefix_text, sign, digits, suffix_text = match.groups()
    if not (WORDS.fullmatch(prefix_text) and WORDS.fullmatch(suffix_text)):
        raise UnreadableLabels(f"{text!r} is not only words and a number")
    number = Fraction(digits)
    hyphen = sign in MINUS and prefix_text[-1:].isalpha()
    if sign in MINUS and not hyphen:
        number = -number
    prefix_parts, suffix_parts = (
        _split_unit(prefix_text, prefix=True),
        _split_unit(suffix_text, prefix=False),
    )
    if prefix_parts[0] and suffix_parts[0]:
        raise UnreadableLabels(f"{text!r} names two units, {prefix_parts[0]} and {suffix_parts[0]}")
    return _ParsedLabel(
        text, number, prefix_parts[0] or suffix_parts[0], (prefix_parts[1], suffix_parts[1]), hyphen
    )


def _split_unit(text: str, *, prefix: bool) -> tuple[str, str]:
    """Split the text before or after the number into a unit and other words."""
    words = [word for word in re.split(r"[\s_=:#()/-]+", text) if word]
    if not words:
        return "", ""
    position = len(words) - 1 if prefix else 0
    word, context = (
        words[position].casefold(),
        " ".join(words[:position] + words[position + 1 :]).casefold(),
    )
    post_match = POST.fullmatch(word)
    if post_match and word not in UNITS:
        return UNITS[post_match[1]], f"{post_match[2]} {context}".strip()
    if words[position] == "s" and not prefix:
        return "seconds", context
    return (UNITS[word], context) if word in UNITS else ("", f"{word} {context}".strip())


def _apply_signs(parts: list[_ParsedLabel]) -> list[_ParsedLabel]:
    """Apply hyphens after words as minus signs, unless all labels have one, including zero."""
    prefixed_parts = [p for p in parts if p.hyphen or p.text.strip()[:1].isalpha()]
    if not any(p.hyphen for p in parts):
        return parts
    if all(p.hyphen for p in prefixed_parts):
        if any(p.number == 0 for p in prefixed_parts):
            return parts
        raise UnreadableLabels(
            f"the hyphen in {prefixed_parts[0].text!r} may be a minus sign or not"
        )
    return [
        _ParsedLabel(p.text, -p.number, p.unit, p.origin, hyphen=False) if p.hyphen else p
        for p in parts
    ]


def _check_origins(parts: list[_ParsedLabel]) -> None:
    counts = Counter(p.origin for p in parts)
    if len(counts) > 1:
        examples = [
            next(p.text for p in parts if p.origin == origin) for origin, _ in counts.most_common()
        ]
        raise UnreadableLabels(
            f"{format_list(examples)} differ in more than number and unit, "
            "so they may count from different starts"
        )
