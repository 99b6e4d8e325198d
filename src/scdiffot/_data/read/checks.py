"""Checks of an AnnData and of names that a user passes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._utils.options import check_choice, check_count, check_flag, check_number

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "check_adata",
    "check_choice",
    "check_count",
    "check_flag",
    "check_number",
    "check_share",
    "choose_names",
    "is_mudata",
    "listed_names",
    "quiet_copy",
    "format_list",
    "suggest",
    "as_writable",
]
# Values listed in a message.
N_EXAMPLES = 10


def is_mudata(adata: Any) -> bool:
    """Whether this is a MuData, without importing mudata."""
    return any(base.__name__ == "MuData" for base in type(adata).__mro__)


def check_adata(adata: AnnData | MuData, argument: str = "adata") -> None:
    """Refuse objects other than AnnData and MuData, and those without uniquely named cells.

    Raises
    ------
    TypeError
        If it is neither an AnnData nor a MuData.
    ValueError
        If it has no cells, or cells that share a name.
    """
    if not (isinstance(adata, AnnData) or is_mudata(adata)):
        raise TypeError(f"`{argument}` is a {type(adata).__name__}: pass an AnnData or a MuData.")
    if adata.n_obs == 0:
        raise ValueError(f"`{argument}` has no cells: check the filter that came before.")
    if not adata.obs_names.is_unique:
        duplicates = adata.obs_names[adata.obs_names.duplicated()].unique()
        raise ValueError(
            f"`{argument}` has duplicated obs names, for instance {format_list(duplicates)}: "
            f"make them unique with {argument}.obs_names_make_unique()."
        )


def as_writable(adata: AnnData | MuData, *, copy: bool = False) -> AnnData | MuData:
    """Return the object to write into: `adata` itself, or a copy.

    Raises
    ------
    ValueError
        If `adata` is a view, where writing would make a silent copy, or if `copy` is True and
        `adata` is in backed mode.
    """
    check_adata(adata)
    if check_flag("copy", copy):
        if getattr(adata, "isbacked", False):
            raise ValueError(
                "`copy=True` needs `adata` in memory: pass adata.to_memory(), or leave `copy` out."
            )
        return quiet_copy(adata)
    if adata.is_view:
        raise ValueError(
            "`adata` is a view of another AnnData, so results would be written into neither: "
            "pass a real object, adata = adata[...].copy()."
        )
    return adata


def quiet_copy(adata: AnnData | MuData) -> AnnData | MuData:
    """Copy without anndata's warning about duplicated names, which reading has already raised."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "(Observation|Variable) names are not unique", UserWarning
        )
        return adata.copy()


def listed_names(argument: str, names: Any, *, numbers: bool = False) -> list[str]:
    """Return one name or several as a list of strings; numbers are names too if `numbers`.

    Raises
    ------
    TypeError
        If they are not names.
    """
    kinds = (str, Real) if numbers else (str,)
    if isinstance(names, kinds):
        names = [names]
    if (
        not isinstance(names, Iterable)
        or isinstance(names, bytes | Mapping)
        or getattr(names, "ndim", 1) != 1
    ):
        raise TypeError(
            f"`{argument}` is a {type(names).__name__}: pass a name, or a list of names."
        )
    # The order of a set differs from run to run.
    result = sorted(names, key=str) if isinstance(names, set | frozenset) else list(names)
    invalid_names = [
        name for name in result if not isinstance(name, kinds) or isinstance(name, bool | np.bool_)
    ]
    if invalid_names:
        raise TypeError(f"`{argument}` holds {format_list(invalid_names)}: pass names.")
    return [str(name) for name in result]


def choose_names(
    argument: str, names: Any, available: Iterable[str], *, reason: str = "which is none of them"
) -> list[str]:
    """Return names as a list without duplicates, all of them among those available.

    Raises
    ------
    KeyError
        If one is unknown.
    TypeError
        If they are not names.
    ValueError
        If there are none.
    """
    options = dict.fromkeys(str(name) for name in available)
    result = list(dict.fromkeys(listed_names(argument, names)))
    if not result:
        raise ValueError(f"`{argument}` is empty: pass some of {format_list(options)}.")
    unknown = [name for name in result if name not in options]
    if unknown:
        raise KeyError(f"`{argument}` has {unknown[0]!r}, {reason}. {suggest(unknown[0], options)}")
    return result


def check_share(name: str, value: Any) -> float:
    """Return a number above 0 and of at most 1 as a float."""
    return check_number(name, value, 0, 1, above=True)


def format_list(values: Iterable[Any]) -> str:
    """Format at most ten values as text, with the total number if there are more."""
    names = [repr(v) if isinstance(v, str) else f"{v}" for v in values]
    suffix = f", ... ({len(names)} in all)" if len(names) > N_EXAMPLES else ""
    return ", ".join(names[:N_EXAMPLES]) + suffix


def suggest(name: str, available: Iterable[Any]) -> str:
    """Suggest the key closest to a missing one, and list the keys that exist."""
    options = [str(a) for a in available]
    lower = {o.lower(): o for o in options}
    matches = [lower[c] for c in get_close_matches(str(name).lower(), lower, n=1)]
    hint = f"Did you mean {matches[0]!r}? " if matches else ""
    return f"{hint}There is {format_list(options)}." if options else f"{hint}There is none."
