from __future__ import annotations

import logging
import signal

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot.core import fit as fit_core

FIELDS = ("velocity", "flow", "score")


def test_writes_the_documented_fields_only(time_course, quick, fingerprint):
    original = fingerprint(time_course)
    assert sdo.tl.fit(time_course, "time", **quick) is None
    assert set(time_course.obsm) == {
        "X_pca",
        "scdiffot_fingerprint",
        *(f"scdiffot_{name}" for name in FIELDS),
    }
    assert set(time_course.obs) - set(original["columns"]) == {
        "scdiffot_growth",
        "scdiffot_potential",
    }
    assert set(time_course.uns) == {"scdiffot"}
    assert {"params", "history", "state", "version", "digest"} == set(time_course.uns["scdiffot"])
    for name in FIELDS:
        assert time_course.obsm[f"scdiffot_{name}"].shape == (time_course.n_obs, 3)
        assert np.isfinite(time_course.obsm[f"scdiffot_{name}"]).all()
    assert np.isfinite(time_course.obs[["scdiffot_growth", "scdiffot_potential"]]).all(axis=None)
    updated = fingerprint(time_course)
    assert updated["X"] == original["X"]
    assert updated["obsm"]["X_pca"] == original["obsm"]["X_pca"]


def test_velocity_points_along_the_motion(time_course, quick):
    sdo.tl.fit(
        time_course, "time", **quick | {"config": {**quick["config"], "train": {"n_steps": 300}}}
    )
    # The clouds move by one unit of the first axis per unit of time,
    mean = time_course.obsm["scdiffot_velocity"].mean(axis=0)
    assert mean[0] > 0.5
    assert np.abs(mean[1:]).max() < 0.4 * mean[0]
    # and grow by a tenth.
    assert 0 < time_course.obs["scdiffot_growth"].mean() < 0.3


def test_model_and_columns_agree(time_course, quick):
    sdo.tl.fit(time_course, "time", **quick)
    fields = sdo.get.model(time_course).fields(
        time_course.obsm["X_pca"], time_course.obs["time"].to_numpy()
    )
    np.testing.assert_array_equal(fields["drift"], time_course.obsm["scdiffot_velocity"])
    np.testing.assert_array_equal(fields["growth"], time_course.obs["scdiffot_growth"])
    np.testing.assert_array_equal(fields["potential"], time_course.obs["scdiffot_potential"])


def test_results_belong_to_their_cells(time_course, quick):
    sdo.tl.fit(time_course, "time", **quick)
    model = sdo.get.model(time_course)
    name = time_course.obs_names[7]
    cell = time_course[[name]]
    np.testing.assert_allclose(
        cell.obsm["scdiffot_velocity"],
        model.drift(cell.obsm["X_pca"], cell.obs["time"].iloc[0]),
        rtol=1e-5,
        atol=1e-6,
    )


def test_two_fits_side_by_side(time_course, quick, fingerprint):
    sdo.tl.fit(time_course, "time", **quick)
    first = fingerprint(time_course)
    sdo.tl.fit(time_course, "time", key_added="second", growth=False, rng=1, **quick)
    combined = fingerprint(time_course)
    assert combined["uns"]["scdiffot"] == first["uns"]["scdiffot"]
    assert combined["obsm"]["scdiffot_velocity"] == first["obsm"]["scdiffot_velocity"]
    assert not time_course.obs["second_growth"].any()
    assert not np.allclose(
        time_course.obsm["second_velocity"], time_course.obsm["scdiffot_velocity"]
    )


def test_copy(time_course, quick, fingerprint):
    original = fingerprint(time_course)
    copy = sdo.tl.fit(time_course, "time", copy=True, **quick)
    assert fingerprint(time_course) == original
    assert "scdiffot" in copy.uns
    # A copy of a view is no view.
    subset = sdo.tl.fit(time_course[time_course.obs["time"] < 2], "time", copy=True, **quick)
    assert subset.n_obs < time_course.n_obs
    assert "scdiffot_velocity" in subset.obsm


def test_held_out_cells_have_values_but_do_not_affect_training(time_course, quick):
    sdo.tl.fit(time_course, "time", held_out=1, **quick)
    assert np.isfinite(time_course.obsm["scdiffot_velocity"]).all()
    np.testing.assert_array_equal(sdo.get.model(time_course).times, [0, 2])
    changed = time_course.copy()
    changed.obsm["X_pca"][changed.obs["time"] == 1] += 100
    sdo.tl.fit(changed, "time", held_out=1, **quick)
    is_training = time_course.obs["time"] != 1
    np.testing.assert_array_equal(
        changed.obsm["scdiffot_flow"][is_training], time_course.obsm["scdiffot_flow"][is_training]
    )


