"""A fit that is written to a file gives the same results in another process."""

from __future__ import annotations

import subprocess
import sys

import anndata as ad
import numpy as np
import pytest

import scdiffot as sdo

READ_AND_SIMULATE = """
import sys
import anndata, numpy as np
import scdiffot as sdo
path, out = sys.argv[1:]
adata = anndata.read_zarr(path) if path.endswith("zarr") else anndata.read_h5ad(path)
trajectories = sdo.tl.simulate(adata, "day0", kind="sde", n_particles=20, rng=1, key="fit")
virtual = sdo.tl.interpolate(adata, 0.5, key="fit")
drift = sdo.get.model(adata, key="fit").drift(adata.obsm["X_pca"], 0.5)
particles = {"states": trajectories.states, "log_weights": trajectories.log_weights}
np.savez(out, **particles, virtual=virtual.obsm["X_pca"], drift=drift)
"""


def _write(adata, path):
    if path.suffix == ".zarr":
        adata.write_zarr(path)
    else:
        adata.write_h5ad(path)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data will no longer be the default")
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"growth": False, "mass": None},
        {"form": "gradient", "held_out": "day1", "mass": {"day0": 1, "day1": 2, "day2": 3}},
        {"autonomous": True, "rng": np.random.default_rng(0)},
    ],
    ids=["default", "balanced", "gradient", "autonomous"],
)
def test_another_process_gives_the_same_results(time_course, quick, tmp_path, suffix, options):
    time_map = {"day0": 0, "day1": 1, "day2": 2}
    time_course.obs["prior"] = 0.1
    sdo.tl.fit(
        time_course,
        "label",
        time_map=time_map,
        growth_prior="prior",
        key_added="fit",
        **quick | options,
    )
    path = tmp_path / f"fit{suffix}"
    _write(time_course, path)
    out = tmp_path / "results.npz"
    subprocess.run([sys.executable, "-c", READ_AND_SIMULATE, str(path), str(out)], check=True)
    results = np.load(out)
    trajectories = sdo.tl.simulate(
        time_course, "day0", kind="sde", n_particles=20, rng=1, key="fit"
    )
    np.testing.assert_array_equal(results["states"], trajectories.states)
    np.testing.assert_array_equal(results["log_weights"], trajectories.log_weights)
    np.testing.assert_array_equal(
        results["virtual"], sdo.tl.interpolate(time_course, 0.5, key="fit").obsm["X_pca"]
    )
    np.testing.assert_array_equal(
        results["drift"],
        sdo.get.model(time_course, key="fit").drift(time_course.obsm["X_pca"], 0.5),
    )


def test_plots_and_validation_work_after_reading(fitted_adata, tmp_path):
    sdo.tl.validate(fitted_adata, show_progress=False)
    fitted_adata.write_h5ad(tmp_path / "fit.h5ad")
    adata = ad.read_h5ad(tmp_path / "fit.h5ad")
    for plot in (sdo.pl.history, sdo.pl.velocity, sdo.pl.growth, sdo.pl.validation):
        assert plot(adata, return_fig=True).axes
    sdo.tl.validate(adata, show_progress=False)
    assert adata.uns["scdiffot"]["validation"].equals(fitted_adata.uns["scdiffot"]["validation"])


def _leaves(value):
    if isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def test_only_plain_values_are_stored(fitted_adata):
    for leaf in _leaves(fitted_adata.uns["scdiffot"]):
        assert isinstance(leaf, np.ndarray | str | int | float | bool | np.generic), type(leaf)
