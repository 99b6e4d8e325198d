"""Velocities of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._data.read.checks import some, writable
from scdiffot._data.write.decoders import read_genes
from scdiffot._data.write.store import read_states, read_velocities
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.core.genes.decoders import decoded_velocity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Cells of which all genes are decoded at a time.
PORTION = 1024


def gene_velocity(
    adata: AnnData | MuData,
    *,
    genes: str | Iterable[str] | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    key: str = DEFAULT,
    copy: bool = False,
) -> AnnData | MuData | None:
    r"""Turn the velocities of a fit into those of genes.

    With the drift :math:`b` of a fit in a representation from which the decoder :math:`D` gives expression, a gene changes at

    .. math::
        \frac{d D(x_t)}{dt} = \frac{\partial D}{\partial x}(x) \, b(x, t),

    by forward differentiation; for a PCA that is :math:`b` times the loadings. It is the change of the mean expression of a
    cell, without what diffusion adds to a decoder that bends.

    Parameters
    ----------
    adata
        Cells with a fit. Of a MuData, the representation is one of a modality (``"rna:X_pca"``).
    genes
        Genes to compute; all that the representation knows by default.
    gene_symbols
        Column of `adata.var` with names of genes to use in place of `adata.var_names`.
    decoder
        An object with methods ``encode`` (expression (n, G) to states (n, d)) and ``decode`` (back), or a pair of such functions, of
        tensors, with all of `adata.var_names` as G; see the notes. By default what the data carry: the loadings of a PCA by
        scanpy, the networks of :func:`scdiffot.pp.autoencoder`; states that are expression need none.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following field, of the modality in a MuData:

    `adata.layers["{key}_velocity"]` : array of shape ``(n, n_vars)``
        Velocity of every gene, in the unit of the expression behind the representation (log-normalised, mostly) per unit of time.
        NaN for genes that were not asked for, or that the representation was computed without.

    Raises
    ------
    KeyError
        If there is no fit, or a gene does not exist or was filtered out.
    TypeError
        If `genes` are not names, or `decoder` is not a decoder.
    ValueError
        If the representation has no decoder or does not fit the expression, a gene in `genes` is constant there, or `adata` cannot be
        used. Nothing is written then.

    Notes
    -----
    A model of scvi-tools :cite:p:`Lopez2018` becomes a decoder by two methods; expression is then log1p of counts at a total of
    10,000. With a batch key, it is the mean over the batches, so that velocities along the latent space are not those of one
    batch. A model with further covariates needs them after the batch in both calls::

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
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.gene_velocity(adata)
    >>> adata.layers["scdiffot_velocity"].shape == adata.shape
    True
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
    owner = space.owner
    wanted = np.arange(len(space.columns)) if genes is None else space.find(genes)
    states = torch.as_tensor(read_states(adata, key), dtype=torch.float32)
    drift = torch.as_tensor(read_velocities(adata, key), dtype=torch.float32)
    # the cells of a modality may be in another order
    rows = owner.obs_names.get_indexer(adata.obs_names)
    columns = space.columns[wanted]
    layer = np.full(owner.shape, np.nan, np.float32)
    for start in range(0, len(states), PORTION):
        part = slice(start, start + PORTION)
        with torch.no_grad():
            found = decoded_velocity(space.decoder, states[part], drift[part])
        layer[np.ix_(rows[part], columns)] = found[:, wanted].numpy()
    if genes is not None:
        still = ~layer[:, columns].any(axis=0)
        if still.any():
            raise ValueError(
                f"`genes` names {some(space.names[wanted][still].tolist())}, constant wherever {space.use_rep!r} is decoded: the expression "
                "it was computed from does not vary between cells. Leave them out."
            )
    owner.layers[keys.velocity] = layer
    return adata if copy else None
