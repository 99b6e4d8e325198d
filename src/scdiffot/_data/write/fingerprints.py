"""Fingerprints of states, loadings and embeddings: one number per row, which identifies changes.

The number is a fixed linear function of the row. It stays with cells and genes through subsets,
reordering, renaming, concatenation and files. Rows without a fingerprint, such as new cells, are
not compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list, is_mudata
from scdiffot._data.read.extract import locate, read_representation
from scdiffot._utils.errors import StoredFitError
from scdiffot._utils.keys import Keys
from scdiffot._utils.logging import logger

from .autoencoders import is_autoencoder

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.extract import Location

# Columns of the table of a run: inputs of a fit, its tissue, a response, a landscape, an alignment.
TIME, PRIOR = "time", "growth_prior"
STATE, POSITION, RESPONSE, LANDSCAPE, ALIGNED = (
    "state",
    "position",
    "response",
    "landscape",
    "aligned",
)
ARROWS = "arrows_"
# Fractional parts of multiples of the golden ratio: no two weights are close, and none is small.
GOLDEN = (5**0.5 - 1) / 2
# Tolerance relative to the size of a row, or to the mean size if that is larger. The rounding of
# single precision is 1e-7.
TOLERANCE = 1e-5
CHUNK_SIZE = 50_000
# Keys of loadings in `varm`, where they differ from the name of the representation.
LOADINGS = {"X_pca": "PCs"}


def write_fingerprint(
    mapping: MutableMapping[str, Any], index: pd.Index, keys: Keys, column: str, values: np.ndarray
) -> None:
    """Write the fingerprint of rows into `obsm` or `varm`, beside other fingerprints of the run."""
    import pandas as pd

    table = _read_table(mapping, keys)
    table = pd.DataFrame(index=index) if table is None else table.set_axis(index)
    mapping[keys.fingerprint] = table.assign(**{column: _project(values)[0].astype(np.float32)})


def drop_fingerprints(adata: AnnData | MuData, keys: Keys) -> None:
    """Drop the fingerprints of an earlier fit and of the results derived from it."""
    table = _read_table(adata.obsm, keys)
    arrows = [] if table is None else [c for c in table.columns if c.startswith(ARROWS)]
    _drop_fingerprint_columns(adata.obsm, keys, (STATE, POSITION, TIME, PRIOR, LANDSCAPE, *arrows))


def check_fingerprint(
    adata: AnnData | MuData,
    key: str,
    column: str,
    values: np.ndarray,
    *,
    source: str,
    result: str,
    remedy: str,
) -> bool:
    """Refuse rows of cells that have changed since their fingerprint was written.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the run.
    column
        Name of the fingerprint.
    values
        The present rows, shape ``(n, d)``.
    source
        Argument and name of the representation, for the message.
    result
        Result that was computed from them, for the message.
    remedy
        Advice for the message.

    Returns
    -------
    Whether any row has a fingerprint.

    Raises
    ------
    StoredFitError
        If rows differ from their fingerprints.
    """
    is_changed, comparable = _compare(adata.obsm, Keys(key, "key"), column, values)
    if is_changed.any():
        raise StoredFitError(
            f"{source} is not what {result} was made with: it differs in {is_changed.sum()} of "
            f"{comparable.sum()} cells, for instance "
            f"{format_list(adata.obs_names[is_changed][:3])}. {remedy}"
        )
    return bool(comparable.any())


def check_states(
    adata: AnnData | MuData, key: str, column: str, values: np.ndarray, use_rep: str
) -> None:
    """Refuse states that are not those of a fit (:data:`STATE`) or response (:data:`RESPONSE`)."""
    is_fit = column == STATE
    result_name = f"the fit {key!r}" if is_fit else f"the response {key!r}"
    function_name = "fit" if is_fit else "fit_response"
    is_checked = check_fingerprint(
        adata,
        key,
        column,
        values,
        source=f"`use_rep` {use_rep!r}",
        result=result_name,
        remedy=(
            f"Run scdiffot.tl.{function_name} again, or restore {use_rep!r} and give the new one "
            "another name. For other states of the same cells on purpose, delete "
            f"adata.obsm[{Keys(key, 'key').fingerprint!r}]."
        ),
    )
    entry = adata.uns.get(key if is_fit else Keys(key, "key").response, {})
    has_version = "version" in entry
    if has_version and not is_checked:
        logger.warning(
            "No cell has a fingerprint of %s in adata.obsm[%r], "
            "so whether %r is what it was made with cannot be checked.",
            result_name,
            Keys(key, "key").fingerprint,
            use_rep,
        )


def check_positions(adata: AnnData | MuData, key: str, positions: np.ndarray, name: str) -> None:
    """Refuse positions of spots that are not those of a fit."""
    check_fingerprint(
        adata,
        key,
        POSITION,
        positions,
        source=f"`spatial_key` {name!r}",
        result=f"the fit {key!r}",
        remedy=f"Run scdiffot.tl.fit again, or restore {name!r}.",
    )


def write_fingerprints(
    adata: AnnData | MuData,
    keys: Keys,
    column: str,
    params: dict[str, Any],
    positions: np.ndarray | None = None,
) -> str:
    """Write the fingerprints of all inputs of a fit or response.

    Parameters
    ----------
    adata
        The data.
    keys
        Names of the run.
    column
        :data:`STATE` for a fit, :data:`RESPONSE` for a response.
    params
        Parameters of the run, of which `use_rep` and `n_dims` identify the states.
    positions
        Positions of spots, if they are part of the states.

    Returns
    -------
    The digest of the autoencoder behind the states; empty if there is none.
    """
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    states = read_representation(adata, use_rep, n_dims=n_dims)[0]
    write_fingerprint(adata.obsm, adata.obs_names, keys, column, states)
    if positions is not None:
        write_fingerprint(adata.obsm, adata.obs_names, keys, POSITION, positions)
    location = locate(adata, use_rep)
    loadings = _read_loadings(location, n_dims)
    if loadings is not None:
        write_fingerprint(location.owner.varm, location.owner.var_names, keys, column, loadings)
    elif not is_mudata(location.owner):
        _drop_fingerprint_columns(location.owner.varm, keys, (column,))
    return _read_digest(location)


def check_decoder(
    adata: AnnData | MuData, key: str, column: str, *, use_rep: str, n_dims: int, digest: str | None
) -> None:
    """Refuse loadings or an autoencoder other than those of a fit or response.

    Raises
    ------
    StoredFitError
        If they have changed.
    """
    location = locate(adata, use_rep)
    loadings = _read_loadings(location, n_dims)
    function_name = "fit" if column == STATE else "fit_response"
    changed = bool(digest) and _read_digest(location) != digest
    if loadings is not None:
        changed |= bool(_compare(location.owner.varm, Keys(key, "key"), column, loadings)[0].any())
    if changed:
        raise StoredFitError(
            f"The loadings or networks behind `use_rep` {use_rep!r} are not those of the time of "
            f"scdiffot.tl.{function_name}, so genes cannot be computed: run it again, or restore "
            f"{use_rep!r} and what was computed with it."
        )


def embedding_of(adata: AnnData | MuData, name: str) -> np.ndarray:
    """Read all columns of an embedding."""
    return read_representation(adata, name, argument="basis")[0]


def _drop_fingerprint_columns(
    mapping: MutableMapping[str, Any], keys: Keys, columns: tuple[str, ...]
) -> None:
    table = _read_table(mapping, keys)
    if table is not None:
        mapping[keys.fingerprint] = table.drop(columns=list(columns), errors="ignore")


def _read_loadings(location: Location, n_dims: int) -> np.ndarray | None:
    owner = location.owner
    name = LOADINGS.get(location.key, location.key)
    if is_mudata(owner) or location.key not in owner.obsm or name not in owner.varm:
        return None
    loadings = np.asarray(owner.varm[name])
    is_usable = loadings.ndim == 2 and loadings.shape[1] >= n_dims and loadings.dtype.kind == "f"
    return np.nan_to_num(loadings[:, :n_dims]) if is_usable else None


def _read_digest(location: Location) -> str:
    entry = location.owner.uns.get(location.key)
    return str(entry.get("digest", "")) if is_autoencoder(entry) else ""


def _read_table(mapping: MutableMapping[str, Any], keys: Keys) -> pd.DataFrame | None:
    """Read the fingerprints of a run into memory; None if there are none."""
    import pandas as pd

    table = mapping.get(keys.fingerprint)
    if table is None or isinstance(table, pd.DataFrame):
        return table
    if not hasattr(table, "columns"):
        raise StoredFitError(
            f"{keys.fingerprint!r} in obsm or varm is no table of fingerprints: "
            "delete it, and fit again."
        )
    return pd.DataFrame(
        {name: np.asarray(table[name]) for name in table.columns},
        np.asarray(table.index, dtype=object),
    )


def _compare(
    mapping: MutableMapping[str, Any], keys: Keys, column: str, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows that differ from their fingerprint, and of those that have one."""
    table = _read_table(mapping, keys)
    if table is None or column not in table.columns:
        return np.zeros(len(values), bool), np.zeros(len(values), bool)
    stored = np.asarray(table[column], dtype=np.float64)
    comparable = np.isfinite(stored)
    projected, size = _project(values)
    is_finite = comparable & np.isfinite(size)
    bound = TOLERANCE * np.maximum(size, size[is_finite].mean() if is_finite.any() else 0.0)
    # The comparison is negated so that a row that has become NaN differs.
    return comparable & ~(np.abs(stored - projected) <= bound), comparable


def _project(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fixed linear function of every row, and of its absolute values, each ``(n,)``."""
    weights = 0.5 + np.arange(1, values.shape[1] + 1) * GOLDEN % 1
    projected, size = np.empty((2, len(values)))
    for start in range(0, len(values), CHUNK_SIZE):
        part = np.asarray(values[start : start + CHUNK_SIZE], dtype=np.float64)
        projected[start : start + CHUNK_SIZE] = part @ weights
        size[start : start + CHUNK_SIZE] = np.abs(part) @ weights
    return projected, size
