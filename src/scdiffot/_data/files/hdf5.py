"""A file for HDF5 on a disk that may be full."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Sink:
    """A file that HDF5 writes through Python, and whose failures HDF5 never sees.

    An HDF5 file that cannot be closed, since the disk is full, crashes the process when it ends. After
    the first failure, what is written here is dropped, and :func:`open_sink` raises the failure.

    Parameters
    ----------
    path
        The file, which is created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: BaseException | None = None
        # without a buffer, a failure belongs to the call that meets it
        self._file = path.open("w+b", buffering=0)

    def __fspath__(self) -> str:
        return str(self.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def flush(self) -> None:
        """Nothing waits to be written."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        self._try(lambda: self._file.truncate(size))
        return self._file.tell() if size is None else size

    def read(self, size: int = -1) -> bytes:
        """Read bytes."""
        return self._file.read(size) or b""

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as the buffer holds; zeros where the file has ended."""
        view = memoryview(buffer).cast("B")
        n = self._file.readinto(view) or 0
        view[n:] = bytes(len(view) - n)
        return len(view)

    def write(self, data: Any) -> int:
        """Write all bytes."""
        view = memoryview(data).cast("B")
        self._try(lambda: self._write_all(view))
        return len(view)

    def _write_all(self, view: memoryview) -> None:
        # a write may stop halfway
        while view:
            view = view[self._file.write(view) :]

    def _try(self, call: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            call()
        except BaseException as error:  # noqa: BLE001 raised by `open_sink`, also a KeyboardInterrupt
            self.error = error


@contextmanager
def open_sink(path: Path) -> Iterator[Sink]:
    """Open a file for HDF5, and raise the first failure to write it at the end of the block.

    Parameters
    ----------
    path
        The file, which is created.

    Yields
    ------
    What :class:`h5py.File` takes in the place of a file.
    """
    sink = Sink(path)
    try:
        yield sink
    except Exception as error:
        if sink.error is not None:
            raise sink.error from error
        raise
    finally:
        sink.close()
    if sink.error is not None:
        raise sink.error
