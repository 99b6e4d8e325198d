"""The plot of genes along trajectories shows the stored trends."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _stored_results import give_trends
from matplotlib.colors import to_rgb

import scdiffot as sdo

mpl.use("agg")


@pytest.fixture
def ready(fitted_adata):
    fitted_adata.uns["cell_type_colors"] = ["#ff0000", "#0000ff"]
    return give_trends(fitted_adata)


@pytest.fixture
def many_types(fitted_adata):
    """Fifteen types with long names."""
    names = ["Prog/Mono", *(f"T-cell, naive CD{i}+ subset" for i in range(14))]
    codes = np.random.default_rng(0).integers(15, size=fitted_adata.n_obs)
    fitted_adata.obs["cell_type"] = pd.Categorical.from_codes(codes, names)
    return give_trends(fitted_adata, 20)


def test_lines_are_means_and_bands_are_quantiles(ready):
    ax = sdo.pl.trajectory_genes(ready, "g3", show=False)
    stored_entry = ready.uns["scdiffot"]["trajectory_genes"]
    assert ax.get_title() == "g3"
    assert [to_rgb(line.get_color()) for line in ax.lines] == [(1, 0, 0), (0, 0, 1)]
    for k, (line, band) in enumerate(zip(ax.lines, ax.collections, strict=True)):
        np.testing.assert_allclose(
            line.get_xydata(), np.stack([stored_entry["times"], stored_entry["mean"][k, :, 3]], 1)
        )
        y = band.get_paths()[0].vertices[:, 1]
        assert (y.min(), y.max()) == (
            stored_entry["low"][k, :, 3].min(),
            stored_entry["high"][k, :, 3].max(),
        )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "expression")


def test_the_most_different_genes_of_every_fate_in_turn(ready):
    axes = sdo.pl.trajectory_genes(ready, n_genes=3, show=False)
    # the ranking is g2, g0 for the first fate and g3, g1 for the second
    assert [ax.get_title() for ax in axes] == ["g2", "g3", "g0"]
    single_fate = sdo.pl.trajectory_genes(ready, fates=["B"], n_genes=2, show=False)
    assert [ax.get_title() for ax in single_fate] == ["g3", "g1"]
    assert [len(ax.lines) for ax in single_fate] == [1, 1]


def test_number_of_axes_sets_the_number_of_genes(ready):
    _, axes = plt.subplots(1, 2)
    panels = sdo.pl.trajectory_genes(ready, ax=axes)
    assert [ax.get_title() for ax in panels] == ["g2", "g3"]
    with pytest.raises(ValueError, match="`ax` has 2 axes: pass 3"):
        sdo.pl.trajectory_genes(ready, ["g0", "g1", "g2"], ax=axes)


def test_many_fates_have_bands_only_on_request(many_types):
    axes = sdo.pl.trajectory_genes(many_types, n_genes=2, show=False)
    assert [(len(ax.lines), len(ax.collections)) for ax in axes] == [(15, 0)] * 2
    axes = sdo.pl.trajectory_genes(many_types, n_genes=2, bands=True, show=False)
    assert [len(ax.collections) for ax in axes] == [15, 15]


def test_every_fate_is_in_the_legend(many_types):
    figure = sdo.pl.trajectory_genes(many_types, return_fig=True)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == list(many_types.obs["cell_type"].cat.categories)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1 + 1
    # the legend does not overlap the panels
    assert all(ax.get_window_extent().x1 <= box.x0 + 1 for ax in figure.axes)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"genes": ["G1"]}, KeyError, "Did you mean 'g1'"),
        ({"genes": []}, ValueError, "`genes` is empty"),
        ({"genes": False}, TypeError, "`genes` is a bool: pass a name"),
        ({"fates": 3}, TypeError, "`fates` is a int: pass a name"),
        ({"n_genes": "3"}, TypeError, "`n_genes` is a str: pass a whole number"),
        ({"fates": ["C"]}, KeyError, "`fates` has 'C'"),
        ({"fates": []}, ValueError, "`fates` is empty"),
        ({"n_genes": 0}, ValueError, "`n_genes` is 0"),
    ],
)
def test_errors_name_the_argument(ready, arguments, error, match):
    with pytest.raises(error, match=match):
        sdo.pl.trajectory_genes(ready, **arguments)


def test_missing_results_name_the_function_to_run(fitted_adata):
    with pytest.raises(KeyError, match=r"scdiffot\.tl\.trajectory_genes\(adata, cell_key\)"):
        sdo.pl.trajectory_genes(fitted_adata)
