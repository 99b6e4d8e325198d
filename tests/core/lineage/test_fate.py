"""Fates and descendants against the backward Feynman-Kac equation of a double well, on a grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _double_well import DoubleWell, observed, true_model, wells
from _ornstein_uhlenbeck import OrnsteinUhlenbeck
from _ornstein_uhlenbeck import true_model as true_ou

from scdiffot.core import FitConfig, fit
from scdiffot.core.lineage import fate as fate_module
from scdiffot.core.lineage.fate import descend
from scdiffot.core.simulate import paths as walks
from scdiffot.core.simulate.paths import PathSampler, legs, systematic

WELL = DoubleWell()
AT = np.array([-1.1, -0.3, 0.1, 1.0])
BOTH = [(1.0, wells), (2.0, wells)]


def follow(at, process=WELL, stages=BOTH, **options):
    at = np.asarray(at, dtype=float)
    classes = options.pop("classes", (at > 0).astype(int))
    return descend(true_model(process), at[:, None], 0.0, stages=stages, classes=classes, **options)


@pytest.fixture(scope="module")
def exact():
    return WELL.solve(AT)


def test_reference_has_converged(exact):
    for coarse, fine in zip(WELL.solve(AT, n=400), exact, strict=True):
        np.testing.assert_allclose(coarse, fine, atol=1e-4)


def test_double_well_with_the_true_fields(exact):
    total, fate, path = exact
    n = 100_000
    found = follow(AT, n_trajectories=n, n_steps=20, path=True)
    path_se = np.sqrt(path * (1 - path) / n)
    for name, value, se, truth in (
        ("descendants", found.n_descendants, found.n_descendants_se, total),
        ("fate", found.fate[:, 1], found.fate_se[:, 1], fate),
        ("path", found.path[:, 1], path_se, path),
    ):
        error = np.abs(value - truth)
        assert (error < 0.01).all(), (name, error)
        assert (error < 3 * se).all(), (name, error / se)
    # what a method that ignores growth would give for the fates is far off
    assert np.abs(path - fate).max() > 0.15


@pytest.mark.slow
def test_double_well_with_fitted_fields():
    # Snapshots leave open how far growth, and how far motion, moved mass between the wells: rates of growth are known here, as they are
    # from gene sets.
    process = DoubleWell(times=tuple(np.arange(9) / 4), levels=(0.0,) * 8, tilts=(0.0,) * 8)
    at = np.linspace(-0.8, 0.8, 5)
    total, fate, path = process.solve(at)
    model, _ = fit(observed(process, 1500), FitConfig(sigma=process.sigma, autonomous=True))
    found = descend(
        model,
        at[:, None],
        0.0,
        stages=[(2.0, wells)],
        classes=np.zeros(5, int),
        n_trajectories=4000,
        path=True,
    )
    assert np.abs(found.fate[:, 1] - fate).max() < 0.05
    assert np.abs(found.path[:, 1] - path).max() < 0.05
    # fits with other seeds scatter by .03
    np.testing.assert_allclose(found.n_descendants, total, rtol=0.1)


@pytest.mark.parametrize("slope", [0.8, 3.0], ids=["even", "resampled"])
def test_standard_errors_are_the_spread_of_repetitions(slope):
    found = follow(np.full(600, -0.2), DoubleWell(slope=slope), n_trajectories=100)
    # the standard deviation of 600 repetitions is known to 3 %, that of the skewed weights to less
    for value, se in (
        (found.fate[:, 1], found.fate_se[:, 1]),
        (found.n_descendants, found.n_descendants_se),
    ):
        assert np.sqrt((se**2).mean()) == pytest.approx(value.std(), rel=0.15)


def test_resampling_helps_where_few_particles_carry_the_weight(monkeypatch):
    process = DoubleWell(slope=3.0)
    at = np.full(300, -0.2)
    with_it = follow(at, process, n_trajectories=100)
    monkeypatch.setattr(fate_module, "COLLAPSED", 0.0)
    without = follow(at, process, n_trajectories=100)
    assert without.ess.mean() < 25
    assert with_it.fate[:, 1].std() < 0.75 * without.fate[:, 1].std()
    truth = process.solve(at[:1])
    assert with_it.n_descendants.mean() == pytest.approx(truth[0][0], rel=0.06)
    assert with_it.fate[:, 1].mean() == pytest.approx(truth[1][0], abs=0.01)


def test_without_growth_the_fate_is_that_of_a_path():
    # resampled paths are walked again, with the same noise
    for process in (WELL, DoubleWell(slope=3.0)):
        with_growth = follow(AT, process, n_trajectories=300, path=True)
        without = follow(AT, process, n_trajectories=300, growth=False, path=True)
        np.testing.assert_allclose(without.n_descendants, 1)
        np.testing.assert_allclose(without.n_descendants_se, 0, atol=1e-12)
        np.testing.assert_allclose(without.ess, 300)
        np.testing.assert_allclose(without.fate, without.path)
        np.testing.assert_allclose(with_growth.path, without.path)
    assert np.isnan(follow(AT, n_trajectories=10).path).all()


def test_portions_and_threads_do_not_matter(monkeypatch):
    at = np.linspace(-1.2, 1.2, 150)
    one = follow(at, n_trajectories=100)
    again = follow(at, n_trajectories=100)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threaded = follow(at, n_trajectories=100)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(n_threads)
    for other in (again, threaded):
        np.testing.assert_array_equal(other.fate, one.fate)
        np.testing.assert_array_equal(other.flows, one.flows)
    assert not np.array_equal(follow(at, n_trajectories=100, rng=1).fate, one.fate)
    monkeypatch.setattr(walks, "TOGETHER", 700)
    small = follow(at, n_trajectories=100)
    spread = np.hypot(small.fate_se[:, 1], one.fate_se[:, 1])
    z = (small.fate[:, 1] - one.fate[:, 1]) / np.maximum(spread, 0.01)
    assert np.abs(z).max() < 4.5
    # of unit variance, so its mean over 150 cells is 0 +- 0.08
    assert abs(z.mean()) < 0.3


def test_progress_counts_all_cells():
    done = []
    follow(np.zeros(130), n_trajectories=100, n_steps=2, progress=done.append)
    assert sum(done) == 130
    assert len(done) > 1


@pytest.mark.parametrize("slope", [0.8, 3.0], ids=["even", "resampled"])
def test_flows_add_up(slope):
    at = np.repeat(AT, 20)
    classes = (at > 0).astype(int)
    found = follow(at, DoubleWell(slope=slope), classes=classes, n_trajectories=50)
    assert found.flows.shape == (2, 3, 3)
    descendants = found.n_descendants[:, None] * found.fate
    np.testing.assert_allclose(found.flows[-1].sum(0), descendants.sum(0), rtol=1e-4)
    left = follow(at[classes == 0], DoubleWell(slope=slope), n_trajectories=50)
    assert left.flows[0, 1].sum() == 0
    # mass that leaves a class stays in that class or goes to the other one; none is outside
    assert found.flows[:, 2].sum() == found.flows[:, :, 2].sum() == 0
    unknown = np.where(classes == 0, -1, classes)
    part = follow(at, DoubleWell(slope=slope), classes=unknown, n_trajectories=50)
    assert part.flows[0, 0].sum() == 0
    np.testing.assert_allclose(part.flows[0, 1], found.flows[0, 1])


def test_outside_is_a_class_of_its_own():
    def bounded(x):
        return wells(x)[0], np.abs(x[:, 0]) > 1

    found = follow(AT, stages=[(2.0, bounded)], n_trajectories=500)
    np.testing.assert_allclose(found.fate.sum(1), 1)
    assert (found.fate[:, 2] > 0.1).all()

    def nowhere(x):
        return wells(x)[0], np.ones(len(x), bool)

    assert np.isnan(follow(AT, stages=[(2.0, nowhere)], n_trajectories=10).commitment).all()


def test_probabilities_are_averaged():
    def undecided(x):
        return np.full((len(x), 2), 0.5), np.zeros(len(x), bool)

    found = follow(AT, stages=[(2.0, undecided)], n_trajectories=20, threshold=0.6)
    np.testing.assert_allclose(found.fate[:, :2], 0.5)
    np.testing.assert_allclose(found.fate_se, 0, atol=1e-9)
    # never as sure as asked
    np.testing.assert_allclose(found.commitment, 2.0, rtol=1e-6)


def test_commitment_is_the_last_crossing():
    process = OrnsteinUhlenbeck(sigma=1e-3)
    model = true_ou(process, np.array([0.0, 1.0, 2.0]))
    at = np.array([-0.5, 0.5])
    found = descend(
        model, at[:, None], 0.0, stages=[(2.0, wells)], classes=np.zeros(2, int), n_trajectories=40
    )
    # x = 1 - 1.5 exp(-0.8 t) crosses zero once; checks are a tenth apart
    crossing = np.log(1.5) / 0.8
    assert crossing <= found.commitment[0] <= crossing + 0.1 + 1e-3
    assert found.commitment[1] == pytest.approx(0, abs=1e-6)


def test_commitment_of_wells():
    # from the barrier it takes long; in a well, only those that leave it are late
    found = follow(
        [-1.0, 0.0, 1.0], DoubleWell(depth=3.0, sigma=0.5, tilts=(0.0, 0.0)), n_trajectories=2000
    )
    assert found.commitment[1] > 0.15
    assert (found.commitment[[0, 2]] < 0.03).all()


def test_the_scheme_is_of_order_two():
    # without noise the error falls by four with every halving of the step
    process = OrnsteinUhlenbeck(sigma=1e-6)
    model = true_ou(process, np.array([0.0, 1.0]))
    ends = {}
    for n in (8, 16, 256):
        walk = PathSampler(model, np.array([[-1.0]]), n_trajectories=1, generator=torch.Generator())
        for leg in legs(model, np.array([0.0, 1.0]), n):
            list(walk.leg(*leg))
        ends[n] = np.array([walk.x.item(), walk.log_w.item()])
    np.testing.assert_allclose(
        np.abs(ends[8] - ends[256]) / np.abs(ends[16] - ends[256]), 4, rtol=0.3
    )


def test_moments_with_noise():
    # ten steps of Euler's method would be off by 4 % of the variance
    process = OrnsteinUhlenbeck()
    model = true_ou(process, np.array([0.0, 1.0, 2.0]))
    walk = PathSampler(
        model,
        np.full((40, 1), -0.5),
        n_trajectories=5000,
        generator=torch.Generator().manual_seed(0),
    )
    for leg in legs(model, np.array([0.0, 2.0]), 10):
        list(walk.leg(*leg))
    start = OrnsteinUhlenbeck(mean0=-0.5, variance0=0.0)
    x, w = walk.x.double().numpy().ravel() * 2 + 0.3, walk.log_w.double().exp().numpy().ravel()
    mean = np.average(x, weights=w)
    assert w.mean() == pytest.approx(np.exp(start.log_mass(2.0)), rel=0.005)
    assert mean == pytest.approx(start.mean(2.0), abs=0.005)
    assert np.average((x - mean) ** 2, weights=w) == pytest.approx(start.variance(2.0), rel=0.015)


def test_legs_stop_at_snapshots_and_stages():
    model = true_model(WELL)
    unit = 0.7
    found = legs(model, np.array([0.5, 1.5]), 10)
    np.testing.assert_allclose(
        np.array([leg[:2] for leg in found]) * unit, [[0.5, 1.0], [1.0, 1.5]]
    )
    assert [leg[2] for leg in found] == [5, 5]
    back = legs(model, np.array([2.0, 0.0]), 10)
    np.testing.assert_allclose(
        np.array([leg[:2] for leg in back]) * unit, [[2, 1], [1, 0]], atol=1e-9
    )


def test_systematic_resampling_keeps_expected_numbers():
    log_w = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 1.0]]))
    u = torch.linspace(0, 1, 1001)[:-1]
    index = systematic(log_w.repeat_interleave(1000, 0), u.repeat(2)).view(2, 1000, 4)
    counts = torch.stack([(index == k).double().sum(2).mean(1) for k in range(4)], 1)
    np.testing.assert_allclose(counts, [[0.4, 0.8, 1.2, 1.6], [0, 2, 0, 2]], atol=0.01)
