"""Responses against maps in closed form."""

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

CONDITIONS = Conditions(np.zeros((1, 0)), np.ones(1))


def covariance(d: int, seed: int) -> np.ndarray:
    """Return a covariance with random axes and variances from 0.5 to 2."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    return (axes * np.linspace(0.5, 2, d)) @ axes.T


def sample_cells(n: int, cov: np.ndarray, seed: int) -> np.ndarray:
    """Return normal cells with this sample covariance and a sample mean of zero."""
    z = np.random.default_rng(seed).normal(size=(n, len(cov)))
    z -= z.mean(axis=0)
    return z @ np.linalg.inv(sqrtm(z.T @ z / n).real) @ sqrtm(cov).real


def rms(x: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(x, np.float64) ** 2).sum(axis=1).mean()))


@cache
def fit_gaussians(
    d: int, method: str = "flow", n_steps: int = 400, n: int = 4000
) -> tuple[ResponseModel, dict]:
    x, y = (
        sample_cells(n, covariance(d, 1), 0),
        sample_cells(n, covariance(d, 2), 1) + np.arange(1.0, d + 1),
    )
    return fit_response(
        [ContextPair(x, y, 0)],
        CONDITIONS,
        ResponseConfig(method=method, train={"n_steps": n_steps}),
    )


def monge_error(model: ResponseModel, d: int) -> float:
    """Return the distance to the Monge map in closed form, relative to the scale of the target."""
    first, second = covariance(d, 1), covariance(d, 2)
    root = sqrtm(first).real
    matrix = np.linalg.inv(root) @ sqrtm(root @ second @ root).real @ np.linalg.inv(root)
    x = np.random.default_rng(5).normal(size=(1000, d)) @ root
    return rms(model.predict(x).states - (x @ matrix + np.arange(1.0, d + 1))) / np.sqrt(
        np.trace(second)
    )


@pytest.mark.parametrize(
    ("d", "n_steps"),
    [
        (2, 200),
        (5, 200),
        pytest.param(2, 400, marks=pytest.mark.slow),
        pytest.param(5, 400, marks=pytest.mark.slow),
    ],
)
def test_normal_populations_give_the_monge_map(d, n_steps):
    model, history = fit_gaussians(d, n_steps=n_steps)
    assert history["metric"] == "euclidean"
    first, second = covariance(d, 1), covariance(d, 2)
    assert np.abs(first @ second - second @ first).max() > 0.1
    assert monge_error(model, d) < 0.02


def test_convex_maps_are_accurate_after_few_steps():
    # holding out a fifth of the cells changes 5 means and 15 covariances by half a standard error,
    # 0.8 % each: 2 % together
    model, _ = fit_gaussians(5, "convex", n_steps=50)
    assert monge_error(model, 5) < 0.04


@pytest.mark.parametrize("metric", ["auto", "learned"])
def test_a_common_shift_is_recovered(metric):
    x, shift = sample_cells(2000, covariance(3, 1), 0), np.array([3.0, 0.0, -1.0])
    config = ResponseConfig(metric=metric, train={"n_steps": 200})
    model, _ = fit_response(
        [ContextPair(x, sample_cells(2000, covariance(3, 1), 1) + shift, 0)], CONDITIONS, config
    )
    prediction = model.predict(x)
    # the learned metric has the sampling error of 2,000 cells along the direction of the shift
    tolerance = 1e-3 if metric == "auto" else 0.15
    assert rms(prediction.states - x - shift) < tolerance * rms(x)
    assert prediction.action.mean() == pytest.approx(
        shift @ shift / 2, rel=1e-2 if metric == "auto" else 0.1
    )


@pytest.mark.parametrize("metric", ["auto", "euclidean"])
def test_two_samples_of_one_distribution_have_no_response(metric):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2000, 3))
    model, _ = fit_response(
        [ContextPair(x, y, 0)], CONDITIONS, ResponseConfig(metric=metric, train={"n_steps": 300})
    )
    # for a linear map: the sampling error of two means and two covariances, sqrt(2 / n) of the
    # scale per coordinate; for couplings: the distance to the nearest neighbour
    assert rms(model.predict(x).states - x) < (0.1 if metric == "auto" else 0.25) * rms(x)


@pytest.mark.parametrize(("method", "tolerance"), [("flow", 1e-4), ("convex", 1e-2)])
def test_the_inverse_of_a_prediction_returns_the_cells(method, tolerance):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    # the response separates two halves; predictions include cells far from the data
    y = x + np.where(x[:, :1] > 0, 2.0, -1.0) * np.array([1.0, 0.5, 0, 0])
    model, _ = fit_response(
        [ContextPair(x, y[rng.permutation(600)], 0)],
        CONDITIONS,
        ResponseConfig(method=method, metric="euclidean", train={"n_steps": 60}),
    )
    query = np.concatenate([x, 3 * rng.normal(size=(50, 4))])
    inverse_states = model.predict(model.predict(query).states, inverse=True).states
    assert rms(inverse_states - query) < tolerance * rms(x)


def test_the_action_of_a_convex_map_is_half_the_squared_displacement():
    model, _ = fit_gaussians(2, "convex", 50, 500)
    x = sample_cells(100, covariance(2, 1), 7)
    prediction = model.predict(x)
    assert prediction.action == pytest.approx(
        ((prediction.states - x) ** 2).sum(axis=1) / 2, rel=1e-4
    )
    assert rms(prediction.states - x) > 0.1


def test_stored_models_predict_the_same():
    for method in ("flow", "convex"):
        model, _ = fit_gaussians(2, method, 50, 500)
        x = sample_cells(100, covariance(2, 1), 7)
        rebuilt = ResponseModel.from_arrays(model.to_arrays())
        assert np.array_equal(rebuilt.predict(x).states, model.predict(x).states)
