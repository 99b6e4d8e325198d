from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from scdiffot.core.ot.gaussian_map import GaussianMap
from scdiffot.metrics import wasserstein


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clouds(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, y = (
        rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)),
        3 + rng.normal(size=(250, 6)) @ rng.normal(size=(6, 6)),
    )
    return x, y, rng.random(300), rng.random(250)


def covariance(x: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    return np.cov(x.T, aweights=w, bias=True)


def test_the_pushed_cloud_has_the_moments_of_the_target(clouds):
    x, y, wx, wy = clouds
    pushed = GaussianMap.fit(x, y, wx, wy).push(x)
    assert np.average(pushed, axis=0, weights=wx) == pytest.approx(
        np.average(y, axis=0, weights=wy)
    )
    assert covariance(pushed, wx) == pytest.approx(covariance(y, wy), abs=1e-8)


def test_the_matrix_is_symmetric_and_positive(clouds):
    # The only optimal matrix is symmetric and positive and has the right moments (Brenier).
    gaussian_map = GaussianMap.fit(*clouds)
    assert np.array_equal(gaussian_map.forward, gaussian_map.forward.T)
    assert np.linalg.eigvalsh(gaussian_map.forward).min() > 0


def test_a_linear_map_is_recovered_exactly(clouds, rng):
    x, shift = clouds[0], np.arange(6.0)
    half = rng.normal(size=(6, 6))
    matrix = half @ half.T + np.eye(6)
    gaussian_map = GaussianMap.fit(x, x @ matrix + shift)
    assert gaussian_map.push(x) == pytest.approx(x @ matrix + shift, rel=1e-8)
    # optimal between the samples, not between their moments alone
    cost = np.sqrt(np.mean(np.sum((gaussian_map.push(x) - x) ** 2, axis=1)))
    assert wasserstein(x, x @ matrix + shift, p=2) == pytest.approx(cost, rel=1e-8)


def test_commuting_gaussians_have_their_closed_form(rng):
    # With common axes the map stretches every axis by the ratio of standard deviations.
    s, t = np.array([1.0, 2.0, 0.5]), np.array([3.0, 1.0, 0.5])
    n = 40_000
    gaussian_map = GaussianMap.fit(s * rng.normal(size=(n, 3)), t * rng.normal(size=(n, 3)) + 1)
    # standard deviations of n cells have a relative error of 1 / sqrt(2 n) each
    assert gaussian_map.forward == pytest.approx(np.diag(t / s), abs=5 * 3 / np.sqrt(n))


def test_pull_undoes_push(clouds):
    x, y, wx, wy = clouds
    gaussian_map = GaussianMap.fit(x, y, wx, wy)
    assert gaussian_map.pull(gaussian_map.push(x)) == pytest.approx(x, abs=1e-9)
    back = GaussianMap.fit(y, x, wy, wx)
    assert gaussian_map.pull(y) == pytest.approx(back.push(y), abs=1e-8)


@pytest.mark.parametrize("n", [300, 20, 4])
def test_the_same_cloud_stays_where_it_is(clouds, n):
    # also where it is too small for its dimension
    x = clouds[0][:n]
    assert GaussianMap.fit(x, x).push(x) == pytest.approx(x, abs=1e-6)


def test_few_cells_are_shrunk_as_ledoit_and_wolf_do(rng):
    x, y = rng.normal(size=(40, 12)) * np.linspace(0.2, 3, 12), rng.normal(size=(5000, 12))
    gaussian_map = GaussianMap.fit(x, y)
    shrunk = ledoit_wolf(x)[0]
    # the map between the shrunk and the plain covariance
    assert gaussian_map.forward @ shrunk @ gaussian_map.forward == pytest.approx(
        covariance(y), abs=1e-8
    )


def test_shrinking_helps_where_cells_are_few(rng):
    scales = np.linspace(0.5, 2, 40)
    truth = np.diag(1 / scales)
    x, y = rng.normal(size=(60, 40)) * scales, rng.normal(size=(60, 40))
    new = rng.normal(size=(2000, 40)) * scales
    error = np.mean((GaussianMap.fit(x, y).push(new) - new @ truth) ** 2)
    root = [np.linalg.cholesky(covariance(z)) for z in (x, y)]
    assert error < 0.5 * np.mean((new @ np.linalg.inv(root[0]).T @ root[1].T - new @ truth) ** 2)


def test_directions_without_variance_give_finite_maps(clouds, rng):
    x, y = clouds[0].copy(), clouds[1].copy()
    x[:, 2], y[:, 4] = 0, 0
    pushed = GaussianMap.fit(x, y).push(x)
    assert np.isfinite(pushed).all()
    assert pushed.mean(axis=0) == pytest.approx(y.mean(axis=0), abs=1e-9)
    # shrinking gives the flat direction of the target a little spread
    assert 0 < pushed[:, 4].std() < 0.2 * y.std()


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_map_is_equivariant_to_units(clouds, scale):
    x, y, wx, wy = clouds
    expected = GaussianMap.fit(x, y, wx, wy).push(x)
    assert GaussianMap.fit(scale * x, scale * y, wx, wy).push(scale * x) == pytest.approx(
        scale * expected, rel=1e-7
    )
    assert GaussianMap.fit(scale * x, y, wx, wy).push(scale * x) == pytest.approx(
        expected, rel=1e-7
    )


def test_errors_name_invalid_arguments(clouds):
    x, y, _, _ = clouds
    with pytest.raises(ValueError, match="`x` has 6 dimensions and `y` has 5"):
        GaussianMap.fit(x, y[:, :5])
    with pytest.raises(ValueError, match="`y` has no spread"):
        GaussianMap.fit(x, np.full((30, 6), 0.1))
    with pytest.raises(ValueError, match=r"`wx` has shape \(3,\)"):
        GaussianMap.fit(x, y, np.ones(3))
    with pytest.raises(ValueError, match="`x` has 5 dimensions and the map 6"):
        GaussianMap.fit(x, y).push(x[:, :5])
    with pytest.raises(ValueError, match="`y` has 6 values that are NaN"):
        GaussianMap.fit(x, y).pull(np.full((1, 6), np.nan))
