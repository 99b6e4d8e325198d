"""Plots of fates, ancestors and landscapes show the stored values."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _stored_results import COLORS, KEYS, give_ancestry, give_fates, give_landscape
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb

import scdiffot as sdo

mpl.use("agg")


@pytest.fixture
def ready(fitted_adata):
    fitted_adata.uns["cell_type_colors"] = list(COLORS.values())
    fitted_adata.obsm["X_umap"] = np.arctan(fitted_adata.obsm["X_pca"][:, :2])
    return give_landscape(give_ancestry(give_fates(fitted_adata)))


@pytest.fixture
def many_types(fitted_adata):
    """Fifteen types, some with awkward names."""
    names = ["Prog/Mono", "Ccr7⁺ DC", "HSC", *(f"type {i}" for i in range(12))]
    codes = np.random.default_rng(0).integers(15, size=fitted_adata.n_obs)
    fitted_adata.obs["cell_type"] = pd.Categorical.from_codes(codes, names)
    return give_landscape(give_ancestry(give_fates(fitted_adata)))


def _cell_values(ax):
    """Return coordinates and values of the cells with values."""
    cells = [
        c for c in ax.collections if isinstance(c, PathCollection) and c.get_array() is not None
    ]
    assert len(cells) == 1
    return np.asarray(cells[0].get_offsets()), np.asarray(cells[0].get_array())


def _values_at(adata, points, column):
    position = adata.obsm["X_pca"][:, :2]
    cells = [int(np.abs(position - xy).sum(axis=1).argmin()) for xy in points]
    return cells, np.asarray(column)[cells]


def test_a_panel_for_every_fate_shows_its_shares(ready):
    axes = sdo.pl.fate(ready, show=False)
    assert [ax.get_title() for ax in axes] == ["A", "B"]
    for ax in axes:
        points, values = _cell_values(ax)
        cells, expected = _values_at(ready, points, ready.obsm[KEYS.fate][ax.get_title()])
        assert sorted(cells) == sorted(np.flatnonzero(ready.obs["time"] < 2))
        np.testing.assert_allclose(values, expected)
        # all fates have the same scale
        assert ax.collections[1].get_clim() == (0, 1)


def test_fates_are_drawn_in_the_requested_order(ready):
    axes = sdo.pl.fate(ready, fates=["outside", "B"], show=False)
    assert [ax.get_title() for ax in axes] == ["outside", "B"]
    assert _cell_values(axes[0])[1].max() == 0
    single_panel = sdo.pl.fate(ready, fates=["B"], basis="umap", show=False)
    assert (single_panel.get_title(), single_panel.get_xlabel()) == ("B", "UMAP 1")


def test_one_panel_has_the_colours_of_the_types(ready):
    _, ax = plt.subplots()
    sdo.pl.fate(ready, ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["A", "B"]
    face_colors = {tuple(np.round(c[:3], 2)) for c in ax.collections[0].get_facecolor()}
    # the most likely fate is the own type, with a share of 0.6: pale red, pale blue and grey
    assert len(face_colors) == 3
    reds = [c for c in face_colors if c[0] > 0.9 and c[1] < 0.8]
    assert len(reds) == 1
    assert 0.1 < reds[0][1] < 0.7


def test_composition_is_the_mean_with_its_standard_error(ready):
    ready.obsm[KEYS.fate].iloc[0] = [0.0, 1.0, 0.0]
    ax = sdo.pl.fate(ready, kind="composition", show=False)
    has_fate = ready.obs["time"] < 2
    table = ready.obsm[KEYS.fate][has_fate.to_numpy()]
    by_type = table.groupby(ready.obs["cell_type"][has_fate], observed=True)
    bars = [b for b in ax.patches if b.get_width() > 0]
    widths = np.array(
        [[b.get_width() for b in bars if round(b.get_y() + 0.4) == -i] for i in range(2)]
    )
    np.testing.assert_allclose(widths, by_type.mean()[["A", "B"]])
    assert [to_rgb(b.get_facecolor()) for b in bars[::2]] == [to_rgb(c) for c in COLORS.values()]
    whiskers = [c for c in ax.collections if isinstance(c, LineCollection)]
    lengths = np.array([np.ptp([p[0] for p in s]) / 2 for c in whiskers for s in c.get_segments()])
    errors = (by_type.std() / np.sqrt(by_type.size().to_numpy()[:, None]))[["A", "B"]]
    np.testing.assert_allclose(lengths, errors.to_numpy().T.ravel(), atol=1e-9)
    n_a = int((ready.obs["cell_type"][has_fate] == "A").sum())
    assert ax.get_yticklabels()[0].get_text() == f"A\n{n_a} cells × 1"


def test_a_single_cell_has_the_error_of_its_trajectories(ready):
    ready.obs["name"] = ready.obs_names
    first = ready.obs["time"] == 0
    ready.obsm[KEYS.fate][(~first).to_numpy()] = np.nan
    ready.obsm[KEYS.fate].loc[ready.obs_names[first][1:]] = np.nan
    ax = sdo.pl.fate(ready, kind="composition", groupby="name", show=False)
    whiskers = [
        s for c in ax.collections if isinstance(c, LineCollection) for s in c.get_segments()
    ]
    np.testing.assert_allclose([np.ptp(s[:, 0]) / 2 for s in whiskers], 0.05)
    assert len(ax.get_yticklabels()) == 1


def test_alluvial_heights_are_masses(ready):
    ax = sdo.pl.fate(ready, kind="alluvial", show=False)
    heights = [b.get_height() for b in ax.patches]
    counts = [np.bincount(ready.obs["cell_type"].cat.codes[ready.obs["time"] == t]) for t in (0, 1)]
    flows = ready.uns["scdiffot"]["fate"]["flows"]
    start, new_mass = np.array(counts) / np.sum(counts)
    np.testing.assert_allclose(
        heights, [*start, *new_mass + flows[0].sum(axis=0)[:2], *flows[1].sum(axis=0)[:2]]
    )
    # total mass grows by a half between snapshots
    np.testing.assert_allclose(sum(heights[-2:]), 1.5 * sum(heights[2:4]))
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    assert len(bands) == 8
    for i, band in enumerate(bands[:4]):
        vertices = band.get_paths()[0].vertices
        x_min, x_max = vertices[:, 0].min(), vertices[:, 0].max()
        start = np.ptp(vertices[vertices[:, 0] == x_min, 1])
        end = np.ptp(vertices[vertices[:, 0] == x_max, 1])
        np.testing.assert_allclose(end, 1.5 * start)
        np.testing.assert_allclose(end, flows[0][i // 2, i % 2])
    assert ax.get_xlabel() == "time"
    # the legend lists types from top to bottom, like the columns
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["B", "A"]


def test_ancestry_shows_the_densities(ready):
    axes = sdo.pl.ancestry(ready, show=False)
    assert [ax.get_title() for ax in axes] == ["ancestors of A", "ancestors of B"]
    for ax, name in zip(axes, "AB", strict=True):
        points, values = _cell_values(ax)
        cells, types = _values_at(ready, points, ready.obs["cell_type"])
        assert sorted(cells) == sorted(np.flatnonzero(ready.obs["time"] == 1))
        # the density is uniform over the cells of the type and zero elsewhere
        np.testing.assert_allclose(values, types == name)


def test_ancestry_composition(ready):
    entry = ready.uns["scdiffot"]["ancestry"]
    entry["composition"] = pd.DataFrame([[0.3, 0.1], [0.2, 0.9]], ["A", "B"], ["A", "B"])
    ax = sdo.pl.ancestry(ready, kind="composition", types=["B"], show=False)
    np.testing.assert_allclose([b.get_width() for b in ax.patches], [0.2, 0.9])
    assert ax.get_xlabel() == "share of the ancestors"
    entry["weighted"] = True
    assert (
        sdo.pl.ancestry(ready, kind="composition", show=False).get_xlabel()
        == "mass of the ancestors"
    )
    _, ax = plt.subplots()
    sdo.pl.ancestry(ready, ax=ax)
    assert ax.get_legend().get_title().get_text() == "ancestors of"


@pytest.mark.parametrize("kind", ["contour", "surface"])
def test_landscape_has_a_panel_for_every_time(ready, kind):
    paths = sdo.tl.simulate(ready, 0)
    axes = sdo.pl.landscape(ready, kind=kind, paths=paths, show=False)
    assert [ax.get_title() for ax in axes] == ["time 0", "time 1", "time 2"]
    assert len(sdo.pl.landscape(ready, kind=kind, times=[0, 2], show=False)) == 2
    ready.uns["scdiffot"]["landscape"].pop("basins")
    assert (
        sdo.pl.landscape(ready, kind=kind, quantity="lambda", times=["1"], show=False).get_title()
        == "time 1"
    )


def test_trajectories_lie_on_the_surface(ready):
    paths = sdo.tl.simulate(ready, 0, n_particles=7)
    # trajectories follow the centre of the well
    states = np.zeros_like(paths.states)
    states[..., 0] = paths.times[:, None]
    ax = sdo.pl.landscape(
        ready, kind="surface", times=[2], paths=replace(paths, states=states), show=False
    )
    x, y, z = (np.asarray(v) for v in ax.lines[0].get_data_3d())
    is_inside = np.isfinite(z)
    assert is_inside[-1]
    np.testing.assert_allclose(y, 0)
    # lines are lifted by 0.01 of the scale (8 nats); the grid spacing of 0.25 limits interpolation
    np.testing.assert_allclose(z[is_inside], (x[is_inside] - 2) ** 2 + 0.08, atol=0.25**2)


def test_contours_are_limited_to_the_scale(ready):
    axes = sdo.pl.landscape(ready, show=False)
    for ax in axes:
        contours = next(c for c in ax.collections if hasattr(c, "levels"))
        assert (contours.levels[0], contours.levels[-1]) == (0, 8)
    marks = [c for c in axes[2].collections if isinstance(c, PathCollection)][-1]
    np.testing.assert_allclose(marks.get_offsets(), [[2, 0], [2, 1]])
    np.testing.assert_allclose(marks.get_facecolor()[:, :3], [to_rgb(c) for c in COLORS.values()])
    # a basin above the scale, which starts at 2, is not marked
    ready.uns["scdiffot"]["landscape"]["basins"]["depth"] = [1.0, 1, 1, 1, 10.1, 9.9]
    last = sdo.pl.landscape(ready, show=False)[2]
    np.testing.assert_allclose(
        [c for c in last.collections if isinstance(c, PathCollection)][-1].get_offsets(), [[2, 1]]
    )


def test_trajectories_have_the_colour_of_the_reached_type(ready):
    paths = sdo.tl.simulate(ready, 0, n_particles=40)
    states = paths.states.copy()
    # types are the sign of the second coordinate
    states[-1, :, 1] = np.where(np.arange(40) < 20, 2, -2)
    ax = sdo.pl.trajectories(ready, replace(paths, states=states), by="fate", show=False)
    bundle = next(c for c in ax.collections if isinstance(c, LineCollection))
    segments, colors = bundle.get_segments(), bundle.get_color()
    assert len(segments) == len(colors) == 40 * (len(paths.times) - 1)
    for segment, color in zip(segments[-40:], colors[-40:], strict=True):
        np.testing.assert_allclose(color[:3], to_rgb(COLORS["A" if segment[-1, 1] > 0 else "B"]))
    # all segments of a path have one colour
    np.testing.assert_array_equal(colors[:40], colors[-40:])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["A", "B"]


def _draw_all(adata):
    paths = sdo.tl.simulate(adata, 0)
    return {
        "fate": sdo.pl.fate(adata, return_fig=True),
        "composition": sdo.pl.fate(adata, kind="composition", return_fig=True),
        "alluvial": sdo.pl.fate(adata, kind="alluvial", return_fig=True),
        "ancestry": sdo.pl.ancestry(adata, return_fig=True),
        "ancestry composition": sdo.pl.ancestry(adata, kind="composition", return_fig=True),
        "contour": sdo.pl.landscape(adata, paths=paths, return_fig=True),
        "surface": sdo.pl.landscape(adata, kind="surface", paths=paths, return_fig=True),
        "trajectories": sdo.pl.trajectories(adata, paths, by="fate", return_fig=True),
    }


@pytest.mark.parametrize("fixture_name", ["ready", "many_types"])
def test_all_artists_are_inside_the_figure(fixture_name, request):
    for name, figure in _draw_all(request.getfixturevalue(fixture_name)).items():
        figure.canvas.draw()
        page = figure.bbox
        texts = [ax.title for ax in figure.axes]
        if "composition" in name:
            texts += figure.axes[0].get_yticklabels()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        for artist in [*(t for t in texts if t.get_text()), *legends]:
            box = artist.get_window_extent()
            # extents are rounded to pixels
            assert box.x0 >= page.x0 - 1, (name, artist)
            assert box.x1 <= page.x1 + 1, (name, artist)
            assert box.y0 >= page.y0 - 1, (name, artist)
            assert box.y1 <= page.y1 + 1, (name, artist)


def test_fifteen_types_have_fifteen_colours(many_types):
    ax = sdo.pl.fate(many_types, kind="alluvial", show=False)
    legend = ax.get_legend()
    assert len(legend.get_texts()) == len({h.get_color() for h in legend.legend_handles}) == 15
    assert "Prog/Mono" in [t.get_text() for t in legend.get_texts()]
    assert len(sdo.pl.fate(many_types, show=False)) == 15


def test_types_of_a_modality(mdata, quick):
    mdata["rna"].uns["cell_type_colors"] = list(COLORS.values())
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", **quick)
    first = give_landscape(give_ancestry(give_fates(_first_modality(mdata))))
    for name in (KEYS.fate, KEYS.fate_se, KEYS.ancestry):
        mdata.obsm[name] = first.obsm[name]
    mdata.obs[KEYS.n_descendants] = first.obs[KEYS.n_descendants]
    for name in ("fate", "ancestry", "landscape"):
        mdata.uns["scdiffot"][name] = {**first.uns["scdiffot"][name], "cell_key": "rna:cell_type"}
    mdata.uns["scdiffot"]["landscape"]["basis"] = "rna:X_pca"
    ax = sdo.pl.fate(mdata, kind="composition", show=False)
    assert {to_rgb(b.get_facecolor()) for b in ax.patches} == {
        to_rgb(c) for c in COLORS.values()
    } | {to_rgb("#404040")}
    assert [t.get_text().partition("\n")[0] for t in ax.get_yticklabels()] == ["A", "B"]
    assert len(_draw_all(mdata)) == 8


def _first_modality(mdata):
    """Return the first modality with the fit of the MuData."""
    adata = mdata["rna"].copy()
    adata.uns["scdiffot"] = dict(mdata.uns["scdiffot"])
    return adata
