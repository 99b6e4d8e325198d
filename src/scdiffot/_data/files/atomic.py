"""Atomic writing of files and folders: a target is complete, or does not exist."""

from __future__ import annotations

import ctypes
import os
import shutil
from contextlib import suppress
from errno import EEXIST
from secrets import token_hex
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Prefix of temporary names. A process that is killed leaves such a file, which nothing reads.
PREFIX = ".scdiffot-"
# Constants of renameat2(2) of Linux.
AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2


class Transaction:
    """Write files and folders under temporary names, and move all of them into place at the end.

    A transaction is a context manager: files that were added and not committed are removed at the
    end of the block. A target that is a symbolic link remains one, and the file that it points to
    is replaced.

    Parameters
    ----------
    overwrite
        Whether a target may exist. If not, a target that appears in the meantime is not replaced.
    """

    def __init__(self, *, overwrite: bool = False) -> None:
        self.overwrite = overwrite
        self._pending: list[tuple[Path, Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self._pending:
            remove(self._pending[-1][0])
            self._pending.pop()

    def add(self, target: Path, write: Callable[[Path], object]) -> None:
        """Write a file or folder by `write` under a temporary name, and flush it to the disk."""
        final = target.resolve()
        temporary = _temporary_path(final)
        self._pending.append((temporary, final))
        write(temporary)
        _sync(temporary)

    def commit(self) -> None:
        """Move all files and folders into place.

        Raises
        ------
        FileExistsError
            If a target exists that may not be overwritten. The new data remain under a temporary
            name, which is the `filename2` of the error.
        """
        while self._pending:
            temporary, target = self._pending[0]
            try:
                if self.overwrite and target.exists():
                    _replace(temporary, target)
                else:
                    _rename(temporary, target)
            except FileExistsError:
                self._pending.pop(0)
                raise
            self._pending.pop(0)
            _sync_folder(target.parent)


def check_folder(folder: Path) -> None:
    """Check that a folder is writable, by writing a small file and removing it.

    Raises
    ------
    OSError
        If it is not writable.
    """
    temporary = _temporary_path(folder / "probe")
    try:
        temporary.write_bytes(bytes(1 << 16))
        _sync(temporary)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one and it can be removed."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _temporary_path(target: Path) -> Path:
    # In the same folder, because renaming between file systems copies.
    return target.with_name(f"{PREFIX}{token_hex(8)}.tmp")


def _replace(temporary: Path, target: Path) -> None:
    """Replace an existing target, and remove its old content."""
    _copy_owner(target, temporary)
    if not target.is_dir():
        temporary.replace(target)
        return
    if not _rename_with(RENAME_EXCHANGE, temporary, target):
        backup = _temporary_path(target)
        target.rename(backup)
        try:
            temporary.rename(target)
        except BaseException:
            backup.rename(target)
            raise
        temporary = backup
    remove(temporary)


def _rename(temporary: Path, target: Path) -> None:
    """Rename to a target that must not exist."""
    if _rename_with(RENAME_NOREPLACE, temporary, target):
        return
    if target.exists():
        raise FileExistsError(EEXIST, os.strerror(EEXIST), str(target), None, str(temporary))
    temporary.rename(target)


def _rename_with(flag: int, source: Path, target: Path) -> bool:
    """Rename by renameat2, and return whether the system and file system support it."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if rename(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flag) == 0:
        return True
    if ctypes.get_errno() == EEXIST:
        raise FileExistsError(EEXIST, os.strerror(EEXIST), str(target), None, str(source))
    return False


def _copy_owner(source: Path, target: Path) -> None:
    state = source.stat()
    if hasattr(os, "chown"):
        # Only root may change the owner of a file.
        with suppress(PermissionError):
            os.chown(target, state.st_uid, state.st_gid)
    shutil.copymode(source, target)


def _sync(path: Path) -> None:
    if not path.is_dir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        return
    for child in path.iterdir():
        _sync(child)
    _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders, and some file systems cannot flush them.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
