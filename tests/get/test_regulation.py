from __future__ import annotations

import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import scdiffot as sdo

sys.path.insert(0, str(Path(__file__).parents[1] / "pl"))
from _regulated import GENES, give_regulation


def test_stable_edges_are_sorted_by_weight(fitted_adata):
    table = sdo.get.regulation(give_regulation(fitted_adata))
    first = table[table["group"] == "A/1"]
    assert list(zip(first["regulator"], first["target"], strict=True)) == [
        ("Beta", "Delta"),
        ("Alpha", "Beta"),
        ("Alpha", "Alpha"),
    ]
    np.testing.assert_allclose(first["weight"], [-4, 2, 1])
    np.testing.assert_allclose(first["sd"], [0.4, 0.2, 0.1])
    np.testing.assert_allclose(first["stability"], [0.9, 1, 0.95])
    assert first["sign"].tolist() == [-1, 1, 1]
    np.testing.assert_allclose(table[table["group"] == "B"]["weight"], [-2, 1, 0.5])
    assert list(table["group"].cat.categories) == ["A/1", "B"]
    assert "time" not in table


def test_all_edges(fitted_adata):
    table = sdo.get.regulation(give_regulation(fitted_adata), group="B", all=True)
    assert len(table) == 16
    regulation = table.pivot(index="target", columns="regulator", values="weight").loc[GENES, GENES]
    np.testing.assert_allclose(regulation, fitted_adata.uns["scdiffot"]["regulation"]["mean"][1])


def test_groups_have_times(fitted_adata):
    give_regulation(fitted_adata, per_time=True)
    table = sdo.get.regulation(fitted_adata)
    assert list(table.groupby(["group", "time"], observed=True).size().index) == [
        ("A/1", 0),
        ("A/1", 1),
        ("B", 0),
        ("B", 1),
    ]
    assert sdo.get.regulation(fitted_adata, time=1)["time"].unique().tolist() == [1]
    assert sdo.get.regulation(fitted_adata, group=["B", "A/1"], time=0)["weight"].tolist() == [
        -1,
        0.5,
        0.25,
        -4,
        2,
        1,
    ]


def test_graph(fitted_adata):
    graph = sdo.get.regulation(give_regulation(fitted_adata), group="A/1", as_graph=True)
    assert isinstance(graph, nx.DiGraph)
    assert set(graph) == set(GENES)
    assert set(graph.edges) == {("Beta", "Delta"), ("Alpha", "Beta"), ("Alpha", "Alpha")}
    assert graph.edges["Beta", "Delta"] == pytest.approx(
        {"weight": -4.0, "sd": 0.4, "stability": 0.9, "sign": -1}
    )
    assert (
        sdo.get.regulation(fitted_adata, group="A/1", all=True, as_graph=True).number_of_edges()
        == 16
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"group": "a/1"},
            KeyError,
            "`group` has 'a/1', which is none of them. Did you mean 'A/1'",
        ),
        (
            {"time": 1},
            KeyError,
            "`time` is 1, but the groups are of no time of their own: run tl.regulation",
        ),
        (
            {"as_graph": True},
            ValueError,
            "`as_graph` needs a single group, but .* choose 2 .A/1, B.",
        ),
        ({"key": "other"}, KeyError, "`key` is 'other'"),
    ],
)
def test_bad_input(fitted_adata, options, error, message):
    with pytest.raises(error, match=message):
        sdo.get.regulation(give_regulation(fitted_adata), **options)


def test_without_regulation(fitted_adata):
    with pytest.raises(
        KeyError, match=r"has no 'regulation': run scdiffot.tl.regulation\(adata, genes\) first"
    ):
        sdo.get.regulation(fitted_adata)
