"""Plots of regulation and growth genes show the stored values."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _regulated import GENES, give_growth_genes, give_regulation
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

import scdiffot as sdo

mpl.use("agg")
RED, BLUE = "#b2182b", "#2166ac"
FIFTEEN = tuple(f"a type with a long name {i}" for i in range(15))


@pytest.fixture
def ready(fitted_adata):
    return give_growth_genes(give_regulation(fitted_adata))


def _texts(labels):
    return [label.get_text() for label in labels]


def test_heatmap_shows_stable_edges(ready):
    axes = sdo.pl.regulation(ready, show=False)
    assert [ax.get_title() for ax in axes] == ["A/1", "B"]
    for k, ax in enumerate(axes):
        targets, regulators = _texts(ax.get_yticklabels()), _texts(ax.get_xticklabels())
        # a gene without stable edges is not drawn
        assert set(targets) == set(regulators) == {"Alpha", "Beta", "Delta"}
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("regulator", "target")
        values = ax.images[0].get_array()
        edges = {
            (regulators[j], targets[i]): float(values[i, j])
            for i, j in np.argwhere(~np.ma.getmaskarray(np.ma.masked_invalid(values)))
        }
        expected = {("Beta", "Delta"): -4, ("Alpha", "Beta"): 2, ("Alpha", "Alpha"): 1}
        assert edges == {edge: weight / 2**k for edge, weight in expected.items()}
        # all groups have the same scale, symmetric around zero
        assert ax.images[0].get_clim() == (-4, 4)


def test_heatmap_of_requested_genes_keeps_their_order(ready):
    ax = sdo.pl.regulation(ready, group="B", genes=["Delta", "Beta", GENES[2]], show=False)
    assert _texts(ax.get_xticklabels()) == ["Delta", "Beta", GENES[2]]
    values = np.ma.masked_invalid(ax.images[0].get_array())
    assert values.count() == 1
    assert values[0, 1] == -2


def test_genes_are_those_of_the_largest_edges(ready):
    ax = sdo.pl.regulation(ready, group="A/1", n_edges=1, show=False)
    assert set(_texts(ax.get_xticklabels())) == {"Beta", "Delta"}


def test_network_has_signed_edges(ready):
    axes = sdo.pl.regulation(ready, kind="network", show=False)
    for ax in axes:
        arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
        widths = {to_hex(arrow.get_edgecolor()): arrow.get_linewidth() for arrow in arrows}
        # self-regulation has no line
        assert len(arrows) == 2
        assert set(widths) == {RED, BLUE}
        assert widths[BLUE] > widths[RED]
        assert set(_texts(ax.texts)) == {"Alpha", "Beta", "Delta"}
    layouts = [{t.get_text(): t.get_position() for t in ax.texts} for ax in axes]
    for gene, position in layouts[0].items():
        np.testing.assert_allclose(layouts[1][gene], position)
    assert _texts(axes[0].get_legend().get_texts()) == ["activates", "represses"]


def test_network_has_at_most_n_edges(ready):
    ax = sdo.pl.regulation(ready, kind="network", group="A/1", n_edges=1, show=False)
    assert len([patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]) == 1


def test_a_network_without_edges_between_genes(ready):
    ax = sdo.pl.regulation(ready, kind="network", group="A/1", genes=["Alpha"], show=False)
    assert not ax.patches


def test_bars_of_one_group(ready):
    ax = sdo.pl.growth_genes(ready, group="A/1", show=False)
    assert _texts(ax.get_yticklabels()) == [GENES[2], "Beta", "Alpha", "Delta"]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [0.3, 0.2, 0.1, -0.4])
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == [RED, RED, RED, BLUE]
    # whiskers are standard deviations, in units of the effect
    (segments,) = [c.get_segments() for c in ax.collections if hasattr(c, "get_segments")]
    np.testing.assert_allclose([np.ptp(s[:, 0]) / 2 for s in segments], 0.25)
    assert ax.get_title() == "A/1"


def test_dots_of_several_groups(ready):
    ax = sdo.pl.growth_genes(ready, n_genes=3, show=False)
    # the top gene of each group, then the second gene of the first group
    genes = _texts(ax.get_yticklabels())
    assert set(genes) == {"Delta", GENES[2], "Beta"} or set(genes) == {"Delta", GENES[2], "Alpha"}
    assert _texts(ax.get_xticklabels()) == ["A/1", "B"]
    (dots,) = [c for c in ax.collections if isinstance(c, PathCollection)]
    x, y = np.asarray(dots.get_offsets()).T
    table = ready.uns["scdiffot"]["growth_genes"].set_index(["group", "gene"])["effect"]
    for i, j, value in zip(x, y, dots.get_array(), strict=True):
        assert value == table["A/1" if i == 0 else "B", genes[round(-j)]]
    assert dots.get_clim() == (-0.4, 0.4)


def test_requested_growth_genes_and_times(fitted_adata):
    give_growth_genes(fitted_adata, per_time=True)
    ax = sdo.pl.growth_genes(fitted_adata, genes=["Beta", "Alpha"], group="B", show=False)
    assert _texts(ax.get_yticklabels()) == ["Beta", "Alpha"]
    assert _texts(ax.get_xticklabels()) == ["B, time 0", "B, time 1"]
    give_regulation(fitted_adata, per_time=True)
    axes = sdo.pl.regulation(fitted_adata, time=1, show=False)
    assert [ax.get_title() for ax in axes] == ["A/1, time 1", "B, time 1"]


@pytest.mark.parametrize("groups", [("all",), ("A/1", "B"), FIFTEEN])
@pytest.mark.parametrize("plot", ["heatmap", "network", "growth"])
def test_all_artists_are_inside_the_figure(fitted_adata, groups, plot):
    give_growth_genes(give_regulation(fitted_adata, groups), groups)
    if plot == "growth":
        figure = sdo.pl.growth_genes(fitted_adata, return_fig=True)
    else:
        figure = sdo.pl.regulation(fitted_adata, kind=plot, return_fig=True)
    figure.canvas.draw()
    page = figure.bbox
    for ax in figure.axes:
        artists = [ax.title, ax.xaxis.label, ax.yaxis.label]
        artists += [ax.get_legend()] if ax.get_legend() else []
        if ax.axison:
            # ticks outside the limits are not drawn
            low, high = sorted(ax.get_xlim())
            artists += [
                label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high
            ]
            artists += ax.get_yticklabels()
        for artist in artists:
            if getattr(artist, "get_text", lambda: "legend")():
                box = artist.get_window_extent()
                assert box.x0 >= page.x0 - 1, artist
                assert box.x1 <= page.x1 + 1, artist
                assert box.y0 >= page.y0 - 1, artist
                assert box.y1 <= page.y1 + 1, artist


def test_plots_change_nothing(ready, fingerprint):
    previous = fingerprint(ready)
    for figure in (
        sdo.pl.regulation(ready, return_fig=True),
        sdo.pl.regulation(ready, kind="network", return_fig=True),
        sdo.pl.growth_genes(ready, return_fig=True),
    ):
        assert figure.axes
    _, axes = plt.subplots(1, 2)
    assert sdo.pl.regulation(ready, ax=axes) == list(axes)
    _, ax = plt.subplots()
    assert sdo.pl.growth_genes(ready, ax=ax) is ax
    assert fingerprint(ready) == previous


@pytest.mark.parametrize(
    ("plot", "error", "message"),
    [
        (lambda a: sdo.pl.regulation(a, kind="graph"), ValueError, "`kind` is 'graph'"),
        (lambda a: sdo.pl.regulation(a, group=3), TypeError, "`group` is a int: pass a name"),
        (lambda a: sdo.pl.regulation(a, group=[]), ValueError, "`group` is empty: pass some of"),
        (lambda a: sdo.pl.regulation(a, genes=[3]), TypeError, "`genes` holds 3: pass names"),
        (lambda a: sdo.pl.growth_genes(a, genes=True), TypeError, "`genes` is a bool: pass a name"),
        (lambda a: sdo.pl.growth_genes(a, group=[3]), TypeError, "`group` holds 3: pass names"),
        (lambda a: sdo.pl.regulation(a, n_edges=0), ValueError, "`n_edges` is 0"),
        (
            lambda a: sdo.pl.regulation(a, group="C"),
            KeyError,
            "`group` has 'C'.*There is 'A/1', 'B'",
        ),
        (
            lambda a: sdo.pl.regulation(a, genes=["alpha"]),
            KeyError,
            "`genes` has 'alpha'.*Did you mean 'Alpha'",
        ),
        (lambda a: sdo.pl.regulation(a, genes=[]), ValueError, "`genes` is empty"),
        (
            lambda a: sdo.pl.regulation(a, genes=[GENES[2]]),
            ValueError,
            "No edge .* lower `stability`",
        ),
        (
            lambda a: sdo.pl.regulation(a, ax=plt.subplots()[1]),
            ValueError,
            "`ax` has 1 axes: pass 2",
        ),
        (lambda a: sdo.pl.growth_genes(a, n_genes=0), ValueError, "`n_genes` is 0"),
        (
            lambda a: sdo.pl.growth_genes(a, genes=[]),
            ValueError,
            "`genes` is empty: pass some of 'Delta'",
        ),
        (
            lambda a: sdo.pl.growth_genes(a, genes=["beta"]),
            KeyError,
            "`genes` has 'beta'.*Did you mean 'Beta'",
        ),
        (lambda a: sdo.pl.growth_genes(a, group=["A/1", "b"]), KeyError, "`group` has 'b'"),
    ],
)
def test_bad_input(ready, plot, error, message):
    with pytest.raises(error, match=message):
        plot(ready)


@pytest.mark.parametrize("name", ["regulation", "growth_genes"])
def test_missing_results_name_the_function_to_run(fitted_adata, name):
    with pytest.raises(KeyError, match=f"has no '{name}': run scdiffot.tl.{name}"):
        getattr(sdo.pl, name)(fitted_adata)
