"""Genes of one slice for another that did not measure them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._analysis.shared_genes import SharedGenes, shared_genes
from scdiffot._data.read.checks import check_adata, check_count, check_share, writable
from scdiffot._data.read.expression import expression
from scdiffot._data.read.extract import representation
from scdiffot._data.read.gene_names import gene_columns, gene_names, place
from scdiffot._data.read.labels import check_names, column_names
from scdiffot._utils.keys import DEFAULT, GENES, PARAMS, SCORES, Keys
from scdiffot._utils.rng import as_generator
from scdiffot.core.spatial.between.slice_coupling import scale_of
from scdiffot.core.spatial.between.transfer import agreement, nearest, transfer_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


def transfer_genes(
    adata: AnnData,
    reference: AnnData,
    *,
    genes: Iterable[str] | None = None,
    gene_symbols: str | None = None,
    layer: str | None = None,
    use_rep: str | None = None,
    n_dims: int = 20,
    spatial_key: str | None = None,
    spatial_weight: float = 0.5,
    n_neighbors: int = 100,
    n_held_out: int = 50,
    rng: int | np.random.Generator = 0,
    key_added: str = DEFAULT,
    copy: bool = False,
) -> AnnData | None:
    """Predict genes that a slice lacks from one of another platform that measured them.

    Genes that both platforms measured are standardised on each, and brought to principal components of both together. There, spots are coupled with those of the reference by unbalanced entropic optimal transport :cite:p:`Chizat2018`, and
    a missing gene is the mean over the partners of a spot. Some shared genes are held out of a second coupling, and predicted
    like the missing ones: how well that works is what can be expected of the others.

    Parameters
    ----------
    adata
        Spots that lack genes.
    reference
        Spots, or single cells, that have them.
    genes
        Genes of the reference to predict, each once, in the order of the columns of the result. By default all that
        `adata` does not have.
    gene_symbols
        Column of `reference.var` with the gene names to use instead of `reference.var_names`.
    layer
        Layer with logarithms of normalised expression in both, or None for ``X``.
    use_rep
        Representation that both already have in common, corrected for the platform, to use in place of shared genes. If it was computed
        from the genes that are held out, their scores are too high.
    n_dims
        Number of principal components.
    spatial_key
        Key of `obsm` with coordinates, in one frame, in both: spots are then compared by place as well. None for expression
        alone.
    spatial_weight
        Weight of the place then, above 0 and below 1.
    n_neighbors
        Spots of the reference that are considered for a spot.
    n_held_out
        Number of shared genes to hold out; at most a fifth of them are. 0 for no scores.
    rng
        Seed or generator of the choice of these genes.
    key_added
        Name of the result.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}_transferred"]` : DataFrame of shape ``(n, G)``
        Predicted expression, in the unit of the reference. It is dense: name `genes` if there are many spots. Columns have the
        names of the genes, with ``|`` for slashes, which files of AnnData cannot hold there.
    `adata.uns["{key_added}_transfer"]` : dict
        ``params``; ``genes``, the names of the genes; and ``scores``, a DataFrame of the genes held out: ``gene``, ``correlation`` over spots with what was measured, ``error``
        (root mean squared, both platforms standardised: predicting the mean has error 1), and the same of the nearest
        reference spot, ``correlation_nearest`` and ``error_nearest``.

    Raises
    ------
    KeyError
        If a key or gene does not exist.
    TypeError
        If an argument or array has the wrong type.
    ValueError
        If fewer than three genes are shared, no gene is missing, expression holds counts, or an option is out of range. Nothing
        is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> spots, reference = adata[:200, :40].copy(), adata[200:].copy()
    >>> sdo.tl.transfer_genes(spots, reference)
    >>> spots.obsm["scdiffot_transferred"].shape == (200, adata.n_vars - 40)
    True
    """
    keys = Keys(key_added)
    for argument, data in (("adata", adata), ("reference", reference)):
        check_adata(data, argument)
        if not isinstance(data, AnnData):
            raise TypeError(
                f"`{argument}` is a MuData: pass the modality with the genes, for instance mdata['rna']."
            )
    n_dims, n_neighbors = (
        check_count("n_dims", n_dims, 2),
        check_count("n_neighbors", n_neighbors, 1),
    )
    n_held_out = check_count("n_held_out", n_held_out, 0)
    if check_share("spatial_weight", spatial_weight) == 1:
        raise ValueError("`spatial_weight` is 1: pass less, or copy the nearest spots instead.")
    generator = as_generator(rng)
    adata = writable(adata, copy=copy)
    columns = _wanted(adata, reference, genes, gene_symbols)
    names = gene_names(reference, gene_symbols)[columns].tolist()
    check_names(
        names,
        f"of reference, {place(gene_symbols)},",
        argument="genes",
        kind="names",
        reserved=(),
        remedy="rename these genes",
    )
    shared = shared_genes(adata, reference, layer)
    options: dict[str, Any] = {
        "n_dims": n_dims,
        "use_rep": use_rep,
        "spatial_key": spatial_key,
        "spatial_weight": spatial_weight,
    }
    points = _common_space(adata, reference, shared, None, **options)
    weights = transfer_weights(*points, n_neighbors=n_neighbors)
    values = weights @ expression(reference, layer, columns)
    candidates = np.flatnonzero(shared.varying)
    held_out = generator.permutation(candidates)[
        : min(n_held_out, len(candidates) // 5, len(candidates) - 3)
    ]
    scores = _scores(
        adata, reference, shared, np.sort(held_out), n_neighbors=n_neighbors, **options
    )
    _write(
        adata,
        keys,
        names,
        values,
        scores,
        options | {"n_neighbors": n_neighbors},
    )
    return adata if copy else None


def _wanted(
    adata: AnnData, reference: AnnData, genes: Iterable[str] | None, gene_symbols: str | None
) -> np.ndarray:
    if genes is not None:
        return gene_columns(reference, genes, gene_symbols=gene_symbols)
    columns = gene_columns(reference, gene_symbols=gene_symbols)
    columns = columns[~reference.var_names[columns].isin(adata.var_names)]
    if len(columns) == 0:
        raise ValueError(
            f"`adata` has all {reference.n_vars} genes of `reference`: name those to predict anyway with `genes`, "
            "or exchange the two."
        )
    return columns


def _common_space(
    adata: AnnData,
    reference: AnnData,
    shared: SharedGenes,
    without: np.ndarray | None,
    *,
    n_dims: int,
    use_rep: str | None,
    spatial_key: str | None,
    spatial_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """States, and places where they are asked for, of both in one space."""
    states = (
        shared.space(n_dims, without)
        if use_rep is None
        else _both(adata, reference, use_rep, "use_rep")
    )
    if spatial_key is None:
        return states
    places = _both(adata, reference, spatial_key, "spatial_key")
    parts = ((places, np.sqrt(spatial_weight)), (states, np.sqrt(1 - spatial_weight)))
    own, other = (
        np.hstack([pair[side] * (factor / scale_of(*pair)) for pair, factor in parts])
        for side in (0, 1)
    )
    return own, other


def _both(
    adata: AnnData, reference: AnnData, key: str, argument: str
) -> tuple[np.ndarray, np.ndarray]:
    own, other = (
        representation(data, key, argument=argument)[0].astype(np.float64)
        for data in (adata, reference)
    )
    if own.shape[1] != other.shape[1]:
        raise ValueError(
            f"`{argument}` {key!r} has {own.shape[1]} columns in `adata` and {other.shape[1]} in `reference`: both must be "
            "in one space."
        )
    centre = other.mean(axis=0)
    return own - centre, other - centre


def _scores(
    adata: AnnData,
    reference: AnnData,
    shared: SharedGenes,
    held_out: np.ndarray,
    *,
    n_neighbors: int,
    **options: Any,
) -> pd.DataFrame:
    """How well genes are predicted that did not take part."""
    import pandas as pd

    columns: dict[str, Any] = {"gene": shared.names[held_out].astype(str)}
    names = ("correlation", "error", "correlation_nearest", "error_nearest")
    if len(held_out) == 0:
        return pd.DataFrame(columns | {name: np.empty(0) for name in names})
    points = _common_space(adata, reference, shared, held_out, **options)
    measured, there = shared.values(held_out)
    partner = nearest(*points, 1)[0][:, 0]
    for suffix, predicted in (
        ("", transfer_weights(*points, n_neighbors=n_neighbors) @ there),
        ("_nearest", there[partner]),
    ):
        columns[f"correlation{suffix}"], columns[f"error{suffix}"] = agreement(
            measured, predicted, there
        )
    return pd.DataFrame(columns)


def _write(
    adata: AnnData,
    keys: Keys,
    names: Any,
    values: Any,
    scores: pd.DataFrame,
    options: dict[str, Any],
) -> None:
    import pandas as pd

    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    params = {name: value for name, value in options.items() if value is not None}
    adata.obsm[keys.transferred] = pd.DataFrame(
        dense.astype(np.float32), index=adata.obs_names, columns=column_names(names)
    )
    adata.uns[keys.transfer] = {PARAMS: params, GENES: np.array(names, dtype=str), SCORES: scores}
