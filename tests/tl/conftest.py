"""Treated cells, and quick fits of their responses."""

from __future__ import annotations

import signal
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Handle Ctrl-C also if the tests run in the background, where it is ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session")
def quick_response() -> dict[str, Any]:
    """Options of a response fit in a tenth of a second, with the bookkeeping of a long one."""
    return {"metric": "euclidean", "config": {"train": {"n_steps": 30}}, "show_progress": False}


@pytest.fixture(scope="session")
def treat() -> Callable[..., AnnData]:
    """A function that simulates 240 cells of two donors in six dimensions."""

    @cache
    def draw(**options: Any) -> AnnData:
        small = {"n_obs": 240, "n_dims": 6, "n_genes": 20, "n_types": 2, "n_donors": 2}
        return sdo.datasets.perturbation_response(**small | options)

    return lambda **options: draw(**options).copy()


@pytest.fixture
def treated(treat) -> AnnData:
    """Control cells and cells treated with one drug."""
    return treat()


@pytest.fixture(scope="session")
def _fitted_response_once(treat, quick_response) -> AnnData:
    adata = treat()
    sdo.tl.fit_response(adata, "condition", "control", "drug", context="donor", **quick_response)
    return adata


@pytest.fixture
def fitted_response(_fitted_response_once) -> AnnData:
    """Treated cells with a fitted response."""
    return _fitted_response_once.copy()
