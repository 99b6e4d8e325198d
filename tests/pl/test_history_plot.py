"""The plot of the history: a panel per stage, and fits of versions without stages."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import scdiffot as sdo

NAN = np.nan
COLUMNS = {
    "stage": np.array(["bridges", "bridges", "correction", "matching", "matching", "density"]),
    "step": np.array([25.0, 50, 75, 100, 125, 150]),
    "loss": np.array([9.0, 4, 3, 20, -0.5, 0.9]),
    "loss_flow": np.array([6.0, 2, 1, NAN, NAN, NAN]),
    "loss_growth": np.array([2.0, 1, 1, NAN, NAN, NAN]),
    "loss_score": np.array([1.0, 1, 1, NAN, NAN, 0.9]),
    "loss_mismatch": np.array([NAN, NAN, NAN, 19, -0.7, NAN]),
    "loss_penalty": np.array([NAN, NAN, NAN, 1, 0.2, NAN]),
    "loss_error": np.array([0.5, 0.1, 0.1, 2, 0.1, NAN]),
}
OLD = ("step", "loss", "loss_flow", "loss_growth", "loss_score")


def give_history(adata, columns):
    """Replace the losses of a fit."""
    # Without a digest, which the change contradicts.
    entry = {k: v for k, v in adata.uns["scdiffot"].items() if k not in ("version", "digest")}
    other_keys = ("times", "w1", "w1_floor")
    entry["history"] = columns | {name: entry["history"][name] for name in other_keys}
    adata.uns["scdiffot"] = entry
    return adata


@pytest.fixture
def autonomous(fitted_adata):
    return give_history(fitted_adata, COLUMNS)


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


def test_every_stage_has_a_panel_with_its_losses(autonomous):
    axes = sdo.pl.history(autonomous, show=False)
    assert [ax.get_title() for ax in axes] == ["bridges", "correction", "matching", "density", ""]
    parts = ("total", "motion", "growth", "score")
    labels = [parts, parts, ("total", "mismatch", "penalty", "sampling error"), ("score",)]
    for ax, expected in zip(axes, labels, strict=False):
        assert tuple(lines_of(ax)) == expected
        rows = COLUMNS["stage"] == ax.get_title()
        first = ax.lines[0]
        np.testing.assert_array_equal(first.get_xdata(), COLUMNS["step"][rows])
        np.testing.assert_array_equal(first.get_ydata(), COLUMNS["loss"][rows])
        assert "sampling errors" in ax.get_ylabel() or ax.get_title() != "matching"
        assert "residual" in ax.get_ylabel() or ax.get_title() == "matching"
    mismatch = lines_of(axes[2])["mismatch"]
    np.testing.assert_array_equal(mismatch.get_ydata(), [19, -0.7])
    # A negative estimate is visible.
    assert axes[2].get_ylim()[0] < -0.7
    assert "W_1" in axes[-1].get_ylabel()
    plt.close("all")


def test_bands_are_twice_the_standard_error(autonomous):
    ax = sdo.pl.history(autonomous, show=False)[0]
    vertices = ax.collections[0].get_paths()[0].vertices
    at_first = vertices[vertices[:, 0] == 25, 1]
    assert (at_first.min(), at_first.max()) == (8.0, 10.0)
    plt.close("all")


def test_fits_of_versions_without_stages_have_one_panel_of_losses(fitted_adata):
    rows = np.flatnonzero(np.isfinite(COLUMNS["loss_flow"]))
    adata = give_history(fitted_adata, {name: COLUMNS[name][rows] for name in OLD})
    axes = sdo.pl.history(adata, show=False)
    assert len(axes) == 2
    assert tuple(lines_of(axes[0])) == ("total", "motion", "growth", "score")
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), [9, 4, 3])
    plt.close("all")


def test_two_axes_show_the_regressions_together_and_the_distances(autonomous):
    axes = plt.subplots(1, 2)[1]
    assert sdo.pl.history(autonomous, ax=axes) == list(axes)
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), [9, 4, 3])
    assert "W_1" in axes[1].get_ylabel()
    every = plt.subplots(1, 5)[1]
    sdo.pl.history(autonomous, ax=every)
    assert [ax.get_title() for ax in every[:4]] == ["bridges", "correction", "matching", "density"]
    with pytest.raises(ValueError, match=r"`ax` has 4 axes: pass 5, for 'bridges'.* 2, .* or 1 "):
        sdo.pl.history(autonomous, ax=every[:4])
    plt.close("all")


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_the_stages_survive_a_file(fitted_adata, tmp_path, suffix):
    import anndata as ad

    path = tmp_path / f"a.{suffix}"
    getattr(fitted_adata, f"write_{suffix}")(path)
    reread = getattr(ad, f"read_{suffix}")(path)
    histories = [a.uns["scdiffot"]["history"] for a in (reread, fitted_adata)]
    assert list(histories[0]["stage"]) == list(histories[1]["stage"])
    titles = [
        [ax.get_title() for ax in sdo.pl.history(a, show=False)] for a in (reread, fitted_adata)
    ]
    assert titles[0] == titles[1] == ["bridges", ""]
    plt.close("all")
