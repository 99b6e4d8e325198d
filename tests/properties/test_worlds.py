"""Fits and fates of time courses of every kind: a valid result, or one clear error."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _contract import call
from _subjects import FIT
from _worlds import build, worlds
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData

pytestmark = pytest.mark.slow

N_EXAMPLES = int(os.environ.get("SCDIFFOT_N_EXAMPLES", 40)) * 6
OPTIONS: dict[str, list[Any]] = {
    "time_map": [None, None, None, "auto", {0: 0, 1: 1, 2: 4, 3: 5}, {"day0": 0, "day1": 1.5}],
    "mass": ["n_cells", "n_cells", None, {0: 1, 1: 2, 2: 4}, {0: 1, 1: np.float32(2)}],
    "growth": [True, True, False, np.True_],
    "sigma": [0.5, 0.5, 0, "auto", np.float32(0.3), 1e6],
    "alpha": ["auto", 1.0, np.float64(0.2)],
    "form": ["auto", "separate", "gradient"],
    "path": ["auto", "straight"],
    "autonomous": [False, False, True],
    "n_dims": [None, None, 1, 2, 9],
    "held_out": [None, None, 1, "1", [2]],
    "rng": [0, 1, np.int64(2)],
}


def _states(adata: Any) -> np.ndarray:
    values = adata.mod["rna"].obsm["X_pca"] if hasattr(adata, "mod") else adata.obsm["X_pca"]
    values = values.compute() if hasattr(values, "compute") else values
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _check_fit(adata: Any, growth: bool) -> None:
    """Every cell has finite fields of the shape of the states."""
    states = _states(adata)
    velocity = np.asarray(adata.obsm["scdiffot_velocity"])
    assert velocity.shape[0] == len(states)
    assert velocity.shape[1] <= states.shape[1]
    assert np.isfinite(velocity).all()
    rate = np.asarray(adata.obs["scdiffot_growth"], dtype=float)
    assert np.isfinite(rate).all()
    assert growth or (rate == 0).all()
    model = sdo.get.model(adata)
    assert (np.diff(model.times) > 0).all()


def _check_fates(adata: Any) -> None:
    """Shares are between 0 and 1 and sum to one; cells have a positive number of descendants."""
    table = adata.obsm["scdiffot_fate"]
    shares = np.asarray(table, dtype=float)
    with_fates = np.isfinite(shares).all(axis=1)
    assert with_fates.any()
    np.testing.assert_allclose(shares[with_fates].sum(axis=1), 1, atol=1e-6)
    assert (shares[with_fates] >= 0).all()
    numbers = np.asarray(adata.obs["scdiffot_n_descendants"], dtype=float)
    assert (numbers[with_fates] > 0).all()


@pytest.fixture
def content(fingerprint: Callable) -> Callable:
    """The fingerprint; for backed and lazy data, the names and columns only."""

    def of(adata: AnnData) -> dict:
        if (
            adata.isbacked
            or not isinstance(adata.obs.index.to_numpy(), np.ndarray)
            or "xarray" in str(type(adata.obs))
        ):
            parts = ("obsm", "layers", "uns", "obsp")
            return {part: sorted(getattr(adata, part)) for part in parts} | {
                "obs": sorted(adata.obs.columns)
            }
        return fingerprint(adata)

    return of


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the files of an example."""
    path = Path(mkdtemp())
    yield path
    shutil.rmtree(path)


@settings(
    max_examples=N_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(world=worlds(), data=st.data())
def test_fit_and_fates(world: dict[str, Any], data: st.DataObject, content: Callable, folder: Path):
    """Fields are finite and fates are shares, whatever the time course; or nothing is written."""
    with warnings.catch_warnings():
        # anndata's own, of odd names and dtypes
        warnings.simplefilter("ignore")
        adata = build(world, folder)
    names = data.draw(st.lists(st.sampled_from(list(OPTIONS)), max_size=3, unique=True))
    options = {name: data.draw(st.sampled_from(OPTIONS[name]), label=name) for name in names}
    note(f"{world} {options}")
    use_rep = "rna:X_pca" if hasattr(adata, "mod") else "X_pca"
    arguments = {**FIT, "use_rep": use_rep, **options}
    if arguments.get("autonomous"):
        arguments["config"] = {**arguments["config"], "matching": {"n_steps": 2}}
    outcome = call(sdo.tl.fit, adata, "time", fingerprint=content, **arguments)
    event("fitted" if outcome.error is None else f"refused: {str(outcome.error)[:60]}")
    if outcome.error is not None:
        note(f"{outcome.error!r}")
        return
    _check_fit(adata, bool(options.get("growth", True)))
    quick = {"n_trajectories": 4, "n_steps": 2, "show_progress": False}
    outcome = call(sdo.tl.sta_forward, adata, "cell_type", fingerprint=content, **quick)
    event("followed" if outcome.error is None else f"not followed: {str(outcome.error)[:60]}")
    if outcome.error is None:
        _check_fates(adata)
    else:
        note(f"{outcome.error!r}")
