"""Share of treated cells among the neighbours of predicted ones."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.options import check_count
from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.clouds import check_pair, thin

from .kernels import check_pairs


@fill_parameters
def enrichment(
    x: np.ndarray,
    y: np.ndarray,
    wx: np.ndarray | None = None,
    *,
    wy: np.ndarray | None = None,
    k: int = 50,
    n_max: int = 2000,
    rng: int | np.random.Generator = 0,
) -> float:
    r"""Share of treated cells among the neighbours of predicted cells.

    Neighbours of a predicted cell come from both populations. A share of 0.5 means that the
    populations are well mixed; 0 means that no treated cells are near predicted ones. A share above
    0.5 means that predicted cells concentrate where treated cells are dense and miss other regions.
    If both populations have the same size, it is one minus ``enrichment-k50`` of CellOT
    :cite:p:`Bunne2023b`, the share of predicted cells among the neighbours.

    CellOT removes cells until both populations have the same size. Here, both populations are
    distributions of mass one. The cell itself is excluded, and its mass is distributed over the
    other predicted cells. A neighbourhood extends until it contains the mass of `k` cells of the
    smaller population, with a fraction of the last cell, so sizes and weights may differ. The size
    of a weighted cloud is its effective number of cells, :math:`1 / \sum_i a_i^2`.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, shape ``(m, d)``, in the same unit.
    %(weights)s
    k
        Size of the neighbourhood, in cells of the smaller population.
    %(n_max)s
    rng
        Seed or generator of that sampling.

    Returns
    -------
    The mean share over the predicted cells, between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`~scdiffot.metrics.energy_distance`, or if `k` is not positive or larger than the
        smaller population.

    See Also
    --------
    scdiffot.metrics.energy_distance : Distance between the populations.
    scdiffot.metrics.mmd : Maximum mean discrepancy between the populations.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import enrichment
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 500, 2))
    >>> abs(enrichment(a, b) - 0.5) < 0.02
    True
    >>> enrichment(a, b + 100)
    0.0
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    generator = as_generator(rng)
    x, wx = thin(x, wx, n_max, generator)
    y, wy = thin(y, wy, n_max, generator)
    check_pairs("x", wx)
    check_pairs("y", wy)
    k = check_count("k", k, 1)
    number = smaller_effective_number(wx, wy)
    # A tolerance for weights that are equal up to rounding.
    if k > number * (1 + 1e-9):
        raise ValueError(
            f"`k` is {k}, and the smaller cloud counts {number:.0f} points: pass at most that many."
        )
    return treated_share(neighbour_order(x, y), wx, wy, mass=k / number)


def smaller_effective_number(wx: np.ndarray, wy: np.ndarray) -> float:
    """Effective number of points of the smaller of two clouds, whose weights sum to one."""
    return float(min(1 / np.sum(wx**2), 1 / np.sum(wy**2)))


def neighbour_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of all points, `x` first, by their distance from each other point of `x`."""
    from scipy.spatial.distance import cdist

    within = cdist(x, x)
    np.fill_diagonal(within, np.inf)
    return np.argsort(np.concatenate([within, cdist(x, y)], axis=1), axis=1)[:, :-1]


def treated_share(order: np.ndarray, a: np.ndarray, b: np.ndarray, *, mass: float) -> float:
    """Mean share of `b` among the nearest neighbours in `order` that sum to a `mass`."""
    predicted = order < len(a)
    masses = np.concatenate([a, b])[order]
    # The mass of the excluded point is distributed over the other points of `a`. If it is the whole
    # mass, there are none.
    rescaled = masses / np.maximum(1 - a, np.finfo(float).tiny)[:, None]
    masses = np.where(predicted, rescaled, masses)
    included = np.clip(mass - (np.cumsum(masses, axis=1) - masses), 0, masses)
    share = np.sum(included, axis=1, where=~predicted) / np.sum(included, axis=1)
    return float(a @ share)
