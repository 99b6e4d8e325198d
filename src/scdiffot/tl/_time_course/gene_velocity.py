"""Velocities of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._data.read.checks import as_writable, format_list
from scdiffot._data.write.decoders import read_genes
from scdiffot._data.write.store import read_states, read_velocities
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.core.genes.decoders import decoded_velocity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Number of cells whose genes are decoded at a time.
CHUNK_SIZE = 1024


@fill_parameters
def gene_velocity(
    adata: AnnData | MuData,
    *,
    genes: str | Iterable[str] | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Convert the velocities of a fit into velocities of genes.

    If :math:`b` is the drift of a fit in a representation and the decoder :math:`D` maps states to
    expression, a gene changes at the rate

    .. math::
        \frac{d D(x_t)}{dt} = \frac{\partial D}{\partial x}(x) \, b(x, t),

    computed by forward differentiation. For a principal component analysis (PCA), it is :math:`b`
    times the loadings. It is the change of the mean expression of a cell, without the contribution
    of diffusion through a non-linear decoder.

    Parameters
    ----------
    adata
        Cells with a fit. In a MuData, the representation must belong to a modality
        (``"rna:X_pca"``).
    genes
        Genes to compute; all genes of the representation by default.
    gene_symbols
        Column of `adata.var` with the gene names to use instead of `adata.var_names`.
    decoder
        Decoder of the representation: an object with methods ``encode`` (expression ``(n, G)`` to
        states ``(n, d)``) and ``decode`` (the inverse), or a pair of such functions, on tensors,
        where the ``G`` genes are all of `adata.var_names`; see the notes. By default the decoder
        that `adata` holds: the loadings of a PCA by scanpy or the networks of
        :func:`scdiffot.pp.autoencoder`; states that are expression need none.
    %(key)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field, in a MuData that of the modality:

    `adata.layers["{key}_velocity"]` : array of shape ``(n, n_vars)``
        Velocity of every gene, in the unit of the expression behind the representation (usually
        log-normalised) per unit of time. NaN for genes that are not in `genes`, or that the
        representation was computed without.

    Raises
    ------
    KeyError
        If there is no fit, or a gene does not exist or was filtered out.
    TypeError
        If `genes` are not names, or `decoder` is not a decoder.
    ValueError
        If the representation has no decoder or does not fit the expression, a gene in `genes` is
        constant there, or `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit : Learn the drift.
    scdiffot.tl.project : Velocities on an embedding.
    scdiffot.tl.growth_genes : Genes on which growth depends.
    scdiffot.pp.autoencoder : A representation with a decoder.

    Notes
    -----
    Two methods turn a model of scvi-tools :cite:p:`Lopez2018` into a decoder; expression is
    then log1p of counts at a total of 10,000. With a batch key, it is the mean over the batches, so
    that velocities do not depend on the batch. A model with further covariates needs them after the
    batch in both calls::

        class Decoder:
            def __init__(self, model):
                self.module = model.module.eval().cpu()

            def batches(self, x):
                # indices, not one-hot vectors
                return [torch.full((len(x), 1), b) for b in range(max(self.module.n_batch, 1))]

            def encode(self, x):
                encoder = self.module.z_encoder
                states = [encoder.mean_encoder(encoder.encoder(x, b)) for b in self.batches(x)]
                return torch.stack(states).mean(0)

            def decode(self, z):
                decoder = self.module.decoder
                scales = [
                    decoder.px_scale_decoder(decoder.px_decoder(z, b)) for b in self.batches(z)
                ]
                return torch.log1p(1e4 * torch.stack(scales).mean(0))


        adata.obsm["X_scVI"] = model.get_latent_representation()
        sdo.tl.fit(adata, "time", use_rep="X_scVI")
        sdo.tl.gene_velocity(adata, decoder=Decoder(model))

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.gene_velocity(adata)
    >>> adata.layers["scdiffot_velocity"].shape == adata.shape
    True
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
    owner = space.owner
    positions = np.arange(len(space.columns)) if genes is None else space.find(genes)
    states = torch.as_tensor(read_states(adata, key), dtype=torch.float32)
    drift = torch.as_tensor(read_velocities(adata, key), dtype=torch.float32)
    # The cells of a modality may be in another order.
    rows = owner.obs_names.get_indexer(adata.obs_names)
    columns = space.columns[positions]
    layer = np.full(owner.shape, np.nan, np.float32)
    for start in range(0, len(states), CHUNK_SIZE):
        chunk = slice(start, start + CHUNK_SIZE)
        with torch.no_grad():
            velocity = decoded_velocity(space.decoder, states[chunk], drift[chunk])
        layer[np.ix_(rows[chunk], columns)] = velocity[:, positions].numpy()
    if genes is not None:
        constant = ~layer[:, columns].any(axis=0)
        if constant.any():
            raise ValueError(
                f"`genes` names {format_list(space.names[positions][constant].tolist())}, constant "
                "wherever "
                f"{space.use_rep!r} is decoded: the expression it was computed from does not vary "
                "between cells. Leave them out."
            )
    owner.layers[keys.velocity] = layer
    return adata if copy else None