def test_seeds(time_course, quick):
    runs = [
        sdo.tl.fit(time_course, "time", copy=True, rng=rng, **quick).obsm["scdiffot_velocity"]
        for rng in (3, 3, np.random.default_rng(3), 4)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], runs[3])


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("unit", [86400.0, 1 / 365.25])
def test_equivariance(time_course, quick, scale, unit):
    options = quick | {"sigma": 0.3, "alpha": 1.0}
    sdo.tl.fit(time_course, "time", **options)
    other = time_course.copy()
    other.obsm["X_pca"] = scale * (time_course.obsm["X_pca"] + 2.0)
    other.obs["time"] = unit * (time_course.obs["time"] + 3.0)
    sdo.tl.fit(other, "time", **options | {"sigma": 0.3 * scale / unit**0.5, "alpha": scale**2})
    # The error is that of float32 through forty steps of training.
    tolerance = {"rtol": 2e-2, "atol": 2e-2}
    for name in ("velocity", "flow"):
        result = other.obsm[f"scdiffot_{name}"] * unit / scale
        np.testing.assert_allclose(result, time_course.obsm[f"scdiffot_{name}"], **tolerance)
    np.testing.assert_allclose(
        other.obsm["scdiffot_score"] * scale, time_course.obsm["scdiffot_score"], **tolerance
    )
    np.testing.assert_allclose(
        other.obs["scdiffot_growth"] * unit, time_course.obs["scdiffot_growth"], **tolerance
    )
    np.testing.assert_allclose(
        other.obs["scdiffot_potential"] - 3 * np.log(scale),
        time_course.obs["scdiffot_potential"],
        rtol=0,
        atol=0.05,
    )


def test_equivariance_with_automatic_options(time_course, quick):
    options = {k: v for k, v in quick.items() if k != "sigma"}
    sdo.tl.fit(time_course, "time", **options)
    other = time_course.copy()
    other.obsm["X_pca"] = 1e6 * time_course.obsm["X_pca"] - 5e5
    other.obs["time"] = 60 * time_course.obs["time"]
    sdo.tl.fit(other, "time", **options)
    first, second = sdo.get.model(time_course), sdo.get.model(other)
    assert second.sigma == pytest.approx(first.sigma * 1e6 / 60**0.5, rel=1e-3)
    assert second.alpha == pytest.approx(first.alpha * 1e12, rel=1e-3)
    np.testing.assert_allclose(
        other.obsm["scdiffot_velocity"] * 60 / 1e6,
        time_course.obsm["scdiffot_velocity"],
        rtol=2e-2,
        atol=2e-2,
    )


def test_constant_columns_do_not_move(time_course, quick):
    time_course.obsm["X_pca"] = np.hstack(
        [time_course.obsm["X_pca"], np.full((time_course.n_obs, 1), 7.0)]
    )
    sdo.tl.fit(
        time_course, "time", **quick | {"config": {**quick["config"], "train": {"n_steps": 300}}}
    )
    speed = np.abs(time_course.obsm["scdiffot_velocity"]).mean(axis=0)
    assert np.isfinite(time_course.obsm["scdiffot_velocity"]).all()
    assert speed[3] < 0.3 * speed[0]


def _as(adata, kind):
    values = np.round(10 * adata.obsm["X_pca"])
    if kind == "dask":
        values = pytest.importorskip("dask.array").from_array(values, chunks=(16, 3))
    elif kind == "sparse":
        values = sparse.csr_matrix(values)
    elif kind == "integer":
        values = values.astype(int)
    adata.obsm["X_pca"] = values
    return adata


def test_containers_do_not_matter(time_course, quick):
    runs = {}
    for kind in ("numpy", "integer", "sparse", "dask"):
        adata = _as(time_course.copy(), kind)
        sdo.tl.fit(adata, "time", **quick)
        runs[kind] = adata.obsm["scdiffot_velocity"]
    for kind, result in runs.items():
        np.testing.assert_array_equal(result, runs["numpy"], err_msg=kind)


