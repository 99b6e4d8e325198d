"""How surely a pattern in space is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse


def moran_z(moran: np.ndarray, weights: sparse.csr_matrix) -> np.ndarray:
    """Distance of Moran's I from its mean without a pattern, in standard deviations, for normal values :cite:p:`Moran1950`.

    Parameters
    ----------
    moran
        Moran's I of every gene.
    weights
        Weights of the neighbours it was computed with, shape ``(n, n)``.

    Returns
    -------
    The same shape as `moran`; NaN where no spot has a neighbour.
    """
    n, total = weights.shape[0], weights.sum()
    if total == 0 or n < 3:
        return np.full_like(moran, np.nan)
    both = weights + weights.T
    s1 = both.multiply(both).sum() / 2
    s2 = float(
        (
            (np.asarray(weights.sum(axis=0)).ravel() + np.asarray(weights.sum(axis=1)).ravel()) ** 2
        ).sum()
    )
    expected = -1 / (n - 1)
    variance = (n**2 * s1 - n * s2 + 3 * total**2) / ((n**2 - 1) * total**2) - expected**2
    return np.asarray((moran - expected) / np.sqrt(variance))
