"""Where results go, looked at before any work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ._errors import BadInput, text_of

if TYPE_CHECKING:
    from pathlib import Path


TABLES = (".csv", ".json")


class Destination(NamedTuple):
    """A name that an option gives to a result."""

    option: str
    path: Path
    suffixes: tuple[str, ...]


def check_source(source: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse an input that is not there, or has no known format.

    Raises
    ------
    BadInput
        If so.
    """
    try:
        if not source.exists():
            raise BadInput(f"{source} is no file")
        if source.suffix not in suffixes:
            raise BadInput(f"{source} has no known format: its name must end with {_or(suffixes)}")
        if source.is_dir() != (source.suffix == ".zarr"):
            raise BadInput(f"{source} is a {'folder' if source.is_dir() else 'file'}")
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {text_of(error)}") from error


def check_places(places: list[Destination], source: Path, *, overwrite: bool, keep_source: bool) -> None:
    """Refuse places where nothing can be written, or something would be lost.

    Parameters
    ----------
    places
        The places, in the order of the options.
    source
        The input.
    overwrite
        Whether what exists may be replaced.
    keep_source
        Whether the input may not, since the result does not hold all of it.

    Raises
    ------
    BadInput
        If so.
    """
    for i, place in enumerate(places):
        if place.path.suffix not in place.suffixes:
            raise BadInput(
                f"{place.option} is {place.path}: name a file that ends with {_or(place.suffixes)}"
            )
        try:
            final = place.path.resolve()
            protected = [source] if keep_source or i > 0 else []
            _check_others(place, final, source, protected + [other.path for other in places[:i]])
            _check_existing(place, final, source, overwrite=overwrite)
            _check_folder(place, final)
        except (OSError, RuntimeError) as error:
            # RuntimeError: a loop of links, before Python 3.13
            raise BadInput(
                f"{place.option} is {place.path}, which cannot be written: {text_of(error)}"
            ) from error


def _check_others(place: Destination, final: Path, source: Path, protected: list[Path]) -> None:
    for other in protected:
        if final == other.resolve() or _is_same(final, other):
            raise BadInput(f"{place.option} is {place.path}, which is {other}: name another place")
    whole = source.resolve()
    if final != whole and (final.is_relative_to(whole) or whole.is_relative_to(final)):
        raise BadInput(f"{place.option} is {place.path}, in one place with {source}: name another")


def _check_existing(place: Destination, final: Path, source: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(final):
        return
    what = f"{place.option} is {place.path}, which"
    if final.is_dir() != (place.path.suffix == ".zarr"):
        raise BadInput(f"{what} is a {'folder' if final.is_dir() else 'file'}")
    if not (final.is_dir() or final.is_file()):
        raise BadInput(f"{what} is neither a file nor a folder")
    if not overwrite:
        description = "is the input" if _is_same(final, source) else "exists"
        raise BadInput(f"{what} {description}: name another, or pass --overwrite to replace it")
    if not os.access(final, os.W_OK):
        raise BadInput(f"{what} is write-protected")
    if final.is_dir():
        from scdiffot._data.files.formats import ANNDATA, MUDATA, content_of

        if content_of(final) not in (ANNDATA, MUDATA):
            raise BadInput(f"{what} is a folder of something else, and is not replaced")


def _check_folder(place: Destination, final: Path) -> None:
    from scdiffot._data.files.atomic import check_folder

    if not final.parent.is_dir():
        raise BadInput(f"the folder {final.parent} of {place.option} does not exist")
    try:
        check_folder(final.parent)
    except OSError as error:
        raise BadInput(
            f"the folder {final.parent} of {place.option} cannot be written: {text_of(error)}"
        ) from error


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _or(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
