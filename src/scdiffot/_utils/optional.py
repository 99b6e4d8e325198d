"""Imports of optional packages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def require(module: str, *, extra: str) -> ModuleType:
    """Import a package of an optional extra.

    Parameters
    ----------
    module
        Name of the module, for instance `"scvelo"`.
    extra
        The extra of scdiffot that installs it.

    Returns
    -------
    The imported module.

    Raises
    ------
    ImportError
        If the package is not installed. The message names the extra and the command that installs
        it. A package that is installed but fails on one of its own imports raises its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f"This needs {module}, which is not installed. It comes with the extra {extra!r}: "
            f'pip install "scdiffot[{extra}]"'
        ) from error
