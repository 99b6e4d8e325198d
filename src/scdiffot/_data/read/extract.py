"""Representations of cells as dense arrays, from any container and file."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import format_list, is_mudata, suggest

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

# Largest value of a state; results computed from it fit into single precision.
MAX_VALUE = 1e30


@dataclass(frozen=True)
class Location:
    """Place of a representation.

    Parameters
    ----------
    name
        Full name, which :func:`locate` resolves again: `"X_pca"`, `"X"`, `"rna:X_pca"`.
    owner
        AnnData (or MuData) that holds it.
    key
        Key in the owner, without the modality.
    array
        Array as it is stored.
    """

    name: str
    owner: AnnData | MuData
    key: str
    array: Any


def locate(adata: AnnData | MuData, name: str, *, argument: str = "use_rep") -> Location:
    """Find a representation.

    Parameters
    ----------
    adata
        The data.
    name
        In this order: a key of `obsm`, `"X"`, a key without its `X_`, or a layer. For a MuData
        also `"modality:key"`.
    argument
        Name of the user's argument, for the messages.

    Raises
    ------
    TypeError
        If `name` is not a string.
    KeyError
        If there is no such representation or modality.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"`{argument}` is a {type(name).__name__}: pass the name of a representation, "
            "such as 'X_pca'."
        )
    owner, key, prefix = adata, name, ""
    if is_mudata(adata) and ":" in name and name not in adata.obsm:
        modality, _, key = name.partition(":")
        if modality not in adata.mod:
            raise KeyError(
                f"`{argument}` is {name!r}, but there is no modality {modality!r}. "
                f"{suggest(modality, adata.mod)}"
            )
        owner, prefix = adata.mod[modality], f"{modality}:"
    layers = {} if is_mudata(owner) else owner.layers
    if key in owner.obsm:
        return Location(prefix + key, owner, key, owner.obsm[key])
    if key == "X" and not is_mudata(owner):
        if owner.X is None:
            raise KeyError(f"`{argument}` is {name!r}, but X is empty. {_suggestion(adata, name)}")
        return Location(prefix + key, owner, key, owner.X)
    if f"X_{key}" in owner.obsm:
        return Location(f"{prefix}X_{key}", owner, f"X_{key}", owner.obsm[f"X_{key}"])
    if key in layers:
        return Location(prefix + key, owner, key, layers[key])
    raise KeyError(f"`{argument}` is {name!r}, which is no key of obsm. {_suggestion(adata, name)}")


def read_representation(
    adata: AnnData | MuData,
    use_rep: str,
    *,
    n_dims: int | None = None,
    argument: str = "use_rep",
    allow_missing: bool = False,
) -> tuple[np.ndarray, str]:
    """Read a representation as floating-point numbers.

    The representation may be a NumPy, sparse, dask or backed (HDF5, zarr) array, or a data frame.
    Only the first `n_dims` columns are read.

    Parameters
    ----------
    adata
        The data.
    use_rep
        See :func:`locate`.
    n_dims
        Number of columns to read, from the first. All by default.
    argument
        Name of the user's argument, for the messages.
    allow_missing
        Whether values may be NaN or infinite.

    Returns
    -------
    The array, shape ``(n, n_dims)``, float32 or float64, in the order of `adata.obs_names`; and the
    full name of the representation.

    Raises
    ------
    TypeError
        If the representation does not hold real numbers, or `n_dims` is not a whole number.
    KeyError
        If it does not exist.
    ValueError
        If it does not have two dimensions or enough columns, holds NaN or infinite values, or lacks
        cells.
    """
    location = locate(adata, use_rep, argument=argument)
    shape = location.array.shape
    if len(shape) != 2:
        raise ValueError(
            f"`{argument}` {location.name!r} has shape {tuple(shape)}: "
            "pass one row of coordinates per cell."
        )
    if shape[1] == 0:
        raise ValueError(
            f"`{argument}` {location.name!r} has no columns: compute it again, or name another."
        )
    values = _to_dense(location.array, _check_n_dims(n_dims, shape[1], location.name))
    if values.dtype.kind not in "biuf":
        raise TypeError(f"`{argument}` {location.name!r} holds {values.dtype}: pass real numbers.")
    if values.dtype not in (np.float32, np.float64):
        # float32 represents integers of 16 bits exactly.
        values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if location.owner is not adata and not location.owner.obs_names.equals(adata.obs_names):
        values = _align(values, location, adata, argument)
    incomplete = ~np.isfinite(values).all(axis=1)
    if incomplete.any() and not allow_missing:
        raise ValueError(
            f"`{argument}` {location.name!r} is NaN or infinite in {incomplete.sum()} of "
            f"{len(incomplete)} cells, for instance "
            f"{format_list(adata.obs_names[incomplete][:3])}: remove these cells or compute it "
            "again."
        )
    largest = float(np.abs(values).max(initial=0.0))
    if largest > MAX_VALUE:
        cells = adata.obs_names[(np.abs(values) > MAX_VALUE).any(axis=1)]
        raise ValueError(
            f"`{argument}` {location.name!r} has values up to {largest:.3g}, for instance in "
            f"{format_list(cells[:3])}: their squares overflow. Remove these cells, or rescale it "
            f"below {MAX_VALUE:g}."
        )
    return values, location.name


def _check_n_dims(n_dims: int | None, available: int, name: str) -> int:
    if n_dims is None:
        return available
    if isinstance(n_dims, bool) or not isinstance(n_dims, Integral):
        raise TypeError(f"`n_dims` is a {type(n_dims).__name__}: pass a whole number or None.")
    if not 1 <= n_dims <= available:
        raise ValueError(
            f"`n_dims` is {n_dims}, but {name!r} has {available} columns: "
            f"pass 1 to {available}, or None."
        )
    return int(n_dims)


def _to_dense(array: Any, n_dims: int) -> np.ndarray:
    """Copy the first columns into a NumPy array."""
    from scipy import sparse

    if hasattr(array, "iloc"):  # pandas
        frame = array.iloc[:, :n_dims]
        numeric = all(getattr(dtype, "kind", "O") in "biuf" for dtype in frame.dtypes)
        if numeric:
            return frame.to_numpy(dtype=np.float64, na_value=np.nan)
        return frame.to_numpy(dtype=object)
    if hasattr(array, "to_memory"):  # sparse, in a file
        array = array.to_memory()
    elif not sparse.issparse(array):
        array = array[:, :n_dims]
    if hasattr(array, "compute"):  # dask, xarray
        array = array.compute()
    if sparse.issparse(array):
        return array.tocsc()[:, :n_dims].toarray()
    return np.array(array)


def _align(values: np.ndarray, location: Location, adata: MuData, argument: str) -> np.ndarray:
    """Reorder the rows of a modality to those of the MuData."""
    rows = location.owner.obs_names.get_indexer(adata.obs_names)
    if (rows < 0).any():
        raise ValueError(
            f"`{argument}` {location.name!r} lacks {(rows < 0).sum()} of {len(rows)} cells, "
            f"for instance {format_list(adata.obs_names[rows < 0][:3])}: "
            "keep the cells of that modality only."
        )
    return values[rows]


def _suggestion(adata: AnnData | MuData, name: str) -> str:
    if is_mudata(adata):
        options = [
            *(k for k in adata.obsm if k not in adata.mod),
            *(f"{m}:{k}" for m, a in adata.mod.items() for k in (*a.obsm, "X")),
        ]
    else:
        # anndata 0.13 has X among the layers, under None.
        layers = [k for k in adata.layers if k is not None]
        options = [*adata.obsm, *(["X"] if adata.X is not None else []), *layers]
    return suggest(name, options)
