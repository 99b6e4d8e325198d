"""Files for HDF5 whose write errors do not crash the process, as on a full disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Sink:
    """A file that HDF5 writes through Python and whose write errors are hidden from HDF5.

    HDF5 crashes the process at its end if a file could not be closed, as on a full disk. After the
    first error, further data are dropped, and :func:`open_sink` raises the error.

    Parameters
    ----------
    path
        The file, which is created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: BaseException | None = None
        # Without a buffer, the call that fails raises the error.
        self._file = path.open("w+b", buffering=0)

    def __fspath__(self) -> str:
        return str(self.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def flush(self) -> None:
        """Do nothing, because the file has no buffer."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        self._try(lambda: self._file.truncate(size))
        return self._file.tell() if size is None else size

    def read(self, size: int = -1) -> bytes:
        """Read bytes."""
        return self._file.read(size) or b""

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with bytes of the file, and with zeros beyond its end."""
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
        # An unbuffered write may be partial.
        while view:
            view = view[self._file.write(view) :]

    def _try(self, call: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            call()
        except BaseException as error:  # noqa: BLE001 `open_sink` raises it, KeyboardInterrupt too
            self.error = error


@contextmanager
def open_sink(path: Path) -> Iterator[Sink]:
    """Open a file for HDF5, and raise the first write error at the end of the block.

    Parameters
    ----------
    path
        The file, which is created.

    Yields
    ------
    A file object for :class:`h5py.File`.
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
