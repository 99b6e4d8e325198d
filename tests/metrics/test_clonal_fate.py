from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

from scdiffot.metrics import clonal_fate


def _lineages(n_clones=400, seed=0):
    """Clones of one or two early cells with a common fate and rate, and their late cells."""
    rng = np.random.default_rng(seed)
    fate = rng.dirichlet([0.4, 0.4, 0.2], n_clones)
    size = rng.lognormal(1.5, 0.7, n_clones)
    n_early = rng.integers(1, 3, n_clones)
    n_late = rng.poisson(n_early * size)
    clone = np.concatenate([np.repeat(np.arange(n_clones), n) for n in (n_early, n_late)])
    early = np.arange(len(clone)) < n_early.sum()
    classes = np.array(["A", "B", "C d"])[[rng.choice(3, p=fate[c]) for c in clone[~early]]]
    members = sparse.csr_matrix(
        (np.ones(len(clone)), (np.arange(len(clone)), clone)), shape=(len(clone), n_clones)
    )
    return members, early, classes, fate[clone[early]], size[clone[early]]


NAMES = ["A", "B", "C d"]


def test_true_fates_score_high_and_others_do_not():
    members, early, classes, fate, size = _lineages()
    options = {"names": NAMES, "early": early, "late": ~early}
    truth = clonal_fate(members, fate, classes, n_descendants=size, **options)
    assert truth.index.tolist() == ["A", "B", "C d", "clone size"]
    assert (truth.loc[NAMES, "auroc"] > 0.9).all()
    assert (truth["correlation"] > 0.6).all()
    rng = np.random.default_rng(1)
    permutation = clonal_fate(
        members, rng.permutation(fate), classes, n_descendants=rng.permutation(size), **options
    )
    # the standard error of an AUROC of 400 clones, 80 of them positive, is 0.036
    np.testing.assert_allclose(permutation.loc[NAMES, "auroc"], 0.5, atol=0.11)
    np.testing.assert_allclose(permutation["correlation"], 0, atol=0.15)


def test_scores_by_hand():
    # clone 0: cells 0, 1 | 4, 5, 6;  clone 1: cell 2 | 7, 8;  clone 2: cell 3 | 9;  clone 3: | 10;
    # cell 11 has no barcode
    clone = [0, 0, 1, 2, 0, 0, 0, 1, 1, 2, 3]
    members = np.zeros((12, 4))
    members[np.arange(11), clone] = 7
    early = np.arange(12) < 4
    classes = np.array(list("AABABBAA"))
    fate = np.array([[1.0, 0.0], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    number = np.array([1.0, 3.0, 2.0, 8.0])
    table = clonal_fate(
        members, fate, classes, names=["A", "B"], early=early, late=~early, n_descendants=number
    )
    # shares of A, predicted (1 + 3 * 0.2) / 4, 0.5, 0.6, and observed 2/3, 1/2, 0
    predicted, observed = [0.4, 0.5, 0.6], [2 / 3, 1 / 2, 0]
    assert table["n_clones"].tolist() == [3, 3, 3]
    assert table.loc["A", "correlation"] == pytest.approx(spearmanr(predicted, observed).statistic)
    assert table["n_positive"].tolist() == [2, 2, 0]
    # both clones with the fate are ranked below the one without
    assert table.loc["A", "auroc"] == 0.0
    assert table.loc["clone size", "correlation"] == pytest.approx(
        spearmanr([2, 2, 8], [1.5, 2, 1]).statistic
    )
    even = clonal_fate(members, fate, classes, names=["A", "B"], early=early, late=~early)
    # without numbers of descendants, the predictions of the first and the third clone are both 0.6
    assert even.index.tolist() == ["A", "B"]
    assert even.loc["A", "auroc"] == pytest.approx(0.25)
    subclones = clonal_fate(
        members, fate, classes, names=["A", "B"], early=early, late=~early, min_late=2
    )
    assert subclones["n_clones"].tolist() == [2, 2]


def test_sparse_dense_and_cells_without_prediction():
    members, early, classes, fate, size = _lineages(60)
    options = {"names": NAMES, "early": early, "late": ~early}
    table = clonal_fate(members, fate, classes, n_descendants=size, **options)
    dense = clonal_fate(members.toarray() > 0, fate, classes, n_descendants=size, **options)
    assert table.equals(dense)
    assert table.equals(
        clonal_fate(sparse.coo_array(members), fate, classes, n_descendants=size, **options)
    )
    holes = fate.copy()
    holes[::2] = np.nan
    early_subset = early.copy()
    early_subset[np.flatnonzero(early)[::2]] = False
    subset = clonal_fate(members, fate[1::2], classes, **(options | {"early": early_subset}))
    assert clonal_fate(members, holes, classes, **options).equals(subset)


def test_undefined_scores_are_nan():
    members, early, _, fate, _ = _lineages(60)
    table = clonal_fate(
        members, fate, np.full((~early).sum(), "A"), names=NAMES, early=early, late=~early
    )
    assert table["auroc"].isna().all()
    assert table["correlation"].isna().all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"early": [0, 1]}, TypeError, "`early` holds int64: pass a boolean mask"),
        ({"late": np.ones(3, bool)}, ValueError, "`late` has shape \\(3,\\)"),
        ({"late": True}, ValueError, "`early` and `late` share"),
        (
            {"fate": np.ones((3, 3))},
            ValueError,
            "`fate` has shape \\(3, 3\\): pass one row for each",
        ),
        ({"fate": -1.0}, ValueError, "`fate` has negative or infinite values"),
        ({"classes": ["A"]}, ValueError, "`classes` has shape \\(1,\\)"),
        ({"names": ["A", "A", "B"]}, ValueError, "`names` has duplicates"),
        ({"n_descendants": np.ones(2)}, ValueError, "`n_descendants` has shape \\(2,\\)"),
        ({"min_late": 0}, ValueError, "`min_late` is 0"),
        (
            {"min_late": 10_000},
            ValueError,
            "`clones` has no clone with a predicted early cell and 10000 late",
        ),
    ],
)
def test_bad_input(change, error, message):
    members, early, classes, fate, _ = _lineages(20)
    options = {
        "fate": fate,
        "classes": classes,
        "names": NAMES,
        "early": early,
        "late": ~early,
    } | change
    if options["late"] is True:
        options["late"] = np.ones(len(early), bool)
    if isinstance(options["fate"], float):
        options["fate"] = np.full_like(fate, options["fate"])
    with pytest.raises(error, match=message):
        clonal_fate(members, options.pop("fate"), options.pop("classes"), **options)
