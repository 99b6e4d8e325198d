"""Permutation test of whether two samples come from one population."""

from __future__ import annotations

import numpy as np

# Cells of a sample that are compared, and permutations of the test.
MAX_CELLS, N_PERMUTATIONS = 700, 199
# Significance level of the test.
LEVEL = 0.05
# Relative difference below which two energy distances are equal up to rounding.
TOLERANCE = 1e-9


def same_population(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two samples pass a permutation test of equality by the energy distance.

    The energy distance is that of Szekely & Rizzo (2013).

    Parameters
    ----------
    x
        First sample, shape ``(n, d)``; at most 700 of its cells are compared.
    y
        Second sample, shape ``(m, d)``.

    Returns
    -------
    True if the p value is above 5 %: the share of random divisions of all cells whose energy
    distance is at least as large.
    """
    from scipy.spatial.distance import cdist

    # A fixed seed: the result depends on the data alone.
    rng = np.random.default_rng(0)
    x, y = (
        z if len(z) <= MAX_CELLS else z[rng.choice(len(z), MAX_CELLS, replace=False)]
        for z in (x, y)
    )
    cells = np.concatenate([x, y]).astype(np.float64)
    distance = cdist(cells, cells)
    signs = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
    divisions = np.stack([signs, *(rng.permutation(signs) for _ in range(N_PERMUTATIONS))], axis=1)
    energy = -(divisions * (distance @ divisions)).sum(axis=0)
    exceeds = energy[1:] >= energy[0] - TOLERANCE * abs(energy[0])
    return float(1 + exceeds.sum()) / (1 + N_PERMUTATIONS) > LEVEL
