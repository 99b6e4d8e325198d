"""Checks of the input and of the destinations of results, before any computation."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ._errors import BadInput, text_of

if TYPE_CHECKING:
    from pathlib import Path


TABLES = (".csv", ".json")


class Destination(NamedTuple):
    """Path of a result, and the option that sets it."""

    option: str
    path: Path
    suffixes: tuple[str, ...]


def check_source(source: Path, suffixes: tuple[str, ...]) -> None:
    """Raise an error if the input does not exist or has an unknown format.

    Raises
    ------
    BadInput
        If the input does not exist, or its format is unknown.
    """
    try:
        if not source.exists():
            raise BadInput(f"{source} is no file")
        if source.suffix not in suffixes:
            raise BadInput(
                f"{source} has no known format: its name must end with {_join_or(suffixes)}"
            )
        if source.is_dir() != (source.suffix == ".zarr"):
            raise BadInput(f"{source} is a {'folder' if source.is_dir() else 'file'}")
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {text_of(error)}") from error


def check_destinations(
    destinations: list[Destination], source: Path, *, overwrite: bool, keep_source: bool
) -> None:
    """Raise an error if a destination is not writable, or data would be lost.

    Parameters
    ----------
    destinations
        The destinations, in the order of the options.
    source
        The input.
    overwrite
        Whether existing files may be replaced.
    keep_source
        Whether to protect the input, because the result does not contain all of it.

    Raises
    ------
    BadInput
        If a destination is not writable, or data would be lost.
    """
    for i, destination in enumerate(destinations):
        if destination.path.suffix not in destination.suffixes:
            raise BadInput(
                f"{destination.option} is {destination.path}: name a file that ends with "
                f"{_join_or(destination.suffixes)}"
            )
        try:
            final = destination.path.resolve()
            protected_paths = [source] if keep_source or i > 0 else []
            _check_protected(
                destination,
                final,
                source,
                protected_paths + [previous.path for previous in destinations[:i]],
            )
            _check_existing(destination, final, source, overwrite=overwrite)
            _check_folder(destination, final)
        except (OSError, RuntimeError) as error:
            # RuntimeError: a loop of links, before Python 3.13
            raise BadInput(
                f"{destination.option} is {destination.path}, which cannot be written: "
                f"{text_of(error)}"
            ) from error


def _check_protected(
    destination: Destination, final: Path, source: Path, protected_paths: list[Path]
) -> None:
    for path in protected_paths:
        if final == path.resolve() or _is_same(final, path):
            raise BadInput(
                f"{destination.option} is {destination.path}, which is {path}: name another place"
            )
    source_path = source.resolve()
    if final != source_path and (
        final.is_relative_to(source_path) or source_path.is_relative_to(final)
    ):
        raise BadInput(
            f"{destination.option} is {destination.path}, in one place with {source}: name another"
        )


def _check_existing(
    destination: Destination, final: Path, source: Path, *, overwrite: bool
) -> None:
    if not os.path.lexists(final):
        return
    subject = f"{destination.option} is {destination.path}, which"
    if final.is_dir() != (destination.path.suffix == ".zarr"):
        raise BadInput(f"{subject} is a {'folder' if final.is_dir() else 'file'}")
    if not (final.is_dir() or final.is_file()):
        raise BadInput(f"{subject} is neither a file nor a folder")
    if not overwrite:
        description = "is the input" if _is_same(final, source) else "exists"
        raise BadInput(f"{subject} {description}: name another, or pass --overwrite to replace it")
    if not os.access(final, os.W_OK):
        raise BadInput(f"{subject} is write-protected")
    if final.is_dir():
        from scdiffot._data.files.formats import ANNDATA, MUDATA, content_of

        if content_of(final) not in (ANNDATA, MUDATA):
            raise BadInput(f"{subject} is a folder of something else, and is not replaced")


def _check_folder(destination: Destination, final: Path) -> None:
    from scdiffot._data.files.atomic import check_folder

    if not final.parent.is_dir():
        raise BadInput(f"the folder {final.parent} of {destination.option} does not exist")
    try:
        check_folder(final.parent)
    except OSError as error:
        raise BadInput(
            f"the folder {final.parent} of {destination.option} cannot be written: {text_of(error)}"
        ) from error


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _join_or(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
