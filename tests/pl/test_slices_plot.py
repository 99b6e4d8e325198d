"""Plots of slices of a tissue, in separate panels and overlaid."""

from __future__ import annotations

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _every_plot import sort_points, spot_centers, spot_collections
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_hex
from matplotlib.quiver import Quiver

import scdiffot as sdo

mpl.use("agg")


def test_a_panel_for_every_slice(tissue):
    axes = sdo.pl.slices(tissue, "slice", show=False)
    assert [ax.get_title() for ax in axes] == ["t0", "t1", "t2"]
    for ax in axes:
        rows = (tissue.obs["slice"] == ax.get_title()).to_numpy()
        np.testing.assert_allclose(
            sort_points(spot_centers(ax)), sort_points(tissue.obsm["spatial"][rows])
        )
        assert ax.get_aspect() == 1
        low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
        assert (spot_centers(ax) > low).all()
        assert (spot_centers(ax) < high).all()


def test_slices_are_drawn_in_the_requested_order(tissue):
    axes = sdo.pl.slices(tissue, "slice", slices=["t2", "t0"], show=False)
    assert [ax.get_title() for ax in axes] == ["t2", "t0"]
    assert sdo.pl.slices(tissue, "slice", slices="t1", show=False).get_title() == "t1"


def test_windows_have_one_scale(tissue):
    # distant slices have windows of equal size around each
    tissue.obsm["spatial"] += 1e4 * tissue.obs["slice"].cat.codes.to_numpy()[:, None]
    axes = sdo.pl.slices(tissue, "slice", show=False)
    spans = [np.diff([ax.get_xlim(), ax.get_ylim()]) for ax in axes]
    np.testing.assert_allclose(spans, np.broadcast_to(spans[0], np.shape(spans)))
    assert spans[0].max() < 5e3
    # slices in one frame share one window
    axes = sdo.pl.slices(tissue, "slice", spatial_key="spatial_true", show=False)
    assert len({(*ax.get_xlim(), *ax.get_ylim()) for ax in axes}) == 1


@pytest.mark.parametrize("unit", [1e-3, 1.0, 50.0])
def test_spots_fill_a_square_array_whatever_its_unit(unit):
    grid = unit * np.stack(np.meshgrid(np.arange(12), np.arange(9)), axis=-1).reshape(-1, 2)
    adata = ad.AnnData(np.ones((len(grid), 1), np.float32), obsm={"spatial": grid})
    ax = sdo.pl.slices(adata, show=False)
    assert spot_collections(ax)[0].get_widths() == pytest.approx(0.9 * unit)
    ax = sdo.pl.slices(adata, size=0.5, show=False)
    assert spot_collections(ax)[0].get_widths() == pytest.approx(0.45 * unit)
    assert spot_collections(ax)[0]._units == "xy"


def test_overlay_draws_all_slices_in_one_panel(tissue):
    ax = sdo.pl.slices(tissue, "slice", spatial_key="spatial_true", overlay=True, show=False)
    assert len(spot_centers(ax)) == tissue.n_obs
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["t0", "t1", "t2"]
    assert (
        len(sdo.pl.slices(tissue, "slice", overlay=True, slices=["t0"], show=False).collections)
        == 1
    )


def test_colours_of_categories(tissue):
    tissue.uns["cell_type_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    figure = sdo.pl.slices(tissue, "slice", color="cell_type", return_fig=True)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "progenitor",
        "core",
        "pole",
    ]
    last = (tissue.obs["slice"] == "t2") & (tissue.obs["cell_type"] == "core")
    colors = [to_hex(c) for c in spot_collections(figure.axes[2])[0].get_facecolor()]
    assert colors.count("#00ff00") == last.sum()


@pytest.mark.parametrize("n_types", [2, 15])
def test_spots_without_a_category_are_grey(tissue, n_types):
    labels = pd.Series(
        [f"type{i % n_types}" for i in range(tissue.n_obs)],
        index=tissue.obs_names,
        dtype="category",
    )
    labels[:5] = np.nan
    tissue.obs["some"] = labels
    ax = sdo.pl.slices(tissue, color="some", show=False)
    colors = [to_hex(c) for c in spot_collections(ax)[0].get_facecolor()]
    assert colors.count("#c9c9c9") >= 5
    assert len(set(colors)) == n_types + 1
    assert len(ax.get_legend().get_texts()) == n_types


def test_numbers_share_one_scale(tissue):
    figure = sdo.pl.slices(tissue, "slice", color="gene_2", return_fig=True)
    panels, bar = figure.axes[:3], figure.axes[3]
    assert bar.get_ylabel() == "gene_2"
    values = tissue.X[:, 1]
    for ax in panels:
        np.testing.assert_allclose(
            spot_collections(ax)[0].get_clim(), (values.min(), np.quantile(values, 0.99))
        )
    rows = (tissue.obs["slice"] == "t1").to_numpy()
    np.testing.assert_allclose(
        np.sort(spot_collections(panels[1])[0].get_array()), np.sort(values[rows])
    )


