"""Whether expression is on the scale that a decoder was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .expression import are_counts, dense

if TYPE_CHECKING:
    from scdiffot._data.write.decoders import GeneSpace

# Cells that are compared
N_COMPARED = 200
# Error of an encoded cell, relative to the spread of the states, below which expression is the source of these states
ENCODING_TOLERANCE = 0.01
# Ratio of the highest values beyond which two matrices are on different scales; that of counts and their logarithms is 5 to 100
MAX_RATIO = 4.0
TOP = 0.999


def source_expression(space: GeneSpace, states: np.ndarray, cells: np.ndarray) -> np.ndarray | None:
    """The expression that a representation was computed from, if it is still there: that which encodes to the states."""
    tried = cells[:: -(-len(cells) // N_COMPARED)]
    owner = space.owner
    if owner.n_obs != len(states):
        return None
    for values in (owner.X, *owner.layers.values()):
        if values is None:
            continue
        x = torch.as_tensor(dense(values[tried][:, space.columns]), dtype=torch.float32)
        with torch.no_grad():
            encoded = space.decoder.encode(x).numpy()
        # positions in a tissue are no expression
        difference = (encoded - states[tried])[:, : space.n_dims]
        if np.abs(difference).max() <= ENCODING_TOLERANCE * states[tried].std(axis=0).max():
            return dense(values[cells][:, space.columns])
    return None


def check_scale(
    values: np.ndarray,
    space: GeneSpace,
    states: np.ndarray,
    *,
    name: str,
    columns: np.ndarray | None = None,
) -> None:
    """Refuse expression on another scale than that of a decoder: counts where it was fitted on logarithms, say.

    Parameters
    ----------
    values
        Expression of some cells, in the order of the genes of the decoder, or of those in `columns`.
    space
        The decoder.
    states
        States of the cells that it was fitted on.
    name
        What the values are, for the message.
    columns
        Positions of the genes of `values` among those of the decoder; all by default.

    Raises
    ------
    ValueError
        If only one of them is counts, or has negative values, or their highest values differ by more than fourfold.
    """
    cells = np.unique(np.linspace(0, len(states) - 1, min(len(states), N_COMPARED)).astype(int))
    source = source_expression(space, states, cells)
    fitted = space.decode(states[cells]) if source is None else source
    fitted = fitted if columns is None else fitted[:, columns]
    problem = _problem(values, fitted, exact=source is not None)
    if problem is not None:
        raise ValueError(
            f"{name} holds {problem} ({values.min():.3g} to {values.max():.3g}), but {space.use_rep!r} was computed from expression "
            f"on another scale ({fitted.min():.3g} to {fitted.max():.3g}): transform it in the same way (for instance "
            "scanpy.pp.normalize_total and scanpy.pp.log1p), or name a layer that was."
        )


def _problem(values: np.ndarray, fitted: np.ndarray, *, exact: bool) -> str | None:
    """How values differ in scale; `exact` if the others are expression as it was stored, not as it is decoded."""
    if exact and are_counts(values) != are_counts(fitted):
        return "counts" if are_counts(values) else "no counts"
    if exact and values.min() < 0 <= fitted.min():
        return "negative values"
    high, fitted_high = (_top(z) for z in (values, fitted))
    if high > MAX_RATIO * fitted_high:
        return "counts" if are_counts(values) else "larger values"
    return "smaller values" if MAX_RATIO * high < fitted_high else None


def _top(values: Any) -> float:
    return float(np.quantile(np.abs(values), TOP))
