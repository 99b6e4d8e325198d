"""How alike a predicted and a treated population are, beyond their means."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.clouds import check_pair, thin

from .kernels import check_pairs, discrepancy
from .mean_scores import correlation_rows


def energy_distance(
    x: np.ndarray,
    y: np.ndarray,
    wx: np.ndarray | None = None,
    *,
    wy: np.ndarray | None = None,
    n_max: int = 5000,
    rng: int | np.random.Generator = 0,
) -> float:
    r"""Unbiased energy distance between two weighted clouds :cite:p:`Szekely2013`.

    .. math::
        2 \sum_{ij} a_i b_j \, \|x_i - y_j\|
        - \frac{\sum_{i \ne i'} a_i a_{i'} \|x_i - x_{i'}\|}{\sum_{i \ne i'} a_i a_{i'}}
        - \frac{\sum_{j \ne j'} b_j b_{j'} \|y_j - y_{j'}\|}{\sum_{j \ne j'} b_j b_{j'}}

    with Euclidean distances. It is the ``edistance`` of pertpy :cite:p:`Heumos2025`, except that pertpy counts the
    pairs of a cell with itself, which adds about :math:`s_x / n + s_y / m`, with the mean distances :math:`s` within
    the clouds. Without these pairs its expectation is zero where both clouds come from the same distribution, so small
    negative values are noise.

    Parameters
    ----------
    x
        First cloud, shape ``(n, d)``.
    y
        Second cloud, shape ``(m, d)``, in the same unit.
    wx
        Non-negative weights of `x`, shape ``(n,)``; equal ones by default.
    wy
        Non-negative weights of `y`, shape ``(m,)``; equal ones by default.
    n_max
        A larger cloud is replaced by this many of its points, spread over the weights by systematic sampling.
    rng
        Seed or generator of that sampling.

    Returns
    -------
    The distance, in the unit of `x`. It is not squared, and no root is taken.

    Raises
    ------
    ValueError
        If a cloud has fewer than two points of positive weight, is not two-dimensional, or not finite, if dimensions
        or lengths disagree, if weights are negative or sum to zero, or if `n_max` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import energy_distance
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 300, 2))
    >>> abs(energy_distance(a, b)) < 0.02 < energy_distance(a, b + 1)
    True
    """
    from scipy.spatial.distance import cdist

    x, wx, y, wy = check_pair(x, wx, y, wy)
    generator = as_generator(rng)
    x, wx = thin(x, wx, n_max, generator)
    y, wy = thin(y, wy, n_max, generator)
    check_pairs("x", wx)
    check_pairs("y", wy)
    # distances between points are the negative of a kernel
    distances = cdist(x, x), cdist(x, y), cdist(y, y)
    return -float(discrepancy(distances, wx[None], wy[None], diagonal=0.0)[0])


def marginal_distance(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray | None = None, *, wy: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Wasserstein distance between two clouds in every feature by itself.

    The area between the cumulative distributions, in one dimension the same as the cost of the best transport. It
    says which genes are predicted with the right distribution, and knows nothing of how they vary together.

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

    Returns
    -------
    The mean over the features, and the distance in every feature, shape ``(d,)``, in the unit of `x`.

    Raises
    ------
    ValueError
        If a cloud is empty, not two-dimensional, or not finite, if dimensions or lengths disagree, or if weights are
        negative or sum to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import marginal_distance
    >>> cells = np.random.default_rng(0).normal(size=(100, 2))
    >>> mean, distances = marginal_distance(cells, cells + [1.0, 0.0])
    >>> round(mean, 6), distances.round(6).tolist()
    (0.5, [1.0, 0.0])
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    found = np.empty(x.shape[1])
    # the order of the cells in thousands of genes at once would take gigabytes
    for start in range(0, x.shape[1], 64):
        part = slice(start, start + 64)
        found[part] = areas(*sort_features(x[:, part], y[:, part]), wx, wy)
    return float(found.mean()), found


def feature_correlation_r(
    x: np.ndarray,
    y: np.ndarray,
    wx: np.ndarray | None = None,
    *,
    wy: np.ndarray | None = None,
    n_features: int = 1000,
) -> float:
    """Pearson correlation r between the correlations of features in two clouds.

    The correlations of all pairs of features, above the diagonal, in the one cloud against those in the other. CellOT
    :cite:p:`Bunne2023b` prints this r as ``r2-pairwise_feat_corrs``. It says whether genes that go together in treated
    cells do so in predicted ones, whatever their levels. Features that are constant in one of the clouds do not count.

    Parameters
    ----------
    x
        Predicted cells, shape ``(n, d)``.
    y
        Treated cells, shape ``(m, d)``, with the same features.
    wx
        Non-negative weights of `x`, shape ``(n,)``; equal ones by default.
    wy
        Non-negative weights of `y`, shape ``(m,)``; equal ones by default.
    n_features
        Of more features, those count that vary most in `y`.

    Returns
    -------
    The correlation; NaN if fewer than three features vary in both clouds, or all pairs correlate alike.

    Raises
    ------
    ValueError
        If a cloud is empty, not two-dimensional, or not finite, if dimensions or lengths disagree, if weights are
        negative or sum to zero, or if `n_features` is below three.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import feature_correlation_r
    >>> cells = np.random.default_rng(0).normal(size=(100, 5))
    >>> round(feature_correlation_r(3 * cells + 1, cells), 6)
    1.0
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    if n_features < 3:
        raise ValueError(f"`n_features` is {n_features}: compare at least three.")
    kept = most_variable(y, wy, n_features)
    return correlation_of_correlations(x[:, kept], y[:, kept], wx, wy)


def sort_features(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of all points in every feature, first those of `x`, and the gaps between neighbours."""
    both = np.concatenate([x, y])
    order = np.argsort(both, axis=0)
    return order, np.diff(np.take_along_axis(both, order, axis=0), axis=0)


def areas(order: np.ndarray, gaps: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas between cumulative distributions, one for every feature."""
    height = np.cumsum(np.concatenate([a, -b])[order[:-1]], axis=0)
    return np.asarray(np.einsum("ij,ij->j", np.abs(height), gaps))


def most_variable(x: np.ndarray, w: np.ndarray, n: int) -> np.ndarray:
    """Pick the features of largest variance, at most `n`, in their own order."""
    variance = w @ (x - w @ x) ** 2
    return np.sort(np.argsort(-variance, kind="stable")[:n])


def correlation_of_correlations(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray
) -> float:
    """Correlate the correlations of features in two clouds; NaN for fewer than three features."""

    def standardised(values: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = values - w @ values
        size = np.sqrt(w @ centred**2)
        # a constant feature keeps the rounding of its mean
        varies = size > 1e-9 * np.max(np.abs(values), axis=0)
        return np.sqrt(w)[:, None] * centred / np.where(varies, size, 1), varies

    (x, in_x), (y, in_y) = standardised(x, a), standardised(y, b)
    both = in_x & in_y
    n = int(np.count_nonzero(both))
    if n < 3:
        return np.nan
    pairs = np.triu_indices(n, k=1)
    first, second = ((part[:, both].T @ part[:, both])[pairs] for part in (x, y))
    return float(correlation_rows(first[None], second[None])[0])
