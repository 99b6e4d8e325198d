"""Write perturbations and screens beside a fit, and read them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot._data.read.checks import suggest
from scdiffot._utils.keys import PERTURB_SCREEN, PERTURBATION, Keys
from scdiffot._utils.layouts import read
from scdiffot._utils.names import key_name, unsafe_name

from .entry_layouts import RESULTS
from .store import read_fit, read_table

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def entry_name(adata: AnnData | MuData, key: str, name: Any) -> str:
    """Convert the name of a perturbation to a key that files can hold.

    Slashes, which separate levels in files, become ``|``, and long names are shortened.

    Raises
    ------
    TypeError
        If the name is not a string.
    ValueError
        If files cannot hold it, or another perturbation has the same key.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"`name` is a {type(name).__name__}: pass a string, the name of the perturbation."
        )
    entry = key_name(name)
    reason = unsafe_name(entry)
    if reason:
        raise ValueError(f"`name` is {name!r}, which {reason}: pass a name that files can hold.")
    stored = read_fit(adata, key).get(PERTURBATION, {})
    existing_entry = read(
        stored, RESULTS[PERTURBATION], f"adata.uns[{key!r}][{PERTURBATION!r}]"
    ).get(entry)
    if existing_entry is not None and existing_entry["name"] != name:
        raise ValueError(
            f"`name` is {name!r}, and {str(existing_entry['name'])!r} is there: "
            "files of AnnData have no '/' in names, and '|' stands for it. Pass another name."
        )
    return entry


def write_perturbation(
    adata: AnnData | MuData, keys: Keys, entry: str, perturbation: dict[str, Any]
) -> None:
    """Write a perturbation beside other perturbations of the fit."""
    stored = adata.uns[keys.uns].setdefault(PERTURBATION, {})
    stored[entry] = perturbation


def write_screen(adata: AnnData | MuData, keys: Keys, screen: dict[str, Any]) -> None:
    """Write the result of `tl.perturb_screen`."""
    adata.uns[keys.uns][PERTURB_SCREEN] = screen


def read_perturbations(adata: AnnData | MuData, key: str, name: str | None) -> list[dict[str, Any]]:
    """Read one perturbation, or all in the order in which they are stored.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    stored = read_table(adata, key, PERTURBATION, source="tl.perturb(adata, genes, cell_key)")
    if name is None:
        return list(stored.values())
    names = [str(perturbation["name"]) for perturbation in stored.values()]
    if not (isinstance(name, str) and name in names):
        raise KeyError(
            f"`name` is {name!r}, which is no perturbation of the fit {key!r}. "
            f"{suggest(name, names)}"
        )
    return [perturbation for perturbation in stored.values() if str(perturbation["name"]) == name]


def read_one(adata: AnnData | MuData, key: str, name: str | None) -> dict[str, Any]:
    """Read one perturbation, which must be named where there are several.

    Raises
    ------
    KeyError
        If there is none of that name.
    ValueError
        If there are several, and no name.
    """
    perturbations = read_perturbations(adata, key, name)
    if len(perturbations) > 1:
        names = [str(perturbation["name"]) for perturbation in perturbations]
        raise ValueError(f"`name` is missing, and there are several. {suggest('', names)}")
    return perturbations[0]


def read_screen(adata: AnnData | MuData, key: str) -> dict[str, Any]:
    """Read the result of `tl.perturb_screen`.

    Raises
    ------
    KeyError
        If there is no fit, or no result.
    """
    screen: dict[str, Any] = read_table(
        adata, key, PERTURB_SCREEN, source="tl.perturb_screen(adata, cell_key)"
    )
    return screen
