"""What an autoencoder leaves in an AnnData, and reading it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.core.autoencoder import Autoencoder

from .checks import some

if TYPE_CHECKING:
    from anndata import AnnData

    from .extract import Location

# Of the entry in uns. A fit has a "state" instead, by which the two are told apart.
PARAMS, HISTORY, DECODER, GENES = "params", "history", "decoder", "genes"


def is_autoencoder(entry: Any) -> bool:
    """Whether an entry of `uns` is an autoencoder."""
    return hasattr(entry, "keys") and {PARAMS, HISTORY, DECODER, GENES} <= set(entry.keys())


def check_free_autoencoder(adata: AnnData, key: str) -> None:
    """Refuse to overwrite what is no autoencoder.

    Raises
    ------
    TypeError
        If the name is no string.
    ValueError
        If it is empty, contains a slash, or something else has it.
    """
    if not isinstance(key, str):
        raise TypeError(f"`key_added` is a {type(key).__name__}: pass a string, the key of the representation.")
    if not key or "/" in key:
        raise ValueError(f"`key_added` is {key!r}: pass a name that is not empty and has no '/'.")
    for place, there in (("uns", adata.uns), ("obsm", adata.obsm)):
        if key in there and not is_autoencoder(adata.uns.get(key)):
            raise ValueError(
                f"`key_added` is {key!r}, but adata.{place}[{key!r}] holds something that is no autoencoder: name another."
            )


def write_autoencoder(
    adata: AnnData,
    key: str,
    *,
    states: np.ndarray,
    params: dict[str, Any],
    history: dict[str, Any],
    decoder: Autoencoder,
    columns: np.ndarray,
) -> None:
    """Write the states of all cells, and the networks as arrays."""
    adata.obsm[key] = states
    adata.uns[key] = {
        PARAMS: params,
        HISTORY: history,
        DECODER: decoder.to_arrays(),
        GENES: adata.var_names.to_numpy()[columns].astype(str),
    }


def read_autoencoder(found: Location, n_dims: int) -> tuple[Autoencoder, np.ndarray]:
    """Read the autoencoder of a representation, and the positions of its genes.

    Raises
    ------
    ValueError
        If the fit left dimensions out, or genes are gone.
    """
    owner = found.owner
    entry = owner.uns[found.key]
    n_latent = int(entry[PARAMS]["n_latent"])
    if n_dims != n_latent:
        raise ValueError(
            f"`use_rep` {found.name!r} is an autoencoder of {n_latent} dimensions, of which this fit has the first {n_dims}: "
            "they mean nothing without the others. Fit all of them, or compute one with fewer."
        )
    genes = np.asarray(entry[GENES]).astype(str)
    columns = owner.var_names.get_indexer(genes)
    if (columns < 0).any():
        raise ValueError(
            f"`use_rep` {found.name!r} was computed from {len(genes)} genes, of which {(columns < 0).sum()} are gone from "
            f"adata.var_names, for instance {some(genes[columns < 0][:3].tolist())}: keep them, or compute it again."
        )
    return Autoencoder.from_arrays(entry[DECODER]), columns
