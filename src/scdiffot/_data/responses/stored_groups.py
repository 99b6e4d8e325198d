"""Fingerprints of the conditions and contexts of a response, and checks that they are unchanged."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.write.fingerprints import check_fingerprint, write_fingerprint

from .treatments import to_numbers

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._utils.keys import Keys

    from .treatments import Treatments

CONDITION, CONTEXT = "condition", "context"
REMEDY = "Restore the column, or run scdiffot.tl.fit_response again."
# Numbers of names: single precision holds them exactly, and the tolerance is less than one.
N_NUMBERS = 2**15


def write_groups(
    adata: AnnData | MuData, keys: Keys, params: dict[str, Any], targets: Treatments
) -> None:
    """Write the fingerprints of the conditions, with doses, and of the contexts if there are any.

    The fingerprint of a condition is its number in the fit; that of a context, a hash of its name.
    """
    conditions = _conditions(adata, params, targets)
    write_fingerprint(adata.obsm, adata.obs_names, keys, CONDITION, conditions)
    if params["context"]:
        contexts = _contexts(adata, params["context"])
        write_fingerprint(adata.obsm, adata.obs_names, keys, CONTEXT, contexts)


def check_groups(adata: AnnData | MuData, params: dict[str, Any], targets: Treatments) -> None:
    """Refuse conditions, doses or contexts other than those of a response.

    Columns that `adata` lacks are not compared.

    Raises
    ------
    StoredFitError
        If the condition, dose or context of a cell of the fit has changed.
    """
    columns = list_columns(adata)
    condition_key, dose_key, context = (
        params[name] for name in ("condition_key", "dose_key", "context")
    )
    result = f"the response {params['key']!r}"
    if condition_key in columns and (not dose_key or dose_key in columns):
        source = f"`condition_key` obs[{condition_key!r}]"
        source += f" with `dose_key` obs[{dose_key!r}]" if dose_key else ""
        conditions = _conditions(adata, params, targets)
        check_fingerprint(
            adata, params["key"], CONDITION, conditions, source=source, result=result, remedy=REMEDY
        )
    if context and context in columns:
        check_fingerprint(
            adata,
            params["key"],
            CONTEXT,
            _contexts(adata, context),
            source=f"`context` obs[{context!r}]",
            result=result,
            remedy=REMEDY,
        )


def _conditions(adata: AnnData | MuData, params: dict[str, Any], targets: Treatments) -> np.ndarray:
    """Number of every cell's condition: 0 if it is not of the fit, 1 for controls, ``(n, 1)``."""
    codes, names = cell_labels(adata, params["condition_key"], argument="condition_key")
    labels = np.array([*names, ""], dtype=object)[codes]
    numbers = np.where(labels == params["control"], 1.0, 0.0)
    doses = (
        to_numbers(read_column(adata, params["dose_key"], "dose_key"))
        if params["dose_key"]
        else np.full(adata.n_obs, np.nan)
    )
    for i, (name, dose) in enumerate(targets.labels):
        treated = labels == name
        numbers[treated if np.isnan(dose) else treated & np.isclose(doses, dose)] = i + 2
    return numbers[:, None]


def _contexts(adata: AnnData | MuData, context: str) -> np.ndarray:
    """Hash of the name of every cell's context, 0 if it has none, shape ``(n, 1)``."""
    codes, names = cell_labels(adata, context, argument="context")
    hashes = [1.0 + zlib.crc32(name.encode()) % N_NUMBERS for name in names]
    return np.array([*hashes, 0.0])[codes][:, None]
