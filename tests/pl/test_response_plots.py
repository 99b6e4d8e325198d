"""Plots of responses show the stored values."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.quiver import Quiver

import scdiffot as sdo
from scdiffot._data.write.seals import seal
from scdiffot.pl._response.cell_panels import COLORS

mpl.use("agg")


@pytest.fixture
def grouped_response(cells_with_response):
    sdo.tl.response_subpopulations(cells_with_response, groupby="cell_type")
    cells_with_response.uns["cell_type_colors"] = ["#ff0000", "#0000ff"]
    return cells_with_response


def _labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def _medians(ax):
    """Return the median of each gene in the three kinds of cells."""
    points = [c.get_offsets()[:, 1] for c in ax.collections if isinstance(c, PathCollection)]
    return dict(zip(COLORS, points, strict=True))


def test_genes_of_three_kinds_of_cells(cells_with_response):
    del cells_with_response.obs["scdiffot_survival"]
    ax = sdo.pl.response(cells_with_response, show=False)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "control",
        "predicted",
        "treated",
    ]
    medians = _medians(ax)
    has_prediction = cells_with_response.obs["scdiffot_effect_size"].notna().to_numpy()
    treated = (cells_with_response.obs["treatment"] == "drug").to_numpy()
    np.testing.assert_allclose(
        medians["control"], np.median(cells_with_response.X[has_prediction], axis=0), atol=1e-5
    )
    np.testing.assert_allclose(
        medians["treated"], np.median(cells_with_response.X[treated], axis=0), atol=1e-5
    )
    prediction = cells_with_response.obsm["scdiffot_predicted"][has_prediction]
    np.testing.assert_allclose(medians["predicted"], np.median(prediction, axis=0), atol=1e-5)


def test_genes_of_a_layer_are_stored_expression(cells_with_response):
    cells_with_response.layers["twice"] = 2 * cells_with_response.X
    names = ["2", "0"]
    decoded_medians = _medians(sdo.pl.response(cells_with_response, genes=names, show=False))
    ax = sdo.pl.response(cells_with_response, genes=names, layer="twice", show=False)
    layer_medians = _medians(ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == names
    np.testing.assert_allclose(layer_medians["control"], 2 * decoded_medians["control"], atol=1e-5)
    np.testing.assert_allclose(layer_medians["treated"], 2 * decoded_medians["treated"], atol=1e-5)
    np.testing.assert_array_equal(layer_medians["predicted"], decoded_medians["predicted"])
    as_x = _medians(sdo.pl.response(cells_with_response, genes=names, layer="X", show=False))
    np.testing.assert_allclose(as_x["treated"], decoded_medians["treated"], atol=1e-5)


def test_counts_cannot_be_compared_with_logarithms(cells_with_response):
    cells_with_response.layers["counts"] = np.rint(np.exp(3 + cells_with_response.X))
    with pytest.raises(ValueError, match="`layer` 'counts' holds counts .* on another scale"):
        sdo.pl.response(cells_with_response, layer="counts")


def test_cells_that_die_are_not_drawn(cells_with_response):
    is_dead = (cells_with_response.obs["cell_type"] == "A").to_numpy()
    cells_with_response.obs.loc[is_dead, "scdiffot_survival"] *= 0
    prediction = cells_with_response.obsm["scdiffot_predicted"][~is_dead]
    medians = _medians(sdo.pl.response(cells_with_response, genes=["1"], show=False))
    assert np.nanmin(prediction[:, 1]) <= medians["predicted"][0] <= np.nanmax(prediction[:, 1])
    ax = sdo.pl.response(cells_with_response, "embedding", show=False)
    coordinates, colors = _points(ax)
    predicted_points = coordinates[colors == COLORS["predicted"]]
    assert all(
        np.isclose(prediction[:, :2], point, atol=1e-5).all(axis=1).any()
        for point in predicted_points
    )


def _points(ax):
    """Return coordinates and colours of all cells except the grey ones."""
    points = [c for c in ax.collections if isinstance(c, PathCollection)][-1]
    return np.asarray(points.get_offsets()), np.array([to_hex(c) for c in points.get_facecolor()])


def test_embedding_shows_cells_and_responses(cells_with_response):
    ax = sdo.pl.response(cells_with_response, "embedding", arrows=True, show=False)
    coordinates, colors = _points(ax)
    treated = (cells_with_response.obs["treatment"] == "drug").to_numpy()
    points = coordinates[colors == COLORS["treated"]]
    np.testing.assert_allclose(
        np.sort(points, axis=0), np.sort(cells_with_response.X[treated, :2], axis=0), atol=1e-6
    )
    arrows = next(c for c in ax.collections if isinstance(c, Quiver))
    ends = np.c_[arrows.U, arrows.V]
    # responses increase the first gene or decrease the second
    assert (
        np.isclose(ends[:, 1], 0, atol=1e-5) & (ends[:, 0] > 1.7)
        | np.isclose(ends[:, 0], 0, atol=1e-5)
    ).all()
    assert ax.get_xlabel() == "0"


def test_predicted_cells_lie_among_treated_ones_on_an_embedding(cells_with_response):
    cells_with_response.obsm["X_umap"] = np.arctan(cells_with_response.X[:, :2])
    ax = sdo.pl.response(cells_with_response, "embedding", basis="umap", show=False)
    coordinates, colors = _points(ax)
    treated, predicted = (coordinates[colors == COLORS[kind]] for kind in ("treated", "predicted"))
    assert (predicted >= treated.min(axis=0)).all()
    assert (predicted <= treated.max(axis=0)).all()
    assert ax.get_xlabel() == "UMAP 1"
    # the first control cell has no prediction and is grey
    grey = [c for c in ax.collections if isinstance(c, PathCollection)][0]
    assert len(grey.get_offsets()) == 1


def test_effect_by_group(grouped_response):
    ax = sdo.pl.response(grouped_response, "effect", show=False)
    effect = grouped_response.obs["scdiffot_effect_size"].dropna()
    by_type = effect.groupby(grouped_response.obs["cell_type"], observed=True)
    assert _labels(ax) == [f"{name}  ({n})" for name, n in by_type.size().items()]
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == ["#ff0000", "#0000ff"]
    np.testing.assert_allclose(
        [bar.get_x() for bar in ax.patches], by_type.quantile(0.25), rtol=1e-5
    )
    lines = [c.get_segments()[0] for c in ax.collections if isinstance(c, LineCollection)]
    medians = [line[0, 0] for line in lines if line[0, 0] == line[1, 0]]
    np.testing.assert_allclose(medians, by_type.median(), rtol=1e-5)
    # the group with the largest effect is on top
    assert ax.patches[0].get_y() > ax.patches[1].get_y()


def test_groups_are_the_subpopulations_or_a_column(cells_with_response):
    assert _labels(sdo.pl.response(cells_with_response, "effect", show=False))[0].startswith(
        "all cells"
    )
    assert (
        len(_labels(sdo.pl.response(cells_with_response, "effect", groupby="label", show=False)))
        == 3
    )
    sdo.tl.response_subpopulations(cells_with_response)
    ax = sdo.pl.response(cells_with_response, "survival", show=False)
    assert [label[0] for label in _labels(ax)] == ["2", "1"]
    assert ax.get_ylabel() == "cluster of the response (cells)"


def test_survival_by_group(grouped_response):
    ax = sdo.pl.response(grouped_response, "survival", show=False)
    table = sdo.get.response(grouped_response, "subpopulations").set_index("group")
    assert [label[0] for label in _labels(ax)] == ["B", "A"]
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points, table.loc[["B", "A"], "survival"], rtol=1e-6)
    # whiskers and boxes are quantiles of cells, not errors of the mean
    survival = grouped_response.obs["scdiffot_survival"].dropna()
    by_type = survival.groupby(grouped_response.obs["cell_type"], observed=True)
    ends = [c.get_segments()[0][:, 0] for c in ax.collections if isinstance(c, LineCollection)]
    expected = by_type.quantile([0.05, 0.95]).unstack().loc[["B", "A"]]
    np.testing.assert_allclose(ends, expected, rtol=1e-5)
    np.testing.assert_allclose(
        [bar.get_x() for bar in ax.patches], by_type.quantile(0.25)[["B", "A"]], rtol=1e-5
    )


def test_features_by_group(grouped_response):
    ax = sdo.pl.response(grouped_response, "features", n_genes=2, show=False)
    values = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(values, [[2, 0], [0, -1]], atol=0.1)
    assert [label.split()[0] for label in _labels(ax)] == ["0", "1"]
    low, high = ax.images[0].get_clim()
    assert low == -high
    ax = sdo.pl.response(grouped_response, "features", genes=["2"], show=False)
    assert [label.split()[0] for label in _labels(ax)] == ["2"]


def test_fit_in_another_anndata(cells_with_response):
    new = cells_with_response[cells_with_response.obs["treatment"] == "none"].copy()
    del new.uns["scdiffot_response"]
    ax = sdo.pl.response(new, reference=cells_with_response, show=False)
    # the data contain no treated cells
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["control", "predicted"]
    with pytest.raises(KeyError, match="`key` has no response.*run scdiffot.tl.fit_response"):
        sdo.pl.response(new)


def test_treated_cells_are_of_one_treatment_and_dose():
    adata = sdo.datasets.perturbation_response(
        300, n_dims=3, n_genes=8, targets=("a", "b"), doses=(0.1, 1.0)
    )
    sdo.tl.fit_response(
        adata,
        "condition",
        control="control",
        target=["a", "b"],
        dose_key="dose",
        config={"train": {"n_steps": 3}},
        show_progress=False,
    )
    sdo.tl.predict_response(adata, target="b")
    sdo.tl.predict_response(adata, target="b", dose=0.1, key_added="low")
    for key, expected in [("scdiffot", 1.0), ("low", 0.1)]:
        ax = sdo.pl.response(adata, "embedding", key=key, show=False)
        coordinates, colors = _points(ax)
        treated = ((adata.obs["condition"] == "b") & (adata.obs["dose"] == expected)).to_numpy()
        points = coordinates[colors == COLORS["treated"]]
        np.testing.assert_allclose(
            np.sort(points, axis=0), np.sort(adata.obsm["X_pca"][treated, :2], axis=0), rtol=1e-6
        )
    # another target or dose than that of the prediction is an error
    for options in ({"target": "a"}, {"dose": 1.0}):
        with pytest.raises(ValueError, match="prediction under `key` 'low' is that of 'b' at 0.1"):
            sdo.pl.response(adata, key="low", **options)
    # an unobserved dose has predicted cells only
    sdo.tl.predict_response(adata, target="b", dose=0.5, key_added="between")
    ax = sdo.pl.response(adata, key="between", show=False)
    assert len(ax.get_legend().get_texts()) == 2
    del adata.obs["dose"]
    with pytest.raises(KeyError, match=r"`adata` has no obs\['dose'\]"):
        sdo.pl.response(adata, key="low")


def test_modalities(mdata, add_response):
    adata = add_response(mdata["rna"].copy())
    mdata.obs["treatment"] = adata.obs["treatment"]
    mdata.obs["cell_type"] = adata.obs["cell_type"]
    for name in ("scdiffot_effect_size", "scdiffot_survival"):
        mdata.obs[name] = adata.obs[name]
    for name in ("scdiffot_response", "scdiffot_predicted"):
        mdata.obsm[name] = adata.obsm[name]
    stored = adata.uns["scdiffot_response"]
    entry = stored | {"params": stored["params"] | {"use_rep": "rna:X"}}
    mdata.uns["scdiffot_response"] = seal(entry, "params", "model")
    sdo.tl.response_subpopulations(mdata, groupby="cell_type")
    sdo.tl.response_subpopulations(adata, groupby="cell_type")
    features = sdo.get.response(mdata, "features")
    assert features.equals(sdo.get.response(adata, "features"))
    for layer in (None, "X"):
        mudata_medians, adata_medians = (
            _medians(sdo.pl.response(a, layer=layer, show=False)) for a in (mdata, adata)
        )
        for kind in COLORS:
            np.testing.assert_allclose(mudata_medians[kind], adata_medians[kind])


def test_nothing_is_changed(grouped_response, fingerprint):
    previous = fingerprint(grouped_response)
    for kind in ("genes", "embedding", "effect", "survival", "features"):
        sdo.pl.response(grouped_response, kind, show=False)
    assert fingerprint(grouped_response) == previous


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "volcano"}, ValueError, "`kind` is 'volcano': pass one of 'genes'"),
        ({"genes": ["Sox2"]}, KeyError, "`genes` names 'Sox2'"),
        ({"layer": "raw"}, KeyError, "`layer` is 'raw'"),
        ({"n_genes": 0}, ValueError, "`n_genes` is 0"),
        ({"target": "other"}, KeyError, "`target` is 'other'"),
        ({"kind": "embedding", "basis": "umap"}, KeyError, "`basis` is 'umap'"),
        ({"kind": "embedding", "basis": "line"}, ValueError, "`basis` 'X_line' has one dimension"),
        ({"kind": "effect", "groupby": "no"}, KeyError, "`groupby` is 'no'"),
        ({"kind": "features"}, KeyError, "run scdiffot.tl.response_subpopulations"),
    ],
)
def test_clear_errors(cells_with_response, arguments, error, message):
    cells_with_response.obsm["X_line"] = cells_with_response.X[:, :1]
    with pytest.raises(error, match=message):
        sdo.pl.response(cells_with_response, **arguments)


def test_balanced_responses_have_no_survival(cells_with_response):
    del cells_with_response.obs["scdiffot_survival"]
    with pytest.raises(ValueError, match=r"the response is balanced.*unbalanced=True"):
        sdo.pl.response(cells_with_response, "survival")


def test_features_of_unknown_or_no_genes_are_an_error(grouped_response):
    with pytest.raises(KeyError, match="`genes` has 'x', which is not in the table"):
        sdo.pl.response(grouped_response, "features", genes=["x"])
    with pytest.raises(ValueError, match="`genes` names no gene"):
        sdo.pl.response(grouped_response, "features", genes=[])
