"""Write an autoencoder into an AnnData, and read it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot._data.read.checks import format_list
from scdiffot._data.read.gene_names import match_genes
from scdiffot._utils.errors import damaged
from scdiffot._utils.layouts import read
from scdiffot._utils.names import check_key
from scdiffot.core.genes.autoencoder import Autoencoder

from .entry_layouts import AUTOENCODER
from .seals import check_seal, seal

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

    from scdiffot._data.read.extract import Location

# Names in the entry of uns. DECODER and GENES identify it, because a fit has the first two as well.
PARAMS, HISTORY, DECODER, GENES = "params", "history", "decoder", "genes"


def is_autoencoder(entry: Any) -> bool:
    """Whether an entry of `uns` is an autoencoder."""
    return hasattr(entry, "keys") and bool({DECODER, GENES} & set(entry.keys()))


def check_free_autoencoder(adata: AnnData, key: str) -> None:
    """Refuse to overwrite an entry that is no autoencoder.

    Raises
    ------
    TypeError
        If the name is no string.
    ValueError
        If it is empty, contains a slash, or something else has it.
    """
    check_key(key, "key_added")
    for place, container in (("uns", adata.uns), ("obsm", adata.obsm)):
        if key in container and not is_autoencoder(adata.uns.get(key)):
            raise ValueError(
                f"`key_added` is {key!r}, but adata.{place}[{key!r}] holds something that is no "
                "autoencoder: name another."
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
    entry = {
        PARAMS: params,
        HISTORY: history,
        DECODER: decoder.to_arrays(),
        GENES: adata.var_names.to_numpy()[columns].astype(str),
    }
    adata.uns[key] = seal(entry, PARAMS, DECODER, GENES)


def read_autoencoder(location: Location, n_dims: int) -> tuple[Autoencoder, np.ndarray]:
    """Read the autoencoder of a representation, and the positions of its genes.

    Raises
    ------
    ValueError
        If the fit left dimensions out, or genes are missing from `var_names`.
    StoredFitError
        If it is damaged, or of a newer version.
    """
    owner = location.owner
    place = f"adata.uns[{location.key!r}]"
    check_seal(owner.uns[location.key], place, PARAMS, DECODER, GENES)
    entry = read(owner.uns[location.key], AUTOENCODER, place)
    n_latent, genes = entry[PARAMS]["n_latent"], entry[GENES]
    model = Autoencoder.from_arrays(entry[DECODER], place=f"{place}[{DECODER!r}]")
    if (len(genes), n_latent) != (len(model.centre), len(model.shift)):
        raise damaged(
            f"{place}[{DECODER!r}]", f"has no {n_latent} dimensions of {len(genes)} genes"
        )
    if n_dims != n_latent:
        raise ValueError(
            f"`use_rep` {location.name!r} is an autoencoder of {n_latent} dimensions, of which "
            f"this fit has the first {n_dims}: they mean nothing without the others. "
            "Fit all of them, or compute one with fewer."
        )
    columns = match_genes(owner, genes, argument="use_rep")
    if (columns < 0).any():
        raise ValueError(
            f"`use_rep` {location.name!r} was computed from {len(genes)} genes, of which "
            f"{(columns < 0).sum()} are gone from adata.var_names, for instance "
            f"{format_list(genes[columns < 0][:3].tolist())}: keep them, or compute it again."
        )
    return model, columns
