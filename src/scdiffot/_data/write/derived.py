"""Results derived from a fit, which become invalid with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.read.checks import is_mudata
from scdiffot._data.read.columns import drop_columns

from .fingerprints import drop_fingerprints

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._utils.keys import Keys


def fit_digest(adata: AnnData | MuData, key: str) -> str:
    """Digest of a stored fit, which identifies it; empty for fits of the first version."""
    return str(adata.uns[key].get("digest", ""))


def drop_derived(adata: AnnData | MuData, keys: Keys) -> None:
    """Drop results of an earlier fit of that name, except those that the next fit overwrites."""
    drop_fingerprints(adata, keys)
    for name in (keys.migration, keys.fate, keys.fate_se, keys.fate_path, keys.ancestry):
        adata.obsm.pop(name, None)
    # A prefix alone would also match another run, whose name may begin with "{key}_velocity_".
    for name in [name.removeprefix("X_") for name in adata.obsm]:
        adata.obsm.pop(keys.projection(name), None)
    drop_columns(
        adata, (keys.n_descendants, keys.n_descendants_se, keys.fate_ess, keys.commitment_time)
    )
    adata.obsp.pop(keys.transitions, None)
    layers = [m.layers for m in adata.mod.values()] if is_mudata(adata) else [adata.layers]
    for layer in layers:
        layer.pop(keys.velocity, None)
