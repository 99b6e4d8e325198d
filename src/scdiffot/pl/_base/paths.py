"""Trajectories that users pass to plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.core.simulate.trajectories import Trajectories

if TYPE_CHECKING:
    import xarray as xr


def check_paths(paths: Trajectories | xr.Dataset, n_dims: int, fit: str) -> Trajectories:
    """Return trajectories, also of a dataset, that belong to a fit.

    Parameters
    ----------
    paths
        Trajectories, or a dataset of them.
    n_dims
        Dimension of the states of the fit.
    fit
        Digest of the fit.

    Raises
    ------
    TypeError
        If `paths` is not an object with trajectories.
    ValueError
        If a dataset lacks a variable, the dimension is not that of the fit, or the trajectories
        belong to another fit.
    """
    trajectories = _as_trajectories(paths)
    if trajectories.states.shape[2] != n_dims:
        raise ValueError(
            f"`paths` has {trajectories.states.shape[2]} dimensions and the fit {n_dims}: pass "
            "paths of the same fit, or its `key`."
        )
    if trajectories.fit and fit and trajectories.fit != fit:
        raise ValueError(
            "`paths` follows another fit, or an earlier one of this name: "
            "run scdiffot.tl.simulate again."
        )
    return trajectories


def _as_trajectories(paths: Any) -> Trajectories:
    if hasattr(paths, "log_weights"):
        return paths
    if not hasattr(paths, "data_vars"):
        raise TypeError(
            f"`paths` is a {type(paths).__name__}: pass the result of scdiffot.tl.simulate, or "
            "its dataset."
        )
    try:
        return Trajectories.from_dataset(paths)
    except ValueError as error:
        raise ValueError(f"`paths` holds no trajectories. {error}") from error
