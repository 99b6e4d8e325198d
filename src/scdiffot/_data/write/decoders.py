"""Genes behind a representation: the decoder that an AnnData carries, and the genes it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._data.read.checks import is_mudata, some
from scdiffot._data.read.expression import CHUNK_SIZE, dense, layer_names
from scdiffot._data.read.extract import Location, locate, representation
from scdiffot._data.read.gene_names import check_unambiguous, find_genes, gene_names, listed_genes
from scdiffot.core.genes.decoders import CallableDecoder, Decoder, LinearDecoder, identity, leading

from .autoencoders import is_autoencoder, read_autoencoder
from .fingerprints import STATE, check_decoder
from .store import read_params

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.spatial_states import Tissue

# Where scanpy keeps what it found beside the coordinates, if it was not told a name.
_PCA_NAMES = {"X_pca": ("PCs", "pca")}
# Cells on which a decoder is tried before it is believed.
_N_TRIED = 200
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class GeneSpace:
    """The genes of a fit.

    Parameters
    ----------
    decoder
        Between states, in the unit of the representation, and expression, in the unit it was computed from.
    owner
        The AnnData (a modality of a MuData) that has the genes.
    columns
        Their positions in its ``var_names``, in the order of the decoder.
    use_rep
        Name of the representation.
    n_dims
        Number of its columns, which come first in the state.
    gene_symbols
        Column of `var` with the names that the user means; `var_names` if None.
    """

    decoder: Decoder
    owner: AnnData
    columns: np.ndarray
    use_rep: str
    n_dims: int
    gene_symbols: str | None = None

    @property
    def names(self) -> np.ndarray:
        """Names of the genes, in the order of the decoder; those without a symbol have their name in `var_names`."""
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
            If a gene does not exist, or the representation does not know it.
        ValueError
            If no gene, or one twice, is named, or several genes have that name.
        """
        names, modality = gene_names(self.owner, self.gene_symbols), self.use_rep.rpartition(":")[0]
        own = set(names)
        wanted = [
            g.removeprefix(f"{modality}:") if modality and g not in own else g
            for g in listed_genes(genes, argument)
        ]
        at = find_genes(
            names, listed_genes(wanted, argument), argument=argument, gene_symbols=self.gene_symbols
        )
        position = {column: i for i, column in enumerate(self.columns.tolist())}
        filtered = [
            name for name, column in zip(wanted, at.tolist(), strict=True) if column not in position
        ]
        if filtered:
            raise KeyError(
                f"`{argument}` names {some(filtered)}, which {self.use_rep!r} was computed without: its {len(self.columns)} "
                "genes are those of its mask (highly variable ones, by default). Compute it again with these genes, or name "
                "others."
            )
        return np.array([position[column] for column in at.tolist()], dtype=np.intp)

    def named(self, positions: np.ndarray | None = None) -> np.ndarray:
        """Positions of the genes that have a name, among some of the decoder or all.

        Raises
        ------
        ValueError
            If a name is duplicated.
        """
        names = gene_names(self.owner, self.gene_symbols)
        chosen = np.arange(len(self.columns)) if positions is None else positions
        chosen = chosen[[name is not None for name in names[self.columns[chosen]]]]
        check_unambiguous(names, names[self.columns[chosen]], gene_symbols=self.gene_symbols)
        return chosen

    def decode(self, states: np.ndarray) -> np.ndarray:
        """Expression profiles (n, G) of states (n, d)."""
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
        An object with methods `encode` and `decode`, or a pair of functions, of tensors. By default what the AnnData carries: the
        components of a PCA by scanpy, or the networks of `pp.autoencoder`; states that are expression need none.
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
    space = replace(_decoded_space(adata, use_rep, n_dims, decoder), gene_symbols=gene_symbols)
    if gene_symbols is not None:
        gene_names(space.owner, gene_symbols)
    return space


def _decoded_space(adata: AnnData | MuData, use_rep: str, n_dims: int, decoder: Any) -> GeneSpace:
    found = locate(adata, use_rep)
    owner = found.owner
    if is_mudata(owner):
        raise ValueError(
            f"`use_rep` {found.name!r} belongs to no modality, so there are no genes behind it: fit a representation of one, "
            "such as 'rna:X_pca'."
        )
    all_genes = np.arange(owner.n_vars)
    if decoder is not None:
        space = GeneSpace(_given(decoder), owner, all_genes, found.name, n_dims)
        _check_shapes(space, representation(adata, use_rep, n_dims=n_dims)[0])
        return space
    if found.key not in owner.obsm:
        return GeneSpace(identity(n_dims), owner, all_genes[:n_dims], found.name, n_dims)
    if is_autoencoder(owner.uns.get(found.key)):
        networks, columns = read_autoencoder(found, n_dims)
        return GeneSpace(networks, owner, columns, found.name, n_dims)
    loadings, entry = _PCA_NAMES.get(found.key, (found.key, found.key))
    if loadings in owner.varm:
        return _read_pca(found, np.asarray(owner.varm[loadings]), owner.uns.get(entry, {}), n_dims)
    raise ValueError(
        f"`use_rep` {found.name!r} has no decoder, so nothing can be said about genes: fit 'X_pca' of scanpy.pp.pca, the result of "
        "scdiffot.pp.autoencoder or expression itself, or pass `decoder=(encode, decode)`."
    )


