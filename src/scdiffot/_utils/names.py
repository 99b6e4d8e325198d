"""Names that files of AnnData can hold as keys and columns, in HDF5 and in zarr."""

from __future__ import annotations

import hashlib

# Bytes of a name; file systems allow 255, of which suffixes need some.
MAX_BYTES = 180
# Hexadecimal digits of the hash that a shortened name ends with.
N_HASH = 8
# Names of the current and parent folder, and names that the formats use themselves.
RESERVED = (".", "..", "_index", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


def unsafe_name(name: str) -> str:
    """Reason why files cannot hold a name as a key, such as "has a slash"; empty if they can.

    Examples
    --------
    >>> unsafe_name("T cell"), unsafe_name(".."), unsafe_name("CD4/CD8")
    ('', 'is reserved', 'has a slash')
    """
    if not name.strip():
        return "is empty"
    if name in RESERVED:
        return "is reserved"
    if "/" in name or "\\" in name:
        return "has a slash"
    if any(
        ord(letter) < 32 or ord(letter) == 127 or "\ud800" <= letter <= "\udfff" for letter in name
    ):
        return "has a control character"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    return ""


def key_name(name: str) -> str:
    """Convert a name to a key: slashes become ``|``, and long names are shortened."""
    key = name.replace("/", "|").replace("\\", "|")
    if unsafe_name(key) != f"is longer than {MAX_BYTES} bytes":
        return key
    short = key.encode()[: MAX_BYTES // 2].decode(errors="ignore")
    return f"{short}...{hashlib.sha256(name.encode()).hexdigest()[:N_HASH]}"


def check_key(name: object, argument: str) -> None:
    """Refuse a name that cannot be a key of a file.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If files cannot hold it.
    """
    if not isinstance(name, str):
        raise TypeError(f"`{argument}` is a {type(name).__name__}: pass a string.")
    reason = unsafe_name(name) or ("begins or ends with a space" if name != name.strip() else "")
    if reason:
        raise ValueError(
            f"`{argument}` is {name!r}, which {reason}: "
            "pass a name that is not empty and has no '/', such as 'scdiffot'."
        )
