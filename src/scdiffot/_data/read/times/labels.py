"""Times in labels such as "day7", "E9.5", "36h" or "week 3"."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from scdiffot._data.read.checks import some

# What float() also reads, such as "nan", "inf" or "1_000", is no plain number.
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
    """Labels whose times are not clear; the message is the reason."""


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
class _Part:
    """A label: its number, the unit it names, and the other words, which name what the time counts from."""

    text: str
    number: Fraction
    unit: str
    origin: tuple[str, str]
    hyphen: bool


def read_labels(texts: list[str]) -> LabelTimes:
    """Read the times of labels with a common prefix or suffix, or with units.

    Several units are converted to the smallest of them. A zero needs no unit.

    Raises
    ------
    UnreadableLabels
        If a label holds no number or several, or labels differ in more than number and unit, so that they may count from
        different starts.

    Examples
    --------
    >>> read_labels(["6h", "12h", "1d"])
    LabelTimes(values=[6.0, 12.0, 24.0], unit='hours')
    >>> read_labels(["D-1", "D0", "D2"]).values
    [-1.0, 0.0, 2.0]
    """
    parts = _signed([_split(text) for text in texts])
    informative = [p for p in parts if p.number or any(p.origin)] or parts
    _check_origins(informative)
    units = {p.unit: p.text for p in informative if p.number}
    named = [unit for unit in units if unit]
    if named and "" in units:
        raise UnreadableLabels(f"{units['']!r} has no unit, while {units[named[0]]!r} has")
    table = _MONTHS if all(unit in _MONTHS for unit in named) else _SECONDS
    odd = [unit for unit in named if unit not in table]
    if odd:
        exact = next(unit for unit in named if unit in table)
        raise UnreadableLabels(
            f"{odd[0]} ({units[odd[0]]!r}) have no fixed number of {exact} ({units[exact]!r})"
        )
    unit = min(
        named, key=lambda name: table[name], default=next((p.unit for p in parts if p.unit), "")
    )
    return LabelTimes([float(p.number * _ratio(table, p.unit, unit)) for p in parts], unit)


def _ratio(table: dict[str, int], unit: str, base: str) -> Fraction:
    # a zero may have any unit, or none
    return Fraction(table.get(unit, 1), table.get(base, 1)) if unit else Fraction(1)


def _split(text: str) -> _Part:
    match = LABEL.fullmatch(text.strip())
    if NUMBER.fullmatch(text.strip()):
        return _Part(text, Fraction(text.strip()), "", ("", ""), hyphen=False)
    if match is None:
        n_numbers = len(re.findall(r"[0-9]+", text))
        raise UnreadableLabels(f"{text!r} holds {'several numbers' if n_numbers else 'no number'}")
    before, sign, digits, after = match.groups()
    if not (WORDS.fullmatch(before) and WORDS.fullmatch(after)):
        raise UnreadableLabels(f"{text!r} is not only words and a number")
    number = Fraction(digits)
    hyphen = sign in MINUS and before[-1:].isalpha()
    if sign in MINUS and not hyphen:
        number = -number
    first, last = _unit(before, prefix=True), _unit(after, prefix=False)
    if first[0] and last[0]:
        raise UnreadableLabels(f"{text!r} names two units, {first[0]} and {last[0]}")
    return _Part(text, number, first[0] or last[0], (first[1], last[1]), hyphen)


def _unit(text: str, *, prefix: bool) -> tuple[str, str]:
    """Unit and other words of what comes before or after the number."""
    words = [word for word in re.split(r"[\s_=:#()/-]+", text) if word]
    if not words:
        return "", ""
    at = len(words) - 1 if prefix else 0
    word, rest = words[at].casefold(), " ".join(words[:at] + words[at + 1 :]).casefold()
    post = POST.fullmatch(word)
    if post and word not in UNITS:
        return UNITS[post[1]], f"{post[2]} {rest}".strip()
    if words[at] == "s" and not prefix:
        return "seconds", rest
    return (UNITS[word], rest) if word in UNITS else ("", f"{word} {rest}".strip())


def _signed(parts: list[_Part]) -> list[_Part]:
    """Decide whether a hyphen after a word is a minus sign: not if all labels have one, zero too."""
    prefixed = [p for p in parts if p.hyphen or p.text.strip()[:1].isalpha()]
    if not any(p.hyphen for p in parts):
        return parts
    if all(p.hyphen for p in prefixed):
        if any(p.number == 0 for p in prefixed):
            return parts
        raise UnreadableLabels(f"the hyphen in {prefixed[0].text!r} may be a minus sign or not")
    return [
        _Part(p.text, -p.number, p.unit, p.origin, hyphen=False) if p.hyphen else p for p in parts
    ]


def _check_origins(parts: list[_Part]) -> None:
    counts = Counter(p.origin for p in parts)
    if len(counts) > 1:
        examples = [
            next(p.text for p in parts if p.origin == origin) for origin, _ in counts.most_common()
        ]
        raise UnreadableLabels(
            f"{some(examples)} differ in more than number and unit, so they may count from different starts"
        )
