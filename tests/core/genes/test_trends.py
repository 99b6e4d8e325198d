"""Expression along trajectories against closed forms and explicit sums."""

from __future__ import annotations

import numpy as np
import pytest
from _ornstein_uhlenbeck import OrnsteinUhlenbeck, true_model

from scdiffot.core.genes.trends import TrajectorySample, sample_weighted_trajectories, trends


def test_trajectories_of_an_ornstein_uhlenbeck_process_have_its_moments():
    process = OrnsteinUhlenbeck()
    model = true_model(process, np.array([0.0, 1.0, 2.0]))
    x, times, m = np.array([[-0.5], [1.5]]), np.linspace(0, 2, 6), 20_000
    k, stationary_variance = process.rate, process.sigma**2 / (2 * process.rate)
    s = np.linspace(0, 2, 401)
    # tolerances: four standard errors plus 2e-3 for the discretisation at steps of 0.1
    for growth in (False, True):
        sample = sample_weighted_trajectories(
            model, x, times, n_trajectories=m, growth=growth, rng=1
        )
        assert sample.states.shape == (6, 2, m, 1)
        np.testing.assert_allclose(sample.states[0, :, :, 0], np.broadcast_to(x, (2, m)), atol=1e-5)
        w = np.exp(sample.log_w)
        assert np.ptp(sample.log_w) > 0.5 or not growth
        for i, start in enumerate(x[:, 0]):
            for j, t in enumerate(times):
                # exponential weights shift a Gaussian process by its covariance with the exponent
                covariance = stationary_variance * (
                    np.exp(-k * np.abs(t - s)) - np.exp(-k * (t + s))
                )
                tilt = process.slope * np.trapezoid(covariance, s) if growth else 0
                mean = process.centre + (start - process.centre) * np.exp(-k * t) + tilt
                variance = stationary_variance * (1 - np.exp(-2 * k * t))
                values = sample.states[j, i, :, 0].astype(float)
                average = np.average(values, weights=w[i])
                error = 4 * np.sqrt(2 * variance / m)
                assert average == pytest.approx(mean, abs=error + 2e-3)
                assert np.average((values - average) ** 2, weights=w[i]) == pytest.approx(
                    variance, rel=0.08, abs=1e-6
                )


def test_trajectories_have_their_shapes_with_more_particles_than_a_chunk():
    model = true_model(OrnsteinUhlenbeck(), np.array([0.0, 1.0, 2.0]))
    x = np.linspace(-1, 1, 9)[:, None]
    n_completed = []
    sample = sample_weighted_trajectories(
        model, x, np.array([0.5, 1.0, 1.7]), n_trajectories=1500, rng=0, progress=n_completed.append
    )
    assert sample.states.shape == (3, 9, 1500, 1)
    assert sample.log_w.shape == (9, 1500)
    assert sum(n_completed) == 9
    np.testing.assert_allclose(sample.states[0].std(axis=1), 0, atol=1e-6)


def _random_sample(
    n: int = 40, m: int = 8, n_genes: int = 5, seed: int = 0
) -> tuple[TrajectorySample, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(3, n, m, n_genes)).astype(np.float32)
    paths = TrajectorySample(np.array([0.0, 1.0, 4.0]), states, 0.5 * rng.normal(size=(n, m)))
    return paths, rng.dirichlet(np.full(3, 0.3), size=(n, m)), rng


def test_means_and_effects_are_weighted_sums():
    paths, fates, _ = _random_sample()
    result = trends(paths, fates, lambda z: 2 * z + 1)
    x = 2 * paths.states.astype(float) + 1
    time_weights = np.array([0.5, 2.0, 1.5]) / 4
    for k in range(3):
        w = np.exp(paths.log_w) * fates[:, :, k]
        complement = np.exp(paths.log_w) * (fates.sum(axis=2) - fates[:, :, k])
        mean, baseline = (
            np.array([np.average(v.reshape(-1, 5), axis=0, weights=u.ravel()) for v in x])
            for u in (w, complement)
        )
        np.testing.assert_allclose(result.mean[k], mean, atol=1e-5)
        np.testing.assert_allclose(result.change[k], mean[-1] - mean[0], atol=1e-5)
        np.testing.assert_allclose(
            result.difference[k], time_weights @ (mean - baseline), atol=1e-5
        )
        variances = [
            np.average((v - c) ** 2, axis=(0, 1), weights=np.repeat(u[:, :, None], 5, axis=2))
            for u, means in ((w, mean), (complement, baseline))
            for v, c in zip(x, means, strict=True)
        ]
        sd = np.sqrt(np.concatenate([time_weights, time_weights]) @ np.array(variances) / 2)
        np.testing.assert_allclose(result.effect[k], result.difference[k] / sd, rtol=1e-4)


