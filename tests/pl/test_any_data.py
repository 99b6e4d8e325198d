"""Plots of subset or modified data, in any style, on any axes and in any colours."""

from __future__ import annotations

from functools import partial

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _every_plot import count_artists, every_plot
from matplotlib.colors import is_color_like, to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text

import scdiffot as sdo
from scdiffot.pl._base.points import GREY
from scdiffot.pl._base.shares import class_colors

mpl.use("agg")

each_plot = pytest.mark.parametrize("name", sdo.pl.__all__)


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


@each_plot
@pytest.mark.parametrize("change", ["followed cells", "one time", "new name", "no types"])
def test_results_are_drawn_for_subset_or_renamed_data(ready, paths, name, change):
    if change == "followed cells":
        adata = ready[(ready.obs["time"] == 0) & (ready.obs["cell_type"] == "A")].copy()
    elif change == "one time":
        adata = ready[ready.obs["time"] == 1].copy()
    else:
        adata = ready.copy()
        adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"A": "alpha"})
        if change == "no types":
            del adata.obs["cell_type"]
    figure = every_plot(paths)[name](adata, return_fig=True)
    assert sum(map(count_artists, figure.axes)) > 0
    figure.canvas.draw()


@pytest.mark.parametrize("change", ["followed cells", "new name"])
def test_fates_of_missing_types_have_distinct_colours(ready, change):
    ready.uns["cell_type_colors"] = ["#1f77b4", "#0000ff"]
    if change == "new name":
        ready.obs["cell_type"] = ready.obs["cell_type"].cat.rename_categories({"A": "alpha"})
    else:
        ready = ready[(ready.obs["time"] < 2) & (ready.obs["cell_type"] == "B")].copy()
    colors = class_colors(ready, "cell_type", ["A", "B", "outside"])
    assert colors["B"] == "#0000ff"
    assert len(set(colors.values())) == 3
    ax = sdo.pl.fate(ready, kind="alluvial", show=False)
    assert {text.get_text() for text in ax.get_legend().get_texts()} >= {"A", "B"}


@each_plot
def test_dark_backgrounds(ready, paths, name):
    with plt.style.context("dark_background"):
        figure = every_plot(paths)[name](ready, return_fig=True)
        figure.canvas.draw()
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip():
                assert max(to_rgb(text.get_color())) > 0.4, text.get_text()
        for line in figure.findobj(Line2D):
            if line.get_visible() and line.get_linestyle() not in ("None", "", " "):
                assert max(to_rgb(line.get_color())) > 0.4


@each_plot
def test_style_and_other_figures_are_unchanged(ready, paths, name):
    previous, n_open = dict(plt.rcParams), len(plt.get_fignums())
    _, ax = plt.subplots()
    every_plot(paths)[name](ready, ax=ax)
    assert dict(plt.rcParams) == previous
    assert len(plt.get_fignums()) == n_open + 1


@each_plot
def test_other_objects_than_axes_are_an_error(ready, paths, name):
    for wrong, error, message in [
        ("left", TypeError, "`ax` is a str: pass axes"),
        ([], ValueError, "`ax` is empty"),
        ([None], TypeError, "`ax` is a NoneType"),
    ]:
        with pytest.raises(error, match=message):
            every_plot(paths)[name](ready, ax=wrong)
    _, grid = plt.subplots(4, 5)
    with pytest.raises(ValueError, match="`ax` ha?o?l?d?s 20 axes"):
        every_plot(paths)[name](ready, ax=grid)


def test_panels_on_an_array_of_axes(ready):
    _, grid = plt.subplots(1, 2, squeeze=False)
    axes = sdo.pl.fate(ready, ax=grid)
    assert list(axes) == grid.ravel().tolist()
    assert all(count_artists(ax) for ax in axes)


def test_diffusion_maps_without_their_trivial_component(ready):
    components = np.column_stack([np.full(ready.n_obs, 0.1), *ready.obsm["X_pca"][:, :2].T])
    ready.obsm["X_diffmap"] = components
    sdo.tl.project(ready, "diffmap")
    for plot in (sdo.pl.velocity, sdo.pl.growth):
        ax = plot(ready, basis="diffmap", show=False)
        points = np.asarray(ax.collections[0].get_offsets())
        np.testing.assert_allclose(
            np.sort(points, axis=0), np.sort(components[:, 1:], axis=0), rtol=1e-6
        )
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("DC1", "DC2")
    ax = sdo.pl.response(ready, "embedding", basis="diffmap", show=False)
    assert np.ptp(np.asarray(ax.collections[-1].get_offsets()), axis=0).min() > 1


