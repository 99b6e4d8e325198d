"""Fits in several threads equal fits in one thread, and the state of the process is unchanged."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
import torch

import scdiffot as sdo
from scdiffot.core import FitConfig, Snapshots, fit
from scdiffot.core.nets.mlp import MLP
from scdiffot.core.nets.seeding import linear, one_thread, torch_generator

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET = {"show_progress": False}
BRIEF = {"config": {"train": {"n_steps": 20}}, **QUIET}
SMALL = {
    "sigma": 0.3,
    "config": {
        "train": {"n_steps": 20, "batch_size": 64},
        "corrections": {"n_rounds": 0},
        "coupling": {"n_landmarks": 60},
    },
    **QUIET,
}


def _state() -> tuple:
    numpy_state = np.random.get_state()  # noqa: NPY002
    return (
        torch.get_rng_state().numpy().tobytes(),
        numpy_state[1].tobytes(),
        numpy_state[2],
        random.getstate(),
        torch.get_num_threads(),
    )


def _expression() -> ad.AnnData:
    return ad.AnnData(np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32))


def _slices() -> ad.AnnData:
    adata = sdo.datasets.spatial_slices(80, n_genes=12)
    adata.obsm["X_pca"] = np.asarray(adata.X[:, :5])
    return adata


OF_FIT: dict[str, Callable[[ad.AnnData], Any]] = {
    "get.model": sdo.get.model,
    "tl.fit": lambda a: sdo.tl.fit(a, "time", **SMALL),
    "tl.growth_genes": lambda a: sdo.tl.growth_genes(_in_x(a)),
    "tl.interpolate": lambda a: sdo.tl.interpolate(a, 0.5),
    "tl.landscape": lambda a: _planar_landscape(a),
    "tl.simulate": lambda a: sdo.tl.simulate(a, kind="sde", n_particles=20),
    "tl.sta_forward": lambda a: sdo.tl.sta_forward(a, "cell_type", n_trajectories=10, **QUIET),
    "tl.sta_backward": lambda a: sdo.tl.sta_backward(a, "cell_type", n_trajectories=10, **QUIET),
    "tl.transition_matrix": sdo.tl.transition_matrix,
    "tl.validate": lambda a: sdo.tl.validate(a, **QUIET),
}
WITHOUT_FIT: dict[str, Callable[[], Any]] = {
    "tl.fit_response": lambda: _answer(unbalanced=True, method="flow"),
    "tl.fit_response, convex": lambda: _answer(method="convex"),
    "pp.autoencoder": lambda: sdo.pp.autoencoder(_expression(), 2, max_epochs=2, **QUIET),
    "pp.score_growth": lambda: _score(),
    "tl.spatial_domains": lambda: sdo.tl.spatial_domains(
        _embedded(), 3, library_key="slice", method="leiden"
    ),
    "datasets.misa": lambda: sdo.datasets.misa(30),
    "datasets.gene_network": lambda: sdo.datasets.gene_network(30),
    "datasets.spatial_slices": _slices,
}


def _in_x(adata: ad.AnnData) -> ad.AnnData:
    copy = adata.copy()
    sdo.tl.fit(copy, "time", use_rep="X", **SMALL)
    return copy


def _planar_landscape(adata: ad.AnnData) -> None:
    adata.obsm["X_plane"] = np.asarray(adata.obsm["X_pca"])[:, :2]
    sdo.tl.landscape(adata, "plane", n_grid=10)


def _answer(**options: Any) -> ad.AnnData:
    adata = sdo.datasets.perturbation_response(240, n_dims=4, n_genes=10)
    sdo.tl.fit_response(adata, "condition", "control", "drug", **BRIEF, **options)
    sdo.tl.predict_response(adata)
    return adata


def _one_law(adata: ad.AnnData, rng: int) -> np.ndarray:
    times = np.unique(adata.obs["time"])
    states = tuple(adata.obsm["X_pca"][adata.obs["time"] == t] for t in times)
    config = FitConfig(
        autonomous=True,
        sigma=0.3,
        train={"n_steps": 10},
        corrections={"n_rounds": 1, "n_steps": 5},
        matching={"n_steps": 3},
    )
    return fit(Snapshots(times, states, np.ones(len(times))), config, rng=rng)[0].drift(
        states[0], 0.0
    )


def _score() -> None:
    adata = _expression()
    names = list(adata.var_names)
    sdo.pp.score_growth(adata, proliferation=names[:3], apoptosis=names[3:6])


def _embedded() -> ad.AnnData:
    adata = _slices()
    sdo.pp.spatial_embedding(adata, library_key="slice")
    return adata


def _check_untouched(call: Callable[[], Any]) -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    state = _state()
    call()
    assert _state() == state


@pytest.mark.parametrize("name", OF_FIT)
def test_functions_of_a_fit_do_not_change_the_process(name, fitted_adata):
    _check_untouched(lambda: OF_FIT[name](fitted_adata))


# numba compiles for about a minute.
SLOW = {"tl.spatial_domains": pytest.mark.slow}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW.get(name, ())) for name in WITHOUT_FIT]
)
def test_other_functions_do_not_change_the_process(name):
    if name == "tl.spatial_domains":
        pytest.importorskip("igraph")
        pytest.importorskip("leidenalg")
    _check_untouched(WITHOUT_FIT[name])


FITS: dict[str, Callable[[ad.AnnData, int], np.ndarray]] = {
    "time course": lambda a, rng: sdo.tl.fit(a, "time", **SMALL, rng=rng, copy=True).obsm[
        "scdiffot_velocity"
    ],
    "autonomous": lambda a, rng: _one_law(a, rng),
    "response": lambda a, rng: _answer(unbalanced=True, rng=rng).obsm["scdiffot_predicted"],
    "convex": lambda a, rng: _answer(method="convex", rng=rng).obsm["scdiffot_predicted"],
    "autoencoder": lambda a, rng: sdo.pp.autoencoder(
        _expression(), 2, max_epochs=2, rng=rng, copy=True, **QUIET
    ).obsm["X_ae"],
}


@pytest.mark.parametrize("name", FITS)
def test_fits_in_threads_equal_fits_in_one_thread(name, time_course):
    run = FITS[name]
    sequential = [run(time_course, seed) for seed in (0, 1, 0)]
    barrier = threading.Barrier(3)

    def run_in_parallel(seed: int) -> np.ndarray:
        barrier.wait()
        return run(time_course, seed)

    with ThreadPoolExecutor(3) as pool:
        parallel = list(pool.map(run_in_parallel, (0, 1, 0)))
    for expected, result in zip(sequential, parallel, strict=True):
        np.testing.assert_array_equal(expected, result)
    assert not np.array_equal(sequential[0], sequential[1])


def test_number_of_threads_is_restored_after_overlapping_uses():
    """The first thread to enter leaves first; threads that start meanwhile have the default."""
    original = torch.get_num_threads()
    torch.set_num_threads(2)
    entrance, leave = threading.Barrier(3), threading.Event()
    numbers_inside, numbers_outside = [], []

    def use(first: bool) -> None:
        with one_thread():
            numbers_inside.append(torch.get_num_threads())
            entrance.wait()
            if not first:
                leave.wait()
            numbers_inside.append(torch.get_num_threads())
        numbers_outside.append(torch.get_num_threads())

    try:
        threads = [threading.Thread(target=use, args=(first,)) for first in (True, False)]
        for thread in threads:
            thread.start()
        entrance.wait()
        threads[0].join()
        with ThreadPoolExecutor(1) as pool:
            new_thread = pool.submit(torch.get_num_threads).result()
        leave.set()
        threads[1].join()
        assert numbers_inside == [1, 1, 1, 1]
        assert [new_thread, *numbers_outside, torch.get_num_threads()] == [2, 2, 2, 2]
    finally:
        torch.set_num_threads(original)


def test_initial_weights_are_those_of_torch():
    seed = torch_generator(np.random.default_rng(3)).initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(5, 7), torch.nn.Linear(7, 2, bias=False)]
    generator = torch.Generator().manual_seed(seed)
    own_layers = [linear(5, 7, generator), linear(7, 2, generator, bias=False)]
    for layer, torch_layer in zip(own_layers, layers, strict=True):
        assert all(
            torch.equal(a, b)
            for a, b in zip(layer.parameters(), torch_layer.parameters(), strict=True)
        )
    first, second = MLP(2, 1, 4, 1), MLP(2, 1, 4, 1)
    assert torch.equal(first.out.weight, second.out.weight)
