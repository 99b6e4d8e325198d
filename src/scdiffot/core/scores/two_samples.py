"""Whether two samples differ by more than sampling alone makes of one population."""

from __future__ import annotations

import numpy as np

MAX_CELLS, N_PERMUTATIONS = 700, 199
LEVEL = 0.05


def same_population(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a permutation test of the energy distance (Szekely & Rizzo 2013) cannot tell two samples apart.

    Parameters
    ----------
    x
        First sample, shape ``(n, d)``; at most 700 of its cells are compared.
    y
        Second sample, shape ``(m, d)``.

    Returns
    -------
    True if more than 5 % of random divisions of all cells differ as much.
    """
    from scipy.spatial.distance import cdist

    # A property of the data, which refits with other seeds share.
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
    # Rounding alone would rank equal divisions.
    as_large = energy[1:] >= energy[0] - 1e-9 * abs(energy[0])
    return float(1 + as_large.sum()) / (1 + N_PERMUTATIONS) > LEVEL
