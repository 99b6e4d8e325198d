"""Fingerprints of states, loadings and embeddings: a number a row, which shows that they have changed since.

The number is a fixed linear function of the row. It travels with cells and genes through subsets, reordering, renaming,
concatenation and files, and rows without one, such as new cells, have nothing to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import is_mudata, some
from scdiffot._data.read.extract import locate, representation
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

# Columns of the table of a run: what a fit, its tissue, a response, a landscape and an alignment were made with
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
# Of the size of a row, or of the mean row where that is larger. Single precision rounds at 1e-7.
TOLERANCE = 1e-5
CHUNK_SIZE = 50_000
# Where scanpy keeps the loadings of a representation, if not under its name.
LOADINGS = {"X_pca": "PCs"}


def write_fingerprint(
    mapping: MutableMapping[str, Any], index: pd.Index, keys: Keys, column: str, values: np.ndarray
) -> None:
    """Write the fingerprint of rows into `obsm` or `varm`, beside those that are there."""
    import pandas as pd

    table = _table(mapping, keys)
    table = pd.DataFrame(index=index) if table is None else table.set_axis(index)
    mapping[keys.fingerprint] = table.assign(**{column: _project(values)[0].astype(np.float32)})


def drop_fingerprints(adata: AnnData | MuData, keys: Keys) -> None:
    """Drop the fingerprints of what was derived from an earlier fit."""
    table = _table(adata.obsm, keys)
    arrows = [] if table is None else [c for c in table.columns if c.startswith(ARROWS)]
    _drop(adata.obsm, keys, (STATE, POSITION, TIME, PRIOR, LANDSCAPE, *arrows))


def check_fingerprint(
    adata: AnnData | MuData,
    key: str,
    column: str,
    values: np.ndarray,
    *,
    what: str,
    made: str,
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
        The rows as they are now, shape ``(n, d)``.
    what
        The argument and name of the representation, for the message.
    made
        What was made with them.
    remedy
        What to do.

    Returns
    -------
    Whether there was something to compare.

    Raises
    ------
    StoredFitError
        If some differ.
    """
    is_changed, comparable = _compare(adata.obsm, Keys(key, "key"), column, values)
    if is_changed.any():
        raise StoredFitError(
            f"{what} is not what {made} was made with: it differs in {is_changed.sum()} of {comparable.sum()} cells, for instance "
            f"{some(adata.obs_names[is_changed][:3])}. {remedy}"
        )
    return bool(comparable.any())


def check_states(
    adata: AnnData | MuData, key: str, column: str, values: np.ndarray, use_rep: str
) -> None:
    """Refuse states that are not those of a fit (:data:`STATE`) or response (:data:`RESPONSE`)."""
    result_name, function_name = (
        (f"the fit {key!r}", "fit")
        if column == STATE
        else (f"the response {key!r}", "fit_response")
    )
    is_checked = check_fingerprint(
        adata,
        key,
        column,
        values,
        what=f"`use_rep` {use_rep!r}",
        made=result_name,
        remedy=(
            f"Run scdiffot.tl.{function_name} again, or restore {use_rep!r} and give the new one another name. For other states of the "
            f"same cells on purpose, delete adata.obsm[{Keys(key, 'key').fingerprint!r}]."
        ),
    )
    has_version = "version" in adata.uns.get(key if column == STATE else Keys(key, "key").response, {})
    if has_version and not is_checked:
        logger.warning(
            "No cell has a fingerprint of %s in adata.obsm[%r], so whether %r is what it was made with cannot be checked.",
            result_name,
            Keys(key, "key").fingerprint,
            use_rep,
        )


def check_positions(adata: AnnData | MuData, key: str, positions: np.ndarray, name: str) -> None:
    """Refuse positions of spots that are not those of a fit."""
    what, made = f"`spatial_key` {name!r}", f"the fit {key!r}"
    remedy = f"Run scdiffot.tl.fit again, or restore {name!r}."
    check_fingerprint(adata, key, POSITION, positions, what=what, made=made, remedy=remedy)


