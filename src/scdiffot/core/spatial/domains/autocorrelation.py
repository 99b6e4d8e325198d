"""Significance of spatial autocorrelation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse


def moran_z(moran: np.ndarray, weights: sparse.csr_matrix) -> np.ndarray:
    """Compute z scores of Moran's I for normally distributed values :cite:p:`Moran1950`.

    The z score is the difference from the mean without a pattern, in standard deviations.

    Parameters
    ----------
    moran
        Moran's I of every gene.
    weights
        Weights of the neighbours behind Moran's I, shape ``(n, n)``.

    Returns
    -------
    Z scores, of the shape of `moran`; NaN if no spot has a neighbour.

    See Also
    --------
    scdiffot.core.spatial.domains.neighbourhoods.nearest_spots : Neighbours of spots.
    """
    n, total = weights.shape[0], weights.sum()
    if total == 0 or n < 3:
        return np.full_like(moran, np.nan)
    symmetric = weights + weights.T
    s1 = symmetric.multiply(symmetric).sum() / 2
    columns, rows = (np.asarray(weights.sum(axis=axis)).ravel() for axis in (0, 1))
    s2 = float(((columns + rows) ** 2).sum())
    mean = -1 / (n - 1)
    variance = (n**2 * s1 - n * s2 + 3 * total**2) / ((n**2 - 1) * total**2) - mean**2
    return np.asarray((moran - mean) / np.sqrt(variance))
