"""Predicted fates against those of sister cells."""

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

    A barcode marks a cell and all that descend from it. The fate of a clone is the composition of its late cells, and what was
    predicted for it is the mean over its early cells, weighted by their predicted numbers of descendants where these are
    given: the fates of sisters stand for the fate of the cell that was measured, and so destroyed :cite:p:`Weinreb2020`. Clones,
    not cells, are counted, because sisters are not independent.

    - For every fate, the clones are ranked by its predicted share. ``auroc`` is the area under the curve that tells clones with
      late cells of this fate in the majority (at least half of them) from the others: 0.5 for guessing, 1 for perfect.
      ``correlation`` is the rank correlation (Spearman) between predicted and observed share.
    - The size of a clone is its number of late cells per early cell; the predicted size is the mean number of
      descendants of its early cells. Their rank correlation does not depend on which part of the culture was sampled.

    Parameters
    ----------
    clones
        Membership of cells in clones, shape ``(n, C)``, sparse or dense, as in ``adata.obsm["X_clone"]``; nonzero where a cell carries
        the barcode. Cells without barcode and clones without early or late cells do not count.
    fate
        Predicted composition of the descendants of the early cells, shape ``(n_early, K)``. Rows that are NaN do not count.
    classes
        Class of every late cell, shape ``(n_late,)``, in the order of the cells.
    names
        Names of the K columns of `fate`. Late cells of other classes count as none of these.
    early, late
        Boolean masks, shape ``(n,)``, of the cells with a prediction and of those that show what became of their clones.
    n_descendants
        Predicted number of descendants of the early cells, shape ``(n_early,)``.
    min_late
        Smallest number of late cells of a clone that is scored. More make the observed fates sharper and the clones fewer.

    Returns
    -------
    A row for every fate, indexed by its name, and one called ``"clone size"`` if `n_descendants` is given: ``auroc`` (NaN where all
    or no clones have the fate, and for the size), ``correlation`` (NaN where one side is constant), ``n_clones``, the number of clones
    scored, and ``n_positive``, how many of these have the fate (0 for the size).

    Raises
    ------
    TypeError
        If `early` or `late` is not a boolean mask.
    ValueError
        If shapes disagree, a cell is both early and late, predictions are negative or infinite, names repeat, or no clone has early and
        late cells.

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

    members = _members(clones)
    n = members.shape[0]
    early, late = _mask(early, "early", n), _mask(late, "late", n)
    if (early & late).any():
        raise ValueError(
            f"`early` and `late` share {(early & late).sum()} cells: a cell is one or the other."
        )
    columns = [str(name) for name in names]
    if len(set(columns)) < len(columns):
        raise ValueError(
            f"`names` has duplicates: {columns}. Give every column of `fate` a name of its own."
        )
    fate = np.asarray(fate, dtype=np.float64)
    if fate.shape != (int(early.sum()), len(columns)):
        raise ValueError(
            f"`fate` has shape {fate.shape}: pass one row for each of the {early.sum()} early cells and one column for each of the "
            f"{len(columns)} `names`."
        )
    observed = np.asarray(classes)
    if observed.shape != (int(late.sum()),):
        raise ValueError(
            f"`classes` has shape {observed.shape}: pass one for each of the {late.sum()} late cells."
        )
    number = (
        np.ones(len(fate)) if n_descendants is None else np.asarray(n_descendants, dtype=np.float64)
    )
    if number.shape != (len(fate),):
        raise ValueError(
            f"`n_descendants` has shape {number.shape}: pass one for each of the {len(fate)} early cells."
        )
    for name, values in (("fate", fate), ("n_descendants", number)):
        if np.isinf(values).any() or (values < 0).any():
            raise ValueError(
                f"`{name}` has negative or infinite values: pass predictions, NaN where there is none."
            )
    if min_late < 1:
        raise ValueError(
            f"`min_late` is {min_late}: a clone without late cells shows no fate; pass at least 1."
        )

    known = np.isfinite(fate).all(axis=1) & np.isfinite(number)
    first, last = members[np.flatnonzero(early)[known]], members[late]
    n_early, n_late = (np.asarray(part.sum(axis=0)).ravel() for part in (first, last))
    scored = (n_early > 0) & (n_late >= min_late)
    if not scored.any():
        raise ValueError(
            f"`clones` has no clone with a predicted early cell and {min_late} late cells or more, of {members.shape[1]} clones in all: "
            "check that its rows are in the order of the cells."
        )
    first, last, n_early, n_late = (
        first[:, scored],
        last[:, scored],
        n_early[scored],
        n_late[scored],
    )
    weight = first.T @ number[known]
    # a clone that is to die out still has a composition, that of its cells
    alike = np.where(
        weight[:, None] > 0, first.T @ (number[known, None] * fate[known]), first.T @ fate[known]
    )
    predicted = alike / np.where(weight > 0, weight, n_early)[:, None]
    text = observed.astype(str)
    rows = []
    for k, name in enumerate(columns):
        share = last.T @ (text == name).astype(np.float64) / n_late
        positive = share >= 0.5
        rows.append(
            (
                _auroc(positive, predicted[:, k]),
                _correlation(predicted[:, k], share),
                positive.sum(),
            )
        )
    if n_descendants is not None:
        columns.append("clone size")
        rows.append((np.nan, _correlation(weight / n_early, n_late / n_early), 0))
    table = pd.DataFrame(
        rows, columns=["auroc", "correlation", "n_positive"], index=pd.Index(columns, name="fate")
    )
    table.insert(2, "n_clones", len(weight))
    return table


def _members(clones: Any) -> csr_matrix:
    """Ones where a cell belongs to a clone."""
    from scipy import sparse

    members = sparse.csr_matrix(clones)
    members.eliminate_zeros()
    members.data = np.ones(len(members.data))
    return members


def _mask(values: Any, name: str, n: int) -> np.ndarray:
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
