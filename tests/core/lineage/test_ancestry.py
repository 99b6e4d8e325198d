"""Ancestors and earlier populations of the Ornstein-Uhlenbeck process with growth, against Bayes' rule on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from _ornstein_uhlenbeck import OrnsteinUhlenbeck, true_model
from scipy.special import ndtri

from scdiffot.core.lineage.ancestry import ancestors
from scdiffot.core.lineage.fate import descend

PROCESS = OrnsteinUhlenbeck()
EARLY, LATE, BORDER = 0.5, 2.0, 0.8
GRID = np.linspace(-5, 6, 2201)
STEP = GRID[1] - GRID[0]
N = 8000


@pytest.fixture(scope="module")
def model():
    return true_model(PROCESS, np.array([0.0, 1.0, 2.0]))


def density(t):
    """Normalised."""
    return np.exp(-((GRID - PROCESS.mean(t)) ** 2) / (2 * PROCESS.variance(t))) / np.sqrt(
        2 * np.pi * PROCESS.variance(t)
    )


def cells(t, n=N):
    """Equally likely cells of the population, without sampling error."""
    return PROCESS.mean(t) + np.sqrt(PROCESS.variance(t)) * ndtri((np.arange(n) + 0.5) / n)[:, None]


def bayes(right):
    """Density at the early time of the ancestors of the late cells on one side of the border, on the grid.

    By Bayes' rule, proportional to p(x, early) h(x), where h, the expected descendants on that side, comes from the Feynman-Kac
    equation: a normal kernel whose mean and mass the growth tilts, by quadrature over the grid of late states.
    """
    p, dt = PROCESS, LATE - EARLY
    start = OrnsteinUhlenbeck(mean0=0.0, variance0=0.0)
    variance = start.variance(dt)
    h = np.empty_like(GRID)
    for i, x in enumerate(GRID):
        mean = OrnsteinUhlenbeck(mean0=x, variance0=0.0).mean(dt)
        kernel = np.exp(-((GRID - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        h[i] = kernel[(GRID > BORDER) == right].sum() * STEP
    decay = 1 - np.exp(-p.rate * dt)
    # the mean of the log mass is linear in the start, and its variance does not depend on it
    log_mass = p.slope * GRID * decay / p.rate
    joint = density(EARLY) * h * np.exp(log_mass - log_mass.max())
    return joint / (joint.sum() * STEP)


def moments(x, w):
    mean = np.average(x, weights=w)
    return mean, np.average((x - mean) ** 2, weights=w)


def collected(model, x, **options):
    parts = list(ancestors(model, x, LATE, t0=EARLY, **options))
    return np.concatenate([states[:, :, 0] for _, states, _ in parts]), np.concatenate(
        [w for _, _, w in parts]
    )


def test_ancestors_follow_bayes_rule(model):
    late = cells(LATE)
    states, weights = collected(model, late, n_trajectories=20)
    assert (weights == 1).all()
    # all cells: mean and variance also have a closed form
    mean, variance = moments(states, weights)
    expected = PROCESS.ancestors(EARLY, LATE)
    assert (mean, variance) == pytest.approx(expected, abs=0.01)
    # cells of one type
    for right in (True, False):
        chosen = (late[:, 0] > BORDER) == right
        truth = moments(GRID, bayes(right))
        assert moments(states[chosen], weights[chosen]) == pytest.approx(truth, abs=0.01)


def test_weighted_ancestors_are_the_earlier_population(model):
    states, weights = collected(model, cells(LATE), n_trajectories=20, weighted=True)
    mass = np.exp(PROCESS.log_mass(EARLY) - PROCESS.log_mass(LATE))
    assert weights.mean() == pytest.approx(mass, rel=0.01)
    assert moments(states, weights) == pytest.approx(
        (PROCESS.mean(EARLY), PROCESS.variance(EARLY)), abs=0.01
    )
    # the density in twenty parts of equal mass
    edges = cells(EARLY, 20)[:, 0]
    edges = (edges[1:] + edges[:-1]) / 2
    cumulative = np.cumsum(density(EARLY)) * STEP
    expected = np.diff(np.interp(edges, GRID + STEP / 2, cumulative), prepend=0, append=1)
    found = np.bincount(np.searchsorted(edges, states.ravel()), weights.ravel()) / weights.sum()
    assert np.abs(found - expected).sum() / 2 < 0.01


def test_forward_then_backward_agree(model):
    def sides(x):
        right = x[:, 0] > BORDER
        return np.stack([~right, right], 1).astype(float), np.zeros(len(x), bool)

    early = cells(EARLY, 2000)
    found = descend(
        model, early, EARLY, stages=[(LATE, sides)], classes=np.zeros(2000, int), n_trajectories=100
    )
    late = cells(LATE)
    states, _ = collected(model, late, n_trajectories=20)
    edges = cells(EARLY, 30)[:, 0]
    part = np.searchsorted(edges, early[:, 0])
    for k, right in enumerate((False, True)):
        forward = np.bincount(part, found.n_descendants * found.fate[:, k], len(edges) + 1)
        back = np.searchsorted(edges, states[(late[:, 0] > BORDER) == right].ravel())
        backward = np.bincount(back, minlength=len(edges) + 1)
        # total variation over 31 parts; that of noise alone is below 0.01
        assert np.abs(forward / forward.sum() - backward / backward.sum()).sum() / 2 < 0.05
        # the ancestors differ from the population by more
    assert np.abs(forward / forward.sum() - 1 / 31).sum() / 2 > 0.1


def test_portions_seeds_and_progress(model):
    late, done = cells(LATE, 500), []
    one = collected(model, late, n_trajectories=30, progress=done.append)[0]
    assert sum(done) == 500
    assert len(done) > 1
    np.testing.assert_array_equal(one, collected(model, late, n_trajectories=30)[0])
    assert not np.array_equal(one, collected(model, late, n_trajectories=30, rng=1)[0])