def test_numbers_belong_to_their_spots(tissue):
    ax = sdo.pl.slices(tissue, color=tissue.obsm["spatial"][:, 0], show=False)
    np.testing.assert_allclose(spot_collections(ax)[0].get_array(), spot_centers(ax)[:, 0])


def test_signed_numbers_are_symmetric_and_nan_is_grey(tissue):
    values = tissue.obs["true_growth"] - 0.2
    values.iloc[:7] = np.nan
    ax = sdo.pl.slices(tissue, color=values.rename("growth"), show=False)
    grey, colored_spots = spot_collections(ax)
    low, high = colored_spots.get_clim()
    assert low == -high
    assert len(grey.get_offsets()) == 7
    assert ax.figure.axes[1].get_ylabel() == "growth"


def test_slices_without_a_value_are_grey(tissue):
    values = tissue.obs["true_growth"].where(tissue.obs["slice"] != "t2")
    axes = sdo.pl.slices(tissue, "slice", color=values, show=False)
    assert (
        sum(len(c.get_offsets()) for c in spot_collections(axes[2]))
        == (tissue.obs["slice"] == "t2").sum()
    )
    assert axes[0].figure.axes[3].get_ylim() == spot_collections(axes[0])[0].get_clim()


@pytest.mark.parametrize("values", [np.zeros(3), np.r_[np.zeros(2), 1.0]])
def test_color_limits_of_genes_expressed_in_few_spots(tissue, values):
    column = np.zeros(tissue.n_obs)
    column[-3:] = values
    low, high = spot_collections(sdo.pl.slices(tissue, color=column, show=False))[0].get_clim()
    # matplotlib widens an empty range
    assert (low, high) == ((0, 1) if values.any() else (-0.1, 0.1))


@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
def test_arrows(tissue, kind):
    tissue.obsm["true_migration"][:3] = np.nan
    axes = sdo.pl.slices(
        tissue, "slice", spatial_key="spatial_true", arrows="true_migration", kind=kind, show=False
    )
    scales = set()
    for ax in axes:
        (arrows,) = [c for c in ax.collections if not isinstance(c, EllipseCollection)]
        if kind == "stream":
            continue
        assert isinstance(arrows, Quiver)
        scales.add(arrows.scale)
    assert len(scales) == (0 if kind == "stream" else 1)
    if kind == "cells":
        first = next(c for c in axes[0].collections if isinstance(c, Quiver))
        order = [
            int(np.abs(tissue.obsm["spatial_true"] - xy).sum(axis=1).argmin())
            for xy in first.get_offsets()
        ]
        assert sorted(order) == list(range(3, 60))
        np.testing.assert_allclose(np.c_[first.U, first.V], tissue.obsm["true_migration"][order])


def test_zero_vectors_have_no_arrows(tissue):
    tissue.obsm["still"] = np.zeros((tissue.n_obs, 2))
    ax = sdo.pl.slices(tissue, arrows="still", show=False)
    assert len(ax.collections) == 1


def test_slices_are_drawn_on_the_axes_of_the_user(tissue):
    figure, axes = plt.subplots(1, 3)
    assert sdo.pl.slices(tissue, "slice", color="cell_type", ax=axes) == list(axes)
    assert not figure.legends
    assert axes[-1].get_legend() is not None
    assert all(ax.get_xlabel() == "spatial 1" for ax in axes)


def test_third_dimension_is_not_drawn(tissue):
    tissue.obsm["deep"] = np.c_[tissue.obsm["spatial"], np.arange(tissue.n_obs)]
    ax = sdo.pl.slices(tissue, spatial_key="deep", show=False)
    np.testing.assert_allclose(sort_points(spot_centers(ax)), sort_points(tissue.obsm["spatial"]))


def test_genes_and_columns_of_modalities(tissue):
    mudata = pytest.importorskip("mudata")
    rna = tissue.copy()
    for key in list(rna.obsm):
        del rna.obsm[key]
    with mudata.set_options(pull_on_update=False) if hasattr(mudata, "set_options") else plt.ioff():
        mdata = mudata.MuData({"rna": rna[::-1].copy()})
    mdata.obsm["spatial"] = tissue[mdata.obs_names].obsm["spatial"]
    actual = spot_collections(sdo.pl.slices(mdata, color="rna:gene_2", show=False))[0]
    expected = spot_collections(
        sdo.pl.slices(tissue[mdata.obs_names].copy(), color="gene_2", show=False)
    )[0]
    np.testing.assert_allclose(actual.get_array(), expected.get_array())
    figure = sdo.pl.slices(mdata, color="rna:cell_type", return_fig=True)
    assert len(figure.axes[0].get_legend().get_texts()) == 3


@pytest.mark.filterwarnings("ignore:The set_bad function:PendingDeprecationWarning")
# raised inside squidpy
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_squidpy_draws_stored_results(tissue):
    squidpy = pytest.importorskip("squidpy")
    tissue.obs["scdiffot_growth"] = tissue.obs["true_growth"]
    axes = squidpy.pl.spatial_scatter(
        tissue, shape=None, color="scdiffot_growth", library_key="slice", return_ax=True
    )
    assert len(np.ravel(axes)) == 3