def _given(decoder: Any) -> Decoder:
    if (
        isinstance(decoder, tuple | list)
        and len(decoder) == 2
        and all(callable(f) for f in decoder)
    ):
        return CallableDecoder(*decoder)
    if isinstance(decoder, Decoder):
        return decoder
    raise TypeError(
        f"`decoder` is a {type(decoder).__name__}: pass an object with methods encode and decode, or a pair of functions."
    )


def _check_shapes(space: GeneSpace, states: np.ndarray) -> None:
    z = torch.as_tensor(states[:3], dtype=torch.float32)
    with torch.no_grad():
        x = space.decoder.decode(z)
        back = space.decoder.encode(x) if isinstance(x, torch.Tensor) else x
    n_genes = space.owner.n_vars
    if not isinstance(x, torch.Tensor) or x.shape != (len(z), n_genes) or back.shape != z.shape:
        raise ValueError(
            f"`decoder` turns states of shape {tuple(z.shape)} into {tuple(getattr(x, 'shape', ()))} and back into "
            f"{tuple(getattr(back, 'shape', ()))}: it must give tensors of {n_genes} genes, those of adata.var_names, and back."
        )


def _read_pca(found: Location, loadings: np.ndarray, entry: Any, n_dims: int) -> GeneSpace:
    """The PCA of scanpy: genes outside of its mask have no weights."""
    owner, params = found.owner, entry.get("params", {})
    if loadings.shape[1] < n_dims:
        raise ValueError(
            f"`use_rep` {found.name!r} has {n_dims} dimensions in this fit, but its loadings only {loadings.shape[1]}: "
            "compute the PCA again, then fit."
        )
    columns = np.flatnonzero(_mask(owner, params.get("mask_var"), loadings))
    weights = np.asarray(loadings[columns, :n_dims], dtype=np.float64)
    centred = bool(params.get("zero_center", True))
    mean = (
        _pca_mean(found, columns, weights, params.get("layer"))
        if centred
        else np.zeros(len(columns))
    )
    decoder = LinearDecoder(
        torch.tensor(weights, dtype=torch.float32), torch.tensor(mean, dtype=torch.float32)
    )
    return GeneSpace(decoder, owner, columns, found.name, n_dims)


def _mask(owner: AnnData, name: Any, loadings: np.ndarray) -> np.ndarray:
    weighted = np.any(loadings != 0, axis=1)
    if isinstance(name, str) and name in owner.var:
        mask = owner.var[name].to_numpy(dtype=bool)
        # the column may have been computed again since
        return weighted if (weighted & ~mask).any() else mask
    return weighted


def _pca_mean(
    found: Location, columns: np.ndarray, weights: np.ndarray, layer: str | None
) -> np.ndarray:
    """Mean that the PCA subtracted.

    Cells may have been removed since. The part of the mean that matters to the coordinates is read off them; the rest is that of
    the cells that are left.
    """
    owner = found.owner
    rows = np.linspace(0, owner.n_obs - 1, min(owner.n_obs, _N_TRIED)).astype(int)
    coordinates = np.asarray(found.array)[:, : weights.shape[1]]
    spread = coordinates.std(axis=0).max()
    names = [*([layer] if layer in owner.layers else []), *layer_names(owner)]
    sources = {name: owner.layers[name] for name in names if name is not None}
    if owner.X is not None:
        sources = {"X": owner.X, **sources} if layer is None else {**sources, "X": owner.X}
    for values in sources.values():
        shift = dense(values[rows], np.float64)[:, columns] @ weights - coordinates[rows]
        if np.ptp(shift, axis=0).max() <= _TOLERANCE * max(spread, 1e-12):
            mean = _mean(values)[columns]
            return mean - weights @ (weights.T @ mean - shift.mean(axis=0))
    if owner.X is None and "mean" in owner.var:
        return owner.var["mean"].to_numpy(dtype=np.float64)[columns]
    raise ValueError(
        f"`use_rep` {found.name!r} was not computed from {some(sources) or 'anything that is left'}: X times its loadings gives other "
        "coordinates. Put the expression that the PCA saw (log-normalised, say, not counts) into X or a layer of `adata`, or compute it again."
    )


def _mean(values: Any) -> np.ndarray:
    """Mean of every gene, in memory for portions of cells only."""
    n = values.shape[0]
    if hasattr(values, "tocsr"):
        return np.asarray(values.sum(axis=0, dtype=np.float64)).ravel() / n
    return (
        sum(
            dense(values[i : i + CHUNK_SIZE]).sum(axis=0, dtype=np.float64)
            for i in range(0, n, CHUNK_SIZE)
        )
        / n
    )
