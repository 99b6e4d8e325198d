"""Every public function, with valid and invalid options: a result, or one clear error."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from _contract import call
from _options import values
from _subjects import (
    FIT,
    FIT_RESPONSE,
    QUIET,
    dynamics,
    many_genes,
    measured_elsewhere,
    paths,
    responses,
    tissue,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

pytestmark = pytest.mark.slow

FUNCTIONS = {
    f"{name}.{function}": getattr(getattr(sdo, name), function)
    for name in ("ext", "get", "pl", "pp", "tl")
    for function in getattr(sdo, name).__all__
    if inspect.isfunction(getattr(getattr(sdo, name), function))
    and (name, function) not in {("tl", "fates"), ("tl", "ancestors")}
}
N_EXAMPLES = int(os.environ.get("SCDIFFOT_N_EXAMPLES", 40))
SPACE = ("slices", "alignment", "spatial", "transfer")
# Few options at a time: with many invalid ones, calls would always stop at the first.
MAX_OPTIONS = 4
QUICK: dict[str, dict[str, Any]] = {
    "tl.fit": FIT,
    "tl.fit_response": FIT_RESPONSE,
    "tl.evaluate_response": {**FIT_RESPONSE, "n_boot": 3},
    "pp.score_growth": {"proliferation": ["cycle_1", "cycle_2"], "apoptosis": ["housekeeping_1"]},
    "pp.autoencoder": {"max_epochs": 1, **QUIET},
    "tl.align_slices": {"n_starts": 4, "use_rep": "X"},
    "tl.interpolate_slices": {"use_rep": "X", "library_key": "slice"},
    "tl.spatial_domains": {"n_init": 1},
    "pp.spatial_embedding": {"use_rep": "X", "n_components": 2},
    "tl.landscape": {"n_grid": 10},
    "tl.perturb_screen": {"n_trajectories": 4, "n_refined": 1, "n_steps": 2},
    "tl.perturb": {"n_trajectories": 4, "n_steps": 2},
    "tl.sta_forward": {"n_trajectories": 4, "n_steps": 2},
    "tl.sta_backward": {"n_trajectories": 4, "n_steps": 2},
    "tl.trajectory_genes": {"n_cells": 10, "n_trajectories": 4, "n_steps": 2, "n_times": 4},
    "tl.transfer_genes": {"n_held_out": 2, "n_dims": 2},
}


def subject(name: str) -> AnnData:
    """Data that a function can analyse."""
    if any(word in name for word in SPACE):
        return tissue()
    if name == "pp.score_growth":
        return many_genes()
    return responses() if "response" in name or "pertpy" in name else dynamics()


def edited(adata: AnnData, edit: str) -> AnnData:
    """Data after an edit by the user."""
    n = adata.n_obs
    if edit == "half":
        return adata[np.arange(n) % 2 == 0].copy()
    if edit == "few":
        return adata[:3].copy()
    if edit == "view":
        return adata[: n // 2]
    if edit == "shuffled":
        return adata[np.random.default_rng(0).permutation(n)].copy()
    result = adata.copy()
    column = next(c for c in ("cell_type", "subpopulation", "slice") if c in result.obs)
    labels = result.obs[column].astype("category")
    if edit == "untyped":
        labels = labels.where(np.arange(n) % 2 == 0)
    elif edit == "renamed":
        labels = labels.cat.rename_categories({labels.cat.categories[0]: "new name"})
    elif edit == "one type":
        labels = labels.where(labels == labels.cat.categories[0])
    elif edit == "text":
        labels = labels.astype(str)
    elif edit == "odd names":
        labels = labels.cat.rename_categories(
            {labels.cat.categories[0]: "a/b|", labels.cat.categories[-1]: " "}
        )
    elif edit == "duplicated genes":
        result.var_names = [*result.var_names[:1], *result.var_names[:1], *result.var_names[2:]]
    elif edit == "no X":
        result.X = None
    elif edit == "no results":
        result.uns.pop("scdiffot", None)
    elif edit == "float32":
        result.obsm = {
            k: v.astype(np.float32) if isinstance(v, np.ndarray) else v
            for k, v in result.obsm.items()
        }
    result.obs[column] = labels
    return result


EDITS = ["none"] * 6 + [
    *(
        "half",
        "few",
        "view",
        "shuffled",
        "untyped",
        "renamed",
        "one type",
        "text",
        "odd names",
        "duplicated genes",
    ),
    *("no X", "no results", "float32"),
]


@st.composite
def calls(draw: st.DrawFn, name: str) -> tuple[AnnData, dict[str, Any]]:
    """Data, and options of a function."""
    function = FUNCTIONS[name]
    adata = edited(subject(name), draw(st.sampled_from(EDITS)))
    parameters = dict(list(inspect.signature(function).parameters.items())[1:])
    keywords = inspect.Parameter.VAR_KEYWORD
    parameters = {
        n: p
        for n, p in parameters.items()
        if n not in ("paths", "show", "show_progress") and p.kind is not keywords
    }
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    optional = [n for n in parameters if n not in required]
    names = (
        draw(st.lists(st.sampled_from(optional), max_size=MAX_OPTIONS, unique=True))
        if optional
        else []
    )
    options = dict(QUICK.get(name, {}))
    options |= {n: draw(values(function, n, adata), label=n) for n in [*required, *names]}
    all_parameters = inspect.signature(function).parameters
    quiet = {"show_progress": False, "show": False}
    options |= {n: v for n, v in quiet.items() if n in all_parameters}
    if "paths" in all_parameters:
        options["paths"] = paths()
    if name == "tl.transfer_genes":
        options["reference"] = measured_elsewhere()
    return adata, options


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_or_one_clear_error(name: str, fingerprint: Callable):
    """At the defaults, and with up to four options at once."""
    function = FUNCTIONS[name]

    @settings(
        max_examples=N_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls(name))
    def holds(arguments: tuple[AnnData, dict[str, Any]]) -> None:
        adata, options = arguments
        content = fingerprint(adata) if name.startswith(("pl.", "get.")) else None
        try:
            outcome = call(function, adata, fingerprint=fingerprint, **options)
        finally:
            plt.close("all")
        if content is not None:
            assert fingerprint(adata) == content, "readers change nothing"
        if outcome.error is None and "copy" in inspect.signature(function).parameters:
            assert (outcome.value is not None) == bool(options.get("copy"))

    holds()
