from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffot._data.read.select import select_cells
from scdiffot._data.read.times.columns import cell_times

TIMES = [0.0, 0.0, 1.0, 5.0, 5.0, 5.0]


@pytest.fixture(params=["numbers", "text", "categories"])
def cells(request):
    times = {
        "numbers": TIMES,
        "text": [f"{t:g}" for t in TIMES],
        "categories": pd.Categorical([f"{t:g}" for t in TIMES]),
    }
    obs = pd.DataFrame(
        {
            "day": times[request.param],
            "cell_type": pd.Categorical(["a", "b", "a", None, "b", "it's (5)"]),
            "score": pd.array([1.0, None, 3.0, 4.0, 5.0, 6.0], dtype="Float64"),
            "plain": [1.0, np.nan, 3.0, 4.0, 5.0, 6.0],
            "stem": pd.array([True, False, True, False, False, False], dtype="boolean"),
            "has space": np.arange(6),
        },
        index=[f"cell{i}" for i in range(6)],
    )
    return ad.AnnData(np.zeros((6, 1)), obs=obs)


def selected_rows(adata, source, *, timed=True):
    return select_cells(adata, source, cell_times(adata, "day") if timed else None).tolist()


@pytest.mark.parametrize(
    "source", ["5", "5.0", " 5 ", "5e0", 5, 5.0, np.float32(5), np.int8(5), np.array(5)], ids=repr
)
def test_labels_that_look_like_numbers_are_times(cells, source):
    assert selected_rows(cells, source) == [3, 4, 5]


@pytest.mark.parametrize("source", ["0", "0.0", 0, -0.0], ids=repr)
def test_zero_is_a_time(cells, source):
    assert selected_rows(cells, source) == [0, 1]


def test_the_name_of_a_cell_has_precedence_over_a_number(cells):
    cells.obs_names = [str(10 + i) for i in range(6)]
    assert selected_rows(cells, "12") == [2]
    with pytest.raises(KeyError, match="`source` is '7', no"):
        selected_rows(cells, "7")
    with pytest.raises(KeyError, match="`source` is '7', which is not the name of a cell"):
        selected_rows(cells, "7", timed=False)
    with pytest.raises(TypeError, match="`source` is a number"):
        selected_rows(cells, 7, timed=False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cell_type == 'a'", [0, 2]),
        ("cell_type == 'it\\'s (5)'", [5]),
        ('cell_type == "it\'s (5)"', [5]),
        ("cell_type in ['a', 'b'] and plain > 2", [2, 4]),
        ("(plain > 2) & ~(plain > 4)", [2, 3]),
        ("2 < plain <= 4", [2, 3]),
        ("`has space` % 2 == 1", [1, 3, 5]),
        ("index in ['cell3', 'cell1']", [1, 3]),
        ("stem", [0, 2]),
        ("not stem", [1, 3, 4, 5]),
        # A comparison with a missing value is false for every type of column.
        ("score < 4", [0, 2]),
        ("plain < 4", [0, 2]),
    ],
)
def test_queries_select_cells(cells, query, expected):
    assert selected_rows(cells, query) == expected


@pytest.mark.parametrize(
    "query", ["day", "score", "`has space`", "plain * 2", "1 == 1", "cell_type", "index", "True"]
)
def test_a_query_that_is_not_true_or_false_is_refused(cells, query):
    with pytest.raises(ValueError, match=r"`source` is .* nor a query of obs"):
        selected_rows(cells, query)


@pytest.mark.parametrize(
    "query",
    [
        "@pd.read_pickle('x')",
        "plain > @np.pi",
        "plain.sum() > 1",
        "cell_type.str.startswith('a')",
        "cell_type.__class__",
        "print(plain)",
        "plain[0] > 1",
        "(lambda: 1)()",
        "[x for x in plain]",
        "plain = 3",
        "import os",
        "__import__('os')",
        "plain > 1; plain < 2",
        "nobody > 1",
        "",
    ],
)
def test_queries_run_no_code(cells, query):
    with pytest.raises(ValueError, match=r"`source` is .* nor a query of obs"):
        selected_rows(cells, query)


def test_masks_select_cells(cells):
    mask = np.array([True, False, True, False, False, True])
    series = pd.Series(mask, index=cells.obs_names)
    for source in (
        mask,
        mask.tolist(),
        series,
        series[::-1],
        pd.Series(mask),
        pd.array(mask, dtype="boolean"),
        mask.astype(object),
        series.astype("boolean").sample(frac=1, random_state=0),
    ):
        assert selected_rows(cells, source) == [0, 2, 5]


def test_names_keep_their_order(cells):
    for source in (
        ["cell3", "cell1"],
        pd.Index(["cell3", "cell1"]),
        (f"cell{i}" for i in (3, 1)),
        pd.Series(["cell3", "cell1"]),
    ):
        assert selected_rows(cells, source) == [3, 1]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (
            np.array([0, 1]),
            TypeError,
            "`source` holds int64: pass names of cells, or a boolean mask",
        ),
        ([0, 1], TypeError, "`source` holds int64"),
        ([0.0, 1.0], TypeError, "`source` holds float64"),
        (["cell1", 3], (TypeError, KeyError), "`source`"),
        ([None, "cell1"], TypeError, "`source` holds"),
        (
            [True, None, True, False, False, False],
            ValueError,
            "`source` is a mask without a value for 1 of 6 cells",
        ),
        (pd.array([True, None] * 3, dtype="boolean"), ValueError, "without a value for 3 of 6"),
        ([True, False], ValueError, "`source` is a mask of length 2: `adata` has 6"),
        (pd.Series([True] * 6, index=list("abcdef")), ValueError, "`source` is a mask whose index"),
        (np.ones((6, 1), bool), TypeError, r"`source` has shape \(6, 1\)"),
        (True, TypeError, "`source` is a bool"),
        (np.False_, TypeError, "`source` is a bool"),
        ({"cell1": 1}, TypeError, "`source` is a dict"),
        (object(), TypeError, "`source` is a object"),
        (b"cell1", TypeError, "`source` is a bytes"),
        (float("nan"), KeyError, "`source` is nan"),
        ([], (ValueError, TypeError), "`source`"),
        (["nobody"], KeyError, "`source` names cells that `adata` does not have: 'nobody'"),
    ],
)
def test_other_selections_are_refused(cells, source, error, message):
    with pytest.raises(error, match=message):
        selected_rows(cells, source)


def test_queries_read_columns_of_a_modality(mdata):
    """Columns of a modality may be in backticks, and rows are in the order of the MuData."""
    rna = mdata.mod["rna"].obs
    times = cell_times(mdata, "rna:time")
    for query in ("rna:time < 1", "`rna:time` < 1"):
        np.testing.assert_array_equal(
            select_cells(mdata, query, times), np.flatnonzero(rna["time"] < 1)
        )
    result = select_cells(mdata, "rna:time == 1 and rna:cell_type == 'A'", times)
    expected = (rna["time"] == 1) & (rna["cell_type"] == "A")
    np.testing.assert_array_equal(result, np.flatnonzero(expected.loc[mdata.obs_names]))
