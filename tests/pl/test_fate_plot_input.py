"""Low dimensions and errors of the plots of fates, ancestors, landscapes and trajectories."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from _stored_results import COLORS, give_ancestry, give_fates, give_landscape

import scdiffot as sdo

mpl.use("agg")


@pytest.fixture
def ready(fitted_adata):
    fitted_adata.uns["cell_type_colors"] = list(COLORS.values())
    fitted_adata.obsm["X_umap"] = np.arctan(fitted_adata.obsm["X_pca"][:, :2])
    return give_landscape(give_ancestry(give_fates(fitted_adata)))


@pytest.mark.parametrize("d", [1, 2])
def test_low_dimensions(time_course, quick, d):
    time_course.obsm["X_low"] = time_course.obsm["X_pca"][:, :d]
    sdo.tl.fit(time_course, "time", use_rep="low", **quick)
    give_ancestry(give_fates(time_course))
    label = "time" if d == 1 else "low 1"
    paths = sdo.tl.simulate(time_course, 0)
    assert [ax.get_xlabel() for ax in sdo.pl.fate(time_course, show=False)] == [label] * 2
    assert [ax.get_xlabel() for ax in sdo.pl.ancestry(time_course, show=False)] == [label] * 2
    assert sdo.pl.trajectories(time_course, paths, by="fate", show=False).get_xlabel() == label


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
def test_missing_results_name_the_function_to_run(fitted_adata, plot, step):
    with pytest.raises(KeyError, match=step):
        plot(fitted_adata)


def test_lambda_needs_growth(ready):
    del ready.uns["scdiffot"]["landscape"]["lambda"]
    with pytest.raises(KeyError, match="a fit without growth does not have"):
        sdo.pl.landscape(ready, quantity="lambda")


def test_trajectories_by_fate_need_fates(fitted_adata):
    with pytest.raises(KeyError, match="'fate': run scdiffot.tl.sta_forward"):
        sdo.pl.trajectories(fitted_adata, sdo.tl.simulate(fitted_adata, 0), by="fate")