def write_fingerprints(
    adata: AnnData | MuData,
    keys: Keys,
    column: str,
    params: dict[str, Any],
    positions: np.ndarray | None = None,
) -> str:
    """Write the fingerprints of all that a fit or response was made with.

    Parameters
    ----------
    adata
        The data.
    keys
        Names of the run.
    column
        Which of the two it is.
    params
        Its parameters, of which `use_rep` and `n_dims` name the states.
    positions
        Positions of spots, if they took part.

    Returns
    -------
    The digest of the autoencoder behind the states; empty if there is none.
    """
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    states = representation(adata, use_rep, n_dims=n_dims)[0]
    write_fingerprint(adata.obsm, adata.obs_names, keys, column, states)
    if positions is not None:
        write_fingerprint(adata.obsm, adata.obs_names, keys, POSITION, positions)
    location = locate(adata, use_rep)
    loadings = _loadings(location, n_dims)
    if loadings is not None:
        write_fingerprint(location.owner.varm, location.owner.var_names, keys, column, loadings)
    elif not is_mudata(location.owner):
        _drop(location.owner.varm, keys, (column,))
    return _digest(location)


def check_decoder(
    adata: AnnData | MuData, key: str, column: str, *, use_rep: str, n_dims: int, digest: str | None
) -> None:
    """Refuse loadings or an autoencoder that have been computed again since a fit.

    Raises
    ------
    StoredFitError
        If they have.
    """
    location = locate(adata, use_rep)
    loadings = _loadings(location, n_dims)
    function_name = "fit" if column == STATE else "fit_response"
    changed = bool(digest) and _digest(location) != digest
    if loadings is not None:
        changed |= bool(_compare(location.owner.varm, Keys(key, "key"), column, loadings)[0].any())
    if changed:
        raise StoredFitError(
            f"The loadings or networks behind `use_rep` {use_rep!r} are not those of the time of scdiffot.tl.{function_name}, so genes cannot "
            f"be computed: run it again, or restore {use_rep!r} and what was computed with it."
        )


def embedding_of(adata: AnnData | MuData, name: str) -> np.ndarray:
    """All columns of an embedding."""
    return representation(adata, name, argument="basis")[0]


def _drop(mapping: MutableMapping[str, Any], keys: Keys, columns: tuple[str, ...]) -> None:
    table = _table(mapping, keys)
    if table is not None:
        mapping[keys.fingerprint] = table.drop(columns=list(columns), errors="ignore")


def _loadings(location: Location, n_dims: int) -> np.ndarray | None:
    owner = location.owner
    name = LOADINGS.get(location.key, location.key)
    if is_mudata(owner) or location.key not in owner.obsm or name not in owner.varm:
        return None
    loadings = np.asarray(owner.varm[name])
    is_usable = loadings.ndim == 2 and loadings.shape[1] >= n_dims and loadings.dtype.kind == "f"
    return np.nan_to_num(loadings[:, :n_dims]) if is_usable else None


def _digest(location: Location) -> str:
    entry = location.owner.uns.get(location.key)
    return str(entry.get("digest", "")) if is_autoencoder(entry) else ""


def _table(mapping: MutableMapping[str, Any], keys: Keys) -> pd.DataFrame | None:
    """The table of a run, in memory."""
    import pandas as pd

    table = mapping.get(keys.fingerprint)
    if table is None or isinstance(table, pd.DataFrame):
        return table
    if not hasattr(table, "columns"):
        raise StoredFitError(
            f"{keys.fingerprint!r} in obsm or varm is no table of fingerprints: delete it, and fit again."
        )
    return pd.DataFrame(
        {name: np.asarray(table[name]) for name in table.columns},
        np.asarray(table.index, dtype=object),
    )


def _compare(
    mapping: MutableMapping[str, Any], keys: Keys, column: str, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows differ from their fingerprint, and which have one."""
    table = _table(mapping, keys)
    if table is None or column not in table.columns:
        return np.zeros(len(values), bool), np.zeros(len(values), bool)
    stored = np.asarray(table[column], dtype=np.float64)
    comparable = np.isfinite(stored)
    projected, size = _project(values)
    is_finite = comparable & np.isfinite(size)
    bound = TOLERANCE * np.maximum(size, size[is_finite].mean() if is_finite.any() else 0.0)
    # a row that is NaN now differs
    return comparable & ~(np.abs(stored - projected) <= bound), comparable


def _project(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A fixed linear function of every row, and the same of absolute values."""
    weights = 0.5 + np.arange(1, values.shape[1] + 1) * GOLDEN % 1
    projected, size = np.empty((2, len(values)))
    for start in range(0, len(values), CHUNK_SIZE):
        part = np.asarray(values[start : start + CHUNK_SIZE], dtype=np.float64)
        projected[start : start + CHUNK_SIZE] = part @ weights
        size[start : start + CHUNK_SIZE] = np.abs(part) @ weights
    return projected, size
