"""Fits shared by the tests of the core."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scdiffot.core import FitConfig, Snapshots, fit

# Helper modules are in the same folder.
sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings():
    # POT has invalid escapes in its docstrings, of which Python warns whenever it compiles them.
    warnings.simplefilter("ignore")
    import ot  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable

# A fit of one second is inaccurate, but has the symmetries and the history of a long one.
QUICK = {
    "train": {"n_steps": 40},
    "corrections": {"n_rounds": 1, "n_steps": 10},
    "matching": {"n_steps": 10},
    "coupling": {"n_landmarks": 120, "n_pairs": 2000},
}


def make_snapshots(n: int = 120, d: int = 2, n_times: int = 3, seed: int = 0) -> Snapshots:
    """A cloud that moves along the first axis, splits in the second, and grows by a quarter."""
    rng = np.random.default_rng(seed)
    states = []
    for k in range(n_times):
        x = 0.4 * rng.normal(size=(n, d))
        x[:, 0] += k
        x[:, 1] += 0.5 * k * rng.choice([-1, 1], n)
        # Multiples of 2^-10, so that integer shifts are exact.
        states.append(np.round(x * 1024) / 1024)
    return Snapshots(np.arange(float(n_times)), tuple(states), 1.25 ** np.arange(n_times))


@pytest.fixture
def snapshots() -> Snapshots:
    """Three snapshots of 120 cells in two dimensions."""
    return make_snapshots()


@pytest.fixture(scope="session")
def quick() -> dict:
    """Options of a fit of a second."""
    return dict(QUICK)


@pytest.fixture(scope="session")
def quick_fit() -> Callable:
    """A cached function that fits the small snapshots with the quick options and given ones."""

    @cache
    def fit_once(**options: object) -> tuple:
        return fit(make_snapshots(), FitConfig(**{**QUICK, "sigma": 0.3, **options}))

    return fit_once


@pytest.fixture(scope="session")
def solved() -> Callable:
    """A function that solves a one-dimensional problem exactly, once."""
    from _exact import PROBLEMS, solve

    return cache(lambda name: solve(PROBLEMS[name]))


@pytest.fixture(scope="session")
def fitted_problem() -> Callable:
    """A cached function that fits cells of a one-dimensional problem, for a form and a seed."""
    from _exact import PROBLEMS

    @cache
    def fit_once(name: str, form: str, seed: int) -> tuple:
        problem = PROBLEMS[name]
        rng = np.random.default_rng(seed)
        # Stratified cells: the remaining error is that of the method, not of the sample.
        cells = tuple(q.draw(2000, rng) for q in (problem.q0, problem.q1))
        snapshots = Snapshots(
            np.array([0.0, problem.duration]), cells, np.array([1.0, problem.q1.mass])
        )
        return fit(
            snapshots, FitConfig(sigma=problem.sigma, alpha=problem.alpha, form=form), rng=seed
        )

    return fit_once
