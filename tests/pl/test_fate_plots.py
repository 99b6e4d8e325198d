"""What the plots of fates, ancestors and landscapes show."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from _followed import KEYS, give_ancestry, give_fates, give_landscape
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb

import scdiffot as sdo

mpl.use("agg")

COLORS = {"A": "#ff0000", "B": "#0000ff"}


@pytest.fixture
def ready(fitted):
    fitted.uns["cell_type_colors"] = list(COLORS.values())
    fitted.obsm["X_umap"] = np.arctan(fitted.obsm["X_pca"][:, :2])
    return give_landscape(give_ancestry(give_fates(fitted)))


@pytest.fixture
def many(fitted):
    """Fifteen types, some with awkward names."""
    names = ["Prog/Mono", "Ccr7⁺ DC", "HSC", *(f"type {i}" for i in range(12))]
    codes = np.random.default_rng(0).integers(15, size=fitted.n_obs)
    fitted.obs["cell_type"] = pd.Categorical.from_codes(codes, names)
    return give_landscape(give_ancestry(give_fates(fitted)))


def _shown(ax):
    """Points and values of the cells that have some."""
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
        points, values = _shown(ax)
        cells, expected = _values_at(ready, points, ready.obsm[KEYS.fate][ax.get_title()])
        assert sorted(cells) == sorted(np.flatnonzero(ready.obs["time"] < 2))
        np.testing.assert_allclose(values, expected)
        # the shares of different fates compare
        assert ax.collections[1].get_clim() == (0, 1)


def test_fates_can_be_chosen(ready):
    axes = sdo.pl.fate(ready, fates=["outside", "B"], show=False)
    assert [ax.get_title() for ax in axes] == ["outside", "B"]
    assert _shown(axes[0])[1].max() == 0
    one = sdo.pl.fate(ready, fates=["B"], basis="umap", show=False)
    assert (one.get_title(), one.get_xlabel()) == ("B", "UMAP 1")


def test_one_panel_has_the_colours_of_the_types(ready):
    _, ax = plt.subplots()
    sdo.pl.fate(ready, ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["A", "B"]
    drawn = {tuple(np.round(c[:3], 2)) for c in ax.collections[0].get_facecolor()}
    # the most likely fate is that of the own type, and not certain: a pale red and a pale blue, and grey for other cells
    assert len(drawn) == 3
    reds = [c for c in drawn if c[0] > 0.9 and c[1] < 0.8]
    assert len(reds) == 1
    assert 0.1 < reds[0][1] < 0.7


def test_composition_is_the_mean_with_its_standard_error(ready):
    ready.obsm[KEYS.fate].iloc[0] = [0.0, 1.0, 0.0]
    ax = sdo.pl.fate(ready, kind="composition", show=False)
    followed = ready.obs["time"] < 2
    table = ready.obsm[KEYS.fate][followed.to_numpy()]
    by_type = table.groupby(ready.obs["cell_type"][followed], observed=True)
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
    n_a = int((ready.obs["cell_type"][followed] == "A").sum())
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
    start, joining = np.array(counts) / np.sum(counts)
    np.testing.assert_allclose(
        heights, [*start, *joining + flows[0].sum(axis=0)[:2], *flows[1].sum(axis=0)[:2]]
    )
    # growth shows
    np.testing.assert_allclose(sum(heights[-2:]), 1.5 * sum(heights[2:4]))
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    assert len(bands) == 8
    for i, band in enumerate(bands[:4]):
        vertices = band.get_paths()[0].vertices
        left, right = vertices[:, 0].min(), vertices[:, 0].max()
        start = np.ptp(vertices[vertices[:, 0] == left, 1])
        end = np.ptp(vertices[vertices[:, 0] == right, 1])
        np.testing.assert_allclose(end, 1.5 * start)
        np.testing.assert_allclose(end, flows[0][i // 2, i % 2])
    assert ax.get_xlabel() == "time"
    # bottom to top, as they are drawn
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["B", "A"]


def test_ancestry_shows_the_densities(ready):
    axes = sdo.pl.ancestry(ready, show=False)
    assert [ax.get_title() for ax in axes] == ["ancestors of A", "ancestors of B"]
    for ax, name in zip(axes, "AB", strict=True):
        points, values = _shown(ax)
        cells, types = _values_at(ready, points, ready.obs["cell_type"])
        assert sorted(cells) == sorted(np.flatnonzero(ready.obs["time"] == 1))
        # all equally likely, hence all the densest, or not at all
        np.testing.assert_allclose(values, types == name)


def test_ancestry_composition(ready):
    found = ready.uns["scdiffot"]["ancestry"]
    found["composition"] = pd.DataFrame([[0.3, 0.1], [0.2, 0.9]], ["A", "B"], ["A", "B"])
    ax = sdo.pl.ancestry(ready, kind="composition", types=["B"], show=False)
    np.testing.assert_allclose([b.get_width() for b in ax.patches], [0.2, 0.9])
    assert ax.get_xlabel() == "share of the ancestors"
    found["weighted"] = True
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


def test_paths_lie_on_the_surface(ready):
    paths = sdo.tl.simulate(ready, 0, n_particles=7)
    # to the middle of every well, on its axis
    states = np.zeros_like(paths.states)
    states[..., 0] = paths.times[:, None]
    ax = sdo.pl.landscape(
        ready, kind="surface", times=[2], paths=replace(paths, states=states), show=False
    )
    x, y, z = (np.asarray(v) for v in ax.lines[0].get_data_3d())
    inside = np.isfinite(z)
    assert inside[-1]
    np.testing.assert_allclose(y, 0)
    # above the lowest point, lifted by a hundredth of the scale, up to the interpolation on a grid of a quarter
    np.testing.assert_allclose(z[inside], (x[inside] - 2) ** 2 + 0.08, atol=0.25**2)


def test_contours_keep_to_the_scale(ready):
    axes = sdo.pl.landscape(ready, show=False)
    for ax in axes:
        filled = next(c for c in ax.collections if hasattr(c, "levels"))
        assert (filled.levels[0], filled.levels[-1]) == (0, 8)
    marked = [c for c in axes[2].collections if isinstance(c, PathCollection)][-1]
    np.testing.assert_allclose(marked.get_offsets(), [[2, 0], [2, 1]])
    np.testing.assert_allclose(marked.get_facecolor()[:, :3], [to_rgb(c) for c in COLORS.values()])
    # a place above the scale, which begins at 2, is not marked
    ready.uns["scdiffot"]["landscape"]["basins"]["depth"] = [1.0, 1, 1, 1, 10.1, 9.9]
    last = sdo.pl.landscape(ready, show=False)[2]
    np.testing.assert_allclose(
        [c for c in last.collections if isinstance(c, PathCollection)][-1].get_offsets(), [[2, 1]]
    )


def test_trajectories_have_the_colour_of_where_they_end(ready):
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


def _everything(adata):
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


@pytest.mark.parametrize("which", ["ready", "many"])
def test_nothing_leaves_the_page(which, request):
    for name, figure in _everything(request.getfixturevalue(which)).items():
        figure.canvas.draw()
        page = figure.bbox
        texts = [ax.title for ax in figure.axes]
        if "composition" in name:
            texts += figure.axes[0].get_yticklabels()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        for artist in [*(t for t in texts if t.get_text()), *legends]:
            box = artist.get_window_extent()
            # whole pixels
            assert box.x0 >= page.x0 - 1, (name, artist)
            assert box.x1 <= page.x1 + 1, (name, artist)
            assert box.y0 >= page.y0 - 1, (name, artist)
            assert box.y1 <= page.y1 + 1, (name, artist)


def test_fifteen_types_have_fifteen_colours(many):
    ax = sdo.pl.fate(many, kind="alluvial", show=False)
    legend = ax.get_legend()
    assert len(legend.get_texts()) == len({h.get_color() for h in legend.legend_handles}) == 15
    assert "Prog/Mono" in [t.get_text() for t in legend.get_texts()]
    assert len(sdo.pl.fate(many, show=False)) == 15


@pytest.mark.parametrize("d", [1, 2])
def test_low_dimensions(course, quick, d):
    course.obsm["X_low"] = course.obsm["X_pca"][:, :d]
    sdo.tl.fit(course, "time", use_rep="low", **quick)
    give_ancestry(give_fates(course))
    label = "time" if d == 1 else "low 1"
    paths = sdo.tl.simulate(course, 0)
    assert [ax.get_xlabel() for ax in sdo.pl.fate(course, show=False)] == [label] * 2
    assert [ax.get_xlabel() for ax in sdo.pl.ancestry(course, show=False)] == [label] * 2
    assert sdo.pl.trajectories(course, paths, by="fate", show=False).get_xlabel() == label


def _axes(n):
    return plt.subplots(1, n)[1]


@pytest.mark.parametrize(
    ("plot", "error", "message"),
    [
        (lambda a: sdo.pl.fate(a, kind="bars"), ValueError, "`kind` is 'bars'"),
        (lambda a: sdo.pl.fate(a, kind=np.array(["embedding"])), TypeError, "`kind` is a ndarray"),
        (lambda a: sdo.pl.fate(a, fates=3), TypeError, "`fates` is a int: pass a name"),
        (lambda a: sdo.pl.fate(a, kind="composition", groupby=""), KeyError, "`groupby` is ''"),
        (
            lambda a: sdo.pl.fate(a, kind="composition", groupby=np.zeros(2)),
            TypeError,
            "`groupby` is a ndarray",
        ),
        (lambda a: sdo.pl.ancestry(a, types=True), TypeError, "`types` is a bool: pass a name"),
        (lambda a: sdo.pl.landscape(a, n_max=None), TypeError, "`n_max` is a NoneType"),
        (
            lambda a: sdo.pl.fate(a, fates=["C"]),
            KeyError,
            "`fates` has 'C'.*There is 'A', 'B', 'outside'",
        ),
        (lambda a: sdo.pl.fate(a, fates=[]), ValueError, "`fates` is empty"),
        (
            lambda a: sdo.pl.fate(a, kind="composition", groupby="cel_type"),
            KeyError,
            "Did you mean 'cell_type'",
        ),
        (lambda a: sdo.pl.fate(a, basis="tsne"), KeyError, "`basis` is 'tsne'"),
        (lambda a: sdo.pl.fate(a, ax=_axes(3)), ValueError, "pass 1, or 2 .a panel for every fate"),
        (lambda a: sdo.pl.ancestry(a, kind="alluvial"), ValueError, "`kind` is 'alluvial'"),
        (lambda a: sdo.pl.ancestry(a, types=["b"]), KeyError, "`types` has 'b'.*Did you mean 'B'"),
        (lambda a: sdo.pl.ancestry(a, ax=_axes(3)), ValueError, "`ax` has 3 axes: pass 1, or 2"),
        (lambda a: sdo.pl.landscape(a, kind="map"), ValueError, "`kind` is 'map'"),
        (lambda a: sdo.pl.landscape(a, quantity="growth"), ValueError, "`quantity` is 'growth'"),
        (lambda a: sdo.pl.landscape(a, n_max=0), ValueError, "`n_max` is 0"),
        (
            lambda a: sdo.pl.landscape(a, times=[0.5]),
            KeyError,
            "`times` has 0.5, at which there is no landscape",
        ),
        (lambda a: sdo.pl.landscape(a, times=[]), ValueError, "`times` is empty"),
        (lambda a: sdo.pl.landscape(a, ax=_axes(2)), ValueError, "`ax` has 2 axes: pass 3"),
        (
            lambda a: sdo.pl.landscape(a, kind="surface", ax=_axes(3)),
            ValueError,
            "`ax` has the projection 'rectilinear'",
        ),
        (
            lambda a: sdo.pl.trajectories(a, sdo.tl.simulate(a, 0), by="type"),
            ValueError,
            "`by` is 'type'",
        ),
        (
            lambda a: sdo.pl.trajectories(a, sdo.tl.simulate(a, 0, t1=1), by="fate"),
            ValueError,
            "simulate until then",
        ),
    ],
)
def test_bad_input(ready, plot, error, message):
    with pytest.raises(error, match=message):
        plot(ready)


@pytest.mark.parametrize(
    ("plot", "step"),
    [
        (lambda a: sdo.pl.fate(a), r"'fate': run scdiffot.tl.sta_forward"),
        (lambda a: sdo.pl.ancestry(a), r"'ancestry': run scdiffot.tl.sta_backward"),
        (lambda a: sdo.pl.landscape(a), r"'landscape': run scdiffot.tl.landscape"),
    ],
)
def test_what_must_have_been_run(fitted, plot, step):
    with pytest.raises(KeyError, match=step):
        plot(fitted)


def test_lambda_needs_growth(ready):
    del ready.uns["scdiffot"]["landscape"]["lambda"]
    with pytest.raises(KeyError, match="a fit without growth does not have"):
        sdo.pl.landscape(ready, quantity="lambda")


def test_paths_without_fates(fitted):
    with pytest.raises(KeyError, match="'fate': run scdiffot.tl.sta_forward"):
        sdo.pl.trajectories(fitted, sdo.tl.simulate(fitted, 0), by="fate")


def test_types_of_a_modality(mdata, quick):
    mdata["rna"].uns["cell_type_colors"] = list(COLORS.values())
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", **quick)
    first = give_landscape(give_ancestry(give_fates(_flat(mdata))))
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
    assert len(_everything(mdata)) == 8


def _flat(mdata):
    """The first modality with the fit of both."""
    adata = mdata["rna"].copy()
    adata.uns["scdiffot"] = dict(mdata.uns["scdiffot"])
    return adata