@pytest.mark.parametrize(
    "colors",
    [
        ["#ff0000", "#0000ff"],
        np.array(["#ff0000", "#0000ff"]),
        [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)],
        np.array([[1.0, 0, 0], [0, 0, 1.0]]),
        ["red", (0, 0, 1)],
        {"B": "blue", "A": "red"},
    ],
    ids=str,
)
def test_any_form_of_colours(ready, colors):
    ready.uns["cell_type_colors"] = colors
    assert class_colors(ready, "cell_type", ["A", "B"]) == {"A": "#ff0000", "B": "#0000ff"}


@pytest.mark.parametrize("colors", [["#ff0000"], {"A": "red"}, "red", ["none of", "them"], None])
def test_colours_that_are_incomplete_or_none(ready, colors):
    ready.uns["cell_type_colors"] = colors
    colors_of_types = class_colors(ready, "cell_type", ["A", "B"])
    assert all(is_color_like(c) for c in colors_of_types.values())
    assert colors_of_types["A"] != colors_of_types["B"]


def test_missing_values_are_grey(ready):
    ready.obs["level"] = np.where(ready.obs["cell_type"] == "A", np.nan, 2.0)
    ready.obs["empty"] = np.nan
    ready.obs["nullable"] = pd.array([None] * (ready.n_obs - 1) + [1], dtype="Int64")
    for column, n_grey in [
        ("level", (ready.obs["cell_type"] == "A").sum()),
        ("empty", ready.n_obs),
        ("nullable", ready.n_obs - 1),
    ]:
        ax = sdo.pl.velocity(ready, color=column, show=False)
        ax.figure.canvas.draw()
        colors = [to_hex(c) for c in ax.collections[0].get_facecolor()]
        assert colors.count(GREY) == n_grey


def test_growth_with_missing_values(ready):
    ready.obs.loc[ready.obs["cell_type"] == "A", "scdiffot_growth"] = np.nan
    figure = sdo.pl.growth(ready, return_fig=True)
    low, high = figure.axes[0].collections[0].get_clim()
    assert np.isfinite([low, high]).all()
    ready.obs["scdiffot_growth"] = np.nan
    sdo.pl.growth(ready, return_fig=True).canvas.draw()


@pytest.mark.parametrize(
    ("color", "error", "message"),
    [
        (
            "cel_type",
            KeyError,
            "`color` is 'cel_type', which is neither a column of obs nor a gene. Did you mean",
        ),
        ("-1", KeyError, "`color` is '-1', which is neither a column of obs nor a gene"),
        (["time", 3], TypeError, "`color` is a list: pass the name of a column"),
        ([], ValueError, "`color` is empty"),
    ],
)
def test_invalid_colours_of_cells_are_an_error(ready, paths, color, error, message):
    for plot in (sdo.pl.velocity, partial(sdo.pl.trajectories, paths=paths)):
        with pytest.raises(error, match=message):
            plot(ready, color=color)


@each_plot
def test_axes_of_another_projection(ready, paths, name):
    figure = plt.figure()
    for projection in ("polar", "3d", "hammer"):
        ax = figure.add_subplot(projection=projection)
        with pytest.raises(
            ValueError, match=f"`ax` has the projection '{projection}'.*'rectilinear'"
        ):
            every_plot(paths)[name](ready, ax=ax)
        assert count_artists(ax) == count_artists(figure.add_subplot(projection=projection))


@pytest.mark.parametrize("projection", ["rectilinear", "polar"])
def test_surfaces_need_axes_of_three_dimensions(ready, projection):
    ax = plt.figure().add_subplot(projection=projection)
    with pytest.raises(ValueError, match=f"`ax` has the projection '{projection}'.*'3d'"):
        sdo.pl.landscape(ready, times=[1.0], kind="surface", ax=ax)


COLUMN_PLOTS = {
    "velocity": lambda a, c: sdo.pl.velocity(a, color=c, return_fig=True),
    "trajectories": lambda a, c: sdo.pl.trajectories(
        a, sdo.tl.simulate(a, 0), color=c, return_fig=True
    ),
    "fate": lambda a, c: sdo.pl.fate(a, kind="composition", groupby=c, return_fig=True),
    "slices": lambda a, c: sdo.pl.slices(a, spatial_key="X_umap", color=c, return_fig=True),
    "libraries": lambda a, c: sdo.pl.slices(a, c, spatial_key="X_umap", return_fig=True),
    "response": lambda a, c: sdo.pl.response(a, "effect", groupby=c, return_fig=True),
}


