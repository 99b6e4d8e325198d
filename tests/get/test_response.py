"""Responses as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo


@pytest.fixture
def response_groups(cells_with_response):
    sdo.tl.response_subpopulations(cells_with_response, groupby="cell_type")
    return cells_with_response


def test_cells(cells_with_response):
    table = sdo.get.response(cells_with_response)
    assert list(table.columns) == ["cell", "effect_size", "response_length", "survival"]
    predicted = cells_with_response.obs["scdiffot_effect_size"].dropna()
    assert table["cell"].tolist() == predicted.index.tolist()
    # along a straight line, the cost is half the squared length
    np.testing.assert_allclose(table["effect_size"], 0.5 * table["response_length"] ** 2, rtol=1e-4)
    sdo.tl.response_subpopulations(cells_with_response, groupby="cell_type")
    table = sdo.get.response(cells_with_response)
    assert (
        table["group"].tolist() == cells_with_response.obs.loc[table["cell"], "cell_type"].tolist()
    )
    only = sdo.get.response(cells_with_response, group="B")
    pd.testing.assert_frame_equal(only, table[table["group"] == "B"].reset_index(drop=True))


def test_genes(response_groups):
    table = sdo.get.response(response_groups, "genes", group="A").set_index("gene")
    assert table.index[0] == "0"
    cells = sdo.get.response(response_groups, group="A")["cell"]
    expression = response_groups.to_df().loc[cells].mean()
    np.testing.assert_allclose(table["control"], expression[table.index], atol=1e-5)
    np.testing.assert_allclose(table["predicted"] - table["control"], table["response"], atol=1e-6)
    assert table.loc["0", "response"] == pytest.approx(2, abs=0.1)
    assert table.loc["0", "sd"] == pytest.approx(0.2 / np.sqrt(3), rel=0.2)
    by_gene = sdo.get.response(response_groups, "genes").set_index("gene")
    features = sdo.get.response(response_groups, "features").set_index("gene")
    np.testing.assert_allclose(by_gene["response"], features["mean"][by_gene.index], atol=1e-6)
    np.testing.assert_allclose(by_gene["sd"], features["sd"][by_gene.index], atol=1e-4)


def test_derived_tables(response_groups):
    assert sdo.get.response(response_groups, "subpopulations")["group"].tolist() == ["A", "B"]
    assert sdo.get.response(response_groups, "subpopulations", group="B")["rank"].tolist() == [2]
    assert sdo.get.response(response_groups, "features")["group"].unique().tolist() == ["all"]
    assert sdo.get.response(response_groups, "features", group="B")["group"].unique().tolist() == [
        "B"
    ]


def test_evaluation(cells_with_response):
    with pytest.raises(KeyError, match="run scdiffot.tl.evaluate_response"):
        sdo.get.response(cells_with_response, "evaluation")
    cells_with_response.uns["scdiffot_response_evaluation"] = pd.DataFrame(
        {"metric": ["mmd"], "value": [0.1]}, index=["0"]
    )
    assert sdo.get.response(cells_with_response, "evaluation").to_dict("list") == {
        "metric": ["mmd"],
        "value": [0.1],
    }


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"what": "all"}, ValueError, "`what` is 'all': pass one of 'cells'"),
        (
            {"what": "features"},
            KeyError,
            r"uns\['scdiffot_response_features'\] is missing: run scdiffot.tl.response_sub",
        ),
        ({"group": "A"}, KeyError, r"uns\['scdiffot_response_subpopulations'\] is missing"),
        (
            {"what": "evaluation", "group": "A"},
            ValueError,
            "`group` is 'A', but an evaluation has no groups",
        ),
        ({"key": "other"}, KeyError, "run scdiffot.tl.fit_response"),
    ],
)
def test_clear_errors(cells_with_response, arguments, error, message):
    with pytest.raises(error, match=message):
        sdo.get.response(cells_with_response, **arguments)


@pytest.mark.parametrize("table", ["cells", "genes", "subpopulations", "features"])
def test_no_such_group(response_groups, table):
    with pytest.raises(KeyError, match="`group` is 'C', which is none of them"):
        sdo.get.response(response_groups, table, group="C")


def test_nothing_changes(response_groups, fingerprint):
    previous = fingerprint(response_groups)
    for name in ("cells", "genes", "subpopulations", "features"):
        table = sdo.get.response(response_groups, name)
        table["new"] = 1
    assert fingerprint(response_groups) == previous
