"""Cells on embeddings take the options of scanpy: columns, genes, layers, scales and legends."""

from __future__ import annotations

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scanpy
from matplotlib.colors import to_hex

import scdiffot as sdo


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def named(ready):
    """Cells with genes g0, g1, ..., symbols S0, S1, ..., and a layer of their negative values."""
    ready.var_names = [f"g{i}" for i in range(ready.n_vars)]
    ready.var["symbol"] = [f"S{i}" for i in range(ready.n_vars)]
    ready.layers["negative"] = -np.asarray(ready.X)
    return ready


@pytest.fixture(params=["velocity", "trajectories"])
def plot(request, named, paths):
    """A plot of cells with a choice of colours."""
    if request.param == "velocity":
        return partial(sdo.pl.velocity, named, kind="cells", show=False)
    return partial(sdo.pl.trajectories, named, paths, show=False)


def _values_by_place(ax):
    """Return places and values of the cells, sorted by place."""
    cells = ax.collections[0]
    places = np.asarray(cells.get_offsets())
    order = np.lexsort(places.T)
    return places[order], np.asarray(cells.get_array())[order]


def test_genes_are_coloured_as_by_scanpy(named, plot):
    expected = scanpy.pl.embedding(named.copy(), "X_pca", color="g1", show=False)
    for ax in (plot(color="g1"), plot(color="S1", gene_symbols="symbol")):
        places, values = _values_by_place(ax)
        reference_places, reference_values = _values_by_place(expected)
        np.testing.assert_allclose(places, reference_places)
        np.testing.assert_allclose(values, reference_values, rtol=1e-6)
    assert ax.get_title() == "S1"
    _, negative = _values_by_place(plot(color="g1", layer="negative"))
    np.testing.assert_allclose(negative, -reference_values, rtol=1e-6)


def test_options_reach_the_cells(plot):
    ax = plot(color="g0", cmap="magma", vmin=-1, vmax=3, size=7, frameon=False, title="a gene")
    cells = ax.collections[0]
    assert cells.get_cmap().name == "magma"
    assert cells.get_clim() == (-1, 3)
    assert set(cells.get_sizes()) == {7}
    assert not ax.axison
    assert ax.get_title() == "a gene"
    low, high = plot(color="g0", vmin="p10", vmax="p90").collections[0].get_clim()
    values = _values_by_place(ax)[1]
    np.testing.assert_allclose([low, high], np.percentile(values, [10, 90]))


def test_palettes_and_legends(named, plot, fingerprint):
    previous = fingerprint(named)
    ax = plot(color="cell_type", palette={"A": "#ff0000", "B": "#00ff00"}, legend_loc="upper left")
    assert {to_hex(c) for c in ax.collections[0].get_facecolor()} == {"#ff0000", "#00ff00"}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B"]
    ax = plot(color="cell_type", legend_loc="on data")
    assert {"A", "B"} <= {text.get_text() for text in ax.texts}
    assert fingerprint(named) == previous


def test_sizes_of_single_cells(named, plot):
    sizes = np.arange(1.0, named.n_obs + 1)
    cells = plot(color="cell_type", size=sizes).collections[0]
    places, order = named.obsm["X_pca"][:, :2], []
    for place in np.asarray(cells.get_offsets()):
        order.append(int(np.abs(places - place).sum(axis=1).argmin()))
    np.testing.assert_array_equal(cells.get_sizes(), sizes[order])


def test_one_panel_for_each_color(named, plot):
    axes = plot(color=["cell_type", "g0", "g1"], vmax=[None, 1, 2])
    assert [ax.get_title() for ax in axes] == ["cell_type", "g0", "g1"]
    assert [ax.collections[0].get_clim()[1] for ax in axes[1:]] == [1, 2]
    figure, grid = plt.subplots(1, 2)
    assert plot(color=["g0", "g1"], ax=grid)[0] is grid[0]
    with pytest.raises(ValueError, match="`ax` has 2 axes: pass 3, one for every color"):
        plot(color=["g0", "g1", "cell_type"], ax=grid)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"colour": "g0"}, TypeError, "`colour` is no parameter, and no option of scanpy"),
        ({"color": "g0", "cmap": "nope"}, ValueError, "refuses the options `cmap`='nope'"),
        ({"color": "g0", "size": "large"}, ValueError, "refuses the options `size`='large'"),
        ({"color": "g0", "layer": "absent"}, KeyError, "`layer` is 'absent'"),
        ({"color": "S1", "gene_symbols": "absent"}, KeyError, "`gene_symbols` is 'absent'"),
    ],
)
def test_wrong_options_are_one_error(plot, options, error, message):
    with pytest.raises(error, match=message):
        plot(**options)


def test_growth_takes_options(named):
    ax = sdo.pl.growth(named, cmap="PiYG", vmin=-2, vmax=5, size=3, show=False)
    assert ax.collections[0].get_cmap().name == "PiYG"
    assert ax.collections[0].get_clim() == (-2, 5)
    with pytest.raises(TypeError, match="`color` is no parameter"):
        sdo.pl.growth(named, color="g0")
