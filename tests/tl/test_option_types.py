"""Options of the time-course tools with wrong values raise one error and write nothing."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata as ad

REQUIRED: dict[str, dict[str, Any]] = {
    "tl.validate": {},
    "tl.simulate": {"t1": 1},
    "tl.interpolate": {"time": 1},
    "tl.sta_forward": {"cell_key": "cell_type"},
    "tl.sta_backward": {"cell_key": "cell_type"},
    "tl.landscape": {"basis": "flat"},
    "tl.project": {"basis": "flat"},
    "tl.transition_matrix": {},
    "tl.gene_velocity": {},
    "tl.regulation": {},
    "tl.growth_genes": {},
    "tl.trajectory_genes": {"cell_key": "cell_type"},
    "tl.perturb": {"genes": "X", "cell_key": "cell_type"},
    "tl.perturb_screen": {"cell_key": "cell_type"},
    "get.perturb_screen": {},
    "get.regulation": {},
}
WRONG: dict[str, list[Any]] = {
    "int": [0.5, float("nan"), "3", True, [2], -1],
    "float": [float("nan"), float("inf"), "x", True, [0.5], -1.0],
    "bool": ["yes", 2, 0.5, [True]],
}
# None is valid there, and a progress bar is shown or not
NOT_CHECKED = {"rng", "show_progress"}


def options(name: str) -> list[tuple[str, str]]:
    """Names and kinds of the parameters that are plain numbers or flags."""
    module, function = name.split(".")
    parameters = inspect.signature(getattr(getattr(sdo, module), function)).parameters
    kinds = {
        n: str(p.annotation).removesuffix(" | None")
        for n, p in parameters.items()
        if n not in NOT_CHECKED
    }
    return [(n, kind) for n, kind in kinds.items() if kind in WRONG]


@pytest.fixture(scope="module")
def results_adata() -> ad.AnnData:
    """A fit, with the results that readers need."""
    adata = sdo.datasets.misa(60)
    adata.obsm["flat"] = np.asarray(adata.X) * [1.0, -1.0]
    quiet = {"show_progress": False}
    sdo.tl.fit(
        adata,
        "time",
        use_rep="X",
        sigma=0.2,
        config={
            "train": {"n_steps": 3},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 50},
        },
        **quiet,
    )
    sdo.tl.regulation(adata, n_cells=20, **quiet)
    sdo.tl.perturb_screen(adata, "cell_type", n_trajectories=2, n_refined=1, n_steps=2, **quiet)
    return adata


@pytest.mark.parametrize(
    ("name", "option", "kind"), [(n, *o) for n in REQUIRED for o in options(n)]
)
def test_wrong_values_are_refused_by_name(
    name: str, option: str, kind: str, results_adata: ad.AnnData, fingerprint: Callable
):
    module, function = name.split(".")
    previous = fingerprint(results_adata)
    for value in WRONG[kind]:
        with pytest.raises((TypeError, ValueError), match=rf"^`{option}` is "):
            getattr(getattr(sdo, module), function)(
                results_adata, **(REQUIRED[name] | {option: value})
            )
    assert fingerprint(results_adata) == previous


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("tl.simulate", {"kind": 3}, TypeError),
        ("tl.simulate", {"direction": "up"}, ValueError),
        ("tl.simulate", {"n_particles": 10**12}, ValueError),
        ("tl.interpolate", {"n_obs": 10**12}, ValueError),
        ("tl.landscape", {"n_grid": 10**9}, ValueError),
        ("tl.regulation", {"decay": np.ones(2)}, TypeError),
        ("tl.regulation", {"decay": [0.5]}, TypeError),
        ("tl.regulation", {"decay": (0.5, 1.0)}, TypeError),
        ("tl.regulation", {"decay": "fast"}, ValueError),
        ("tl.regulation", {"decay": np.nan}, ValueError),
        ("tl.regulation", {"decay": -1}, ValueError),
        ("tl.regulation", {"decay": 1e308}, ValueError),
        ("tl.validate", {"times": []}, ValueError),
        ("tl.perturb_screen", {"pairs": 3}, TypeError),
        ("tl.perturb_screen", {"pairs": [3]}, TypeError),
        ("tl.perturb_screen", {"pairs": "X"}, TypeError),
        ("get.regulation", {"group": 3}, TypeError),
        ("get.regulation", {"group": []}, ValueError),
    ],
)
def test_excessive_or_meaningless_values_are_refused_by_name(
    name: str, options: dict[str, Any], error: type[Exception], results_adata: ad.AnnData
):
    module, function = name.split(".")
    with pytest.raises(error, match=f"^`{next(iter(options))}` "):
        getattr(getattr(sdo, module), function)(results_adata, **(REQUIRED[name] | options))


def test_copies_do_not_repeat_the_warning_about_names(results_adata: ad.AnnData):
    """The user has seen this warning when the names were set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = results_adata.copy()
        twice.var_names = ["X", "X"]
    with warnings.catch_warnings(record=True) as warning_list:
        warnings.simplefilter("always")
        duplicate = sdo.tl.transition_matrix(twice, n_neighbors=5, copy=True)
    assert "scdiffot_T_fwd" in duplicate.obsp
    assert not [w for w in warning_list if issubclass(w.category, UserWarning)]