@pytest.mark.parametrize("plot", COLUMN_PLOTS)
@pytest.mark.parametrize("value", [["T cell"], {"type": "T cell"}, {"T cell"}, np.ones(2)])
def test_columns_of_lists_are_an_error_that_names_them(ready, plot, value):
    ready.obs["many"] = pd.Series([value] * ready.n_obs, index=ready.obs_names, dtype=object)
    with pytest.raises(TypeError, match=r"`\w+` .*'?many'?.* holds .*: pass labels"):
        COLUMN_PLOTS[plot](ready, "many")


@pytest.mark.parametrize("plot", COLUMN_PLOTS)
def test_columns_of_different_labels(ready, plot):
    ready.obs["mixed"] = pd.Series(
        np.resize(np.array([1, "B"], dtype=object), ready.n_obs), index=ready.obs_names
    )
    COLUMN_PLOTS[plot](ready, "mixed").canvas.draw()
    ready.obs["mixed"] = pd.Series(
        np.resize(np.array([1, "1"], dtype=object), ready.n_obs), index=ready.obs_names
    )
    with pytest.raises(ValueError, match=r"`\w+` .*mixed.* holds different values that read '1'"):
        COLUMN_PLOTS[plot](ready, "mixed")


@pytest.mark.parametrize("plot", ["velocity", "trajectories", "slices"])
@pytest.mark.parametrize("value", [1e308, np.inf])
def test_colours_of_extreme_numbers(ready, plot, value):
    values = np.linspace(-1, 1, ready.n_obs)
    values[:3], values[3:6] = value, -value
    ready.obs["wild"] = values
    with np.errstate(all="raise"):
        figure = COLUMN_PLOTS[plot](ready, "wild")
        figure.canvas.draw()
        ready.obs["scdiffot_growth"] = values
        sdo.pl.growth(ready, return_fig=True).canvas.draw()
    cells = next(c for c in figure.axes[0].collections if c.get_array() is not None)
    limit = 1e300 if np.isfinite(value) else np.abs(values[6:]).max()
    assert 0 < cells.get_clim()[1] <= limit


@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
@pytest.mark.parametrize("basis", [None, "umap"])
def test_cells_without_a_velocity_have_no_arrow(ready, kind, basis):
    name = "scdiffot_velocity" if basis is None else "scdiffot_velocity_umap"
    adata = ready.copy()
    adata.obsm[name][::3] = np.nan
    figure = sdo.pl.velocity(adata, basis=basis, kind=kind, return_fig=True)
    figure.canvas.draw()
    vectors = figure.axes[0].collections[-1]
    if kind == "cells":
        assert len(vectors.U) == ready.n_obs - len(adata.obsm[name][::3])
    if kind != "stream":
        assert np.isfinite(vectors.U).all()
    adata.obsm[name][:] = np.nan
    with pytest.raises(ValueError, match="`adata` has no finite velocities"):
        sdo.pl.velocity(adata, basis=basis, kind=kind)


@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
def test_zero_velocities_are_drawn(ready, kind):
    ready.obsm["scdiffot_velocity"][:] = 0
    sdo.pl.velocity(ready, kind=kind, return_fig=True).canvas.draw()


def test_trajectories_by_fate_need_fates_and_target_cells(ready, paths):
    early_cells = ready[ready.obs["time"] < ready.obs["time"].max()].copy()
    with pytest.raises(
        ValueError,
        match="`adata` has no cells of the time .*pass all cells of the fit, or by='time'",
    ):
        sdo.pl.trajectories(early_cells, paths, by="fate")
    untyped_cells = ready.copy()
    untyped_cells.obs["cell_type"] = (
        untyped_cells.obs["cell_type"].astype(object).where(untyped_cells.obs["time"] < 2)
    )
    ax = sdo.pl.trajectories(untyped_cells, paths, by="fate", show=False)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"unknown"}
    del ready.uns["scdiffot"]["fate"]
    with pytest.raises(KeyError, match=r"run scdiffot.tl.sta_forward\(adata, cell_key\) first"):
        sdo.pl.trajectories(ready, paths, by="fate")
