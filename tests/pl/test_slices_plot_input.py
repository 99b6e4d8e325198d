"""Plots of slices with missing positions, extreme vectors or few spots, and errors."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _every_plot import sort_points, spot_centers, spot_collections

import scdiffot as sdo

mpl.use("agg")


def test_spots_without_a_position_are_not_drawn(tissue, caplog):
    tissue.obsm["spatial"][::7] = np.nan
    is_missing = np.zeros(tissue.n_obs, dtype=bool)
    is_missing[::7] = True
    rows = (tissue.obs["slice"] == "t1").to_numpy()
    tissue.obsm["spatial"][rows] = np.nan
    with caplog.at_level("INFO", logger="scdiffot"):
        axes = sdo.pl.slices(
            tissue, "slice", color="gene_2", arrows="true_migration", kind="cells", show=False
        )
    assert f"{(is_missing | rows).sum()} of {tissue.n_obs} spots have no position" in caplog.text
    assert [ax.get_title() for ax in axes] == ["t0", "t1", "t2"]
    assert not spot_collections(axes[1])
    for ax in (axes[0], axes[2]):
        has_position = (tissue.obs["slice"] == ax.get_title()).to_numpy() & ~is_missing
        np.testing.assert_allclose(
            sort_points(spot_centers(ax)), sort_points(tissue.obsm["spatial"][has_position])
        )
    overlay = sdo.pl.slices(tissue, "slice", overlay=True, show=False)
    assert len(spot_centers(overlay)) == (~is_missing & ~rows).sum()
    with pytest.raises(
        ValueError, match=r"`spatial_key` 'spatial' is NaN or infinite in all \d+ spots to draw"
    ):
        sdo.pl.slices(tissue, "slice", slices=["t1"])


@pytest.mark.parametrize("kind", ["stream", "grid", "cells"])
def test_missing_positions_do_not_change_arrows_of_other_slices(tissue, kind):
    """Missing positions, also of a whole slice, do not change the arrows of other slices."""
    reference_axes = sdo.pl.slices(
        tissue, "slice", slices=["t0", "t2"], arrows="true_migration", kind=kind, show=False
    )
    is_t1 = (tissue.obs["slice"] == "t1").to_numpy()
    tissue.obsm["spatial"][is_t1] = np.nan
    axes = sdo.pl.slices(tissue, "slice", arrows="true_migration", kind=kind, show=False)
    axes[0].figure.canvas.draw()
    assert not axes[1].collections
    if kind != "stream":
        for reference, ax in zip(reference_axes, axes[::2], strict=True):
            np.testing.assert_allclose(ax.collections[-1].U, reference.collections[-1].U)
    tissue.obsm["spatial"][::2] = np.nan
    sdo.pl.slices(
        tissue, "slice", arrows="true_migration", kind=kind, return_fig=True
    ).canvas.draw()


def test_vectors_whose_square_overflows_are_an_error(tissue):
    tissue.obsm["true_migration"][:2] = 1e200
    with pytest.raises(
        ValueError, match=r"`arrows` 'true_migration' has values up to 1e\+200: rescale it"
    ):
        sdo.pl.slices(tissue, "slice", arrows="true_migration")


def test_slices_of_one_or_two_spots(tissue):
    names = tissue.obs["slice"].astype(str).to_numpy()
    subset = tissue[
        np.r_[np.flatnonzero(names == "t0"), np.flatnonzero(names != "t0")[[0, -2, -1]]]
    ].copy()
    subset.obs["slice"] = ["full"] * (names == "t0").sum() + ["one", "two", "two"]
    axes = sdo.pl.slices(subset, "slice", show=False)
    widths = {ax.get_title(): spot_collections(ax)[0].get_widths()[0] for ax in axes}
    assert [len(spot_centers(ax)) for ax in axes] == [(names == "t0").sum(), 1, 2]
    # a spot without neighbours has the median diameter of the other slices
    distance = np.linalg.norm(np.diff(subset.obsm["spatial"][-2:], axis=0))
    assert widths["two"] == pytest.approx(0.9 * distance)
    assert widths["one"] == pytest.approx(np.median([widths["full"], widths["two"]]))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((), {"kind": "arrows"}, ValueError, "`kind` is 'arrows'"),
        ((), {"size": 0}, ValueError, "`size` is 0: pass a positive number"),
        ((), {"n_grid": 1}, ValueError, "`n_grid` is 1"),
        ((), {"ncols": 0}, ValueError, "`ncols` is 0"),
        ((), {"n_max": "3"}, TypeError, "`n_max` is a str: pass a whole number"),
        ((), {"alpha": 2}, ValueError, "`alpha` is 2: pass a number from 0 to 1"),
        (("slice",), {"slices": {"t0": 1}}, TypeError, "`slices` is a dict: pass a name"),
        (("batch",), {}, KeyError, "`library_key` is 'batch', which is no column"),
        (("slice",), {"slices": ["t9"]}, KeyError, "`slices` has 't9', which is no slice"),
        (("slice",), {"slices": []}, ValueError, "`slices` is empty: pass some of 't0'"),
        (("slice",), {"color": "gene_99"}, KeyError, "neither a column of obs nor a gene"),
        (("slice",), {"color": np.ones(3)}, ValueError, r"`color` has shape \(3,\)"),
        (("slice",), {"color": 3}, TypeError, "`color` is a int"),
        (("slice",), {"arrows": "wind"}, KeyError, "`arrows` is 'wind'"),
        (("slice",), {"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
    ],
)
def test_bad_input(tissue, arguments, options, error, message):
    with pytest.raises(error, match=message):
        sdo.pl.slices(tissue, *arguments, **options)
    assert not plt.get_fignums()


def test_axes_must_match(tissue):
    with pytest.raises(ValueError, match="`ax` has 1 axes: pass 3, one for every slice"):
        sdo.pl.slices(tissue, "slice", ax=plt.subplots()[1])
