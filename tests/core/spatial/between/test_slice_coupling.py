"""Couplings of two slices against exact assignments and conservation of mass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from scdiffot.core.ot.spatial_order import principal_order
from scdiffot.core.spatial.between import slice_coupling
from scdiffot.core.spatial.between.slice_coupling import SliceSizes, couple_slices, scale_of


def _slice(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 2)) * [3, 1]
    return x, np.c_[np.sin(x[:, 0]), np.cos(2 * x[:, 1]), x[:, 0] ** 2] + 0.05 * rng.normal(
        size=(n, 3)
    )


def test_the_coupling_is_the_optimal_assignment():
    (x, fx), (y, fy) = _slice(60), _slice(60, 1)
    coupling = couple_slices(x, fx, y, fy, spatial_weight=0.7, partial=False)
    fx, fy = fx - fx.mean(axis=0), fy - fy.mean(axis=0)
    cost = 0.7 * cdist(x, y, "sqeuclidean") / scale_of(x, y) ** 2
    cost += 0.3 * cdist(fx, fy, "sqeuclidean") / scale_of(fx, fy) ** 2
    best = linear_sum_assignment(cost)
    np.testing.assert_array_equal(coupling.rows, best[0])
    np.testing.assert_array_equal(coupling.cols, best[1])
    np.testing.assert_allclose(coupling.shares, 1 / 60)


def test_coupled_and_unmatched_mass_sum_to_the_total():
    (x, fx), (y, fy) = _slice(70), _slice(45, 1)
    coupling = couple_slices(x, fx, y + [1.0, 0], fy)
    assert 0.02 < coupling.unmatched_source.sum() < 0.9
    rows = np.bincount(coupling.rows, coupling.shares, minlength=70) + coupling.unmatched_source
    cols = np.bincount(coupling.cols, coupling.shares, minlength=45) + coupling.unmatched_target
    np.testing.assert_allclose(rows, 1 / 70, rtol=1e-6)
    np.testing.assert_allclose(cols, 1 / 45, rtol=1e-6)


def test_tissue_of_only_one_slice_is_unmatched():
    x, fx = _slice(300)
    mask = x[:, 0] < 1.8
    coupling = couple_slices(x, fx, x[mask], fx[mask])
    assert coupling.unmatched_source[~mask].sum() > 0.6 * coupling.unmatched_source.sum()
    complete = couple_slices(x, fx, x[mask], fx[mask], partial=False)
    np.testing.assert_allclose(complete.unmatched_source, 0)


def test_couplings_do_not_depend_on_units_shifts_and_pose():
    (x, fx), (y, fy) = _slice(80), _slice(80, 1)
    coupling = couple_slices(x, fx, y, fy)
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    transformed = couple_slices(
        1e4 * x @ rotation + 5e4, 7 * fx, 1e4 * y @ rotation + 5e4, 7 * fy + 3
    )
    np.testing.assert_array_equal(transformed.cols, coupling.cols)


def test_candidate_pairs_give_almost_the_optimal_cost():
    (x, fx), (y, fy) = _slice(600), _slice(550, 1)
    # the displacement is many times the distance between spots
    y = 1.15 * y + 0.2
    exact = couple_slices(x, fx, y, fy, partial=False)
    sizes = SliceSizes(max_pairs=1000, min_metaspots=100)
    approximate = couple_slices(x, fx, y, fy, partial=False, sizes=sizes)
    assert approximate.shares.sum() > 0.98

    def cost(c):
        points = slice_coupling._joint_points(x, fx, y, fy, 0.9)
        return (
            c.shares * ((points[0][c.rows] - points[1][c.cols]) ** 2).sum(axis=1)
        ).sum() / c.shares.sum()

    assert cost(approximate) == pytest.approx(cost(exact), rel=0.05)


def test_constant_states_are_coupled_by_position():
    (x, _), (y, _) = _slice(30), _slice(30, 1)
    coupling = couple_slices(x, np.zeros((30, 2)), y, np.zeros((30, 2)))
    assert np.isfinite(coupling.shares).all()
    assert coupling.shares.sum() > 0.5


@pytest.mark.parametrize("d", [2, 3])
def test_the_principal_order_does_not_depend_on_the_pose(d):
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, size=(200, d)) * np.arange(1, d + 1)
    order = principal_order(x)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    np.testing.assert_array_equal(principal_order(1e3 * x @ rotation - 50), order)
    steps = np.linalg.norm(np.diff(x[order], axis=0), axis=1)
    assert np.median(steps) < 0.4 * np.median(np.linalg.norm(np.diff(x, axis=0), axis=1))


@pytest.mark.parametrize("partial", [True, False])
def test_tiles_give_almost_the_optimal_cost(partial):
    (x, fx), (y, fy) = _slice(1200), _slice(1100, 1)
    # the density differs between sides, so that mass is transported far
    y = np.c_[3 * (y[:, 0] / 3) ** 1.3, y[:, 1]] * 1.1
    points = slice_coupling._joint_points(x, fx, y, fy, 0.9)

    def objective(c):
        cost = (c.shares * ((points[0][c.rows] - points[1][c.cols]) ** 2).sum(axis=1)).sum()
        return cost + (c.unmatched_source.sum() + c.unmatched_target.sum()) / 2

    exact = couple_slices(x, fx, y, fy, partial=partial)
    sizes = SliceSizes(max_exact_spots=500, tile_size=300)
    approximate = couple_slices(x, fx, y, fy, partial=partial, sizes=sizes)
    rows = (
        np.bincount(approximate.rows, approximate.shares, minlength=1200)
        + approximate.unmatched_source
    )
    cols = (
        np.bincount(approximate.cols, approximate.shares, minlength=1100)
        + approximate.unmatched_target
    )
    np.testing.assert_allclose(rows, 1 / 1200, rtol=1e-6)
    np.testing.assert_allclose(cols, 1 / 1100, rtol=1e-6)
    # the cost of leaving out all spots is 1
    assert objective(approximate) < objective(exact) + 0.01
    assert approximate.shares.sum() > exact.shares.sum() - 0.02
