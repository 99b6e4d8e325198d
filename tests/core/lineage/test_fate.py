"""Fates and descendants against the backward Feynman-Kac equation of a double well, on a grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _double_well import DoubleWell, observed, true_model, wells
from _ornstein_uhlenbeck import OrnsteinUhlenbeck
from _ornstein_uhlenbeck import true_model as true_ou

from scdiffot.core import FitConfig, fit
from scdiffot.core.lineage import genealogy
from scdiffot.core.lineage.fate import descend
from scdiffot.core.simulate import paths
from scdiffot.core.simulate.paths import TrajectorySampler, resample_systematically
from scdiffot.core.simulate.schedule import model_schedule

WELL = DoubleWell()
STARTS = np.array([-1.1, -0.3, 0.1, 1.0])
STAGES = [(1.0, wells), (2.0, wells)]


def estimate_fates(at, process=WELL, stages=STAGES, **options):
    at = np.asarray(at, dtype=float)
    classes = options.pop("classes", (at > 0).astype(int))
    return descend(true_model(process), at[:, None], 0.0, stages=stages, classes=classes, **options)


@pytest.fixture(scope="module")
def exact():
    return WELL.solve(STARTS)


def test_the_reference_solution_is_converged(exact):
    for coarse, fine in zip(WELL.solve(STARTS, n=400), exact, strict=True):
        np.testing.assert_allclose(coarse, fine, atol=1e-4)


def test_double_well_with_the_true_fields(exact):
    total, fate, path = exact
    n = 100_000
    estimate = estimate_fates(STARTS, n_trajectories=n, n_steps=20, path=True)
    path_se = np.sqrt(path * (1 - path) / n)
    for name, value, se, truth in (
        ("descendants", estimate.n_descendants, estimate.n_descendants_se, total),
        ("fate", estimate.fate[:, 1], estimate.fate_se[:, 1], fate),
        ("path", estimate.path[:, 1], path_se, path),
    ):
        error = np.abs(value - truth)
        assert (error < 0.01).all(), (name, error)
        assert (error < 3 * se).all(), (name, error / se)
    # fates that ignored growth would differ by more than .15
    assert np.abs(path - fate).max() > 0.15


@pytest.mark.slow
def test_double_well_with_fitted_fields():
    # Snapshots do not identify whether growth or motion moves mass between the wells. Growth rates
    # are given here, as they are from gene sets.
    process = DoubleWell(times=tuple(np.arange(9) / 4), levels=(0.0,) * 8, tilts=(0.0,) * 8)
    at = np.linspace(-0.8, 0.8, 5)
    total, fate, path = process.solve(at)
    model, _ = fit(observed(process, 1500), FitConfig(sigma=process.sigma, autonomous=True))
    estimate = descend(
        model,
        at[:, None],
        0.0,
        stages=[(2.0, wells)],
        classes=np.zeros(5, int),
        n_trajectories=4000,
        path=True,
    )
    assert np.abs(estimate.fate[:, 1] - fate).max() < 0.05
    assert np.abs(estimate.path[:, 1] - path).max() < 0.05
    # fits with other seeds scatter by .03
    np.testing.assert_allclose(estimate.n_descendants, total, rtol=0.1)


@pytest.mark.parametrize("slope", [0.8, 3.0], ids=["even", "resampled"])
def test_standard_errors_are_the_spread_of_repetitions(slope):
    estimate = estimate_fates(np.full(600, -0.2), DoubleWell(slope=slope), n_trajectories=100)
    # 600 repetitions determine the standard deviation to 3 %, less precisely for skewed weights
    for value, se in (
        (estimate.fate[:, 1], estimate.fate_se[:, 1]),
        (estimate.n_descendants, estimate.n_descendants_se),
    ):
        assert np.sqrt((se**2).mean()) == pytest.approx(value.std(), rel=0.15)


def test_resampling_reduces_the_variance_at_low_effective_sample_size(monkeypatch):
    process = DoubleWell(slope=3.0)
    at = np.full(300, -0.2)
    resampled = estimate_fates(at, process, n_trajectories=100)
    monkeypatch.setattr(genealogy, "MIN_EFFECTIVE_SHARE", 0.0)
    weighted = estimate_fates(at, process, n_trajectories=100)
    assert weighted.ess.mean() < 25
    assert resampled.fate[:, 1].std() < 0.75 * weighted.fate[:, 1].std()
    truth = process.solve(at[:1])
    assert resampled.n_descendants.mean() == pytest.approx(truth[0][0], rel=0.06)
    assert resampled.fate[:, 1].mean() == pytest.approx(truth[1][0], abs=0.01)


def test_without_growth_the_fate_is_that_of_a_path():
    # after resampling, trajectories are simulated again with the same noise
    for process in (WELL, DoubleWell(slope=3.0)):
        with_growth = estimate_fates(STARTS, process, n_trajectories=300, path=True)
        without_growth = estimate_fates(
            STARTS, process, n_trajectories=300, growth=False, path=True
        )
        np.testing.assert_allclose(without_growth.n_descendants, 1)
        np.testing.assert_allclose(without_growth.n_descendants_se, 0, atol=1e-12)
        np.testing.assert_allclose(without_growth.ess, 300)
        np.testing.assert_allclose(without_growth.fate, without_growth.path)
        np.testing.assert_allclose(with_growth.path, without_growth.path)
    assert np.isnan(estimate_fates(STARTS, n_trajectories=10).path).all()


def test_results_do_not_depend_on_chunks_and_threads(monkeypatch):
    at = np.linspace(-1.2, 1.2, 150)
    reference = estimate_fates(at, n_trajectories=100)
    repeated = estimate_fates(at, n_trajectories=100)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threaded = estimate_fates(at, n_trajectories=100)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(n_threads)
    for result in (repeated, threaded):
        np.testing.assert_array_equal(result.fate, reference.fate)
        np.testing.assert_array_equal(result.flows, reference.flows)
    assert not np.array_equal(estimate_fates(at, n_trajectories=100, rng=1).fate, reference.fate)
    monkeypatch.setattr(paths, "CHUNK_SIZE", 700)
    chunked = estimate_fates(at, n_trajectories=100)
    se = np.hypot(chunked.fate_se[:, 1], reference.fate_se[:, 1])
    z = (chunked.fate[:, 1] - reference.fate[:, 1]) / np.maximum(se, 0.01)
    assert np.abs(z).max() < 4.5
    # z has unit variance, so its mean over 150 cells is 0 +- 0.08
    assert abs(z.mean()) < 0.3


def test_progress_counts_all_cells():
    n_completed = []
    estimate_fates(np.zeros(130), n_trajectories=100, n_steps=2, progress=n_completed.append)
    assert sum(n_completed) == 130
    assert len(n_completed) > 1


@pytest.mark.parametrize("slope", [0.8, 3.0], ids=["even", "resampled"])
def test_flows_sum_to_the_descendants_of_every_class(slope):
    at = np.repeat(STARTS, 20)
    classes = (at > 0).astype(int)
    estimate = estimate_fates(at, DoubleWell(slope=slope), classes=classes, n_trajectories=50)
    assert estimate.flows.shape == (2, 3, 3)
    descendants = estimate.n_descendants[:, None] * estimate.fate
    np.testing.assert_allclose(estimate.flows[-1].sum(0), descendants.sum(0), rtol=1e-4)
    first_class = estimate_fates(at[classes == 0], DoubleWell(slope=slope), n_trajectories=50)
    assert first_class.flows[0, 1].sum() == 0
    # every cell moves within or between the two classes; no mass is outside
    assert estimate.flows[:, 2].sum() == estimate.flows[:, :, 2].sum() == 0
    masked = np.where(classes == 0, -1, classes)
    second_class = estimate_fates(at, DoubleWell(slope=slope), classes=masked, n_trajectories=50)
    assert second_class.flows[0, 0].sum() == 0
    np.testing.assert_allclose(second_class.flows[0, 1], estimate.flows[0, 1])


def test_outside_is_a_class_of_its_own():
    def bounded(x):
        return wells(x)[0], np.abs(x[:, 0]) > 1

    estimate = estimate_fates(STARTS, stages=[(2.0, bounded)], n_trajectories=500)
    np.testing.assert_allclose(estimate.fate.sum(1), 1)
    assert (estimate.fate[:, 2] > 0.1).all()

    def nowhere(x):
        return wells(x)[0], np.ones(len(x), bool)

    assert np.isnan(
        estimate_fates(STARTS, stages=[(2.0, nowhere)], n_trajectories=10).commitment
    ).all()


def test_fates_average_the_class_probabilities():
    def undecided(x):
        return np.full((len(x), 2), 0.5), np.zeros(len(x), bool)

    estimate = estimate_fates(STARTS, stages=[(2.0, undecided)], n_trajectories=20, threshold=0.6)
    np.testing.assert_allclose(estimate.fate[:, :2], 0.5)
    np.testing.assert_allclose(estimate.fate_se, 0, atol=1e-9)
    # the probability never exceeds the threshold
    np.testing.assert_allclose(estimate.commitment, 2.0, rtol=1e-6)


def test_commitment_is_the_last_crossing():
    process = OrnsteinUhlenbeck(sigma=1e-3)
    model = true_ou(process, np.array([0.0, 1.0, 2.0]))
    at = np.array([-0.5, 0.5])
    estimate = descend(
        model, at[:, None], 0.0, stages=[(2.0, wells)], classes=np.zeros(2, int), n_trajectories=40
    )
    # x = 1 - 1.5 exp(-0.8 t) crosses zero once; the check interval is 0.1
    crossing = np.log(1.5) / 0.8
    assert crossing <= estimate.commitment[0] <= crossing + 0.1 + 1e-3
    assert estimate.commitment[1] == pytest.approx(0, abs=1e-6)


def test_commitment_is_late_at_the_barrier_and_early_in_wells():
    # commitment is late from the barrier; from a well it is late only for cells that leave
    estimate = estimate_fates(
        [-1.0, 0.0, 1.0], DoubleWell(depth=3.0, sigma=0.5, tilts=(0.0, 0.0)), n_trajectories=2000
    )
    assert estimate.commitment[1] > 0.15
    assert (estimate.commitment[[0, 2]] < 0.03).all()


def test_the_scheme_is_of_order_two():
    # without noise the error falls by four with every halving of the step
    process = OrnsteinUhlenbeck(sigma=1e-6)
    model = true_ou(process, np.array([0.0, 1.0]))
    ends = {}
    for n in (8, 16, 256):
        sampler = TrajectorySampler(
            model.networks,
            model.scaling.state_in(np.array([[-1.0]])),
            n_trajectories=1,
            generator=torch.Generator(),
        )
        sampler.run(model_schedule(model, np.array([0.0, 1.0]), n))
        ends[n] = np.array([sampler.particles.x.item(), sampler.particles.log_w.item()])
    np.testing.assert_allclose(
        np.abs(ends[8] - ends[256]) / np.abs(ends[16] - ends[256]), 4, rtol=0.3
    )


def test_ten_steps_give_mass_mean_and_variance_with_noise():
    # ten Euler steps would have an error of 4 % of the variance
    process = OrnsteinUhlenbeck()
    model = true_ou(process, np.array([0.0, 1.0, 2.0]))
    sampler = TrajectorySampler(
        model.networks,
        model.scaling.state_in(np.full((40, 1), -0.5)),
        n_trajectories=5000,
        generator=torch.Generator().manual_seed(0),
    )
    sampler.run(model_schedule(model, np.array([0.0, 2.0]), 10))
    start = OrnsteinUhlenbeck(mean0=-0.5, variance0=0.0)
    x, w = (
        sampler.particles.x.double().numpy().ravel() * 2 + 0.3,
        sampler.particles.log_w.double().exp().numpy().ravel(),
    )
    mean = np.average(x, weights=w)
    assert w.mean() == pytest.approx(np.exp(start.log_mass(2.0)), rel=0.005)
    assert mean == pytest.approx(start.mean(2.0), abs=0.005)
    assert np.average((x - mean) ** 2, weights=w) == pytest.approx(start.variance(2.0), rel=0.015)


def test_legs_stop_at_snapshots_and_stages():
    model = true_model(WELL)
    unit = 0.7
    forward = model_schedule(model, np.array([0.5, 1.5]), 10)
    np.testing.assert_allclose(
        np.array([leg[:2] for leg in forward]) * unit, [[0.5, 1.0], [1.0, 1.5]]
    )
    assert [leg[2] for leg in forward] == [5, 5]
    backward = model_schedule(model, np.array([2.0, 0.0]), 10)
    np.testing.assert_allclose(
        np.array([leg[:2] for leg in backward]) * unit, [[2, 1], [1, 0]], atol=1e-9
    )


def test_systematic_resampling_keeps_expected_numbers():
    log_w = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 1.0]]))
    u = torch.linspace(0, 1, 1001)[:-1]
    index = resample_systematically(log_w.repeat_interleave(1000, 0), u.repeat(2)).view(2, 1000, 4)
    counts = torch.stack([(index == k).double().sum(2).mean(1) for k in range(4)], 1)
    np.testing.assert_allclose(counts, [[0.4, 0.8, 1.2, 1.6], [0, 2, 0, 2]], atol=0.01)
