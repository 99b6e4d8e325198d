"""Domains of a tissue as arrays: smoothing and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .neighbourhoods import averaging

if TYPE_CHECKING:
    from scipy import sparse


def smooth_probabilities(
    probabilities: np.ndarray, links: sparse.csr_array, n_rounds: int
) -> np.ndarray:
    """Replace the probabilities of every spot by the mean over itself and the spots it is linked with, some times over."""
    weights = averaging(links)
    for _ in range(n_rounds):
        probabilities = weights @ probabilities
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def order_by_size(probabilities: np.ndarray) -> np.ndarray:
    """Columns of the domains that hold spots, the largest first.

    Parameters
    ----------
    probabilities
        Shape ``(n, k)``; a spot belongs to the domain of the largest.

    Returns
    -------
    Positions of columns; domains without spots are left out.
    """
    sizes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    order = np.argsort(-sizes, kind="stable")
    return np.asarray(order[sizes[order] > 0], dtype=np.intp)
