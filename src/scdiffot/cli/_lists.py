"""Options that take several values: repeated, or separated by commas."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from anndata import AnnData
    from mudata import MuData

# the ends of names of files of cells
FORMATS = (".h5ad", ".zarr", ".h5mu")
LISTS = frozenset({"--genes", "--held-out", "--target", "--time-map", "--times"})
NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")


def separate_lists(words: Sequence[str]) -> list[str]:
    """Repeat an option of several values before each of them: "--genes A B" becomes "--genes=A --genes=B".

    A word that ends like a file of cells is never the second value, so that no option takes FILE away.
    """
    result: list[str] = []
    option, n_values = None, 0
    for i, word in enumerate(words):
        if word == "--":
            return result + list(words[i:])
        if word in LISTS:
            option, n_values = word, 0
            # a value that is missing is an error that argparse words
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
    """Separate labels at commas, unless the whole is a label itself."""
    if words is None:
        return None
    return [
        part.strip() for word in words for part in ([word] if word in labels else word.split(","))
    ]


def column_labels(adata: AnnData | MuData, name: str) -> set[str]:
    """Labels of a column of `obs`; none if there is no such column, which the command itself reports."""
    from scdiffot._data.read.columns import list_columns, read_column

    return (
        set(map(str, read_column(adata, name, "name").unique()))
        if name in list_columns(adata)
        else set()
    )


def labels_and_times(text: str) -> list[tuple[str, float]] | str:
    """Read "auto" or LABEL=TIME[,LABEL=TIME ...]; a label may hold commas and equals signs."""
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
    """Read GENE[=VALUE][,GENE[=VALUE] ...]; the value is None where there is none."""
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
    """Read a number or "auto"."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'auto'") from None
