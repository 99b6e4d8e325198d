"""Selection of path, alpha and sigma on examples with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core import FitConfig, Snapshots
from scdiffot.core.train.selection import SigmaSearch, select_bridge_config

TIMES = np.arange(5.0)


def moving_cluster(masses: np.ndarray, progress: np.ndarray, *, n: int = 400) -> Snapshots:
    """A round cloud at ``3 * progress`` along the first axis."""
    rng = np.random.default_rng(0)
    cloud = 0.2 * rng.normal(size=(n, 2))
    # The same cells at every time: what differs is the path alone.
    states = tuple(cloud + [3 * p, 0.0] for p in progress)
    return Snapshots(TIMES, states, masses / masses[0])


def select(snapshots: Snapshots, **options: object) -> object:
    return select_bridge_config(snapshots.scaled(), snapshots.scaling, FitConfig(**options))


def test_given_options_are_not_changed() -> None:
    snapshots = moving_cluster(np.ones(5), np.linspace(0, 1, 5))
    s = snapshots.scaling
    config = select(snapshots, sigma=0.3, alpha=0.7, path="straight")
    assert config.path == "straight"
    assert config.sigma * s.scale / s.time_scale**0.5 == pytest.approx(0.3)
    assert config.alpha * s.scale**2 == pytest.approx(0.7)
    assert select(snapshots, growth=False).alpha is None
    assert select(snapshots, sigma=0.0).sigma == 0.0


def test_two_snapshots_take_the_defaults() -> None:
    snapshots = moving_cluster(np.ones(5), np.linspace(0, 1, 5))
    two = Snapshots(TIMES[:2], snapshots.states[:2], snapshots.masses[:2])
    config = select(two)
    assert config.path == "geodesic"
    assert config.sigma == FitConfig().selection.default_sigma
    assert 0 < config.alpha < np.inf


def test_the_path_that_predicts_better_is_selected() -> None:
    """Straight paths have constant speed; on the geodesic a growing cluster moves while small."""
    even = moving_cluster(25.0 ** np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    assert select(even, alpha=2.0, sigma=0.05).path == "straight"
    # Snapshots on the geodesic, with mass A u^2 - 2 B u + m0 and its progress.
    m1, alpha, u = 25.0, 2.0, np.linspace(0, 1, 5)
    angle = 3 / (2 * np.sqrt(alpha))
    a, b, w = 1 + m1 - 2 * 5 * np.cos(angle), 1 - 5 * np.cos(angle), 5 * np.sin(angle)
    progress = (np.arctan2(a * u - b, w) - np.arctan2(-b, w)) / angle
    geodesic = moving_cluster(a * u**2 - 2 * b * u + 1, progress)
    assert select(geodesic, alpha=2.0, sigma=0.05).path == "geodesic"


@pytest.mark.parametrize("seed", [0, 1])
def test_geodesic_is_kept_where_both_paths_predict_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states = tuple(0.3 * rng.normal(size=(300, 2)) + [0.5 * t, 0.0] for t in TIMES)
    # If growth costs too much, the geodesic is straight.
    assert select(Snapshots(TIMES, states, np.ones(5)), alpha=100.0, sigma=0.1).path == "geodesic"


def test_sigma_is_an_upper_bound() -> None:
    """Cells that only move exclude large sigmas; spreading populations allow them."""
    rng = np.random.default_rng(0)
    line = rng.uniform(0, 6, 400)
    # Thin sheets far from each other: bridges that leave them have a large error.
    moving = tuple(np.c_[line + t, 0.01 * rng.normal(size=400)] for t in TIMES)
    small = select(Snapshots(TIMES, moving, np.ones(5)))
    spreading = tuple(np.sqrt(0.2 + t) * rng.normal(size=(400, 2)) for t in TIMES)
    large = select(Snapshots(TIMES, spreading, np.ones(5)))
    assert small.sigma < large.sigma


def test_selection_depends_on_the_data_alone() -> None:
    """It depends neither on units nor on a generator."""
    snapshots = moving_cluster(1.2**TIMES, np.linspace(0, 1, 5))
    one = select(snapshots)
    scaled = Snapshots(8 * TIMES, tuple(2.0**-10 * x for x in snapshots.states), snapshots.masses)
    assert select(scaled) == one
    np.random.default_rng(5).normal(size=10)
    assert select(snapshots) == one


@pytest.mark.parametrize("start", [0.28, 0.4, 0.5])
def test_search_finds_the_smallest_misfit(start: float) -> None:
    """A parabola in logarithms, whose vertex is found exactly once it is bracketed."""

    def misfit(sigma: float) -> float:
        return float(np.exp(3 * np.log(sigma / 0.4) ** 2))

    search, sigma, n_rounds = SigmaSearch(start), start, 0
    while not search.finished:
        sigma, n_rounds = search.next_sigma(misfit(sigma), more=True), n_rounds + 1
    assert sigma == pytest.approx(0.4, rel=1e-6)
    assert n_rounds in (3, 4)


def test_search_without_more_rounds_returns_the_best_sigma() -> None:
    search = SigmaSearch(0.2)
    higher = search.next_sigma(3.0, more=True)
    assert higher > 0.2
    assert search.next_sigma(1.0, more=False) == higher
    assert search.finished
    search = SigmaSearch(0.2)
    search.next_sigma(1.0, more=True)
    assert search.next_sigma(3.0, more=False) == 0.2


@pytest.mark.parametrize("falling", [True, False])
def test_search_stops_after_two_steps(falling: bool) -> None:
    search, sigma = SigmaSearch(0.2), 0.2
    while not search.finished:
        sigma = search.next_sigma(1 / sigma if falling else sigma, more=True)
    assert sigma == pytest.approx(0.2 * 1.3**2 if falling else 0.2 / 1.3**2)
