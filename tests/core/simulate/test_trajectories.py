"""Trajectories as datasets of xarray: equal after saving, copying and selecting."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from scdiffot.core import Trajectories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def backward(**options: Any) -> Trajectories:
    """Five particles in three dimensions at four times that decrease."""
    rng = np.random.default_rng(0)
    return Trajectories(
        np.array([3.0, 2.0, 0.7, 0.1]),
        rng.normal(size=(4, 5, 3)).astype(np.float32),
        rng.normal(size=(4, 5)),
        np.array([4, 4, 2**33, 0, 1]),
        **options,
    )


TISSUE: dict[str, Any] = {"n_dims": 1, "unit": 0.25, "fit": "d1ce"}
each_kind = pytest.mark.parametrize("options", [{}, TISSUE], ids=["cells", "tissue"])


def check_equal(result: Trajectories, expected: Trajectories) -> None:
    """Compare all fields, with the types of the arrays."""
    for name in ("times", "states", "log_weights", "origin"):
        a, b = getattr(result, name), getattr(expected, name)
        assert (a.dtype.kind, a.dtype.itemsize) == (b.dtype.kind, b.dtype.itemsize)
        np.testing.assert_array_equal(a, b)
    for name in ("n_dims", "unit", "fit"):
        assert getattr(result, name) == getattr(expected, name)


def save_netcdf(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    dataset.to_netcdf(path, engine="h5netcdf")
    return xr.open_dataset(path, engine="h5netcdf")


def save_zarr(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    dataset.to_zarr(path, zarr_format=2)
    return xr.open_zarr(path, chunks=None)


@each_kind
@pytest.mark.parametrize("save", [save_netcdf, save_zarr])
def test_loaded_trajectories_are_equal(
    options: dict[str, Any], save: Callable, tmp_path: Path
) -> None:
    paths = backward(**options)
    loaded = save(paths.to_dataset(), tmp_path / "paths")
    check_equal(Trajectories.from_dataset(loaded), paths)
    assert loaded["log_weight"].attrs["long_name"].startswith("natural logarithm")


def test_netcdf_of_scipy_needs_no_further_package(tmp_path: Path) -> None:
    # the classic format has integers of 32 bits
    paths = replace(backward(**TISSUE), origin=np.arange(5))
    paths.to_dataset().to_netcdf(tmp_path / "paths.nc", engine="scipy")
    loaded = xr.open_dataset(tmp_path / "paths.nc", engine="scipy")
    check_equal(Trajectories.from_dataset(loaded), paths)


@each_kind
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies_are_equal(options: dict[str, Any], clone: Callable) -> None:
    paths = backward(**options)
    check_equal(clone(paths), paths)
    check_equal(Trajectories.from_dataset(clone(paths.to_dataset())), paths)


def test_selections_are_trajectories() -> None:
    paths = backward(**TISSUE)
    part = paths.to_dataset().isel(particle=[3, 1]).sel(time=slice(2.0, 0.5))
    result = Trajectories.from_dataset(part.transpose("dim", "particle", "time"))
    np.testing.assert_array_equal(result.times, [2.0, 0.7])
    np.testing.assert_array_equal(result.states, paths.states[1:3][:, [3, 1]])
    np.testing.assert_array_equal(result.weights, paths.weights[1:3][:, [3, 1]])
    np.testing.assert_array_equal(result.positions, paths.positions[1:3][:, [3, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.drop_vars("log_weight"),
            "no variable 'log_weight' of the dimensions time, pa",
        ),
        (lambda d: d.isel(particle=0), "no variable 'state' of the dimensions time, particle, dim"),
        (lambda d: d.drop_vars("origin"), "no variable 'origin' of the dimensions particle"),
    ],
)
def test_incomplete_datasets_are_an_error(change: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trajectories.from_dataset(change(backward().to_dataset()))
