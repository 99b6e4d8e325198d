"""Properties of all plots, and the content of plots of a time course."""

from __future__ import annotations

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scanpy
import xarray as xr
from _every_plot import count_artists, every_plot
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

import scdiffot as sdo

mpl.use("agg")


each_plot = pytest.mark.parametrize("name", sdo.pl.__all__)


@each_plot
def test_draws_on_the_axes_of_the_user_and_shows_nothing(ready, paths, name, monkeypatch):
    def show(*_, **__):
        raise AssertionError("plt.show was called")

    monkeypatch.setattr(plt, "show", show)
    figure, (ax, other) = plt.subplots(1, 2)
    n_figures = len(plt.get_fignums())
    assert every_plot(paths)[name](ready, ax=ax) is ax
    assert every_plot(paths)[name](ready, ax=ax, show=True) is ax
    assert every_plot(paths)[name](ready, ax=ax, return_fig=True) is figure
    assert len(plt.get_fignums()) == n_figures
    assert count_artists(ax) > 0
    assert count_artists(other) == 0
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@each_plot
def test_returns_figure_or_axes_or_nothing(ready, paths, name, monkeypatch):
    calls = []
    monkeypatch.setattr(plt, "show", lambda *_, **__: calls.append(1))
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    plot = every_plot(paths)[name]
    assert isinstance(plot(ready, return_fig=True), Figure)
    axes = plot(ready, show=False)
    assert all(isinstance(ax, Axes) for ax in (axes if isinstance(axes, list) else [axes]))
    assert not calls
    assert plot(ready, show=True) is None
    assert calls == [1]


@each_plot
def test_honours_autoshow_of_scanpy(ready, paths, name, monkeypatch):
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    calls = []
    monkeypatch.setattr(plt, "show", lambda *_, **__: calls.append(1))
    previous = scanpy.settings.autoshow
    try:
        for autoshow in (True, False):
            scanpy.settings.autoshow = autoshow
            assert (every_plot(paths)[name](ready) is None) == autoshow
    finally:
        scanpy.settings.autoshow = previous
    assert calls == [1]
    monkeypatch.delitem(sys.modules, "scanpy")
    assert every_plot(paths)[name](ready) is None


@each_plot
def test_changes_nothing_and_draws(ready, paths, name, fingerprint, tmp_path):
    previous = fingerprint(ready)
    figure = every_plot(paths)[name](ready, return_fig=True)
    figure.savefig(tmp_path / "plot.png")
    assert fingerprint(ready) == previous
    # the figure is not blank
    assert plt.imread(tmp_path / "plot.png")[..., :3].std() > 0.02


# slices of a tissue need no result
@pytest.mark.parametrize("name", sorted(set(sdo.pl.__all__) - {"slices"}))
def test_without_a_fit(time_course, paths, name):
    with pytest.raises(KeyError, match=r"run scdiffot\.tl\.(fit|evaluate_response)"):
        every_plot(paths)[name](time_course)
    assert not plt.get_fignums()


def _dimensions(time_course, quick, d):
    time_course.obsm["X_low"] = time_course.obsm["X_pca"][:, :d]
    sdo.tl.fit(time_course, "time", use_rep="low", **quick)
    return time_course, sdo.tl.simulate(time_course, 0)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
def test_low_dimensions(time_course, quick, d, kind):
    adata, paths = _dimensions(time_course, quick, d)
    ax = sdo.pl.velocity(adata, kind=kind, show=False)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        ("time", "low 1") if d == 1 else ("low 1", "low 2")
    )
    assert sdo.pl.trajectories(adata, paths, show=False).get_xlabel() == (
        "time" if d == 1 else "low 1"
    )
    assert sdo.pl.growth(adata, show=False).get_xlabel() == ("time" if d == 1 else "low 1")
    assert len(sdo.pl.population(adata, paths, show=False)) == 4


@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
def test_embedding(ready, paths, kind):
    ax = sdo.pl.velocity(ready, basis="umap", kind=kind, show=False)
    assert ax.get_xlabel() == "UMAP 1"
    low, high = ready.obsm["X_umap"].min(0), ready.obsm["X_umap"].max(0)
    ax = sdo.pl.trajectories(ready, paths, basis="umap", show=False)
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    points = np.concatenate(lines.get_segments())
    # on an embedding, trajectories stay within the range of the cells
    assert (points >= low - 1e-6).all()
    assert (points <= high + 1e-6).all()
    assert len(sdo.pl.population(ready, paths, basis="X_umap", show=False)) == 4
    assert sdo.pl.growth(ready, basis="umap", show=False).get_xlabel() == "UMAP 1"


