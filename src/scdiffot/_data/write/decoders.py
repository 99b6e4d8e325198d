"""Genes behind a representation: the decoder stored in an AnnData, and the genes it decodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._data.read.checks import format_list, is_mudata
from scdiffot._data.read.extract import Location, locate, read_representation
from scdiffot._data.read.gene_names import check_unambiguous, find_genes, gene_names, listed_genes
from scdiffot._data.read.scale import pca_mean
from scdiffot.core.genes.decoders import CallableDecoder, Decoder, LinearDecoder, identity, leading

from .autoencoders import is_autoencoder, read_autoencoder
from .fingerprints import STATE, check_decoder
from .store import read_params

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.spatial_states import Tissue

# Keys of the loadings (varm) and parameters (uns) of scanpy's PCA with its default name.
_PCA_NAMES = {"X_pca": ("PCs", "pca")}


@dataclass(frozen=True)
class GeneSpace:
    """Genes and decoder of a fit.

    Parameters
    ----------
    decoder
        Decoder between states, in the unit of the representation, and expression, in the unit that
        the representation was computed from.
    owner
        The AnnData (a modality of a MuData) that has the genes.
    columns
        Their positions in its ``var_names``, in the order of the decoder.
    use_rep
        Name of the representation.
    n_dims
        Number of its columns, which come first in the state.
    gene_symbols
        Column of `var` with the names that the user passes; `var_names` if None.
    """

    decoder: Decoder
    owner: AnnData
    columns: np.ndarray
    use_rep: str
    n_dims: int
    gene_symbols: str | None = None

    @property
    def names(self) -> np.ndarray:
        """Names of the genes, in the order of the decoder; `var_names` if a symbol is missing."""
        names = gene_names(self.owner, self.gene_symbols)[self.columns]
        return np.where([name is None for name in names], self.var_names, names)

    @property
    def var_names(self) -> np.ndarray:
        """Names of the genes in `var_names`, in the order of the decoder."""
        return self.owner.var_names.to_numpy()[self.columns]

    def find(self, genes: str | Iterable[str], argument: str = "genes") -> np.ndarray:
        """Positions of genes among those of the decoder.

        Raises
        ------
        TypeError
            If `genes` are not names.
        KeyError
            If a gene does not exist, or the representation was computed without it.
        ValueError
            If no gene is named, one is named twice, or several genes share a name.
        """
        names, modality = gene_names(self.owner, self.gene_symbols), self.use_rep.rpartition(":")[0]
        all_names = set(names)
        requested_names = [
            g.removeprefix(f"{modality}:") if modality and g not in all_names else g
            for g in listed_genes(genes, argument)
        ]
        gene_positions = find_genes(
            names,
            listed_genes(requested_names, argument),
            argument=argument,
            gene_symbols=self.gene_symbols,
        )
        position = {column: i for i, column in enumerate(self.columns.tolist())}
        masked_names = [
            name
            for name, column in zip(requested_names, gene_positions.tolist(), strict=True)
            if column not in position
        ]
        if masked_names:
            raise KeyError(
                f"`{argument}` names {format_list(masked_names)}, which {self.use_rep!r} was "
                f"computed without: its {len(self.columns)} genes are those of its mask (highly "
                "variable ones, by default). Compute it again with these genes, or name others."
            )
        return np.array([position[column] for column in gene_positions.tolist()], dtype=np.intp)

    def select_named(self, positions: np.ndarray | None = None) -> np.ndarray:
        """Select the genes that have a name, among some positions in the decoder or all.

        Raises
        ------
        ValueError
            If a name is duplicated.
        """
        names = gene_names(self.owner, self.gene_symbols)
        named_positions = np.arange(len(self.columns)) if positions is None else positions
        named_positions = named_positions[
            [name is not None for name in names[self.columns[named_positions]]]
        ]
        check_unambiguous(
            names, names[self.columns[named_positions]], gene_symbols=self.gene_symbols
        )
        return named_positions

    def decode(self, states: np.ndarray) -> np.ndarray:
        """Expression profiles, shape ``(n, G)``, of states, shape ``(n, d)``."""
        with torch.no_grad():
            return self.decoder.decode(torch.as_tensor(states, dtype=torch.float32)).numpy()


def read_genes(
    adata: AnnData | MuData, key: str, decoder: Any = None, *, gene_symbols: str | None = None
) -> GeneSpace:
    """Find the decoder of the representation of a fit.

    Parameters
    ----------
    adata
        Cells with a fit.
    key
        Name of the fit.
    decoder
        An object with methods `encode` and `decode`, or a pair of functions, of tensors. By default
        that of the AnnData: the components of a PCA by scanpy, or the networks of
        `pp.autoencoder`; states that are expression need none.
    gene_symbols
        Column of `var` with names of genes to use in place of `var_names`.

    Raises
    ------
    KeyError
        If there is no fit, or no such column.
    TypeError
        If `decoder` is not a decoder.
    ValueError
        If the representation has no decoder, or it does not fit the data.
    """
    params = read_params(adata, key)
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    space = gene_space(adata, use_rep, n_dims, decoder, gene_symbols=gene_symbols)
    if decoder is None:
        check_decoder(
            adata, key, STATE, use_rep=use_rep, n_dims=n_dims, digest=params.get("decoder")
        )
    tissue: Tissue | None = params["tissue"]
    if tissue is None:
        return space
    return replace(
        space, decoder=leading(space.decoder, locate(adata, tissue.spatial_key).array.shape[1])
    )


def gene_space(
    adata: AnnData | MuData,
    use_rep: str,
    n_dims: int,
    decoder: Any = None,
    *,
    gene_symbols: str | None = None,
) -> GeneSpace:
    """Find the decoder of the first columns of a representation; see :func:`read_genes`."""
    space = replace(_find_space(adata, use_rep, n_dims, decoder), gene_symbols=gene_symbols)
    if gene_symbols is not None:
        gene_names(space.owner, gene_symbols)
    return space


def _find_space(adata: AnnData | MuData, use_rep: str, n_dims: int, decoder: Any) -> GeneSpace:
    location = locate(adata, use_rep)
    owner = location.owner
    if is_mudata(owner):
        raise ValueError(
            f"`use_rep` {location.name!r} belongs to no modality, so there are no genes behind it: "
            "fit a representation of one, such as 'rna:X_pca'."
        )
    all_genes = np.arange(owner.n_vars)
    if decoder is not None:
        space = GeneSpace(_as_decoder(decoder), owner, all_genes, location.name, n_dims)
        _check_shapes(space, read_representation(adata, use_rep, n_dims=n_dims)[0])
        return space
    if location.key not in owner.obsm:
        return GeneSpace(identity(n_dims), owner, all_genes[:n_dims], location.name, n_dims)
    if is_autoencoder(owner.uns.get(location.key)):
        networks, columns = read_autoencoder(location, n_dims)
        return GeneSpace(networks, owner, columns, location.name, n_dims)
    loadings, entry = _PCA_NAMES.get(location.key, (location.key, location.key))
    if loadings in owner.varm:
        values = np.asarray(owner.varm[loadings])
        return _read_pca(location, values, owner.uns.get(entry, {}), n_dims)
    raise ValueError(
        f"`use_rep` {location.name!r} has no decoder, so nothing can be said about genes: "
        "fit 'X_pca' of scanpy.pp.pca, the result of scdiffot.pp.autoencoder or expression itself, "
        "or pass `decoder=(encode, decode)`."
    )


def _as_decoder(decoder: Any) -> Decoder:
    is_pair = isinstance(decoder, tuple | list) and len(decoder) == 2
    if is_pair and all(callable(f) for f in decoder):
        return CallableDecoder(*decoder)
    if isinstance(decoder, Decoder):
        return decoder
    raise TypeError(
        f"`decoder` is a {type(decoder).__name__}: "
        "pass an object with methods encode and decode, or a pair of functions."
    )


def _check_shapes(space: GeneSpace, states: np.ndarray) -> None:
    sample = torch.as_tensor(states[:3], dtype=torch.float32)
    with torch.no_grad():
        decoded = space.decoder.decode(sample)
        encoded = space.decoder.encode(decoded) if isinstance(decoded, torch.Tensor) else decoded
    shape, n_genes = tuple(sample.shape), space.owner.n_vars
    forward, backward = (tuple(getattr(x, "shape", ())) for x in (decoded, encoded))
    is_valid = forward == (len(sample), n_genes) and backward == shape
    if not isinstance(decoded, torch.Tensor) or not is_valid:
        raise ValueError(
            f"`decoder` turns states of shape {shape} into {forward} and back into {backward}: "
            f"it must give tensors of {n_genes} genes, those of adata.var_names, and back."
        )


def _read_pca(location: Location, loadings: np.ndarray, entry: Any, n_dims: int) -> GeneSpace:
    """Read the PCA of scanpy, in which genes outside of the mask have no weights."""
    owner, params = location.owner, entry.get("params", {})
    if loadings.shape[1] < n_dims:
        raise ValueError(
            f"`use_rep` {location.name!r} has {n_dims} dimensions in this fit, but its loadings "
            f"only {loadings.shape[1]}: compute the PCA again, then fit."
        )
    columns = np.flatnonzero(_pca_mask(owner, params.get("mask_var"), loadings))
    weights = np.asarray(loadings[columns, :n_dims], dtype=np.float64)
    is_centered = bool(params.get("zero_center", True))
    mean = (
        pca_mean(location, columns, weights, params.get("layer"))
        if is_centered
        else np.zeros(len(columns))
    )
    decoder = LinearDecoder(
        torch.tensor(weights, dtype=torch.float32), torch.tensor(mean, dtype=torch.float32)
    )
    return GeneSpace(decoder, owner, columns, location.name, n_dims)


def _pca_mask(owner: AnnData, name: Any, loadings: np.ndarray) -> np.ndarray:
    has_weights = np.any(loadings != 0, axis=1)
    if isinstance(name, str) and name in owner.var:
        mask = owner.var[name].to_numpy(dtype=bool)
        # A column that excludes genes with weights was computed again after the PCA.
        return has_weights if (has_weights & ~mask).any() else mask
    return has_weights
