"""Maps that are known in closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.linalg import sqrtm

from scdiffot.core.response import (
    Conditions,
    ContextPair,
    ResponseConfig,
    ResponseModel,
    fit_response,
)

ONE = Conditions(np.zeros((1, 0)), np.ones(1))


def covariance(d: int, seed: int) -> np.ndarray:
    """Axes of any direction, of length 0.5 to 2 in squares."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    return (axes * np.linspace(0.5, 2, d)) @ axes.T


def draw(n: int, cov: np.ndarray, seed: int) -> np.ndarray:
    """Normal cells with this very covariance and mean zero: the error left is that of the method, not of the sample."""
    z = np.random.default_rng(seed).normal(size=(n, len(cov)))
    z -= z.mean(axis=0)
    return z @ np.linalg.inv(sqrtm(z.T @ z / n).real) @ sqrtm(cov).real


def rms(x: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(x, np.float64) ** 2).sum(axis=1).mean()))


@cache
def between_gaussians(
    d: int, method: str = "flow", n_steps: int | None = None, n: int = 4000
) -> tuple[ResponseModel, dict]:
    x, y = draw(n, covariance(d, 1), 0), draw(n, covariance(d, 2), 1) + np.arange(1.0, d + 1)
    return fit_response([ContextPair(x, y, 0)], ONE, ResponseConfig(method=method, n_steps=n_steps))


def error_between_gaussians(model: ResponseModel, d: int) -> float:
    """Distance to the Monge map in closed form, relative to the spread of the target."""
    first, second = covariance(d, 1), covariance(d, 2)
    root = sqrtm(first).real
    matrix = np.linalg.inv(root) @ sqrtm(root @ second @ root).real @ np.linalg.inv(root)
    fresh = np.random.default_rng(5).normal(size=(1000, d)) @ root
    return rms(model.predict(fresh).states - (fresh @ matrix + np.arange(1.0, d + 1))) / np.sqrt(
        np.trace(second)
    )


@pytest.mark.parametrize(
    ("d", "n_steps"),
    [
        (2, 200),
        (5, 200),
        pytest.param(2, None, marks=pytest.mark.slow),
        pytest.param(5, None, marks=pytest.mark.slow),
    ],
)
def test_gaussians_have_their_monge_map(d, n_steps):
    model, history = between_gaussians(d, n_steps=n_steps)
    assert history["metric"] == "euclidean"
    first, second = covariance(d, 1), covariance(d, 2)
    assert np.abs(first @ second - second @ first).max() > 0.1
    assert error_between_gaussians(model, d) < 0.02


def test_convex_maps_are_near_it_from_the_start():
    # With the fifth of the cells that is set aside, 5 means and 15 covariances move by half a standard error, .8 %: together 2 %.
    model, _ = between_gaussians(5, "convex", n_steps=50)
    assert error_between_gaussians(model, 5) < 0.04


@pytest.mark.parametrize("metric", ["auto", "learned"])
def test_shift_of_all_cells(metric):
    x, shift = draw(2000, covariance(3, 1), 0), np.array([3.0, 0.0, -1.0])
    config = ResponseConfig(metric=metric, n_steps=200)
    model, _ = fit_response(
        [ContextPair(x, draw(2000, covariance(3, 1), 1) + shift, 0)], ONE, config
    )
    found = model.predict(x)
    # The learned metric measures no better than it has samples: 2000 cells spread along the direction of the shift.
    tolerance = 1e-3 if metric == "auto" else 0.15
    assert rms(found.states - x - shift) < tolerance * rms(x)
    assert found.action.mean() == pytest.approx(
        shift @ shift / 2, rel=1e-2 if metric == "auto" else 0.1
    )


@pytest.mark.parametrize("metric", ["auto", "euclidean"])
def test_two_samples_of_one_law_have_no_response(metric):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2000, 3))
    model, _ = fit_response([ContextPair(x, y, 0)], ONE, ResponseConfig(metric=metric, n_steps=300))
    # Two means and two covariances of n cells: sqrt(2 / n) of the spread for every coordinate of the mean, and about as
    # much for the matrix. Couplings of the cells themselves reach as far as the nearest neighbour.
    assert rms(model.predict(x).states - x) < (0.1 if metric == "auto" else 0.25) * rms(x)


@pytest.mark.parametrize(("method", "tolerance"), [("flow", 1e-4), ("convex", 1e-2)])
def test_inverse_undoes_the_map(method, tolerance):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    # Halves that go apart, and cells far from all data
    y = x + np.where(x[:, :1] > 0, 2.0, -1.0) * np.array([1.0, 0.5, 0, 0])
    model, _ = fit_response(
        [ContextPair(x, y[rng.permutation(600)], 0)],
        ONE,
        ResponseConfig(method=method, metric="euclidean", n_steps=60),
    )
    asked = np.concatenate([x, 3 * rng.normal(size=(50, 4))])
    back = model.predict(model.predict(asked).states, inverse=True).states
    assert rms(back - asked) < tolerance * rms(x)


def test_action_of_a_convex_map_is_that_of_its_straight_way():
    model, _ = between_gaussians(2, "convex", 50, 500)
    x = draw(100, covariance(2, 1), 7)
    found = model.predict(x)
    assert found.action == pytest.approx(((found.states - x) ** 2).sum(axis=1) / 2, rel=1e-4)
    assert rms(found.states - x) > 0.1


def test_stored_models_predict_the_same():
    for method in ("flow", "convex"):
        model, _ = between_gaussians(2, method, 50, 500)
        x = draw(100, covariance(2, 1), 7)
        again = ResponseModel.from_arrays(model.to_arrays())
        assert np.array_equal(again.predict(x).states, model.predict(x).states)
