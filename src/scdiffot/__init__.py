"""Single-cell dynamics from time-course snapshots by regularised unbalanced optimal transport."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from ._utils import errors

if TYPE_CHECKING:
    from types import ModuleType

    from . import datasets, ext, get, metrics, pl, pp, tl

__all__ = ["datasets", "errors", "ext", "get", "metrics", "pl", "pp", "tl"]

__version__ = version("scdiffot")

# `from scdiffot.errors import ...` finds what the whole package raises.
sys.modules[f"{__name__}.errors"] = errors


def __getattr__(name: str) -> ModuleType:
    # Namespaces load on first use, so that `scdiffot --help` and errors of the command line do not
    # load torch.
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
