"""Settings as stored with a fit: nested, with the version of the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from .setting import Settings

# Version of the stored format: 1 was one flat dict without a version.
VERSION = 2
# Flat names, which stored fits of version 1 and old keyword arguments have: group and setting.
FLAT_NAMES = {
    "search_sigma": ("selection", "refine_sigma"),
    "n_steps": ("train", "n_steps"),
    "n_corrections": ("corrections", "n_rounds"),
    "n_correction_steps": ("corrections", "n_steps"),
    "n_matching_steps": ("matching", "n_steps"),
    "batch_size": ("train", "batch_size"),
    "learning_rate": ("train", "learning_rate"),
    "n_hidden": ("networks", "n_hidden"),
    "n_layers": ("networks", "n_layers"),
    "n_landmarks": ("coupling", "n_landmarks"),
    "n_pairs": ("coupling", "n_pairs"),
    "smoothing": ("scale", "smoothing"),
}
T = TypeVar("T", bound=Settings)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Group settings with flat names; other names stay."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if name in FLAT_NAMES:
            group, setting = FLAT_NAMES[name]
            nested.setdefault(group, {})[setting] = value
        else:
            nested[name] = value
    return nested


def to_stored(config: Settings) -> dict[str, Any]:
    """Plain dict of all settings, with the version of the format."""
    return {"version": VERSION, **asdict(config)}


def from_stored(kind: type[T], content: Mapping[str, Any], flat_names: tuple[str, ...]) -> T:
    """Settings from a plain dict of this or an older version.

    Parameters
    ----------
    kind
        The settings.
    content
        Result of :func:`to_stored`, or a flat dict of the first version.
    flat_names
        All names of the first version.

    Raises
    ------
    ValueError
        If the version is newer, names differ from those of the version, or a value is refused.
    """
    version = content.get("version", 1)
    if type(version) is not int or version > VERSION:
        raise ValueError(
            f"is of version {version!r}, and this scdiffot reads versions up to {VERSION}: "
            "install a newer one"
        )
    if version == 1:
        _check_names(content, flat_names)
        # Settings that were constants of the first version have their defaults.
        return _make(kind, nest(content))
    content = {name: value for name, value in content.items() if name != "version"}
    return _build(kind, content)


def _build(kind: type[T], content: Any) -> T:
    """Settings from nested dicts, with every name of every group."""
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__} in place of settings")
    _check_names(content, tuple(f.name for f in fields(kind)))
    values = {
        f.name: _build(type(f.default), content[f.name])
        if isinstance(f.default, Settings)
        else content[f.name]
        for f in fields(kind)
    }
    return _make(kind, values)


def _make(kind: type[T], values: Mapping[str, Any]) -> T:
    try:
        return kind(**values)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"has an option that is refused ({error})") from None


def _check_names(content: Mapping[str, Any], names: tuple[str, ...]) -> None:
    differing = sorted(set(content) - set(names)) + [n for n in names if n not in content]
    if differing:
        raise ValueError(
            f"has other options than this version: {', '.join(map(repr, differing[:5]))}"
        )
