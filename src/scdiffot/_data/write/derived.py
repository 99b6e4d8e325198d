"""What is derived from a fit, and goes with it."""

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
    """Drop what an earlier fit of a name left, except what the next one overwrites."""
    drop_fingerprints(adata, keys)
    for name in (keys.migration, keys.fate, keys.fate_se, keys.fate_path, keys.ancestry):
        adata.obsm.pop(name, None)
    # another run may have a name that begins like a projection
    for name in [name.removeprefix("X_") for name in adata.obsm]:
        adata.obsm.pop(keys.projection(name), None)
    drop_columns(
        adata, (keys.n_descendants, keys.n_descendants_se, keys.fate_ess, keys.commitment_time)
    )
    adata.obsp.pop(keys.transitions, None)
    layers = [m.layers for m in adata.mod.values()] if is_mudata(adata) else [adata.layers]
    for layer in layers:
        layer.pop(keys.velocity, None)
