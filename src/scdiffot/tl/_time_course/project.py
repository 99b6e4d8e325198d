"""Velocities on an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._analysis.neighbors import embed_vectors
from scdiffot._data.read.checks import as_writable, check_count
from scdiffot._data.read.extract import read_representation
from scdiffot._data.write.fingerprints import ARROWS, write_fingerprint
from scdiffot._data.write.store import read_states, read_velocities
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def project(
    adata: AnnData | MuData,
    basis: str = "umap",
    *,
    n_neighbors: int = 30,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Project the velocities of a fit onto an embedding, for the arrows of a plot.

    A cell is displaced along its velocity, forwards and backwards, by the distance of its
    neighbours in the space of the fit. Both points are placed on the embedding among their own
    neighbours; their difference divided by the time of the displacement is the projected velocity.

    Parameters
    ----------
    %(fit)s
    basis
        Embedding, a key of `adata.obsm` with or without its ``X_``.
    n_neighbors
        Number of neighbours.
    %(key)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.obsm["{key}_velocity_{basis}"]` : array of shape ``(n, e)``
        Velocity, in units of the embedding, of ``e`` dimensions, per unit of time. scVelo reads it
        too: ``scv.pl.velocity_embedding_stream(adata, vkey="{key}_velocity", basis="{basis}")``.

    Raises
    ------
    KeyError
        If there is no fit, or no such embedding.
    ValueError
        If there are fewer than two neighbours, or `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit : Learn the velocities.
    scdiffot.tl.gene_velocity : Velocities of genes.
    scdiffot.tl.transition_matrix : Transition probabilities between cells, for CellRank.

    Examples
    --------
    >>> import numpy as np
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> adata.obsm["X_log"] = np.log1p(adata.X)
    >>> sdo.tl.project(adata, "log")
    >>> adata.obsm["scdiffot_velocity_log"].shape == adata.shape
    True
    """
    keys = Keys(key, "key")
    n_neighbors = check_count("n_neighbors", n_neighbors, 2)
    adata = as_writable(adata, copy=copy)
    states = read_states(adata, key)
    embedding, name = read_representation(adata, basis, argument="basis")
    projected = embed_vectors(
        read_velocities(adata, key), states, embedding, n_neighbors=n_neighbors
    )
    adata.obsm[keys.projection(name)] = projected.astype(np.float32)
    write_fingerprint(adata.obsm, adata.obs_names, keys, ARROWS + keys.projection(name), embedding)
    return adata if copy else None
