"""Fits against closed forms: Gaussians, travelling clusters, growth in place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from scdiffot.core import FitConfig, RUOTModel, Snapshots, fit, simulate

N = 2000
GAUSSIANS = pytest.mark.xdist_group("gaussians")
MEANS = np.array([0.0, 0.0]), np.array([2.0, 1.0])
COVARIANCES = np.array([[1.0, 0.3], [0.3, 0.5]]), np.array([[0.5, -0.2], [-0.2, 0.8]])


def gaussian_cells(
    mean: np.ndarray, covariance: np.ndarray, rng: np.random.Generator, n: int = N
) -> np.ndarray:
    """Normal cells with exact sample moments, so that sampling adds no error to them."""
    z = rng.normal(size=(n, len(mean)))
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T, bias=True)).T)
    return mean + z @ np.linalg.cholesky(covariance).T


def gaussian_fit(sigma: float) -> tuple[RUOTModel, np.ndarray]:
    rng = np.random.default_rng(0)
    cells = tuple(gaussian_cells(m, c, rng) for m, c in zip(MEANS, COVARIANCES, strict=True))
    return fit(
        Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)), FitConfig(growth=False, sigma=sigma)
    )[0], cells[0]


def bridge_moments(sigma: float, u: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, covariance and drift slope of the Schroedinger bridge at ``u`` (Bunne et al. 2023)."""
    s0, s1 = COVARIANCES
    identity = np.eye(2)
    root = np.real(sqrtm(s0))
    d = np.real(sqrtm(4 * root @ s1 @ root + sigma**4 * identity))
    c = (root @ d @ np.linalg.inv(root) - sigma**2 * identity) / 2
    mean = (1 - u) * MEANS[0] + u * MEANS[1]
    covariance = (1 - u) ** 2 * s0 + u**2 * s1 + u * (1 - u) * (c + c.T + sigma**2 * identity)
    # Mean drift of the pinned paths given the state: (E[X_1 | X_u] - X_u) / (1 - u).
    slope = (((1 - u) * c.T + u * s1) @ np.linalg.inv(covariance) - identity) / (1 - u)
    return mean, covariance, slope


def relative(result: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(result - true) / np.linalg.norm(true))


@GAUSSIANS
@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.7])
@pytest.mark.parametrize("kind", ["ode", "sde"])
def test_gaussian_bridges(sigma: float, kind: str, gaussian_models: dict) -> None:
    """McCann's interpolation and the Schroedinger bridge within 2 %."""
    model, cells = gaussian_models[sigma]
    times = np.array([0.25, 0.5, 0.75, 1.0])
    start = np.tile(cells, (20, 1)) if kind == "sde" else cells
    path = simulate(model, start, 0.0, t1=1.0, kind=kind, save_times=times)
    for u, x in zip(times[:-1], path.states[:-1], strict=True):
        mean, covariance, _ = bridge_moments(sigma, u)
        assert np.linalg.norm(x.mean(0) - mean) < 0.02 * np.linalg.norm(MEANS[1])
        assert relative(np.cov(x.T), covariance) < 0.02
    assert relative(np.cov(path.states[-1].T), COVARIANCES[1]) < 0.02


@pytest.fixture(scope="module")
def gaussian_models() -> dict:
    return {sigma: gaussian_fit(sigma) for sigma in (0.0, 0.7)}


@GAUSSIANS
@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_gaussian_drift(sigma: float, gaussian_models: dict) -> None:
    model, _ = gaussian_models[sigma]
    rng = np.random.default_rng(1)
    for u in (0.25, 0.5, 0.75):
        mean, covariance, slope = bridge_moments(sigma, u)
        x = gaussian_cells(mean, covariance, rng)
        true = (x - mean) @ slope.T + MEANS[1] - MEANS[0]
        assert relative(model.drift(x, u), true) < 0.05
        # Averaged over cells, the part that is linear in the state is as exact as the moments.
        coefficients = np.linalg.lstsq(np.c_[np.ones(N), x - mean], model.drift(x, u), rcond=None)[
            0
        ]
        assert relative(coefficients, np.vstack([MEANS[1] - MEANS[0], slope.T])) < 0.02


@pytest.mark.slow
def test_travelling_cluster() -> None:
    """A small cluster that moves and grows follows the geodesic of Diracs, at its exact cost."""
    rng = np.random.default_rng(0)
    small, distance, mass, alpha = 0.02**2 * np.eye(2), 2.0, 2.0, 1.5
    ends = np.zeros(2), np.array([distance, 0.0])
    cells = tuple(gaussian_cells(m, small, rng, 1000) for m in ends)
    model, history = fit(
        Snapshots(np.array([0.0, 2.0]), cells, np.array([1.0, mass])),
        FitConfig(sigma=0.0, alpha=alpha),
    )
    angle = distance / (2 * np.sqrt(alpha))
    a, b = 1 + mass - 2 * np.sqrt(mass) * np.cos(angle), 1 - np.sqrt(mass) * np.cos(angle)
    w = np.sqrt(mass) * np.sin(angle)
    times = np.array([0.5, 1.0, 1.5])
    path = simulate(model, cells[0], 0.0, t1=2.0, save_times=times)
    u = times / 2
    np.testing.assert_allclose(path.weights.mean(1), a * u**2 - 2 * b * u + 1, rtol=0.02)
    progress = (np.arctan2(a * u - b, w) - np.arctan2(-b, w)) / angle
    np.testing.assert_allclose(
        path.states[..., 0].mean(1), distance * progress, atol=0.02 * distance
    )
    assert history["action"] == pytest.approx(2 * alpha * a / 2.0, rel=0.02)


@pytest.mark.slow
def test_far_clusters_grow_in_place() -> None:
    """Clusters too far apart to exchange mass keep still, and each grows by its own ratio."""
    rng = np.random.default_rng(0)
    centres, ratios, duration, n = (
        np.array([[-5.0, 0.0], [5.0, 0.0]]),
        np.array([2.0, 0.5]),
        2.0,
        1000,
    )
    shape = 0.4**2 * np.eye(2)
    first = np.concatenate([gaussian_cells(c, shape, rng, n) for c in centres])
    last = np.concatenate(
        [gaussian_cells(c, shape, rng, int(n * r)) for c, r in zip(centres, ratios, strict=True)]
    )
    mass = len(last) / len(first)
    model, _ = fit(
        Snapshots(np.array([0.0, duration]), (first, last), np.array([1.0, mass])),
        FitConfig(sigma=0.0, alpha=0.5),
    )
    path = simulate(model, first, 0.0, t1=duration, save_times=np.array([1.0, 2.0]))
    root = np.sqrt(ratios)
    for k, ratio in enumerate(ratios):
        part = slice(k * n, (k + 1) * n)
        # int g dt = log ratio; at the least action the root of the mass is linear in time.
        assert path.weights[1, part].mean() == pytest.approx(ratio, rel=0.02)
        assert path.weights[0, part].mean() == pytest.approx(((1 + root[k]) / 2) ** 2, rel=0.02)
        displacement = path.states[:, part].mean(1) - centres[k]
        assert np.abs(displacement).max() < 0.02 * 0.4
        growth = model.growth(path.states[0, part], 1.0).mean()
        assert growth == pytest.approx(2 * (root[k] - 1) / duration / ((1 + root[k]) / 2), rel=0.04)
