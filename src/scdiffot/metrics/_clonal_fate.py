"""Comparison of predicted fates with those of sister cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix


def clonal_fate(
    clones: Any,
    fate: np.ndarray,
    classes: Any,
    *,
    names: Any,
    early: np.ndarray,
    late: np.ndarray,
    n_descendants: np.ndarray | None = None,
    min_late: int = 1,
) -> pd.DataFrame:
    r"""Score predicted fates and clone sizes against lineage tracing.

    A barcode marks a cell and its descendants. The observed fate of a clone is the composition of
    its late cells. The predicted fate is the mean over its early cells, weighted by
    `n_descendants` if passed. Measuring a cell destroys it, so the fates of its sisters stand for
    its own :cite:p:`Weinreb2020`. The unit of analysis is the clone, because counting sisters
    would be pseudo-replication.

    - For every fate, clones are ranked by the predicted share. ``auroc`` is the area under the
      receiver operating characteristic curve (AUROC) for clones in which at least half of the late
      cells have this fate: 0.5 for random, 1 for perfect predictions. ``correlation`` is the rank
      correlation (Spearman) between predicted and observed share.
    - The size of a clone is its number of late cells per early cell; the predicted size is the
      mean number of descendants of its early cells. Their rank correlation does not depend on the
      sampled fraction of the culture.

    Parameters
    ----------
    clones
        Membership of cells in clones, shape ``(n, C)``, sparse or dense, as in
        ``adata.obsm["X_clone"]``; nonzero where a cell carries the barcode. Cells without barcode
        and clones without early or late cells are ignored.
    fate
        Predicted composition of the descendants of the early cells, shape ``(n_early, K)``. Rows
        with NaN are ignored.
    classes
        Class of every late cell, shape ``(n_late,)``, in the order of the cells.
    names
        Names of the K columns of `fate`. Late cells of other classes count as none of these.
    early, late
        Boolean masks, shape ``(n,)``, of the cells with a prediction and of the cells that show
        the fates of their clones.
    n_descendants
        Predicted number of descendants of the early cells, shape ``(n_early,)``.
    min_late
        Minimal number of late cells of a clone. Higher values make observed fates more precise,
        but leave fewer clones.

    Returns
    -------
    A row for every fate, indexed by its name, and one called ``"clone size"`` if `n_descendants`
    is given: ``auroc`` (NaN where all or no clones have the fate, and for the size),
    ``correlation`` (NaN where one side is constant), ``n_clones``, the number of clones scored,
    and ``n_positive``, how many of these have the fate (0 for the size).

    Raises
    ------
    TypeError
        If `early` or `late` is not a boolean mask.
    ValueError
        If shapes disagree, a cell is both early and late, predictions are negative or infinite,
        names repeat, or no clone has early and late cells.

    See Also
    --------
    scdiffot.tl.sta_forward : Predict the fates of cells.
    scdiffot.get.fate : Predicted fates as a table.
    scdiffot.metrics.wasserstein : Distance between predicted and measured populations.

    Examples
    --------
    Three clones of an early and two late cells:

    >>> import numpy as np
    >>> from scdiffot.metrics import clonal_fate
    >>> clones = np.tile(np.eye(3), (3, 1))
    >>> early = np.arange(9) < 3
    >>> fate = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> table = clonal_fate(
    ...     clones, fate, list("AABAAB"), names=["A", "B"], early=early, late=~early
    ... )
    >>> table.loc["A", ["auroc", "n_clones", "n_positive"]].tolist()
    [1.0, 3.0, 2.0]
    """
    import pandas as pd

    members = _membership(clones)
    n = members.shape[0]
    early, late = _check_mask(early, "early", n), _check_mask(late, "late", n)
    if (early & late).any():
        raise ValueError(
            f"`early` and `late` share {(early & late).sum()} cells: a cell is one or the other."
        )
    fates = _check_names(names)
    fate = np.asarray(fate, dtype=np.float64)
    labels, numbers = _check_shapes(fate, classes, n_descendants, fates, early, late)
    if min_late < 1:
        raise ValueError(
            f"`min_late` is {min_late}: a clone without late cells shows no fate; pass at least 1."
        )

    has_prediction = np.isfinite(fate).all(axis=1) & np.isfinite(numbers)
    fate, numbers = fate[has_prediction], numbers[has_prediction]
    early_members, late_members = members[np.flatnonzero(early)[has_prediction]], members[late]
    n_early, n_late = (
        np.asarray(part.sum(axis=0)).ravel() for part in (early_members, late_members)
    )
    usable = (n_early > 0) & (n_late >= min_late)
    if not usable.any():
        raise ValueError(
            f"`clones` has no clone with a predicted early cell and {min_late} late cells or more, "
            f"of {members.shape[1]} clones in all: check that its rows are in the order of the "
            "cells."
        )
    early_members, late_members = early_members[:, usable], late_members[:, usable]
    n_early, n_late = n_early[usable], n_late[usable]
    weights = early_members.T @ numbers
    predicted_shares = _clone_means(early_members, fate, numbers, weights, n_early)
    labels = labels.astype(str)
    rows = []
    for k, name in enumerate(fates):
        shares = late_members.T @ (labels == name).astype(np.float64) / n_late
        positive, score = shares >= 0.5, predicted_shares[:, k]
        rows.append((_auroc(positive, score), _correlation(score, shares), positive.sum()))
    if n_descendants is not None:
        fates.append("clone size")
        rows.append((np.nan, _correlation(weights / n_early, n_late / n_early), 0))
    table = pd.DataFrame(
        rows, columns=["auroc", "correlation", "n_positive"], index=pd.Index(fates, name="fate")
    )
    table.insert(2, "n_clones", len(weights))
    return table


def _check_names(names: Any) -> list[str]:
    fates = [str(name) for name in names]
    if len(set(fates)) < len(fates):
        raise ValueError(
            f"`names` has duplicates: {fates}. Give every column of `fate` a name of its own."
        )
    return fates


def _check_shapes(
    fate: np.ndarray,
    classes: Any,
    n_descendants: np.ndarray | None,
    names: list[str],
    early: np.ndarray,
    late: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Check the predictions and the observed classes.

    Returns the classes and the numbers of descendants, one for every cell by default.
    """
    if fate.shape != (int(early.sum()), len(names)):
        raise ValueError(
            f"`fate` has shape {fate.shape}: pass one row for each of the {early.sum()} early "
            "cells "
            f"and one column for each of the {len(names)} `names`."
        )
    labels = np.asarray(classes)
    if labels.shape != (int(late.sum()),):
        raise ValueError(
            f"`classes` has shape {labels.shape}: pass one for each of the {late.sum()} late cells."
        )
    numbers = np.ones(len(fate))
    if n_descendants is not None:
        numbers = np.asarray(n_descendants, dtype=np.float64)
    if numbers.shape != (len(fate),):
        raise ValueError(
            f"`n_descendants` has shape {numbers.shape}: pass one for each of the {len(fate)} "
            "early cells."
        )
    for name, values in (("fate", fate), ("n_descendants", numbers)):
        if np.isinf(values).any() or (values < 0).any():
            raise ValueError(
                f"`{name}` has negative or infinite values: pass predictions, or NaN where there "
                "is none."
            )
    return labels, numbers