def test_arrows_are_the_velocities(ready):
    ax = sdo.pl.velocity(ready, kind="cells", n_max=10_000, show=False)
    arrows = next(c for c in ax.collections if isinstance(c, Quiver))
    velocity = ready.obsm["scdiffot_velocity"][:, :2].astype(float)
    position = ready.obsm["X_pca"][:, :2]
    order = [int(np.abs(position - xy).sum(axis=1).argmin()) for xy in arrows.get_offsets()]
    assert sorted(order) == list(range(ready.n_obs))
    np.testing.assert_allclose(np.c_[arrows.U, arrows.V], velocity[order])


def test_arrows_of_one_time(ready):
    ax = sdo.pl.velocity(ready, kind="cells", time=1, n_max=10_000, show=False)
    arrows = next(c for c in ax.collections if isinstance(c, Quiver))
    assert len(arrows.U) == (ready.obs["time"] == 1).sum()


def test_grid_averages_velocities():
    from scdiffot.pl._base.field import grid_field

    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, size=(5000, 2)) * [2, 1]
    x, y, u, v = grid_field(points, np.column_stack([-points[:, 1], points[:, 0]]), 21)
    assert u.shape == v.shape == (len(y), len(x))
    assert len(x) == 21
    xx, yy = np.meshgrid(x, y)
    is_inside = (np.abs(xx) < 1.6) & (np.abs(yy) < 0.6)
    # standard error of a mean over about 20 cells with a standard deviation of 0.1
    np.testing.assert_allclose(u[is_inside], -yy[is_inside], atol=0.06)
    np.testing.assert_allclose(v[is_inside], xx[is_inside], atol=0.06)
    assert np.isnan(grid_field(np.r_[points, [[50, 0]]], np.zeros((5001, 2)), 21)[2]).any()


def _colors(ax):
    return {
        tuple(np.round(c, 3))
        for p in ax.collections
        if isinstance(p, PathCollection)
        for c in p.get_facecolor()
    }


def test_colours_of_cell_types(ready):
    ready.uns["cell_type_colors"] = ["#ff0000", "#0000ff"]
    ax = sdo.pl.velocity(ready, color="cell_type", show=False)
    assert {c[:3] for c in _colors(ax)} >= {(1, 0, 0), (0, 0, 1)}
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["A", "B"]


@pytest.mark.parametrize("n_types", [2, 11, 25])
def test_many_types_have_distinct_colours(ready, n_types):
    ready.obs["many"] = [f"type{i % n_types}" for i in range(ready.n_obs)]
    ax = sdo.pl.velocity(ready, color="many", show=False)
    assert len(ax.get_legend().get_texts()) == n_types
    assert len({tuple(h.get_facecolor()[0]) for h in ax.get_legend().legend_handles}) == n_types


def test_numeric_colours_get_a_bar(ready):
    ready.obs["depth"] = np.arange(ready.n_obs)
    figure = sdo.pl.velocity(ready, color="depth", return_fig=True)
    assert figure.axes[0].get_title() == "depth"
    assert len(figure.axes) == 2
    figure = sdo.pl.growth(ready, return_fig=True)
    assert figure.axes[1].get_ylabel() == "net growth rate (1 / time)"


def test_growth_scale_is_symmetric(ready):
    ready.obs["scdiffot_growth"] = np.linspace(-1, 3, ready.n_obs)
    ax = sdo.pl.growth(ready, show=False)
    low, high = ax.collections[0].get_clim()
    assert low == -high


def test_population_is_resampled_by_weight(ready):
    paths = sdo.tl.simulate(ready, 0)
    paths.log_weights[:] = -50
    paths.log_weights[:, 3] = 0
    figure, axes = plt.subplots(1, 3)
    sdo.pl.population(ready, paths, ax=axes)
    points = axes[2].collections[1].get_offsets()
    np.testing.assert_allclose(points, np.broadcast_to(paths.states[-1, 3, :2], points.shape))


def test_population_mass_curve(ready, paths):
    axes = sdo.pl.population(ready, paths, show=False)
    simulated, observed = axes[-1].lines
    np.testing.assert_allclose(simulated.get_ydata(), paths.weights.mean(axis=1))
    np.testing.assert_allclose(observed.get_ydata(), sdo.get.model(ready).masses)


