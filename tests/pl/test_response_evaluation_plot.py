"""The plot of an evaluation shows every score and interval."""

from __future__ import annotations

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _stored_results import SCORES, give_evaluation
from matplotlib.colors import to_hex

import scdiffot as sdo

mpl.use("agg")


@pytest.fixture
def evaluation_data():
    return give_evaluation(ad.AnnData(np.zeros((3, 2))))


def _points(ax):
    """Return score and height of all points, in the order of drawing."""
    points = [line.get_xydata() for line in ax.lines if line.get_marker() == "o"]
    return np.concatenate(points)


def _intervals(ax):
    return np.concatenate(
        [np.array(c.get_segments())[:, :, 0] for c in ax.collections if c.get_segments()]
    )


def test_one_row_for_every_method_and_one_point_for_every_fold(evaluation_data):
    ax = sdo.pl.response_evaluation(evaluation_data, "energy_distance", show=False)
    methods = [m for m in SCORES if m != "observed"]
    expected = [SCORES[m] + shift for m in methods for shift in (0, 0.1)]
    points = _points(ax)
    np.testing.assert_allclose(points[:, 0], expected)
    # the two folds of a method surround its tick, with the first above
    np.testing.assert_allclose(points[:, 1].reshape(-1, 2).mean(axis=1), ax.get_yticks())
    assert (points[::2, 1] > points[1::2, 1]).all()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["flow", "Gaussian map", "mean shift", "training cells", "no response"]
    np.testing.assert_allclose(_intervals(ax), np.array(expected)[:, None] + [-0.1, 0.2])
    assert ax.get_xlabel() == "energy distance (less is better)"
    (floor,) = [line for line in ax.lines if line.get_marker() != "o"]
    np.testing.assert_allclose(floor.get_xdata(), 0.15)
    (band,) = ax.patches
    np.testing.assert_allclose([band.get_x(), band.get_x() + band.get_width()], [0.05, 0.35])
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "held out"
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    colors = [to_hex(line.get_color()) for line in ax.lines if line.get_marker() == "o"]
    assert len(set(colors[:2])) == 2
    assert colors == colors[:2] * len(methods)


def test_panels_and_methods(evaluation_data):
    axes = sdo.pl.response_evaluation(evaluation_data, methods=["flow", "copy"], show=False)
    # the order is that of the constant METRICS, not that of the table
    assert [ax.get_xlabel().split(" (")[0] for ax in axes] == [
        "unexplained response of cells",
        "energy distance",
    ]
    assert axes[0].get_xlim()[0] == 0
    # the metric has no scores of copies and no floor
    np.testing.assert_allclose(_points(axes[0])[:, 0], [0.2, 0.3])
    assert len(axes[0].patches) == 0
    np.testing.assert_allclose(_points(axes[1])[:, 0], [0.2, 0.3, 0.6, 0.7])
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["", ""]


@pytest.mark.parametrize(
    ("folds", "targets", "names"),
    [
        (("a",), ("drug",), []),
        (("a",), ("x", "y"), ["x", "y"]),
        (("a", "b"), ("x", "y"), ["a, x", "a, y", "b, x", "b, y"]),
        (tuple("abcdefghijkl"), ("drug",), list("abcdefghijkl")),
    ],
)
def test_series(evaluation_data, folds, targets, names):
    give_evaluation(evaluation_data, folds, targets)
    ax = sdo.pl.response_evaluation(evaluation_data, ["energy_distance"], show=False)
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names if names else legend is None
    assert len(_points(ax)) == 5 * max(len(names), 1)
    colors = [to_hex(line.get_color()) for line in ax.lines if line.get_marker() == "o"]
    assert len(set(colors)) == len(names) or colors == ["#2166ac"] + ["#8c8c8c"] * 4


def test_evaluation_read_from_a_file_is_drawn_equally(evaluation_data, tmp_path):
    evaluation_data.write_h5ad(tmp_path / "evaluated.h5ad")
    loaded_data = ad.read_h5ad(tmp_path / "evaluated.h5ad")
    columns = ["split", "fold", "target", "method", "metric"]
    table = loaded_data.uns["scdiffot_response_evaluation"]
    loaded_data.uns["scdiffot_response_evaluation"] = table.astype(
        dict.fromkeys(columns, "category")
    )
    points = [
        _points(sdo.pl.response_evaluation(a, "energy_distance", show=False))
        for a in (evaluation_data, loaded_data)
    ]
    np.testing.assert_array_equal(*points)


def test_errors(evaluation_data):
    with pytest.raises(
        KeyError, match=r"`metrics` has 'energydistance', .* mean 'energy_distance'"
    ):
        sdo.pl.response_evaluation(evaluation_data, "energydistance")
    with pytest.raises(KeyError, match="`methods` has 'observed', which is none of them"):
        sdo.pl.response_evaluation(evaluation_data, methods=["observed"])
    with pytest.raises(ValueError, match="`metrics` is empty"):
        sdo.pl.response_evaluation(evaluation_data, [])
    with pytest.raises(TypeError, match="`metrics` is a int: pass a name, or a list of names"):
        sdo.pl.response_evaluation(evaluation_data, 3)
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="`ax` holds 1 axes for 2 metrics"):
        sdo.pl.response_evaluation(evaluation_data, ax=ax)
    with pytest.raises(
        KeyError,
        match=r"`key` is 'other', .*: run scdiffot.tl.evaluate_response.* There is 'scdiffot'",
    ):
        sdo.pl.response_evaluation(evaluation_data, key="other")