def _clone_means(
    members: csr_matrix,
    fate: np.ndarray,
    numbers: np.ndarray,
    weights: np.ndarray,
    n_early: np.ndarray,
) -> np.ndarray:
    """Mean fate of every clone over its early cells, weighted by their numbers of descendants."""
    # clones without expected descendants get the unweighted mean
    sums = np.where(weights[:, None] > 0, members.T @ (numbers[:, None] * fate), members.T @ fate)
    return sums / np.where(weights > 0, weights, n_early)[:, None]


def _membership(clones: Any) -> csr_matrix:
    """Matrix of ones where a cell belongs to a clone."""
    from scipy import sparse

    members = sparse.csr_matrix(clones)
    members.eliminate_zeros()
    members.data = np.ones(len(members.data))
    return members


def _check_mask(values: Any, name: str, n: int) -> np.ndarray:
    mask = np.asarray(values)
    if mask.dtype.kind != "b":
        raise TypeError(
            f"`{name}` holds {mask.dtype}: pass a boolean mask of the rows of `clones`."
        )
    if mask.shape != (n,):
        raise ValueError(
            f"`{name}` has shape {mask.shape}: pass one value for each of the {n} rows of `clones`."
        )
    return mask


def _auroc(positive: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score)) if 0 < positive.sum() < len(positive) else np.nan


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan
