"""Neighbourhoods of spots: means, standard deviations and gradients of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

# Relative difference of distances up to which they are ties, as of spots of a grid. All tied spots
# are neighbours.
TIE_TOLERANCE = 1e-3
# Maximum number of additional tied neighbours; up to eight spots of a square grid are tied.
N_TIES = 8
# Relative ridge of gradients, which are not determined across neighbours on a line.
RIDGE = 1e-3


@dataclass(frozen=True)
class Neighbourhoods:
    """Summaries of the neighbourhood of every spot.

    Parameters
    ----------
    mean
        Mean states, shape ``(n, d)``.
    variance
        Standard deviations of the states among neighbours, shape ``(n, d)``, in the unit of the
        states.
    gradient
        Lengths of the gradients of the mean states, shape ``(n, d)``, per distance between
        neighbours.

    See Also
    --------
    aggregate : Compute the summaries.
    """

    mean: np.ndarray
    variance: np.ndarray | None
    gradient: np.ndarray | None


def nearest_spots(positions: np.ndarray, n_neighbors: int) -> sparse.csr_array:
    """Link every spot with its nearest spots.

    Spots at the distance of the last neighbour, up to 0.1 %, are neighbours as well, so that the
    graph of a grid does not depend on its pose.

    Parameters
    ----------
    positions
        Coordinates of the spots of one slice, shape ``(n, 2)`` or ``(n, 3)``, in any unit.
    n_neighbors
        Number of neighbours of every spot; all other spots if there are fewer.

    Returns
    -------
    Symmetric links, shape ``(n, n)``: 1 if one of two spots is among the nearest of the other spot.

    See Also
    --------
    averaging : Weights of a mean over linked spots.
    aggregate : Summaries of neighbourhoods.
    """
    from scipy import sparse
    from scipy.spatial import cKDTree

    n = len(positions)
    n_required = min(n_neighbors, n - 1)
    if n_required < 1:
        return sparse.csr_array((n, n))
    k = min(n_required + 1 + N_TIES, n)
    # a spot is removed from its neighbours by position, because duplicates have distance 0 too
    distance, spots = cKDTree(positions).query(positions, k=k)
    is_self = spots == np.arange(n)[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    is_neighbor = ~is_self
    distance, spots = distance[is_neighbor].reshape(n, k - 1), spots[is_neighbor].reshape(n, k - 1)
    is_linked = distance <= distance[:, n_required - 1 : n_required] * (1 + TIE_TOLERANCE)
    rows = np.repeat(np.arange(n), is_linked.sum(axis=1))
    links = sparse.csr_array((np.ones(len(rows)), (rows, spots[is_linked])), shape=(n, n))
    return links.maximum(links.T).tocsr()


def averaging(links: sparse.csr_array) -> sparse.csr_array:
    """Return the weights of the mean over a spot and its linked spots, shape ``(n, n)``.

    See Also
    --------
    nearest_spots : Links between spots.
    n_averaged : Effective number of spots in a mean.
    """
    from scipy import sparse

    weights = sparse.csr_array(links + sparse.eye_array(links.shape[0]))
    return sparse.csr_array(sparse.diags_array(1 / weights.sum(axis=1)) @ weights)


def n_averaged(links: sparse.csr_array, n_hops: int, *, rng: np.random.Generator) -> float:
    """Estimate the effective number of spots in a mean over the neighbourhood.

    It is the inverse of the share of the variance of noise that remains in the mean.

    Parameters
    ----------
    links
        Links between spots, shape ``(n, n)``.
    n_hops
        Steps of averaging.
    rng
        Generator of the noise, in 32 dimensions.

    Returns
    -------
    The effective number.

    See Also
    --------
    averaging : Weights of a mean.
    spatial_components : Uses the effective number.
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
    """Summarise the neighbourhood of every spot.

    Parameters
    ----------
    positions
        Coordinates, shape ``(n, 2)`` or ``(n, 3)``.
    states
        States, shape ``(n, d)``.
    links
        Links between the spots, shape ``(n, n)``.
    codes
        Slice of every spot, shape ``(n,)``; its unit of length is the distance of linked spots.
    n_hops
        Number of averages over a spot and its linked spots, which is the radius in links.
    channels
        Summaries besides the mean: ``"variance"``, ``"gradient"``.

    Returns
    -------
    The summaries; the gradient is that of the mean.

    See Also
    --------
    nearest_spots : Links between spots.
    spatial_components : Directions of spatial variance.
    """
    weights = averaging(links)
    # centred to avoid cancellation of squares
    centre = states.mean(axis=0)
    mean = states - centre
    square = mean**2 if "variance" in channels else None
    for _ in range(n_hops):
        mean = weights @ mean
        square = None if square is None else weights @ square
    variance = None if square is None else np.sqrt(np.maximum(square - mean**2, 0))
    slopes = _fit_slopes(positions, mean, links, codes) if "gradient" in channels else None
    return Neighbourhoods(mean + centre, variance, slopes)


def _fit_slopes(
    positions: np.ndarray, values: np.ndarray, links: sparse.csr_array, codes: np.ndarray
) -> np.ndarray:
    """Lengths of least-squares gradients, per distance of linked spots, shape ``(n, d)``."""
    from scipy import sparse

    n, n_axes = positions.shape
    first, second = links.nonzero()
    steps = positions[second] - positions[first]
    squares, pairs = _sum_rows(codes[first], (steps**2).sum(axis=1)), _sum_rows(codes[first])
    unit = np.sqrt(squares / np.maximum(pairs, 1))
    steps = steps / np.where(unit > 0, unit, 1.0)[codes[first], None]
    products = steps[:, :, None] * steps[:, None, :]
    second_moment = np.stack(
        [_sum_rows(first, products[:, i, j], n) for i in range(n_axes) for j in range(n_axes)],
        axis=1,
    ).reshape(n, n_axes, n_axes)
    total = np.trace(second_moment, axis1=1, axis2=2)
    second_moment += (RIDGE * total + np.finfo(np.float64).tiny ** 0.5)[:, None, None] * np.eye(
        n_axes
    )
    # sparse products avoid an array of links x dimensions
    cross_moments = []
    for i in range(n_axes):
        weighted_steps = sparse.csr_array((steps[:, i], (first, second)), shape=(n, n))
        cross_moments.append(
            weighted_steps @ values - np.asarray(weighted_steps.sum(axis=1))[:, None] * values
        )
    gradients = np.linalg.solve(second_moment, np.stack(cross_moments, axis=1))
    return np.sqrt((gradients**2).sum(axis=1))


def _sum_rows(rows: np.ndarray, values: np.ndarray | None = None, n: int = 0) -> np.ndarray:
    return np.bincount(rows, weights=values, minlength=n)


@dataclass(frozen=True)
class SpatialComponents:
    """Directions of the state space with large variance between neighbourhoods.

    Parameters
    ----------
    loadings
        Directions, shape ``(d, q)``, scaled so that spots have variance 1 within their slices.
    shares
        Share of the variance that remains in means over neighbourhoods, decreasing, shape ``(q,)``.
    noise
        Upper edge of this share for noise.

    See Also
    --------
    spatial_components : Compute the components.
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
    r"""Find the directions that retain most variance in means over neighbourhoods.

    The directions maximise :math:`v^T C_1 v / v^T C_0 v`, with the covariances within slices
    :math:`C_0` of the states and :math:`C_1` of the means: factors of maximum autocorrelation. The
    search is limited to one principal component per two independent neighbourhoods.

    Parameters
    ----------
    states
        States, shape ``(n, d)``.
    means
        Means over neighbourhoods, shape ``(n, d)``.
    codes
        Slice of every spot, shape ``(n,)``.
    n_averaged
        Effective number of spots in a mean, from :func:`n_averaged`.
    n_components
        Number of components. By default, those whose share is above the Marchenko-Pastur edge for
        noise, and at least two.

    Returns
    -------
    The components.

    See Also
    --------
    aggregate : Means over neighbourhoods.
    n_averaged : Effective number of spots in a mean.
    """
    centred_states, centred_means = (_centre(values, codes) for values in (states, means))
    variance, axes = np.linalg.eigh(centred_states.T @ centred_states / len(centred_states))
    n_independent = len(states) / n_averaged
    min_components = min(2, states.shape[1]) if n_components is None else n_components
    n_axes = int(min(max(n_independent / 2, min_components), states.shape[1]))
    selection = np.argsort(variance)[::-1][:n_axes]
    selection = selection[variance[selection] > 1e-10 * variance.max()]
    whitening = axes[:, selection] / np.sqrt(variance[selection])
    means_white = centred_means @ whitening
    shares, rotation = np.linalg.eigh(means_white.T @ means_white / len(centred_means))
    shares, rotation = shares[::-1], rotation[:, ::-1]
    edge = (1 + np.sqrt(len(selection) / n_independent)) ** 2 / n_averaged
    q = max(int((shares > edge).sum()), min_components) if n_components is None else n_components
    loadings = whitening @ rotation[:, :q]
    # signs of eigenvectors are arbitrary
    loadings *= np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])])
    return SpatialComponents(loadings, shares[: loadings.shape[1]], float(edge))


def _centre(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Subtract the mean of each slice."""
    indicator = np.eye(codes.max() + 1)[codes]
    means = (indicator.T @ values) / indicator.sum(axis=0)[:, None]
    return values - means[codes]
