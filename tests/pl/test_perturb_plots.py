"""Plots of perturbations show the stored values."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _stored_results import COLORS, give_perturbations
from matplotlib.colors import to_rgb

import scdiffot as sdo
from scdiffot._utils.keys import PERTURBATION

mpl.use("agg")


@pytest.fixture
def ready(fitted_adata):
    return give_perturbations(fitted_adata)


def test_composition_shows_control_and_perturbed_shares(ready):
    ax = sdo.pl.perturb(ready, show=False)
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(3, 2, 3)
    stored_entry = ready.uns["scdiffot"][PERTURBATION]["Gata1"]
    np.testing.assert_allclose(widths[:, 0], stored_entry["control"])
    np.testing.assert_allclose(widths[:, 1], stored_entry["perturbed"])
    assert [to_rgb(bar.get_facecolor()) for bar in ax.patches[:2]] == [
        to_rgb(c) for c in COLORS.values()
    ]
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[:2] == ["A   control", "× 0.50   changed"]
    assert labels[-2:] == ["all cells   control", "× 0.75   changed"]
    assert ax.get_title() == "Gata1 knocked out, sustained"
    # 95 % intervals of shares above the threshold
    lengths = [np.ptp(c.get_segments()[0][:, 0]) for c in ax.collections]
    assert len(lengths) == 15
    np.testing.assert_allclose(
        sorted(set(np.round(lengths, 6))), [2 * 1.96 * 0.01, 2 * 1.96 * 0.02]
    )


def test_significant_shifts_are_filled(ready):
    ax = sdo.pl.perturb(ready, kind="shift", sources=["B"], show=False)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in points] == [-0.25, 0.15, 0.1]
    is_filled = [line.get_markerfacecolor() != "white" for line in points]
    assert is_filled == [True, False, False]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["B"]


def test_screen_shows_ranked_effects(ready):
    ax = sdo.pl.perturb_screen(ready, show=False)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in points] == [0.3, 0.2, 0.1]
    assert [line.get_markerfacecolor() for line in points] == ["#0000ff", "#ff0000", "white"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Gata1", "Spi1", "Gata1 + Spi1"]
    ax = sdo.pl.perturb_screen(ready, fate="B", n_genes=2, show=False)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in points] == [0.3, -0.15]
    assert ax.get_xlabel() == "change of the share of B"


def test_plots_use_the_axes_of_the_user_and_change_nothing(ready, fingerprint):
    previous = fingerprint(ready)
    _, axes = plt.subplots(2)
    assert sdo.pl.perturb(ready, ax=axes[0]) is axes[0]
    assert sdo.pl.perturb_screen(ready, ax=axes[1]) is axes[1]
    assert fingerprint(ready) == previous


@pytest.mark.parametrize(
    ("plot", "arguments", "error", "message"),
    [
        ("perturb", {"kind": "bars"}, ValueError, "`kind` is 'bars'"),
        ("perturb", {"name": "Gata2"}, KeyError, "Did you mean 'Gata1'"),
        ("perturb", {"sources": ["C"]}, KeyError, "`sources` has 'C'"),
        ("perturb", {"sources": 3}, TypeError, "`sources` is a int: pass a name"),
        ("perturb_screen", {"n_genes": None}, TypeError, "`n_genes` is a NoneType"),
        ("perturb_screen", {"fate": np.array(["A", "B"])}, KeyError, "`fate` is array"),
        ("perturb", {"name": np.array(["a", "b"])}, KeyError, "`name` is array"),
        ("perturb_screen", {"fate": "C"}, KeyError, "`fate` is 'C'"),
        ("perturb_screen", {"n_genes": 0}, ValueError, "`n_genes` is 0"),
    ],
)
def test_errors(ready, plot, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(sdo.pl, plot)(ready, **arguments)


def test_several_perturbations_need_a_name(ready):
    stored_entry = ready.uns["scdiffot"][PERTURBATION]
    stored_entry["Spi1"] = {
        **stored_entry["Gata1"],
        "name": "Spi1",
        "values": np.array([1.0]),
        "sustained": False,
    }
    with pytest.raises(ValueError, match="`name` is missing, and there are several"):
        sdo.pl.perturb(ready)
    assert sdo.pl.perturb(ready, "Spi1", show=False).get_title() == "Spi1 set, at the start"
