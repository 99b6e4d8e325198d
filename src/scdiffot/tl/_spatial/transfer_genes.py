"""Transfer of genes from a reference to a slice that lacks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._analysis.shared_genes import SharedGenes, shared_genes
from scdiffot._data.read.checks import as_writable, check_adata, check_count, check_share
from scdiffot._data.read.expression import read_expression
from scdiffot._data.read.extract import read_representation
from scdiffot._data.read.gene_names import gene_columns, gene_names, names_source
from scdiffot._data.read.labels import check_names, column_names
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, GENES, PARAMS, SCORES, Keys
from scdiffot._utils.rng import as_generator
from scdiffot.core.spatial.between.slice_coupling import scale_of
from scdiffot.core.spatial.between.transfer import agreement, nearest, transfer_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


@fill_parameters
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
    """Predict genes that a slice lacks from a reference of another platform that measured them.

    Genes that both platforms measured are standardised on each, and reduced to principal components
    of both together. In this space, spots are coupled with those of the reference by unbalanced
    entropic optimal transport :cite:p:`Chizat2018`. A missing gene is the mean over the partners of
    a spot. Some shared genes are held out of a second coupling, and predicted like the missing
    genes: their scores estimate the accuracy for the missing genes.

    Parameters
    ----------
    adata
        Spots that lack genes.
    reference
        Spots, or single cells, with these genes.
    genes
        Genes of the reference to predict, each once, in the order of the columns of the result. By
        default all genes that `adata` does not have.
    gene_symbols
        Column of `reference.var` with the gene names to use instead of `reference.var_names`.
    layer
        Layer with logarithms of normalised expression in both, or None for ``X``.
    use_rep
        Common representation of both, corrected for the platform, to use instead of shared genes.
        If it was computed from the held-out genes, their scores are too high.
    n_dims
        Number of principal components.
    spatial_key
        Key of `obsm` with coordinates of both in one frame: spots are then compared by position as
        well. None for expression alone.
    spatial_weight
        Weight of the position, above 0 and below 1.
    n_neighbors
        Number of spots of the reference that are candidate partners of a spot.
    n_held_out
        Number of shared genes to hold out, at most a fifth of them. 0 for no scores.
    %(rng)s
    key_added
        Name of the result.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields:

    `adata.obsm["{key_added}_transferred"]` : DataFrame of shape ``(n, G)``
        Predicted expression, in the unit of the reference. It is dense: name `genes` if there are
        many spots. Columns have the names of the genes, with ``|`` for slashes, because files of
        AnnData refuse slashes.
    `adata.uns["{key_added}_transfer"]` : dict
        ``params``; ``genes``, the names of the genes; and ``scores``, a DataFrame of the held-out
        genes: ``gene``, ``correlation`` over spots with the measured expression, ``error`` (root
        mean squared, both platforms standardised: the mean as prediction has error 1), and the same
        for the nearest reference spot, ``correlation_nearest`` and ``error_nearest``.

    Raises
    ------
    KeyError
        If a key or gene does not exist.
    TypeError
        If an argument or array has the wrong type.
    ValueError
        If fewer than three genes are shared, no gene is missing, expression holds counts, or an
        option is out of range. Nothing is written then.

    See Also
    --------
    scdiffot.tl.align_slices : Align slices in one frame.
    scdiffot.tl.spatial_genes : Genes that vary in space.
    scdiffot.tl.interpolate_slices : Virtual slices between slices.

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
    _check_inputs(adata, reference)
    n_dims = check_count("n_dims", n_dims, 2)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_held_out = check_count("n_held_out", n_held_out, 0)
    if check_share("spatial_weight", spatial_weight) == 1:
        raise ValueError("`spatial_weight` is 1: pass less, or copy the nearest spots instead.")
    generator = as_generator(rng)
    adata = as_writable(adata, copy=copy)
    columns = _target_columns(adata, reference, genes, gene_symbols)
    names = gene_names(reference, gene_symbols)[columns].tolist()
    check_names(
        names,
        f"of reference, {names_source(gene_symbols)},",
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
    values = weights @ read_expression(reference, layer, columns)
    candidates = np.flatnonzero(shared.varying)
    n_scored = min(n_held_out, len(candidates) // 5, len(candidates) - 3)
    held_out = np.sort(generator.permutation(candidates)[:n_scored])
    scores = _scores(adata, reference, shared, held_out, n_neighbors=n_neighbors, **options)
    _write(adata, keys, names, values, scores, options | {"n_neighbors": n_neighbors})
    return adata if copy else None


def _check_inputs(adata: Any, reference: Any) -> None:
    """Refuse data of another class."""
    for argument, data in (("adata", adata), ("reference", reference)):
        check_adata(data, argument)
        if not isinstance(data, AnnData):
            raise TypeError(
                f"`{argument}` is a MuData: pass the modality with the genes, for instance "
                "mdata['rna']."
            )


def _target_columns(
    adata: AnnData, reference: AnnData, genes: Iterable[str] | None, gene_symbols: str | None
) -> np.ndarray:
    """Columns of the reference to predict."""
    if genes is not None:
        return gene_columns(reference, genes, gene_symbols=gene_symbols)
    columns = gene_columns(reference, gene_symbols=gene_symbols)
    columns = columns[~reference.var_names[columns].isin(adata.var_names)]
    if len(columns) == 0:
        raise ValueError(
            f"`adata` has all {reference.n_vars} genes of `reference`: name those to predict "
            "anyway with `genes`, or exchange the two."
        )
    return columns


def _common_space(
    adata: AnnData,
    reference: AnnData,
    shared: SharedGenes,
    held_out: np.ndarray | None,
    *,
    n_dims: int,
    use_rep: str | None,
    spatial_key: str | None,
    spatial_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    """States, and positions if `spatial_key` is given, of both platforms in one space."""
    states = (
        shared.space(n_dims, held_out)
        if use_rep is None
        else _read_pair(adata, reference, use_rep, "use_rep")
    )
    if spatial_key is None:
        return states
    positions = _read_pair(adata, reference, spatial_key, "spatial_key")
    parts = ((positions, np.sqrt(spatial_weight)), (states, np.sqrt(1 - spatial_weight)))
    spots, partners = (
        np.hstack([pair[side] * (factor / scale_of(*pair)) for pair, factor in parts])
        for side in (0, 1)
    )
    return spots, partners


def _read_pair(
    adata: AnnData, reference: AnnData, key: str, argument: str
) -> tuple[np.ndarray, np.ndarray]:
    """Representations of both platforms, relative to the mean of the reference."""
    spots, partners = (
        read_representation(data, key, argument=argument)[0].astype(np.float64)
        for data in (adata, reference)
    )
    if spots.shape[1] != partners.shape[1]:
        raise ValueError(
            f"`{argument}` {key!r} has {spots.shape[1]} columns in `adata` and {partners.shape[1]} "
            "in `reference`: both must be in one space."
        )
    centre = partners.mean(axis=0)
    return spots - centre, partners - centre


def _scores(
    adata: AnnData,
    reference: AnnData,
    shared: SharedGenes,
    held_out: np.ndarray,
    *,
    n_neighbors: int,
    **options: Any,
) -> pd.DataFrame:
    """Accuracy of the prediction of held-out genes."""
    import pandas as pd

    columns: dict[str, Any] = {"gene": shared.names[held_out].astype(str)}
    names = ("correlation", "error", "correlation_nearest", "error_nearest")
    if len(held_out) == 0:
        return pd.DataFrame(columns | {name: np.empty(0) for name in names})
    points = _common_space(adata, reference, shared, held_out, **options)
    measured, reference_values = shared.values(held_out)
    partner = nearest(*points, 1)[0][:, 0]
    for suffix, predicted in (
        ("", transfer_weights(*points, n_neighbors=n_neighbors) @ reference_values),
        ("_nearest", reference_values[partner]),
    ):
        columns[f"correlation{suffix}"], columns[f"error{suffix}"] = agreement(
            measured, predicted, reference_values
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
    """Write the predicted genes, their scores and the options."""
    import pandas as pd

    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    params = {name: value for name, value in options.items() if value is not None}
    adata.obsm[keys.transferred] = pd.DataFrame(
        dense.astype(np.float32), index=adata.obs_names, columns=column_names(names)
    )
    adata.uns[keys.transfer] = {PARAMS: params, GENES: np.array(names, dtype=str), SCORES: scores}