def test_points_are_rasterized(ready):
    ax = sdo.pl.growth(ready, show=False)
    assert ax.collections[0].get_rasterized()


@pytest.mark.parametrize(
    ("plot", "error", "message"),
    [
        (lambda a, p: sdo.pl.velocity(a, kind="arrows"), ValueError, "`kind` is 'arrows'"),
        (
            lambda a, p: sdo.pl.velocity(a, color="no"),
            KeyError,
            "`color` is 'no', which is neither a column of obs nor a gene",
        ),
        (lambda a, p: sdo.pl.velocity(a, time=7), KeyError, "`time` is 7, no time"),
        (lambda a, p: sdo.pl.velocity(a, n_grid=1), ValueError, "`n_grid` is 1"),
        (lambda a, p: sdo.pl.velocity(a, color=np.zeros(3)), TypeError, "`color` is a ndarray"),
        (lambda a, p: sdo.pl.velocity(a, n_grid=float("nan")), TypeError, "`n_grid` is a float"),
        (
            lambda a, p: sdo.pl.velocity(a, n_grid=10**9),
            ValueError,
            "`n_grid` is 1000000000: pass at most",
        ),
        (lambda a, p: sdo.pl.population(a, p, n_max="all"), TypeError, "`n_max` is a str"),
        (lambda a, p: sdo.pl.velocity(a, basis="tsne"), KeyError, "`basis` is 'tsne'"),
        (lambda a, p: sdo.pl.trajectories(a, p, n_max=0), ValueError, "`n_max` is 0"),
        (lambda a, p: sdo.pl.trajectories(a, p.states), TypeError, "`paths` is a ndarray"),
        (
            lambda a, p: sdo.pl.population(a, p, ax=plt.subplots(1, 2)[1]),
            ValueError,
            "`ax` has 2 axes: pass 1, 3",
        ),
        (lambda a, p: sdo.pl.growth(a, key="other"), KeyError, "run scdiffot.tl.fit"),
    ],
)
def test_bad_input(ready, paths, plot, error, message):
    with pytest.raises(error, match=message):
        plot(ready, paths)


def test_velocities_must_have_been_projected(ready):
    del ready.obsm["scdiffot_velocity_umap"]
    with pytest.raises(
        KeyError, match=r"has no velocities.*run scdiffot.tl.project\(adata, 'X_umap'"
    ):
        sdo.pl.velocity(ready, basis="umap")


def test_datasets_of_trajectories_are_drawn_alike(ready, paths, tmp_path):
    paths.to_dataset().to_zarr(tmp_path / "paths", zarr_format=2)
    loaded = xr.open_zarr(tmp_path / "paths", chunks=None)
    pictures = []
    for source in (paths, loaded):
        for name in ("trajectories", "population", "landscape"):
            figure = every_plot(source)[name](ready, return_fig=True)
            figure.canvas.draw()
            pictures.append(np.asarray(figure.canvas.buffer_rgba()).copy())
    for expected, picture in zip(pictures[:3], pictures[3:], strict=True):
        np.testing.assert_array_equal(picture, expected)
    with pytest.raises(ValueError, match="`paths` holds no trajectories.*no variable 'log_weight'"):
        sdo.pl.trajectories(ready, loaded.drop_vars("log_weight"))


def test_validation_must_have_been_run(fitted_adata):
    with pytest.raises(KeyError, match=r"has no 'validation': run scdiffot.tl.validate"):
        sdo.pl.validation(fitted_adata)


def test_trajectories_of_another_dimension_are_an_error(ready, time_course, quick):
    adata, paths = _dimensions(time_course, quick, 2)
    with pytest.raises(ValueError, match="`paths` has 2 dimensions and the fit 3"):
        sdo.pl.trajectories(ready, paths)


def test_growth_rates_that_are_missing_or_text_are_an_error(ready):
    adata = ready.copy()
    adata.obs["scdiffot_growth"] = "high"
    with pytest.raises(ValueError, match="`key` needs numbers in obs\\['scdiffot_growth'\\]"):
        sdo.pl.growth(adata)
    del adata.obs["scdiffot_growth"]
    with pytest.raises(KeyError, match="`key` is 'scdiffot_growth', which is no column"):
        sdo.pl.growth(adata)
