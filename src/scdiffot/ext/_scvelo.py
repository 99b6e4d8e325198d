"""Velocities under the keys of scVelo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_flag, writable
from scdiffot._data.read.columns import drop_columns
from scdiffot._data.write.decoders import read_genes
from scdiffot._data.write.store import read_states
from scdiffot._utils.keys import DEFAULT, Keys

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

# What scVelo calls its own.
VELOCITY, EXPRESSION, GENES, PARAMS, MODE = (
    "velocity",
    "Ms",
    "velocity_genes",
    "velocity_params",
    "scdiffot",
)
# What it derives from velocities, and would take for that of the new ones.
GRAPHS = ("velocity_graph", "velocity_graph_neg")
VARIANCE = "variance_velocity"
COLUMNS = (
    "velocity_self_transition",
    "velocity_confidence",
    "velocity_confidence_transition",
    "velocity_length",
    "velocity_pseudotime",
)


def scvelo(
    adata: AnnData | MuData,
    *,
    decoder: Any = None,
    overwrite: bool = False,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Copy the velocities of genes to where scVelo keeps its own.

    Then ``scv.tl.velocity_graph(adata)``, what scVelo :cite:p:`Bergen2020` derives from it (``velocity_confidence``,
    ``velocity_pseudotime``, ``velocity_embedding``) and its plots on embeddings work as they do on RNA velocity. What compares
    spliced with unspliced counts does not. Arrows on an embedding alone need none of it: see :func:`scdiffot.tl.project`.

    Parameters
    ----------
    adata
        Cells with the velocities of genes, by :func:`scdiffot.tl.gene_velocity`.
    decoder
        The decoder these were computed with, if it was given.
    overwrite
        Whether to replace RNA velocity, and what was derived from it. An earlier export is always replaced.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following fields, of the modality in a MuData:

    `adata.layers["velocity"]` : array of shape ``(n, n_vars)``
        Velocity of every gene, per unit of time.
    `adata.layers["Ms"]` : array of shape ``(n, n_vars)``
        Expression that the states decode to, in the same unit, NaN where the velocity is; scVelo moves it along the velocity.
    `adata.var["velocity_genes"]` : column
        Whether the velocity of a gene is known.
    `adata.uns["velocity_params"]` : dict
        ``mode`` (``"scdiffot"``), ``fit`` (the name), ``embeddings``.

    Raises
    ------
    KeyError
        If there is no fit, or the velocities of genes have not been computed.
    TypeError
        If `decoder` is not a decoder.
    ValueError
        If RNA velocity is there and `overwrite` is False, the representation has no decoder, or `adata` cannot be used. Nothing is
        written then.

    See Also
    --------
    scdiffot.tl.gene_velocity : Compute the velocities of genes.
    scdiffot.tl.project : Draw velocities on an embedding without scVelo.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.gene_velocity(adata)
    >>> sdo.ext.scvelo(adata)
    >>> adata.layers["velocity"].shape == adata.layers["Ms"].shape
    True
    """
    keys = Keys(key, "key")
    check_flag("overwrite", overwrite)
    adata = writable(adata, copy=copy)
    space = read_genes(adata, key, decoder)
    owner = space.owner
    if keys.velocity not in owner.layers:
        raise KeyError(
            f"`key` is {key!r}, but layers[{keys.velocity!r}] is missing: run scdiffot.tl.gene_velocity(adata, key={key!r}) first."
        )
    earlier = [
        f"layers[{name!r}]" for name in (VELOCITY, EXPRESSION, VARIANCE) if name in owner.layers
    ]
    earlier += [f"uns[{name!r}]" for name in (PARAMS, *GRAPHS) if name in owner.uns]
    ours = hasattr(owner.uns.get(PARAMS), "get") and owner.uns[PARAMS].get("mode") == MODE
    if earlier and not (ours or overwrite):
        raise ValueError(
            f"`overwrite` is False, but adata holds the velocity of scVelo: {', '.join(earlier)}. Pass overwrite=True to replace it, or "
            f"leave it and name ours, scv.tl.velocity_graph(adata, vkey={keys.velocity!r}, xkey=...)."
        )
    velocity = np.array(owner.layers[keys.velocity], dtype=np.float32)
    known = np.asarray(np.isfinite(velocity).all(axis=0))
    expression = np.full(owner.shape, np.nan, np.float32)
    rows = owner.obs_names.get_indexer(adata.obs_names)
    kept = known[space.columns]
    expression[np.ix_(rows, space.columns[kept])] = space.decode(read_states(adata, key))[:, kept]
    for place, names in (
        (owner.uns, GRAPHS),
        (owner.layers, (VARIANCE,)),
        (owner.obsm, _projections(owner)),
    ):
        for name in names:
            place.pop(name, None)
    drop_columns(owner, COLUMNS)
    owner.layers[VELOCITY] = velocity
    owner.layers[EXPRESSION] = expression
    owner.var[GENES] = known
    # without the list scVelo computes velocities of its own
    owner.uns[PARAMS] = {"mode": MODE, "fit": key, "embeddings": []}
    return adata if copy else None


def _projections(owner: AnnData) -> list[str]:
    return [f"{VELOCITY}_{name.removeprefix('X_')}" for name in owner.obsm]
