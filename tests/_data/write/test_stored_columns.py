"""Times and growth priors that changed after a fit are refused; other forms are accepted."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo
from scdiffot._utils.errors import StoredFitError

QUIET = {"show_progress": False}
READERS = {
    "simulate": lambda a: sdo.tl.simulate(a, n_particles=3),
    "sta_forward": lambda a: sdo.tl.sta_forward(a, "cell_type", n_trajectories=3, **QUIET),
    "sta_backward": lambda a: sdo.tl.sta_backward(a, "cell_type", **QUIET),
    "perturb": lambda a: sdo.tl.perturb(a, {"g0": 1.0}, "cell_type", n_trajectories=3, **QUIET),
    "trajectory_genes": lambda a: sdo.tl.trajectory_genes(
        a, "cell_type", n_trajectories=3, **QUIET
    ),
    "regulation": lambda a: sdo.tl.regulation(a, **QUIET),
    "growth_genes": lambda a: sdo.tl.growth_genes(a, **QUIET),
    "validate": lambda a: sdo.tl.validate(a, **QUIET),
    "interpolate": lambda a: sdo.tl.interpolate(a, 0.5),
    "landscape": lambda a: sdo.tl.landscape(a, n_grid=10),
    "velocity": lambda a: sdo.pl.velocity(a, return_fig=True),
}
WORDS = {0.0: "start", 1.0: "middle", 2.0: "end"}


@pytest.fixture
def genes(time_course, quick):
    time_course.var_names = [f"g{i}" for i in range(time_course.n_vars)]
    sdo.tl.fit(time_course, "time", use_rep="X", **quick)
    return time_course


def _one_cell(time):
    times = np.array(time, dtype=float)
    times[0] = 2 - times[0] if times[0] != 1 else 0
    return times


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_other_times(genes, fingerprint, reader):
    genes.obs["time"] = _one_cell(genes.obs["time"])
    digest = fingerprint(genes)
    with pytest.raises(
        StoredFitError,
        match=r"`time_key` obs\['time'\] is not what the fit.* in 1 of 132 .*tl.fit again",
    ):
        READERS[reader](genes)
    assert fingerprint(genes) == digest


@pytest.mark.parametrize(
    ("change", "n"),
    [
        (lambda t: 2 - t, "8[0-9]"),
        (lambda t: t + 1, "132"),
        (lambda t: t * 24, "92"),
        (lambda t: t[::-1].to_numpy(), "[0-9]+"),
        (lambda t: t.map(WORDS), None),
    ],
    ids=["reversed", "shifted", "hours", "shuffled", "words"],
)
def test_changed_times_are_refused(fitted_adata, change, n):
    fitted_adata.obs["time"] = change(fitted_adata.obs["time"])
    match = f"in {n} of 132 cells" if n else "is not what the fit .*'start'.*Restore the column"
    with pytest.raises(StoredFitError, match=match):
        sdo.tl.simulate(fitted_adata, n_particles=3)


def _relabel(adata, values):
    copy = adata.copy()
    copy.obs["label"] = values
    return copy


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[::-1].copy(),
        lambda a: a[a.obs["time"] < 2].copy(),
        lambda a: _relabel(a, a.obs["label"].astype(str)),
        lambda a: _relabel(a, a.obs["label"].cat.reorder_categories(["day2", "day0", "day1"])),
        lambda a: _relabel(a, a.obs["time"].astype(np.float32)),
        lambda a: _relabel(a, a.obs["time"].astype(int)),
        lambda a: _relabel(a, pd.Categorical(a.obs["time"].map("{:.1f}".format))),
    ],
    ids=["order", "subset", "text", "categories", "float32", "int", "numbers as text"],
)
def test_the_same_times_are_accepted(time_course, quick, change):
    sdo.tl.fit(time_course, "label", time_map="auto", **quick)
    cells = list(time_course.obs_names[time_course.obs["time"] == 0][:4])
    expected = sdo.tl.simulate(time_course, cells, t0=0.0, n_steps=3).states[-1]
    trajectories = sdo.tl.simulate(change(time_course), cells, t0=0.0, n_steps=3)
    np.testing.assert_allclose(trajectories.states[-1], expected, atol=1e-4)


def test_exchanged_labels_are_refused(time_course, quick):
    sdo.tl.fit(time_course, "label", time_map="auto", **quick)
    time_course.obs["label"] = time_course.obs["label"].cat.rename_categories(
        {"day0": "day1", "day1": "day0"}
    )
    with pytest.raises(StoredFitError, match=r"in 84 of 132 cells"):
        sdo.tl.simulate(time_course, n_particles=3)


def test_changes_of_large_times_are_refused(time_course, quick):
    """Dates as numbers differ by less than the precision of float32."""
    time_course.obs["time"] = time_course.obs["time"].astype(int) * 2 + 20240101
    sdo.tl.fit(time_course, "time", **quick)
    sdo.tl.simulate(time_course, n_particles=3)
    time_course.obs.loc[time_course.obs["time"] == 20240101, "time"] = 20240103
    with pytest.raises(StoredFitError, match="in 40 of 132 cells"):
        sdo.tl.simulate(time_course, n_particles=3)


def test_new_cells_are_accepted_beside_held_out_times(time_course, quick):
    sdo.tl.fit(time_course, "time", held_out=1, **quick)
    new_cells = ad.AnnData(
        np.ones((5, 3), np.float32), obs=pd.DataFrame({"time": 1.5}, [f"new{i}" for i in range(5)])
    )
    new_cells.obsm["X_pca"], new_cells.var_names = np.ones((5, 3)), time_course.var_names
    combined = ad.concat([time_course, new_cells], join="outer", uns_merge="first")
    sdo.tl.simulate(combined, n_particles=3)
    combined.obs["time"] = combined.obs["time"].replace(1.0, 2.0)
    with pytest.raises(StoredFitError, match="in 44 of 132 cells"):
        sdo.tl.simulate(combined, n_particles=3)


def test_fits_without_this_fingerprint_are_read(fitted_adata):
    fitted_adata.obsm["scdiffot_fingerprint"] = fitted_adata.obsm["scdiffot_fingerprint"].drop(
        columns="time"
    )
    assert sdo.tl.simulate(fitted_adata, n_particles=3).states.shape[1] == 3


def test_changed_growth_priors_are_refused(time_course, quick):
    prior = np.linspace(0, 1, time_course.n_obs)
    time_course.obs["prior"] = prior
    sdo.tl.fit(time_course, "time", growth_prior="prior", **quick)
    sdo.tl.fit(time_course, "time", growth_prior=prior, key_added="array", **quick)
    assert sdo.tl.interpolate(time_course[::-1].copy(), 0.5).n_obs > 0
    time_course.obs["prior"] = time_course.obs["array_growth_prior"] = prior[::-1]
    for key, name in (("scdiffot", "prior"), ("array", "array_growth_prior")):
        with pytest.raises(
            StoredFitError, match=rf"`growth_prior` obs\['{name}'\] is not what the fit"
        ):
            sdo.tl.validate(time_course, key=key, show_progress=False)


def test_changed_times_of_a_modality_are_refused(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="atac:X_pca", **quick)
    sdo.tl.simulate(mdata, n_particles=3)
    mdata["rna"].obs["time"] = 2 - mdata["rna"].obs["time"]
    with pytest.raises(StoredFitError, match="`time_key` obs.'rna:time'.*in 8[0-9] of 132"):
        sdo.tl.simulate(mdata, n_particles=3)
