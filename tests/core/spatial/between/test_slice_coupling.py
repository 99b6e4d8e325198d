from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from scdiffot.core.ot.spatial_order import principal_order
from scdiffot.core.spatial.between import slice_coupling
from scdiffot.core.spatial.between.slice_coupling import couple_slices, scale_of


def _slice(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 2)) * [3, 1]
    return x, np.c_[np.sin(x[:, 0]), np.cos(2 * x[:, 1]), x[:, 0] ** 2] + 0.05 * rng.normal(
        size=(n, 3)
    )


def test_least_cost_of_all_assignments():
    (x, fx), (y, fy) = _slice(60), _slice(60, 1)
    found = couple_slices(x, fx, y, fy, spatial_weight=0.7, partial=False)
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    cost = 0.7 * cdist(x, y, "sqeuclidean") / scale_of(x, y) ** 2
    cost += 0.3 * cdist(fx, fy, "sqeuclidean") / scale_of(fx, fy) ** 2
    best = linear_sum_assignment(cost)
    np.testing.assert_array_equal(found.rows, best[0])
    np.testing.assert_array_equal(found.cols, best[1])
    np.testing.assert_allclose(found.shares, 1 / 60)


def test_all_mass_is_accounted_for():
    (x, fx), (y, fy) = _slice(70), _slice(45, 1)
    found = couple_slices(x, fx, y + [1.0, 0], fy)
    assert 0.02 < found.left_source.sum() < 0.9
    rows = np.bincount(found.rows, found.shares, minlength=70) + found.left_source
    cols = np.bincount(found.cols, found.shares, minlength=45) + found.left_target
    np.testing.assert_allclose(rows, 1 / 70, rtol=1e-6)
    np.testing.assert_allclose(cols, 1 / 45, rtol=1e-6)


def test_tissue_that_only_one_slice_has_is_left():
    x, fx = _slice(300)
    kept = x[:, 0] < 1.8
    found = couple_slices(x, fx, x[kept], fx[kept])
    assert found.left_source[~kept].sum() > 0.6 * found.left_source.sum()
    whole = couple_slices(x, fx, x[kept], fx[kept], partial=False)
    np.testing.assert_allclose(whole.left_source, 0)


def test_units_shifts_of_states_and_pose_do_not_matter():
    (x, fx), (y, fy) = _slice(80), _slice(80, 1)
    found = couple_slices(x, fx, y, fy)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    again = couple_slices(1e4 * x @ turn + 5e4, 7 * fx, 1e4 * y @ turn + 5e4, 7 * fy + 3)
    np.testing.assert_array_equal(again.cols, found.cols)


def test_near_pairs_find_almost_the_least_cost(monkeypatch):
    (x, fx), (y, fy) = _slice(600), _slice(550, 1)
    # a displacement of many spots
    y = 1.15 * y + 0.2
    exact = couple_slices(x, fx, y, fy, partial=False)
    monkeypatch.setattr(slice_coupling, "_N_PAIRS", 1000)
    monkeypatch.setattr(slice_coupling, "_N_METASPOTS", 100)
    near = couple_slices(x, fx, y, fy, partial=False)
    assert near.shares.sum() > 0.98

    def cost(c):
        points = slice_coupling._joint_points(x, fx, y, fy, 0.9)
        return (
            c.shares * ((points[0][c.rows] - points[1][c.cols]) ** 2).sum(axis=1)
        ).sum() / c.shares.sum()

    assert cost(near) == pytest.approx(cost(exact), rel=0.05)


def test_states_without_spread():
    (x, _), (y, _) = _slice(30), _slice(30, 1)
    found = couple_slices(x, np.zeros((30, 2)), y, np.zeros((30, 2)))
    assert np.isfinite(found.shares).all()
    assert found.shares.sum() > 0.5


@pytest.mark.parametrize("d", [2, 3])
def test_order_does_not_depend_on_the_pose(d):
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, size=(200, d)) * np.arange(1, d + 1)
    order = principal_order(x)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    np.testing.assert_array_equal(principal_order(1e3 * x @ turn - 50), order)
    steps = np.linalg.norm(np.diff(x[order], axis=0), axis=1)
    assert np.median(steps) < 0.4 * np.median(np.linalg.norm(np.diff(x, axis=0), axis=1))


@pytest.mark.parametrize("partial", [True, False])
def test_tiles_find_almost_the_least_cost(monkeypatch, partial):
    (x, fx), (y, fy) = _slice(1200), _slice(1100, 1)
    # denser on one side: mass has to go far
    y = np.c_[3 * (y[:, 0] / 3) ** 1.3, y[:, 1]] * 1.1
    points = slice_coupling._joint_points(x, fx, y, fy, 0.9)

    def objective(c):
        cost = (c.shares * ((points[0][c.rows] - points[1][c.cols]) ** 2).sum(axis=1)).sum()
        return cost + (c.left_source.sum() + c.left_target.sum()) / 2

    exact = couple_slices(x, fx, y, fy, partial=partial)
    monkeypatch.setattr(slice_coupling, "_N_EXACT", 500)
    monkeypatch.setattr(slice_coupling, "_N_TILE", 300)
    tiled = couple_slices(x, fx, y, fy, partial=partial)
    rows = np.bincount(tiled.rows, tiled.shares, minlength=1200) + tiled.left_source
    cols = np.bincount(tiled.cols, tiled.shares, minlength=1100) + tiled.left_target
    np.testing.assert_allclose(rows, 1 / 1200, rtol=1e-6)
    np.testing.assert_allclose(cols, 1 / 1100, rtol=1e-6)
    # to leave all spots costs 1
    assert objective(tiled) < objective(exact) + 0.01
    assert tiled.shares.sum() > exact.shares.sum() - 0.02
