"""What surrounds a spot: averages, spread and gradients of the states of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

# On a grid many spots are equally far, but for the last digits of their coordinates: all of them are neighbours, or none.
TIE_TOLERANCE = 1e-3
# Ties that are looked for beyond the neighbours asked for. A square grid has up to eight spots at the same distance.
N_TIES = 8
# Neighbours on a line say nothing about the slope across it. Relative to the spread of the neighbours.
RIDGE = 1e-3


@dataclass(frozen=True)
class Neighbourhoods:
    """Averages over the surroundings of every spot.

    Parameters
    ----------
    mean
        Mean states, shape ``(n, d)``.
    variance
        Standard deviations of the states among neighbours, shape ``(n, d)``, in the unit of the states.
    gradient
        Lengths of the gradients of the mean states, shape ``(n, d)``: differences over the distance of neighbours.
    """

    mean: np.ndarray
    variance: np.ndarray | None
    gradient: np.ndarray | None


def nearest_spots(positions: np.ndarray, n_neighbors: int) -> sparse.csr_array:
    """Link every spot with its nearest ones.

    Spots as far as the last neighbour, to a thousandth, are neighbours too, so that a grid gives the same graph in any pose.

    Parameters
    ----------
    positions
        Coordinates of the spots of one slice, shape ``(n, 2)`` or ``(n, 3)``, in any unit.
    n_neighbors
        Neighbours of every spot; all others where there are fewer.

    Returns
    -------
    Links in both directions, shape ``(n, n)``: 1 where one of two spots is among the nearest of the other.
    """
    from scipy import sparse
    from scipy.spatial import cKDTree

    n = len(positions)
    wanted = min(n_neighbors, n - 1)
    if wanted < 1:
        return sparse.csr_array((n, n))
    k = min(wanted + 1 + N_TIES, n)
    # the spot itself is at distance 0, as are those on top of it: it is taken out by its number
    distance, spots = cKDTree(positions).query(positions, k=k)
    own = spots == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True
    others = ~own
    distance, spots = distance[others].reshape(n, k - 1), spots[others].reshape(n, k - 1)
    kept = distance <= distance[:, wanted - 1 : wanted] * (1 + TIE_TOLERANCE)
    rows = np.repeat(np.arange(n), kept.sum(axis=1))
    links = sparse.csr_array((np.ones(len(rows)), (rows, spots[kept])), shape=(n, n))
    return links.maximum(links.T).tocsr()


def averaging(links: sparse.csr_array) -> sparse.csr_array:
    """Weights of one step: the mean of a spot and those it is linked with, shape ``(n, n)``."""
    from scipy import sparse

    weights = sparse.csr_array(links + sparse.eye_array(links.shape[0]))
    return sparse.csr_array(sparse.diags_array(1 / weights.sum(axis=1)) @ weights)


def n_averaged(links: sparse.csr_array, n_hops: int, *, rng: np.random.Generator) -> float:
    """Independent spots that a mean over the surroundings amounts to: one over the share of noise that is left in it.

    Parameters
    ----------
    links
        Links between spots, shape ``(n, n)``.
    n_hops
        Steps of averaging.
    rng
        Generator of the noise, of 32 dimensions.
    """
    noise = rng.normal(size=(links.shape[0], 32))
    weights, smooth = averaging(links), noise
    for _ in range(n_hops):
        smooth = weights @ smooth
    return float((noise**2).sum() / (smooth**2).sum())


def aggregate(
    positions: np.ndarray,
    states: np.ndarray,
    links: sparse.csr_array,
    codes: np.ndarray,
    *,
    n_hops: int,
    channels: tuple[str, ...] = (),
) -> Neighbourhoods:
    """Describe the surroundings of every spot.

    Parameters
    ----------
    positions
        Coordinates, shape ``(n, 2)`` or ``(n, 3)``.
    states
        States, shape ``(n, d)``.
    links
        Links between the spots, shape ``(n, n)``.
    codes
        Slice of every spot, shape ``(n,)``. Each has a unit of its own, the distance of spots that are linked.
    n_hops
        Steps of averaging over a spot and those it is linked with. The mean reaches as many links far.
    channels
        What to compute beside the mean: ``"variance"``, ``"gradient"``.

    Returns
    -------
    The averages. The variance is that of single states over the same surroundings; the gradient that of the mean.
    """
    weights = averaging(links)
    # from the centre, lest the squares cancel
    centre = states.mean(axis=0)
    mean = states - centre
    square = mean**2 if "variance" in channels else None
    for _ in range(n_hops):
        mean = weights @ mean
        square = None if square is None else weights @ square
    variance = None if square is None else np.sqrt(np.maximum(square - mean**2, 0))
    slopes = _slopes(positions, mean, links, codes) if "gradient" in channels else None
    return Neighbourhoods(mean + centre, variance, slopes)


def _slopes(
    positions: np.ndarray, values: np.ndarray, links: sparse.csr_array, codes: np.ndarray
) -> np.ndarray:
    """Lengths of least-squares gradients over the linked spots, per distance of linked spots, shape ``(n, d)``."""
    from scipy import sparse

    n, n_axes = positions.shape
    first, second = links.nonzero()
    steps = positions[second] - positions[first]
    squares, pairs = _sum_rows(codes[first], (steps**2).sum(axis=1)), _sum_rows(codes[first])
    unit = np.sqrt(squares / np.maximum(pairs, 1))
    steps = steps / np.where(unit > 0, unit, 1.0)[codes[first], None]
    products = steps[:, :, None] * steps[:, None, :]
    spread = np.stack(
        [_sum_rows(first, products[:, i, j], n) for i in range(n_axes) for j in range(n_axes)],
        axis=1,
    ).reshape(n, n_axes, n_axes)
    total = np.trace(spread, axis1=1, axis2=2)
    spread += (RIDGE * total + np.finfo(np.float64).tiny ** 0.5)[:, None, None] * np.eye(n_axes)
    # the sum over links of step times difference, as a product with sparse matrices: n links times d may be large
    sides = []
    for i in range(n_axes):
        along = sparse.csr_array((steps[:, i], (first, second)), shape=(n, n))
        sides.append(along @ values - np.asarray(along.sum(axis=1))[:, None] * values)
    gradients = np.linalg.solve(spread, np.stack(sides, axis=1))
    return np.sqrt((gradients**2).sum(axis=1))


def _sum_rows(rows: np.ndarray, values: np.ndarray | None = None, n: int = 0) -> np.ndarray:
    return np.bincount(rows, weights=values, minlength=n)


@dataclass(frozen=True)
class SpatialComponents:
    """Directions of the state space that vary between places more than between neighbours.

    Parameters
    ----------
    loadings
        Directions, shape ``(d, q)``, in which single spots have variance 1 within their slices.
    shares
        Share of that variance that is left in the means of surroundings, falling, shape ``(q,)``.
    noise
        The share that is left of noise.
    """

    loadings: np.ndarray
    shares: np.ndarray
    noise: float


def spatial_components(
    states: np.ndarray,
    means: np.ndarray,
    codes: np.ndarray,
    *,
    n_averaged: float,
    n_components: int | None = None,
) -> SpatialComponents:
    r"""Find the directions in which most of the variance survives averaging over the surroundings.

    They maximise :math:`v^T C_1 v / v^T C_0 v`, with the covariance within slices :math:`C_0` of the states and :math:`C_1` of the
    means: factors of maximal autocorrelation. They are looked for among as many principal components as
    independent surroundings allow, two of these for each.

    Parameters
    ----------
    states
        States, shape ``(n, d)``.
    means
        Means over the surroundings, shape ``(n, d)``.
    codes
        Slice of every spot, shape ``(n,)``.
    n_averaged
        Independent spots behind a mean, from :func:`n_averaged`.
    n_components
        How many to keep; by default those whose share is above what the largest of pure noise would have, by the law of Marchenko
        and Pastur, and two at least.
    """
    inner, smooth = (_within(values, codes) for values in (states, means))
    variance, axes = np.linalg.eigh(inner.T @ inner / len(inner))
    n_independent = len(states) / n_averaged
    n_least = min(2, states.shape[1]) if n_components is None else n_components
    n_axes = int(min(max(n_independent / 2, n_least), states.shape[1]))
    kept = np.argsort(variance)[::-1][:n_axes]
    kept = kept[variance[kept] > 1e-10 * variance.max()]
    whitening = axes[:, kept] / np.sqrt(variance[kept])
    means_white = smooth @ whitening
    shares, rotation = np.linalg.eigh(means_white.T @ means_white / len(smooth))
    shares, rotation = shares[::-1], rotation[:, ::-1]
    edge = (1 + np.sqrt(len(kept) / n_independent)) ** 2 / n_averaged
    q = max(int((shares > edge).sum()), n_least) if n_components is None else n_components
    loadings = whitening @ rotation[:, :q]
    # the sign of an eigenvector is an accident
    loadings *= np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])])
    return SpatialComponents(loadings, shares[: loadings.shape[1]], float(edge))


def _within(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Differences from the mean of the slice."""
    indicator = np.eye(codes.max() + 1)[codes]
    means = (indicator.T @ values) / indicator.sum(axis=0)[:, None]
    return values - means[codes]
