"""Treated cells around predicted ones."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.options import check_count
from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.clouds import check_pair, thin

from .kernels import check_pairs


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

    The neighbours of a predicted cell are taken from both populations together. 0.5 means that they are well mixed, 0
    that predicted cells lie where no treated ones are. More than 0.5 means that they keep to places dense with treated
    ones, and leave others empty. With as many cells of both, it is one minus ``enrichment-k50`` of CellOT
    :cite:p:`Bunne2023b`, which counts the predicted cells among the neighbours.

    CellOT drops cells until both populations have the same number. Here both count as distributions of mass one, and
    the cell itself, left out, hands its mass to the other predicted ones. A neighbourhood reaches as far as it takes
    to gather the mass of `k` cells of the smaller population, the last cell in part, so numbers and weights may differ.
    The number of cells of a weighted cloud is its effective one, :math:`1 / \sum_i a_i^2`.

    Parameters
    ----------
    x
        Predicted cells, shape ``(n, d)``.
    y
        Treated cells, shape ``(m, d)``, in the same unit.
    wx
        Non-negative weights of `x`, shape ``(n,)``; equal ones by default.
    wy
        Non-negative weights of `y`, shape ``(m,)``; equal ones by default.
    k
        Size of the neighbourhood, in cells of the smaller population.
    n_max
        A larger cloud is replaced by this many of its points, spread over the weights by systematic sampling.
    rng
        Seed or generator of that sampling.

    Returns
    -------
    The mean share over the predicted cells, between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`~scdiffot.metrics.energy_distance`, or if `k` is not positive or larger than the smaller population.

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
    number = effective_number(wx, wy)
    # weights that are equal but for rounding
    if k > number * (1 + 1e-9):
        raise ValueError(
            f"`k` is {k}, and the smaller cloud counts {number:.0f} points: pass at most that many."
        )
    return shares(neighbours(x, y), wx, wy, mass=k / number)


def effective_number(wx: np.ndarray, wy: np.ndarray) -> float:
    """Effective number of points of the smaller of two clouds, whose weights sum to one."""
    return float(min(1 / np.sum(wx**2), 1 / np.sum(wy**2)))


def neighbours(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Order all points, first those of `x`, by their distance from every point of `x`, which is left out itself."""
    from scipy.spatial.distance import cdist

    own = cdist(x, x)
    np.fill_diagonal(own, np.inf)
    return np.argsort(np.concatenate([own, cdist(x, y)], axis=1), axis=1)[:, :-1]


def shares(order: np.ndarray, a: np.ndarray, b: np.ndarray, *, mass: float) -> float:
    """Mean share of `b` in the neighbours nearest in `order` that make up a `mass`."""
    own = order < len(a)
    near = np.concatenate([a, b])[order]
    # The point itself is no neighbour. One that holds all of the mass has no neighbours of its kind.
    near = np.where(own, near / np.maximum(1 - a, np.finfo(float).tiny)[:, None], near)
    taken = np.clip(mass - (np.cumsum(near, axis=1) - near), 0, near)
    share = np.sum(taken, axis=1, where=~own) / np.sum(taken, axis=1)
    return float(a @ share)
