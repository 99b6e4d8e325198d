"""Velocities under the keys of scVelo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import as_writable, check_flag
from scdiffot._data.read.columns import drop_columns
from scdiffot._data.write.decoders import read_genes
from scdiffot._data.write.store import read_states
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

# Keys under which scVelo stores velocities
VELOCITY, EXPRESSION, GENES, PARAMS, MODE = (
    "velocity",
    "Ms",
    "velocity_genes",
    "velocity_params",
    "scdiffot",
)
# Results that scVelo derives from velocities and would not recompute for new ones
GRAPHS = ("velocity_graph", "velocity_graph_neg")
VARIANCE = "variance_velocity"
COLUMNS = (
    "velocity_self_transition",
    "velocity_confidence",
    "velocity_confidence_transition",
    "velocity_length",
    "velocity_pseudotime",
)


@fill_parameters
def scvelo(
    adata: AnnData | MuData,
    *,
    decoder: Any = None,
    overwrite: bool = False,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Copy the velocities of genes to the keys of scVelo.

    Then ``scv.tl.velocity_graph(adata)``, the functions of scVelo :cite:p:`Bergen2020` that use
    its result (``velocity_confidence``, ``velocity_pseudotime``, ``velocity_embedding``) and its
    plots on embeddings work as they do on RNA velocity. Functions that compare spliced with
    unspliced counts do not. Arrows on an embedding do not need scVelo: see
    :func:`scdiffot.tl.project`.

    Parameters
    ----------
    adata
        Cells with the velocities of genes, by :func:`scdiffot.tl.gene_velocity`.
    decoder
        The decoder that was passed to :func:`scdiffot.tl.gene_velocity`, if any.
    overwrite
        Whether to replace RNA velocity and results derived from it. An earlier export is always
        replaced.
    %(key)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields, of the modality in a MuData:

    `adata.layers["velocity"]` : array of shape ``(n, n_vars)``
        Velocity of every gene, per unit of time.
    `adata.layers["Ms"]` : array of shape ``(n, n_vars)``
        Decoded expression of the states, in the same unit, NaN for genes without velocity; scVelo
        extrapolates it along the velocity.
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
        If `adata` has RNA velocity and `overwrite` is False, the representation has no decoder, or
        `adata` cannot be used. Nothing is written in these cases.

    See Also
    --------
    scdiffot.tl.gene_velocity : Compute the velocities of genes.
    scdiffot.tl.project : Draw velocities on an embedding without scVelo.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.gene_velocity(adata)
    >>> sdo.ext.scvelo(adata)
    >>> adata.layers["velocity"].shape == adata.layers["Ms"].shape
    True
    """
    keys = Keys(key, "key")
    check_flag("overwrite", overwrite)
    adata = as_writable(adata, copy=copy)
    space = read_genes(adata, key, decoder)
    owner = space.owner
    if keys.velocity not in owner.layers:
        raise KeyError(
            f"`key` is {key!r}, but layers[{keys.velocity!r}] is missing: run "
            f"scdiffot.tl.gene_velocity(adata, key={key!r}) first."
        )
    _check_overwrite(owner, keys.velocity, overwrite=overwrite)
    velocity = np.array(owner.layers[keys.velocity], dtype=np.float32)
    has_velocity = np.asarray(np.isfinite(velocity).all(axis=0))
    expression = np.full(owner.shape, np.nan, np.float32)
    rows = owner.obs_names.get_indexer(adata.obs_names)
    mask = has_velocity[space.columns]
    expression[np.ix_(rows, space.columns[mask])] = space.decode(read_states(adata, key))[:, mask]
    for mapping, names in (
        (owner.uns, GRAPHS),
        (owner.layers, (VARIANCE,)),
        (owner.obsm, _projections(owner)),
    ):
        for name in names:
            mapping.pop(name, None)
    drop_columns(owner, COLUMNS)
    owner.layers[VELOCITY] = velocity
    owner.layers[EXPRESSION] = expression
    owner.var[GENES] = has_velocity
    # without the list of embeddings, scVelo would recompute the velocities
    owner.uns[PARAMS] = {"mode": MODE, "fit": key, "embeddings": []}
    return adata if copy else None


def _check_overwrite(owner: AnnData, vkey: str, *, overwrite: bool) -> None:
    """Check that RNA velocity is not replaced by accident; an earlier export may be."""
    existing = [
        f"layers[{name!r}]" for name in (VELOCITY, EXPRESSION, VARIANCE) if name in owner.layers
    ]
    existing += [f"uns[{name!r}]" for name in (PARAMS, *GRAPHS) if name in owner.uns]
    params = owner.uns.get(PARAMS)
    is_export = hasattr(params, "get") and params.get("mode") == MODE
    if existing and not (is_export or overwrite):
        raise ValueError(
            f"`overwrite` is False, but adata holds the velocity of scVelo: {', '.join(existing)}. "
            "Pass overwrite=True to replace it, or leave it and name ours, "
            f"scv.tl.velocity_graph(adata, vkey={vkey!r}, xkey=...)."
        )


def _projections(owner: AnnData) -> list[str]:
    """Keys of `obsm` under which scVelo stores projected velocities."""
    return [f"{VELOCITY}_{name.removeprefix('X_')}" for name in owner.obsm]
