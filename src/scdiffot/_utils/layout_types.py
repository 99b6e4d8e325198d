"""Layouts of stored entries: types, shapes and ranges that a reader expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
Kind = Literal["number", "whole", "flag", "text"]


@dataclass(frozen=True)
class Array:
    """An array of one kind.

    Letters in its shape stand for sizes that all entries share; ``"T-1"`` is one less than ``"T"``.
    """

    shape: tuple[int | str, ...]
    kind: Kind = "number"
    low: float = -np.inf
    high: float = np.inf
    nan: bool = False
    infinite: bool = False
    increasing: bool = False


@dataclass(frozen=True)
class Scalar:
    """A number, flag or text."""

    kind: Kind = "number"
    low: float = -np.inf
    high: float = np.inf
    options: tuple[str, ...] = ()
    nan: bool = False
    infinite: bool = False


@dataclass(frozen=True)
class Json:
    """Text that is JSON of a Python type, or one of the texts in ``plain``."""

    type: type
    plain: tuple[str, ...] = ()


class StoredOptions(Protocol):
    """Options that can be read from their stored form."""

    @classmethod
    def from_stored(cls, content: Mapping[str, Any]) -> Any:
        """Options from plain values; ValueError if they are refused."""


@dataclass(frozen=True)
class Options:
    """Text that is JSON of options in their stored form."""

    type: type[StoredOptions]


@dataclass(frozen=True)
class Table:
    """A data frame with at least these columns.

    ``rows`` is the letter of a size that the number of rows equals; any number if it is empty.
    """

    columns: Mapping[str, Kind]
    rows: str = ""


@dataclass(frozen=True)
class Record:
    """Entries by name. Further entries are allowed, and returned unchanged."""

    entries: Mapping[str, Layout]
    optional: Mapping[str, Layout] | None = None


@dataclass(frozen=True)
class Each:
    """The same layout under every name; sizes may differ between entries."""

    layout: Layout


Layout = Array | Scalar | Json | Options | Table | Record | Each
TEXT, NUMBER, WHOLE, FLAG = Scalar("text"), Scalar(), Scalar("whole"), Scalar("flag")
POSITIVE = Scalar(low=np.nextafter(0, 1))
