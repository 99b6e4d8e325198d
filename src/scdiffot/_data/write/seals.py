"""Version and digest of a stored entry, which identify files of newer packages and changed ones."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.errors import StoredFitError, damaged
from scdiffot._utils.layout_types import TEXT, Scalar
from scdiffot._utils.layouts import poses_as_many, read

if TYPE_CHECKING:
    from collections.abc import Iterator

# Entries without a version are of version 1, which had no digest and otherwise the same layout.
VERSION = 2
_VERSION, _DIGEST = "version", "digest"
# Numbers converted to float64 at a time, which bounds the memory.
CHUNK_SIZE = 1_000_000


def seal(entry: dict[str, Any], *parts: str) -> dict[str, Any]:
    """Add the version of the layout, and a digest of the parts that results depend on."""
    return {**entry, _VERSION: VERSION, _DIGEST: digest({name: entry[name] for name in parts})}


def check_seal(entry: Mapping[str, Any], place: str, *parts: str) -> None:
    """Refuse an entry of a newer version, or whose parts are not those that were stored.

    Raises
    ------
    StoredFitError
        If it is such an entry.
    """
    version = read(entry.get(_VERSION, 1), Scalar("whole", low=1), f"{place}['{_VERSION}']")
    if version > VERSION:
        raise StoredFitError(
            f"{place} has version {version} of the layout, and this scdiffot knows {VERSION}: "
            "install a newer scdiffot, or compute it again with this one."
        )
    missing = [name for name in (*parts, *([_DIGEST] if version > 1 else [])) if name not in entry]
    if missing:
        raise damaged(f"{place}[{missing[0]!r}]", "is missing")
    if _DIGEST not in entry:
        return
    stored = read(entry[_DIGEST], TEXT, f"{place}['{_DIGEST}']")
    if stored != digest({name: entry[name] for name in parts}):
        raise damaged(place, "is not what was stored: it has been changed since")


def digest(value: Any) -> str:
    """Hash nested dicts of arrays, numbers and text, equally in memory and from any file."""
    code = sha256()
    try:
        for part in _serialise(value):
            code.update(part)
    except (TypeError, ValueError, OverflowError, RecursionError):
        # Files cannot hold such a value, so it is not what was stored.
        return ""
    return code.hexdigest()


def _serialise(value: Any) -> Iterator[bytes]:
    """Serialise a value independently of the file format.

    Numbers are converted to float64, and single numbers to arrays without dimensions.
    """
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        value = {str(name): value[name].to_numpy() for name in value.columns}
    if isinstance(value, Mapping):
        yield b"{"
        for name in sorted(value, key=str):
            yield str(name).encode() + b"\0"
            yield from _serialise(value[name])
        yield b"}"
        return
    array = np.asarray(value)
    yield str(array.shape).encode()
    if poses_as_many(array):
        raise ValueError("a single number that poses as many")
    if array.dtype.kind in "biuf":
        flat = array.reshape(-1)
        for start in range(0, flat.size, CHUNK_SIZE):
            yield flat[start : start + CHUNK_SIZE].astype("<f8").tobytes()
    else:
        yield "\0".join(str(v) for v in array.astype(object).ravel()).encode() + b"\0"
