"""The expression that a representation was computed from: its matrix, scale and mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .checks import format_list
from .expression import CHUNK_SIZE, are_counts, layer_names, to_dense

if TYPE_CHECKING:
    from scdiffot._data.write.decoders import GeneSpace

    from .extract import Location

# Cells compared, evenly spaced.
N_COMPARED = 200
# Error of an encoded cell, relative to the standard deviation of the states, below which a matrix
# is the source of these states.
ENCODING_TOLERANCE = 0.01
# Ratio of the highest values above which two matrices are on different scales; the ratio of counts
# to their logarithms is 5 to 100.
MAX_RATIO = 4.0
# The "highest value" is this quantile, which single outliers do not move.
TOP_QUANTILE = 0.999


def source_expression(space: GeneSpace, states: np.ndarray, cells: np.ndarray) -> np.ndarray | None:
    """Find the matrix whose encoding equals the states of some cells; None if there is none."""
    sample = cells[:: -(-len(cells) // N_COMPARED)]
    owner = space.owner
    if owner.n_obs != len(states):
        return None
    for values in (owner.X, *owner.layers.values()):
        if values is None:
            continue
        x = torch.as_tensor(to_dense(values[sample][:, space.columns]), dtype=torch.float32)
        with torch.no_grad():
            encoded = space.decoder.encode(x).numpy()
        # The columns after the first `n_dims` are positions in a tissue.
        difference = (encoded - states[sample])[:, : space.n_dims]
        if np.abs(difference).max() <= ENCODING_TOLERANCE * states[sample].std(axis=0).max():
            return to_dense(values[cells][:, space.columns])
    return None


def check_scale(
    values: np.ndarray,
    space: GeneSpace,
    states: np.ndarray,
    *,
    name: str,
    columns: np.ndarray | None = None,
) -> None:
    """Refuse expression on another scale than that of a decoder, such as counts for logarithms.

    Parameters
    ----------
    values
        Expression of some cells, in the order of the genes of the decoder, or of `columns`.
    space
        The decoder.
    states
        States of the cells that it was fitted on, shape ``(n, d)``.
    name
        Name of the values, for the message.
    columns
        Positions of the genes of `values` among those of the decoder; all by default.

    Raises
    ------
    ValueError
        If only one of them is counts, or has negative values, or their highest values differ by
        more than fourfold.
    """
    cells = np.unique(np.linspace(0, len(states) - 1, min(len(states), N_COMPARED)).astype(int))
    source = source_expression(space, states, cells)
    reference = space.decode(states[cells]) if source is None else source
    reference = reference if columns is None else reference[:, columns]
    problem = _describe_problem(values, reference, exact=source is not None)
    if problem is not None:
        raise ValueError(
            f"{name} holds {problem} ({values.min():.3g} to {values.max():.3g}), but "
            f"{space.use_rep!r} was computed from expression on another scale "
            f"({reference.min():.3g} to {reference.max():.3g}): transform it in the same way (for "
            "instance scanpy.pp.normalize_total and scanpy.pp.log1p), or name a layer that was."
        )


def _describe_problem(values: np.ndarray, reference: np.ndarray, *, exact: bool) -> str | None:
    """Describe how values differ in scale; `exact` if the reference is stored, not decoded."""
    if exact and are_counts(values) != are_counts(reference):
        return "counts" if are_counts(values) else "no counts"
    if exact and values.min() < 0 <= reference.min():
        return "negative values"
    high, reference_high = (_top_quantile(z) for z in (values, reference))
    if high > MAX_RATIO * reference_high:
        return "counts" if are_counts(values) else "larger values"
    return "smaller values" if MAX_RATIO * high < reference_high else None


def _top_quantile(values: Any) -> float:
    return float(np.quantile(np.abs(values), TOP_QUANTILE))


def pca_mean(
    location: Location, columns: np.ndarray, weights: np.ndarray, layer: str | None
) -> np.ndarray:
    """Mean that the PCA subtracted, shape ``(G,)``.

    Cells may have been removed after the PCA. The component of the mean along the loadings is
    computed from the coordinates; the orthogonal component is that of the present cells.

    Raises
    ------
    ValueError
        If no matrix of the AnnData has these coordinates.
    """
    owner = location.owner
    rows = np.linspace(0, owner.n_obs - 1, min(owner.n_obs, N_COMPARED)).astype(int)
    coordinates = np.asarray(location.array)[:, : weights.shape[1]]
    spread = coordinates.std(axis=0).max()
    names = [*([layer] if layer in owner.layers else []), *layer_names(owner)]
    sources = {name: owner.layers[name] for name in names if name is not None}
    if owner.X is not None:
        sources = {"X": owner.X, **sources} if layer is None else {**sources, "X": owner.X}
    for values in sources.values():
        shift = to_dense(values[rows], np.float64)[:, columns] @ weights - coordinates[rows]
        if np.ptp(shift, axis=0).max() <= ENCODING_TOLERANCE * max(spread, 1e-12):
            mean = _gene_means(values)[columns]
            return mean - weights @ (weights.T @ mean - shift.mean(axis=0))
    if owner.X is None and "mean" in owner.var:
        return owner.var["mean"].to_numpy(dtype=np.float64)[columns]
    raise ValueError(
        f"`use_rep` {location.name!r} was not computed from "
        f"{format_list(sources) or 'anything that is left'}: X times its loadings gives other "
        "coordinates. Put the expression that the PCA saw (log-normalised, say, not counts) into X "
        "or a layer of `adata`, or compute it again."
    )


def _gene_means(values: Any) -> np.ndarray:
    """Mean of every gene, shape ``(G,)``, with one chunk of cells in memory at a time."""
    n = values.shape[0]
    if hasattr(values, "tocsr"):
        return np.asarray(values.sum(axis=0, dtype=np.float64)).ravel() / n
    return (
        sum(
            to_dense(values[i : i + CHUNK_SIZE]).sum(axis=0, dtype=np.float64)
            for i in range(0, n, CHUNK_SIZE)
        )
        / n
    )
