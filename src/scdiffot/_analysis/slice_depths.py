"""Depths, or times, and masses of slices."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list, listed_names, suggest
from scdiffot._data.read.columns import read_column
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData

    from scdiffot._data.read.slices import TissueSlices


def read_depths(
    adata: AnnData,
    slices: TissueSlices,
    between: Iterable[str],
    depth: str | Mapping[str, float] | None,
) -> dict[str, float]:
    """Read the depths of the named slices, in increasing order.

    Parameters
    ----------
    adata
        The spots.
    slices
        Their slices.
    between
        Names of at least two slices.
    depth
        A dict (name -> number), a numeric column of `obs` that is constant in every slice, or None
        for 0, 1, 2, ...

    Raises
    ------
    KeyError
        If a slice, its depth or the column does not exist.
    TypeError
        If a depth is not a number.
    ValueError
        If fewer than two slices are named, one is named twice, depths vary within a slice, or
        depths coincide.
    """
    names = listed_names("between", between, numbers=True)
    if len(names) < 2:
        raise ValueError(
            f"`between` names {len(names)} slice ({format_list(names)}): pass two of "
            f"{format_list(slices.names)} or more."
        )
    for name in names:
        if name not in slices.names:
            raise KeyError(
                f"`between` names {name!r}, which is no slice. {suggest(name, slices.names)}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"`between` names a slice twice ({format_list(names)}): name each once.")
    if depth is None:
        return {name: float(k) for k, name in enumerate(names)}
    if isinstance(depth, str):
        depths = {name: _depth_in_column(adata, slices, name, depth) for name in names}
    else:
        depths = _numbers("depth", depth, names)
    depths = dict(sorted(depths.items(), key=lambda item: item[1]))
    values = list(depths.values())
    if len(set(values)) < len(values):
        raise ValueError(
            "`depth` gives two slices the same depth "
            f"({format_list(f'{k}: {number_text(v)}' for k, v in depths.items())})."
        )
    return depths


def read_masses(slices: TissueSlices, names: list[str], mass: Any) -> dict[str, float]:
    """Read the total masses of the named slices: numbers of spots, values of a dict, or one each.

    Raises
    ------
    KeyError
        If the mass of a slice is missing.
    TypeError
        If a mass is not a number.
    ValueError
        If a mass is not positive, or `mass` is another string.
    """
    if mass is None:
        return dict.fromkeys(names, 1.0)
    if isinstance(mass, str):
        if mass != "n_spots":
            raise ValueError(
                f"`mass` is {mass!r}: pass 'n_spots', a dict (slice -> number), or None."
            )
        return {name: float(len(slices.rows(name))) for name in names}
    masses = _numbers("mass", mass, names)
    nonpositive = [name for name, value in masses.items() if value <= 0]
    if nonpositive:
        raise ValueError(
            f"`mass` of {format_list(nonpositive)} is not positive: pass positive numbers."
        )
    return masses


def _depth_in_column(adata: AnnData, slices: TissueSlices, name: str, column: str) -> float:
    values = read_column(adata, column, "depth")
    if getattr(values.dtype, "kind", "O") not in "biuf":
        raise TypeError(
            f"`depth` obs[{column!r}] holds {values.dtype}: pass a column of numbers, or a dict."
        )
    unique = np.unique(values.to_numpy(dtype=np.float64, na_value=np.nan)[slices.rows(name)])
    if len(unique) != 1 or not np.isfinite(unique[0]):
        raise ValueError(
            f"`depth` obs[{column!r}] is {format_list(unique)} in slice {name!r}: it must be one "
            "number."
        )
    return float(unique[0])


def _numbers(argument: str, numbers: Any, names: list[str]) -> dict[str, float]:
    if not hasattr(numbers, "keys"):
        raise TypeError(
            f"`{argument}` is a {type(numbers).__name__}: pass a dict (slice -> number)."
        )
    texts = {str(key): value for key, value in numbers.items()}
    absent = [name for name in names if name not in texts]
    if absent:
        raise KeyError(
            f"`{argument}` has no entry for {format_list(absent)}: give one for every slice of "
            "`between`."
        )
    for name in names:
        value = texts[name]
        if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
            raise TypeError(f"`{argument}` of {name!r} is {value!r}: pass a finite number.")
    return {name: float(texts[name]) for name in names}
