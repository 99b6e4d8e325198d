"""Fates at the ends of simulated trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._analysis.sta_inputs import MAX_SHARE_OUTSIDE
from scdiffot._utils.keys import OUTSIDE, UNKNOWN
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from scdiffot._analysis.classifier import Classifier
    from scdiffot._analysis.sta_inputs import StaInputs

# Least share of the descendants, and least effective number of source cells, of a fate with trends.
MIN_SHARE, MIN_CELLS = 0.01, 3


def fate_probabilities(type_classifier: Classifier, ends: np.ndarray) -> np.ndarray:
    """Probabilities of the types and of no type, shape ``(n, m, K + 1)``; zero far from all cells.

    Parameters
    ----------
    type_classifier
        Classifier of the target time.
    ends
        Ends of the trajectories, shape ``(n, m, d)``.
    """
    probability, outside = type_classifier(ends.reshape(-1, ends.shape[2]))
    return np.where(outside[:, None], 0.0, probability).reshape(*ends.shape[:2], -1)


def frequent_fates(
    probability: np.ndarray, log_w: np.ndarray, inputs: StaInputs, target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the types that enough descendants reach.

    Parameters
    ----------
    probability
        Probabilities of the types and of no type, shape ``(n, m, K + 1)``.
    log_w
        Logarithms of the weights of the trajectories, shape ``(n, m)``.
    inputs
        The fit and its cells.
    target
        Time of the fates.

    Returns
    -------
    Codes of the types, and the shares of all types in the descendants, shape ``(K,)``.

    Raises
    ------
    ValueError
        If there is no such type.
    """
    weights = np.exp(log_w.astype(np.float64) - log_w.max())
    by_cell = np.einsum("nm,nmk->nk", weights, probability)
    share = by_cell.sum(axis=0) / weights.sum()
    outside, unknown = 1 - float(share.sum()), float(share[-1])
    inputs.warn_untyped(target, unknown, "descendants")
    by_cell, share = by_cell[:, :-1], share[:-1]
    if outside > MAX_SHARE_OUTSIDE:
        logger.warning(
            "%.0f %% of the descendants end far from every cell of time %s, %r, and count for no "
            "fate.",
            100 * outside,
            number_text(target),
            OUTSIDE,
        )
    effective = np.square(by_cell.sum(axis=0)) / np.maximum(np.square(by_cell).sum(axis=0), 1e-300)
    fates = np.flatnonzero((share >= MIN_SHARE) & (effective >= min(MIN_CELLS, len(weights))))
    if len(fates) == 0:
        raise ValueError(
            f"`source` leads to no fate at {number_text(target)}: all trajectories end "
            f"{OUTSIDE!r}, far from every cell of that time, {UNKNOWN!r}, among cells without a "
            "type, or come from too few cells. Select more cells, or another `target_time`."
        )
    if len(fates) == 1:
        logger.warning(
            "All trajectories lead to %r: there are trends, but no differences between fates to "
            "rank genes by.",
            inputs.names[fates[0]],
        )
    return fates, share
