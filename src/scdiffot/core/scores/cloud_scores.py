"""Agreement of a predicted and a treated population beyond their means."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.rng import as_generator
from scdiffot.core.problem.clouds import check_pair, thin

from .kernels import check_pairs, discrepancy
from .mean_scores import correlation_rows

# Features that are sorted together; sorting thousands of genes at once would take gigabytes.
CHUNK_SIZE = 64
# Standard deviation up to which a feature is constant, relative to its largest value.
MIN_SPREAD = 1e-9


@fill_parameters
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

    with Euclidean distances. It is the ``edistance`` of pertpy :cite:p:`Heumos2025`, except that
    pertpy includes the pairs of a cell with itself, which adds about :math:`s_x / n + s_y / m`,
    with the mean distances :math:`s` within the clouds. Without these pairs the expectation is zero
    if both clouds come from the same distribution, so small negative values are noise.

    Parameters
    ----------
    %(clouds)s
    %(weights)s
    %(n_max)s
    rng
        Seed or generator of that sampling.

    Returns
    -------
    The distance, in the unit of `x`. It is not squared, and no root is taken.

    Raises
    ------
    ValueError
        If a cloud has fewer than two points of positive weight, is not two-dimensional, or not
        finite, if dimensions or lengths disagree, if weights are negative or sum to zero, or if
        `n_max` is not positive.

    See Also
    --------
    scdiffot.metrics.mmd : Maximum mean discrepancy, with a Gaussian kernel instead of distances.
    scdiffot.metrics.wasserstein : Cost of the optimal transport between two clouds.
    scdiffot.metrics.marginal_distance : Wasserstein distance in each feature.

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
    # Distances are the negative of a kernel.
    distances = cdist(x, x), cdist(x, y), cdist(y, y)
    return -float(discrepancy(distances, wx[None], wy[None], diagonal=0.0)[0])


@fill_parameters
def marginal_distance(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray | None = None, *, wy: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Wasserstein distance between two clouds in each feature.

    The area between the cumulative distributions, which in one dimension equals the cost of the
    optimal transport. It identifies genes whose predicted distribution is wrong; it does not
    depend on correlations between genes.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, shape ``(m, d)``, in the same unit.
    %(weights)s

    Returns
    -------
    The mean over the features, and the distance in each feature, shape ``(d,)``, in the unit of
    `x`.

    Raises
    ------
    ValueError
        If a cloud is empty, not two-dimensional, or not finite, if dimensions or lengths disagree,
        or if weights are negative or sum to zero.

    See Also
    --------
    scdiffot.metrics.wasserstein : Wasserstein distance in all features jointly.
    scdiffot.metrics.feature_correlation_r : Agreement of the correlations between features.

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
    distances = np.empty(x.shape[1])
    for start in range(0, x.shape[1], CHUNK_SIZE):
        part = slice(start, start + CHUNK_SIZE)
        distances[part] = areas(*sort_features(x[:, part], y[:, part]), wx, wy)
    return float(distances.mean()), distances


@fill_parameters
def feature_correlation_r(
    x: np.ndarray,
    y: np.ndarray,
    wx: np.ndarray | None = None,
    *,
    wy: np.ndarray | None = None,
    n_features: int = 1000,
) -> float:
    """Pearson correlation r between the correlations of features in two clouds.

    The correlations of all pairs of features in one cloud are correlated with those in the other.
    CellOT :cite:p:`Bunne2023b` reports this r as ``r2-pairwise_feat_corrs``. It shows whether genes
    that are correlated in treated cells are correlated in predicted ones, independent of their
    levels. Features that are constant in one of the clouds are excluded.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, shape ``(m, d)``, with the same features.
    %(weights)s
    n_features
        Largest number of features; those of largest variance in `y` are selected.

    Returns
    -------
    The correlation; NaN if fewer than three features vary in both clouds, or if the correlations of
    all pairs are equal.

    Raises
    ------
    ValueError
        If a cloud is empty, not two-dimensional, or not finite, if dimensions or lengths disagree,
        if weights are negative or sum to zero, or if `n_features` is below three.

    See Also
    --------
    scdiffot.metrics.pearson_of_means : Correlation of the means of features.
    scdiffot.metrics.marginal_distance : Agreement of the distribution of each feature.

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
    selected = most_variable(y, wy, n_features)
    return correlation_of_correlations(x[:, selected], y[:, selected], wx, wy)


def sort_features(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order of the points of `x` and `y` in every feature, and the gaps between neighbours."""
    pooled = np.concatenate([x, y])
    order = np.argsort(pooled, axis=0)
    return order, np.diff(np.take_along_axis(pooled, order, axis=0), axis=0)


def areas(order: np.ndarray, gaps: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas between cumulative distributions, one per feature."""
    height = np.cumsum(np.concatenate([a, -b])[order[:-1]], axis=0)
    return np.asarray(np.einsum("ij,ij->j", np.abs(height), gaps))


def most_variable(x: np.ndarray, w: np.ndarray, n: int) -> np.ndarray:
    """Indices of the features of largest variance, at most `n`, in increasing order."""
    variance = w @ (x - w @ x) ** 2
    return np.sort(np.argsort(-variance, kind="stable")[:n])


def correlation_of_correlations(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray
) -> float:
    """Correlation of the correlations of features in two clouds; NaN for fewer than three."""

    def standardised(values: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centred = values - w @ values
        std = np.sqrt(w @ centred**2)
        varies = std > MIN_SPREAD * np.max(np.abs(values), axis=0)
        return np.sqrt(w)[:, None] * centred / np.where(varies, std, 1), varies

    (x, varies_x), (y, varies_y) = standardised(x, a), standardised(y, b)
    variable = varies_x & varies_y
    n = int(np.count_nonzero(variable))
    if n < 3:
        return np.nan
    pairs = np.triu_indices(n, k=1)
    first, second = ((cloud[:, variable].T @ cloud[:, variable])[pairs] for cloud in (x, y))
    return float(correlation_rows(first[None], second[None])[0])
