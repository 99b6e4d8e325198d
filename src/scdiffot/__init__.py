"""Single-cell dynamics from time-course snapshots by regularised unbalanced optimal transport."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import datasets, ext, get, metrics, pl, pp, tl
    from ._utils import errors

__all__ = ["datasets", "errors", "ext", "get", "metrics", "pl", "pp", "tl"]

__version__ = version("scdiffot")


def __getattr__(name: str) -> ModuleType:
    # Namespaces load on first use, so that `scdiffot --help` and a bad command line answer without loading torch.
    if name in __all__:
        return import_module(f"{__name__}.{'_utils.errors' if name == 'errors' else name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