def test_backed(time_course, quick, tmp_path):
    time_course.write_h5ad(tmp_path / "course.h5ad")
    backed = ad.read_h5ad(tmp_path / "course.h5ad", backed="r+")
    with pytest.raises(
        ValueError, match=r"`copy=True` needs `adata` in memory: pass adata.to_memory\(\)"
    ):
        sdo.tl.fit(backed, "time", use_rep="X", copy=True, **quick)
    sdo.tl.fit(backed, "time", use_rep="X", **quick)
    sdo.tl.fit(time_course, "time", use_rep="X", **quick)
    np.testing.assert_array_equal(
        backed.obsm["scdiffot_velocity"], time_course.obsm["scdiffot_velocity"]
    )
    assert sdo.tl.simulate(backed, t0=0, n_particles=5).states.shape[1:] == (5, 3)
    backed.file.close()


@pytest.mark.filterwarnings("ignore:From 0.4 .update")
def test_mudata(mdata, time_course, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="atac:X_pca", **quick)
    sdo.tl.fit(time_course, "time", **quick)
    np.testing.assert_array_equal(
        mdata.obsm["scdiffot_velocity"], time_course.obsm["scdiffot_velocity"]
    )
    np.testing.assert_array_equal(mdata.obs["scdiffot_growth"], time_course.obs["scdiffot_growth"])
    paths = sdo.tl.simulate(mdata, 0, n_particles=4)
    assert paths.states.shape[1:] == (4, 3)
    assert sdo.tl.interpolate(mdata, 0.5).obsm["X_pca"].shape[1] == 3
    assert sdo.tl.fit(mdata, "rna:time", use_rep="rna:pca", copy=True, key_added="b", **quick).uns[
        "b"
    ]


def test_labels_with_a_map(time_course, quick):
    sdo.tl.fit(time_course, "time", **quick)
    sdo.tl.fit(
        time_course,
        "label",
        time_map={"day0": 0, "day1": 1, "day2": 2},
        key_added="mapped",
        **quick,
    )
    np.testing.assert_array_equal(
        time_course.obsm["mapped_velocity"], time_course.obsm["scdiffot_velocity"]
    )
    paths = sdo.tl.simulate(time_course, "day0", t1="day1", key="mapped")
    assert (paths.times[0], paths.times[-1]) == (0, 1)


def test_masses_reach_the_model(time_course, quick):
    sdo.tl.fit(time_course, "time", mass={0: 1, 1: 4, 2: 16}, **quick)
    np.testing.assert_allclose(sdo.get.model(time_course).masses, [1, 4, 16])
    weights = sdo.tl.simulate(time_course, 0).weights
    assert weights[-1].mean() == pytest.approx(16, rel=0.1)


def test_growth_prior_arrays_are_kept(time_course, quick):
    prior = np.linspace(-1, 1, time_course.n_obs)
    sdo.tl.fit(time_course, "time", growth_prior=prior, **quick)
    np.testing.assert_array_equal(time_course.obs["scdiffot_growth_prior"], prior)
    assert time_course.uns["scdiffot"]["params"]["growth_prior"] == "scdiffot_growth_prior"


@pytest.mark.usefixtures("interruptible")
def test_interruption_keeps_the_best_so_far(time_course, quick, caplog, monkeypatch):
    def interrupted_fit(snapshots, config, *, callback, **options):
        def callback_then_signal(progress):
            # the signal of a user's Ctrl-C, at a known step
            if progress.step >= 50:
                signal.raise_signal(signal.SIGINT)

        return fit_core(snapshots, config, callback=callback_then_signal, **options)

    monkeypatch.setattr("scdiffot.tl._time_course.fit.fit_core", interrupted_fit)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.fit(
            time_course,
            "time",
            **quick | {"config": {**quick["config"], "train": {"n_steps": 5000}}},
        )
    assert "Interrupted after" in caplog.text
    assert "best state so far is kept" in caplog.text
    history = time_course.uns["scdiffot"]["history"]
    assert history["interrupted"]
    assert history["step"][-1] < 200
    assert np.isfinite(time_course.obsm["scdiffot_velocity"]).all()
    assert sdo.tl.simulate(time_course, 0, n_particles=3).states.shape[1] == 3


@pytest.mark.usefixtures("interruptible")
def test_interruption_before_the_first_step_writes_nothing(
    time_course, quick, fingerprint, monkeypatch
):
    def interrupted_fit(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("scdiffot.tl._time_course.fit.fit_core", interrupted_fit)
    original = fingerprint(time_course)
    with pytest.raises(KeyboardInterrupt):
        sdo.tl.fit(time_course, "time", **quick)
    assert fingerprint(time_course) == original
