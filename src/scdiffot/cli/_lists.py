"""Options with several values, which are repeated or separated by commas."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from anndata import AnnData
    from mudata import MuData

# suffixes of files with cells
FORMATS = (".h5ad", ".zarr", ".h5mu")
LISTS = frozenset({"--genes", "--held-out", "--target", "--time-map", "--times"})
NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")


def separate_lists(words: Sequence[str]) -> list[str]:
    """Repeat an option before each of its values: "--genes A B" becomes "--genes=A --genes=B".

    A word with the suffix of a file of cells is never the second value, so that no option consumes
    FILE.
    """
    result: list[str] = []
    option, n_values = None, 0
    for i, word in enumerate(words):
        if word == "--":
            return result + list(words[i:])
        if word in LISTS:
            option, n_values = word, 0
            # argparse reports a missing value
            if i + 1 == len(words) or not _is_value(words[i + 1]):
                result.append(word)
                option = None
        elif option and _is_value(word) and not (n_values and word.rstrip("/").endswith(FORMATS)):
            result.append(f"{option}={word}")
            n_values += 1
        else:
            option = None
            result.append(word)
    return result


def _is_value(word: str) -> bool:
    return not word.startswith("-") or NEGATIVE_NUMBER.fullmatch(word) is not None


def split_labels(words: Iterable[str] | None, labels: Collection[str]) -> list[str] | None:
    """Split words into labels at commas, except words that are labels themselves."""
    if words is None:
        return None
    return [
        part.strip() for word in words for part in ([word] if word in labels else word.split(","))
    ]


def column_labels(adata: AnnData | MuData, name: str) -> set[str]:
    """Return the labels of a column of `obs`; the command itself reports a missing column."""
    from scdiffot._data.read.columns import list_columns, read_column

    return (
        set(map(str, read_column(adata, name, "name").unique()))
        if name in list_columns(adata)
        else set()
    )


def labels_and_times(text: str) -> list[tuple[str, float]] | str:
    """Parse "auto" or LABEL=TIME[,LABEL=TIME ...]; labels may contain commas and equals signs."""
    if text == "auto":
        return text
    result: list[tuple[str, float]] = []
    label = ""
    for part in text.split(","):
        label += part
        name, equals, time = label.rpartition("=")
        try:
            result.append((name.strip(), float(time if equals else "?")))
            label = ""
        except ValueError:
            label += ","
    if label:
        raise argparse.ArgumentTypeError(f"{text!r} is neither LABEL=TIME with a number nor 'auto'")
    return result


def genes_and_values(text: str) -> list[tuple[str, float | None]]:
    """Parse GENE[=VALUE][,GENE[=VALUE] ...]; a missing value is None."""
    result: list[tuple[str, float | None]] = []
    for part in text.split(","):
        gene, equals, value = part.strip().rpartition("=")
        try:
            result.append((gene, float(value)) if equals else (value, None))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not GENE or GENE=VALUE with a number"
            ) from None
    return result


def number_or_auto(text: str) -> float | str:
    """Parse a number or "auto"."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'auto'") from None
