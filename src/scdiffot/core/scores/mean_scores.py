"""Scores of predicted responses of single cells, and of the means of populations."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.docs import fill_parameters
from scdiffot.core.problem.clouds import check_cloud, check_pair


def response_r2(predicted: np.ndarray, true: np.ndarray, w: np.ndarray | None = None) -> float:
    r"""Share of the responses of single cells that a prediction explains.

    .. math::
        R^2 = 1 - \frac{\sum_i w_i \, \|\hat r_i - r_i\|^2}{\sum_i w_i \, \|r_i\|^2}

    with the predicted response :math:`\hat r_i` and the true one :math:`r_i` of the same cell. The
    reference is no response, not the mean response: 1 is perfect, and 0 is the score of predicting
    no response. A random pairing of control and treated cells is far below 0, although it
    reproduces the treated population.

    Parameters
    ----------
    predicted
        Predicted responses, the state after treatment minus the state before, shape ``(n, d)``.
    true
        True responses of the same cells, in the same order and unit, shape ``(n, d)``.
    w
        Non-negative weights of the cells, shape ``(n,)``; equal ones by default.

    Returns
    -------
    The share, at most 1, without unit.

    Raises
    ------
    ValueError
        If shapes disagree, values are not finite, weights are negative or sum to zero, or no cell
        responds.

    See Also
    --------
    scdiffot.metrics.unexplained : One minus this share.
    scdiffot.metrics.r2_of_means : Coefficient of determination of means, without pairing.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import response_r2
    >>> true = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> response_r2(true / 2, true)
    0.75
    """
    predicted, w = check_cloud(predicted, w, "predicted", "w")
    true, _ = check_cloud(true, None, "true", "w")
    if predicted.shape != true.shape:
        raise ValueError(
            f"`predicted` has shape {predicted.shape} and `true` {true.shape}: pass the same cells."
        )
    total = float(w @ np.sum(true**2, axis=1))
    if total == 0.0:
        raise ValueError(
            "`true` is zero for all cells of positive weight: there is no response to explain."
        )
    return 1 - float(w @ np.sum((predicted - true) ** 2, axis=1)) / total


def unexplained(predicted: np.ndarray, true: np.ndarray, w: np.ndarray | None = None) -> float:
    """Share of the responses of single cells that a prediction leaves unexplained.

    One minus :func:`~scdiffot.metrics.response_r2`: the mean squared error of the responses,
    relative to the error of predicting no response.

    Parameters
    ----------
    predicted
        Predicted responses, the state after treatment minus the state before, shape ``(n, d)``.
    true
        True responses of the same cells, in the same order and unit, shape ``(n, d)``.
    w
        Non-negative weights of the cells, shape ``(n,)``; equal ones by default.

    Returns
    -------
    The share: 0 is perfect, 1 is no better than no response. Without unit.

    Raises
    ------
    ValueError
        As :func:`~scdiffot.metrics.response_r2`.

    See Also
    --------
    scdiffot.metrics.response_r2 : The share that is explained.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import unexplained
    >>> true = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> unexplained(true / 2, true), unexplained(0 * true, true)
    (0.25, 1.0)
    """
    return 1 - response_r2(predicted, true, w)


@fill_parameters
def l2_of_means(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray | None = None, *, wy: np.ndarray | None = None
) -> float:
    """Euclidean distance between the means of two clouds.

    The ``euclidean`` distance of pertpy :cite:p:`Heumos2025` and ``l2-means`` of CellOT
    :cite:p:`Bunne2023b`.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, shape ``(m, d)``, in the same unit.
    %(weights)s

    Returns
    -------
    The distance, in the unit of `x`. Sampling alone makes it positive.

    Raises
    ------
    ValueError
        If a cloud is empty, not two-dimensional, or not finite, if dimensions or lengths disagree,
        or if weights are negative or sum to zero.

    See Also
    --------
    scdiffot.metrics.pearson_of_means : Correlation of the means across features.
    scdiffot.metrics.r2_of_means : Coefficient of determination of the means.
    scdiffot.metrics.energy_distance : Distance of the populations beyond their means.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import l2_of_means
    >>> cells = np.eye(4, 2)
    >>> l2_of_means(cells, cells + [3.0, 4.0])
    5.0
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    return float(np.linalg.norm(wx @ x - wy @ y))


