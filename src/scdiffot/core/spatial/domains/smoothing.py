"""Smoothing and order of domain probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .neighbourhoods import averaging

if TYPE_CHECKING:
    from scipy import sparse


def smooth_probabilities(
    probabilities: np.ndarray, links: sparse.csr_array, n_rounds: int
) -> np.ndarray:
    """Average the probabilities of every spot and its linked spots, repeatedly.

    Parameters
    ----------
    probabilities
        Probabilities of the domains, shape ``(n, k)``.
    links
        Links between spots, shape ``(n, n)``.
    n_rounds
        Number of repetitions.

    Returns
    -------
    Probabilities, shape ``(n, k)``; rows sum to one.

    See Also
    --------
    order_by_size : Order domains.
    scdiffot.core.spatial.domains.neighbourhoods.averaging : Weights of one average.
    """
    weights = averaging(links)
    for _ in range(n_rounds):
        probabilities = weights @ probabilities
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def order_by_size(probabilities: np.ndarray) -> np.ndarray:
    """Order domains by their number of spots, largest first.

    Parameters
    ----------
    probabilities
        Probabilities, shape ``(n, k)``; a spot belongs to its most probable domain.

    Returns
    -------
    Positions of columns, without domains that have no spots.

    See Also
    --------
    smooth_probabilities : Smooth probabilities.
    """
    sizes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    order = np.argsort(-sizes, kind="stable")
    return np.asarray(order[sizes[order] > 0], dtype=np.intp)
