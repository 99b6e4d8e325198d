"""Ancestors of the Ornstein-Uhlenbeck process with growth, against Bayes' rule on a grid."""

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
    """Return the normalised density on the grid."""
    return np.exp(-((GRID - PROCESS.mean(t)) ** 2) / (2 * PROCESS.variance(t))) / np.sqrt(
        2 * np.pi * PROCESS.variance(t)
    )


def cells(t, n=N):
    """Return quantiles of the population: cells without sampling error."""
    return PROCESS.mean(t) + np.sqrt(PROCESS.variance(t)) * ndtri((np.arange(n) + 0.5) / n)[:, None]


def ancestor_density(right):
    """Return the density, at the early time, of the ancestors of late cells on one side.

    By Bayes' rule it is proportional to p(x, early) h(x). The expected number of descendants on
    that side, h, solves the Feynman-Kac equation: a normal kernel with mean and mass tilted by
    growth, integrated by quadrature over the grid of late states.
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
    # the mean of the log mass is linear in the initial state; its variance does not depend on it
    log_mass = p.slope * GRID * decay / p.rate
    joint = density(EARLY) * h * np.exp(log_mass - log_mass.max())
    return joint / (joint.sum() * STEP)


def moments(x, w):
    mean = np.average(x, weights=w)
    return mean, np.average((x - mean) ** 2, weights=w)


def ancestor_sample(model, x, **options):
    parts = list(ancestors(model, x, LATE, t0=EARLY, **options))
    return np.concatenate([states[:, :, 0] for _, states, _ in parts]), np.concatenate(
        [w for _, _, w in parts]
    )


def test_ancestors_follow_bayes_rule(model):
    late = cells(LATE)
    states, weights = ancestor_sample(model, late, n_trajectories=20)
    assert (weights == 1).all()
    # mean and variance of all ancestors also have a closed form
    mean, variance = moments(states, weights)
    expected = PROCESS.ancestors(EARLY, LATE)
    assert (mean, variance) == pytest.approx(expected, abs=0.01)
    for right in (True, False):
        in_class = (late[:, 0] > BORDER) == right
        truth = moments(GRID, ancestor_density(right))
        assert moments(states[in_class], weights[in_class]) == pytest.approx(truth, abs=0.01)


def test_weighted_ancestors_are_the_earlier_population(model):
    states, weights = ancestor_sample(model, cells(LATE), n_trajectories=20, weighted=True)
    mass = np.exp(PROCESS.log_mass(EARLY) - PROCESS.log_mass(LATE))
    assert weights.mean() == pytest.approx(mass, rel=0.01)
    assert moments(states, weights) == pytest.approx(
        (PROCESS.mean(EARLY), PROCESS.variance(EARLY)), abs=0.01
    )
    # twenty bins of equal mass
    edges = cells(EARLY, 20)[:, 0]
    edges = (edges[1:] + edges[:-1]) / 2
    cumulative = np.cumsum(density(EARLY)) * STEP
    expected = np.diff(np.interp(edges, GRID + STEP / 2, cumulative), prepend=0, append=1)
    shares = np.bincount(np.searchsorted(edges, states.ravel()), weights.ravel()) / weights.sum()
    assert np.abs(shares - expected).sum() / 2 < 0.01


def test_forward_fates_and_backward_ancestors_agree(model):
    def sides(x):
        right = x[:, 0] > BORDER
        return np.stack([~right, right], 1).astype(float), np.zeros(len(x), bool)

    early = cells(EARLY, 2000)
    estimate = descend(
        model, early, EARLY, stages=[(LATE, sides)], classes=np.zeros(2000, int), n_trajectories=100
    )
    late = cells(LATE)
    states, _ = ancestor_sample(model, late, n_trajectories=20)
    edges = cells(EARLY, 30)[:, 0]
    bins = np.searchsorted(edges, early[:, 0])
    for k, right in enumerate((False, True)):
        forward = np.bincount(bins, estimate.n_descendants * estimate.fate[:, k], len(edges) + 1)
        backward_bins = np.searchsorted(edges, states[(late[:, 0] > BORDER) == right].ravel())
        backward = np.bincount(backward_bins, minlength=len(edges) + 1)
        # total variation over 31 bins; that of sampling noise alone is below 0.01
        assert np.abs(forward / forward.sum() - backward / backward.sum()).sum() / 2 < 0.05
    # the ancestors differ from the population by more
    assert np.abs(forward / forward.sum() - 1 / 31).sum() / 2 > 0.1


def test_results_depend_on_the_seed_and_progress_counts_all_cells(model):
    x, n_completed = cells(LATE, 500), []
    states = ancestor_sample(model, x, n_trajectories=30, progress=n_completed.append)[0]
    assert sum(n_completed) == 500
    assert len(n_completed) > 1
    np.testing.assert_array_equal(states, ancestor_sample(model, x, n_trajectories=30)[0])
    assert not np.array_equal(states, ancestor_sample(model, x, n_trajectories=30, rng=1)[0])
