"""Small time courses, fits and fingerprints shared by the tests."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scdiffot as sdo
from scdiffot._data.responses.groups import read_condition_groups
from scdiffot._data.responses.prediction_store import write_prediction
from scdiffot._data.responses.predictions import PredictionInfo
from scdiffot._data.responses.response_store import response_params, write_response
from scdiffot._utils.keys import Keys
from scdiffot.core.response import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable

# A fit of about a second: the result is imprecise, the stages and the layout are the same.
QUICK: dict[str, Any] = {
    "sigma": 0.3,
    "config": {
        "train": {"n_steps": 40, "batch_size": 128},
        "corrections": {"n_rounds": 0},
        "matching": {"n_steps": 5},
        "coupling": {"n_landmarks": 100},
    },
    "show_progress": False,
}


def make_time_course(
    n: int = 40, times: tuple[float, ...] = (0.0, 1.0, 2.0), d: int = 3, seed: int = 0
) -> ad.AnnData:
    """A cloud that moves along the first axis and grows by 10 % at every step."""
    rng = np.random.default_rng(seed)
    counts = [int(n * 1.1**k) for k in range(len(times))]
    time = np.repeat(times, counts)
    states = rng.normal(size=(len(time), d))
    states[:, 0] += time
    obs = pd.DataFrame(
        {
            "time": time,
            "label": pd.Categorical([f"day{t:g}" for t in time]),
            "cell_type": pd.Categorical(np.where(states[:, 1] > 0, "A", "B")),
        },
        index=[f"cell{i}" for i in range(len(time))],
    )
    # Cells are in random order, as in files of users.
    adata = ad.AnnData(X=states.astype(np.float32), obs=obs, obsm={"X_pca": states})
    return adata[rng.permutation(len(time))].copy()


def _fingerprint(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return hashlib.sha256(
            value.to_csv().encode() + str(value.dtypes.to_dict()).encode()
        ).hexdigest()
    if sparse.issparse(value):
        return _fingerprint(value.toarray())
    if isinstance(value, np.ndarray):
        content = value.tobytes() if value.dtype != object else repr(value.tolist()).encode()
        return (str(value.dtype), value.shape, hashlib.sha256(content).hexdigest())
    if hasattr(value, "items"):
        return {
            str(k): _fingerprint(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))
        }
    return repr(value)


@pytest.fixture(scope="session")
def fingerprint() -> Callable[[ad.AnnData], dict]:
    """A function of the whole content of an AnnData: equal fingerprints mean equal content."""

    def of(adata: ad.AnnData) -> dict:
        parts = ("obs", "var", "obsm", "varm", "obsp", "layers", "uns")
        return {part: _fingerprint(getattr(adata, part)) for part in parts} | {
            "X": _fingerprint(adata.X),
            "columns": list(adata.obs.columns),
        }

    return of


@pytest.fixture
def time_course() -> ad.AnnData:
    """Three snapshots of about 40 cells in three dimensions."""
    return make_time_course()


def make_mudata(adata: ad.AnnData, n_second: int | None = None) -> Any:
    """Modalities "rna" and "atac"; the second is in reverse order and may have fewer cells."""
    mudata = pytest.importorskip("mudata")
    second = adata[:n_second][::-1].copy()
    second.var_names = [f"peak{i}" for i in range(second.n_vars)]
    # From mudata 0.4 on, annotations are never pulled, and the option does not exist.
    options = getattr(mudata, "set_options", None)
    with options(pull_on_update=False) if options else nullcontext():
        return mudata.MuData({"rna": adata.copy(), "atac": second})


@pytest.fixture
def mdata(time_course: ad.AnnData) -> Any:
    """The same time course as a MuData of two modalities, one of them in reverse order."""
    return make_mudata(time_course)


@pytest.fixture
def partial_mdata(time_course: ad.AnnData) -> Any:
    """A MuData whose second modality has 50 cells only."""
    return make_mudata(time_course, 50)


@pytest.fixture(scope="session")
def quick() -> dict[str, Any]:
    """Options of a quick fit."""
    return dict(QUICK)


def _write_known_response(adata: ad.AnnData) -> ad.AnnData:
    """Add a response whose values are known.

    Every second cell is a control. Cells of type A rise in the first gene and die more often; cells
    of type B fall in the second gene. The first control has no prediction. Within a type, responses
    differ in length by up to 10 %.
    """
    n = adata.n_obs
    adata.obs["treatment"] = pd.Categorical(np.where(np.arange(n) % 2 == 0, "none", "drug"))
    groups = read_condition_groups(adata, "treatment", "none", "drug", use_rep="X")
    params = response_params(
        groups,
        condition_key="treatment",
        control="none",
        context=None,
        dose_key=None,
        mass=None,
        rng=0,
    )
    keys = Keys()
    write_response(adata, keys, params=params, history={}, model={}, targets=groups.targets)
    cells = np.flatnonzero(groups.control)[1:]
    states = groups.states[cells]
    u = np.linspace(-1, 1, len(cells))
    is_a = (adata.obs["cell_type"] == "A").to_numpy()[cells]
    response = np.where(is_a[:, None], [2.0, 0, 0], [0, -1.0, 0]) * (1 + 0.1 * u[:, None])
    prediction = Prediction(
        states + response,
        0.5 * (response**2).sum(axis=1),
        np.where(is_a, 0.5, 0.9) + 0.05 * u,
    )
    info = PredictionInfo(keys.uns, "drug", float("nan"))
    write_prediction(adata, keys, cells, states, prediction, inverse=False, info=info)
    return adata


@pytest.fixture(scope="session")
def add_response() -> Callable[[ad.AnnData], ad.AnnData]:
    """A function that adds a response with known values, so derived results are known too."""
    return _write_known_response


@pytest.fixture
def cells_with_response(time_course: ad.AnnData) -> ad.AnnData:
    """Cells with such a response."""
    return _write_known_response(time_course)


@pytest.fixture(scope="session")
def _fitted_once() -> ad.AnnData:
    adata = make_time_course()
    sdo.tl.fit(adata, "time", **QUICK)
    return adata


@pytest.fixture
def fitted_adata(_fitted_once: ad.AnnData) -> ad.AnnData:
    """The same time course with a fit."""
    return _fitted_once.copy()