def test_bands_are_weighted_quantiles():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(1, 500, 40, 1)).astype(np.float32)
    paths = TrajectorySample(
        np.array([0.0, 1.0]), np.concatenate([states, states + 1]), np.zeros((500, 40))
    )
    # a weight of exp(a x) shifts a standard normal by a
    paths = TrajectorySample(paths.times, paths.states, 0.7 * states[0, :, :, 0])
    result = trends(paths, np.ones((500, 40, 1)), lambda z: z, band=(0.1, 0.9), rng=0)
    # the standard error of a decile of 500 samples is 0.08
    np.testing.assert_allclose(result.low[0, :, 0], [0.7 - 1.2816, 1.7 - 1.2816], atol=0.25)
    np.testing.assert_allclose(result.high[0, :, 0], [0.7 + 1.2816, 1.7 + 1.2816], atol=0.25)


def test_p_values_are_uniform_without_differences_between_fates():
    """Trajectories of a cell share its level and its bias to a fate: pseudo-replication."""
    rng = np.random.default_rng(3)
    n, m, n_genes = 60, 20, 1500
    level = rng.normal(size=(n, 1, n_genes))
    states = (level + 0.3 * rng.normal(size=(2, n, m, n_genes))).astype(np.float32)
    bias = rng.beta(0.4, 0.8, size=(n, 1))
    first = (rng.random((n, m)) < bias).astype(float)
    result = trends(
        TrajectorySample(np.array([0.0, 1.0]), states, 0.3 * rng.normal(size=(n, m))),
        np.stack([first, 1 - first], 2),
        lambda z: z,
    )
    # three standard errors of a share of 1,500 genes, plus the error of the approximate degrees of
    # freedom
    assert (result.p[0] < 0.05).mean() == pytest.approx(0.05, abs=0.025)
    assert (result.p[0] < 0.5).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(result.p[0], result.p[1], rtol=1e-3, atol=1e-9)
    flat, w = states.mean(axis=0).reshape(-1, n_genes), first.ravel().astype(bool)
    naive = np.abs(flat[w].mean(axis=0) - flat[~w].mean(axis=0)) / np.sqrt(
        flat[w].var(axis=0) / w.sum() + flat[~w].var(axis=0) / (~w).sum()
    )
    assert (naive > 1.96).mean() > 0.3


def test_standard_errors_are_those_of_repetitions():
    def simulate(seed: int) -> tuple[float, float]:
        rng = np.random.default_rng(seed)
        n, m = 50, 10
        bias = rng.normal(size=(n, 1))
        first = (rng.random((n, m)) < 1 / (1 + np.exp(-bias))).astype(float)
        x = 0.5 * bias + 0.8 * first + rng.normal(size=(2, n, m)) * 0.5
        paths = TrajectorySample(
            np.array([0.0, 1.0]), x[..., None].astype(np.float32), np.zeros((n, m))
        )
        result = trends(paths, np.stack([first, 1 - first], 2), lambda z: z)
        return float(result.difference[0, 0]), float(result.se[0, 0])

    values, errors = np.array([simulate(seed) for seed in range(300)]).T
    # 300 repetitions determine the standard deviation to 4 %
    assert values.std() == pytest.approx(errors.mean(), rel=0.15)


def test_time_is_the_last_crossing_of_half_of_the_maximum_difference():
    times = np.linspace(0, 10, 11)
    n, m = 30, 4
    first = np.zeros((n, m))
    first[:, :2] = 1
    single = np.array([0, 0, 0, 0.3, 0.6, 1, 1, 1, 1, 1, 1])
    # differs at a single early time, and permanently later
    double = np.array([0, 0.9, 0, 0, 0.2, 0.7, 1, 1, 1, 1, 1])
    x = np.stack([single, double], 1)[:, None, None, :] * first[None, :, :, None]
    x = x + 1e-3 * np.random.default_rng(0).normal(size=x.shape)
    result = trends(
        TrajectorySample(times, x.astype(np.float32), np.zeros((n, m))),
        np.stack([first, 1 - first], 2),
        lambda z: z,
    )
    np.testing.assert_array_equal(result.time[0], [4, 5])
    assert (result.effect[0] > 10).all()


def test_a_constant_gene_has_no_effect():
    paths, fates, _ = _random_sample()
    result = trends(paths, fates, lambda z: np.column_stack([z[:, 0], np.full(len(z), 7.3)]))
    np.testing.assert_array_equal(result.effect[:, 1], 0)
    np.testing.assert_array_equal(result.p[:, 1], 1)
    np.testing.assert_allclose(result.mean[:, :, 1], 7.3, rtol=1e-6)
    assert (result.effect[:, 0] != 0).all()


def test_a_single_fate_has_trends_but_no_differences():
    paths, fates, _ = _random_sample()
    result = trends(paths, fates[:, :, :1], lambda z: z)
    assert np.isfinite(result.mean).all()
    assert np.isfinite(result.change_se).all()
    for name in ("difference", "se", "effect", "p", "time"):
        assert np.isnan(getattr(result, name)).all()