@fill_parameters
def pearson_of_means(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray | None = None, *, wy: np.ndarray | None = None
) -> float:
    """Pearson correlation r between the means of two clouds, across features.

    CellOT :cite:p:`Bunne2023b` reports this r as ``r2-means``; it is neither the square of r nor
    the coefficient of determination, :func:`~scdiffot.metrics.r2_of_means`. It is one minus the
    ``pearson_distance`` of pertpy :cite:p:`Heumos2025`. An offset or a factor common to all
    features does not change it. If features differ in their level, as genes do, untreated cells
    already score close to 1.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, shape ``(m, d)``, with the same features.
    %(weights)s

    Returns
    -------
    The correlation; NaN if one of the means is equal for all features, or if there is one feature.

    Raises
    ------
    ValueError
        As :func:`~scdiffot.metrics.l2_of_means`.

    See Also
    --------
    scdiffot.metrics.r2_of_means : Coefficient of determination of the means.
    scdiffot.metrics.l2_of_means : Euclidean distance of the means.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import pearson_of_means
    >>> cells = np.random.default_rng(0).normal(size=(50, 4)) + [1, 2, 3, 4]
    >>> round(pearson_of_means(2 * cells + 1, cells), 6)
    1.0
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    return float(correlation_rows((wx @ x)[None], (wy @ y)[None])[0])


@fill_parameters
def r2_of_means(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray | None = None, *, wy: np.ndarray | None = None
) -> float:
    r"""Coefficient of determination of the means of two clouds, across features.

    .. math::
        R^2 = 1 - \frac{\sum_g (\bar x_g - \bar y_g)^2}{\sum_g (\bar y_g - \bar y)^2}

    with the means :math:`\bar x_g` of the prediction and :math:`\bar y_g` of the treated cells, and
    the mean :math:`\bar y` of the latter over the features. It is one minus the ``r2_distance`` of
    pertpy :cite:p:`Heumos2025` from the treated cells to the predicted ones. Unlike r it depends on
    offsets and factors.

    Parameters
    ----------
    %(predicted_cells)s
    y
        Treated cells, the reference, shape ``(m, d)``, with the same features.
    %(weights)s

    Returns
    -------
    The coefficient, at most 1; NaN if the means of `y` are equal for all features.

    Raises
    ------
    ValueError
        As :func:`~scdiffot.metrics.l2_of_means`.

    See Also
    --------
    scdiffot.metrics.pearson_of_means : Correlation of the means.
    scdiffot.metrics.l2_of_means : Euclidean distance of the means.
    scdiffot.metrics.response_r2 : Share of the responses of single cells that is explained.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.metrics import r2_of_means
    >>> treated = np.array([[1.0, 2.0, 3.0]])
    >>> r2_of_means(treated, treated), r2_of_means(treated + 1, treated)
    (1.0, -0.5)
    """
    x, wx, y, wy = check_pair(x, wx, y, wy)
    return float(determination_rows((wx @ x)[None], (wy @ y)[None])[0])


def correlation_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each row of one table with the same row of another; NaN for constant rows."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.sum(a**2, axis=1) * np.sum(b**2, axis=1))
    return np.divide(np.sum(a * b, axis=1), norm, out=np.full(len(a), np.nan), where=norm > 0)


def determination_rows(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Coefficient of determination of each row; NaN if the truth is constant."""
    total = np.sum((true - true.mean(axis=1, keepdims=True)) ** 2, axis=1)
    error = np.sum((predicted - true) ** 2, axis=1)
    return 1 - np.divide(error, total, out=np.full(len(error), np.nan), where=total > 0)
