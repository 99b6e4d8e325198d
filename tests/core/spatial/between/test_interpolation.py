"""Virtual slices between two slices, and distances between slices."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.between.interpolation import (
    interpolate_pair,
    joint_distance,
    median_spacing,
    whole_slice,
)

forms = pytest.mark.parametrize("form", ["displacement", "barycentric"])


def _grid(n=15):
    x = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(float)
    return x, np.c_[np.sin(x[:, 0] / 3), np.cos(x[:, 1] / 4)]


@forms
@pytest.mark.parametrize("t", [0.25, 0.8])
def test_positions_interpolate_a_moving_tissue(form, t):
    x, f = _grid()
    virtual = interpolate_pair(x, f, 1.1 * x + 1, f, t, form=form, smoothing=0, partial=False)
    positions = (1 - t) * x + t * (1.1 * x + 1)
    order = np.lexsort(virtual.positions.T.round(6))
    np.testing.assert_allclose(
        virtual.positions[order], positions[np.lexsort(positions.T.round(6))], atol=1e-9
    )


@forms
def test_rows_of_the_mixture_sum_to_one(form):
    x, f = _grid()
    mask = x[:, 0] < 9
    virtual = interpolate_pair(x, f, x[mask] + 0.3, f[mask], 0.3, form=form)
    np.testing.assert_allclose(virtual.mix(np.ones((len(x), 1)), np.ones((mask.sum(), 1))), 1)
    assert virtual.source.min() >= 0
    assert virtual.target.min() >= 0


@forms
def test_number_of_spots_and_mass_are_interpolated(form):
    x, f = _grid()
    mask = x[:, 0] < 9
    virtual = interpolate_pair(x, f, x[mask], f[mask], 0.25, form=form)
    assert len(virtual.positions) == round(0.75 * 225 + 0.25 * 135)
    assert virtual.weights.sum() == pytest.approx(0.75 * 225 + 0.25 * 135)
    weighted = interpolate_pair(x, f, x[mask], f[mask], 0.25, form=form, masses=(2, 6), n_obs=40)
    assert len(weighted.positions) == 40
    assert weighted.weights.sum() == pytest.approx(3)
    assert np.ptp(weighted.weights) == 0


def test_unmatched_tissue_loses_mass_in_place():
    x, f = _grid()
    mask = x[:, 0] < 11
    shares = [
        (
            interpolate_pair(
                x, f, x[mask], f[mask], t, masses=(225, mask.sum()), n_obs=2000
            ).positions[:, 0]
            > 11.5
        ).mean()
        for t in (0.2, 0.8)
    ]
    assert shares[0] > 2 * shares[1]


def test_smoothing_reduces_the_error_of_expression():
    x, f = _grid()
    rng = np.random.default_rng(0)
    genes = rng.normal(size=(2, len(x))) + f[:, 0]

    def error(smoothing):
        virtual = interpolate_pair(x, f, x, f, 0.5, smoothing=smoothing)
        truth = np.sin(virtual.positions[:, 0] / 3)
        return np.sqrt(((virtual.mix(genes[0], genes[1]) - truth) ** 2).mean())

    # noise of two spots, and of about a dozen spots with smoothing
    assert error(0) == pytest.approx(np.sqrt(0.5), rel=0.15)
    assert error(1) < 0.6 * error(0)


@forms
@pytest.mark.parametrize("seed", range(5))
def test_virtual_slices_do_not_depend_on_units_and_pose(form, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.gamma(2.0, size=(2, 80, 2)) * [2, 1]
    fx, fy = rng.normal(size=(2, 80, 3))
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    virtual = interpolate_pair(x, fx, y, fy, 0.4, form=form)
    transformed = interpolate_pair(
        100 * x @ rotation + 7, 5 * fx, 100 * y @ rotation + 7, 5 * fy, 0.4, form=form
    )
    np.testing.assert_allclose(
        transformed.positions, 100 * virtual.positions @ rotation + 7, rtol=1e-9
    )
    np.testing.assert_allclose(transformed.mix(fx, fy), virtual.mix(fx, fy), atol=1e-8)
    labels = np.eye(3)[rng.integers(3, size=(2, 80))]
    np.testing.assert_allclose(
        transformed.labels(100 * x @ rotation + 7, 100 * y @ rotation + 7, *labels),
        virtual.labels(x, y, *labels),
        atol=1e-8,
    )


@forms
def test_labels_are_those_around_the_position(form):
    x, f = _grid(20)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2, len(x), 3))
    domain = (x[:, 0] > 9.5).astype(int)
    # 30 % of the spots have the wrong label
    noisy_labels = [np.where(rng.random(len(x)) < 0.3, 1 - domain, domain) for _ in range(2)]
    first, second = np.eye(2)[noisy_labels]
    virtual = interpolate_pair(x, states[0], x, states[1], 0.5, form=form)
    shares = virtual.labels(x, x, first, second)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    is_right = virtual.positions[:, 0] > 9.5
    is_wrong = (shares.argmax(axis=1) == 1) != is_right
    # most of a dozen spots are wrong with probability 4 %, and 1/3 in the two columns at the border
    assert is_wrong.mean() < 0.08
    assert is_wrong.mean() < ((virtual.mix(first, second).argmax(axis=1) == 1) != is_right).mean()


def test_spots_far_from_labels_have_no_label():
    x, f = _grid()
    has_label = x[:, 0] < 3
    first = np.where(has_label[:, None], np.eye(2)[(x[:, 1] > 7).astype(int)], 0.0)
    virtual = interpolate_pair(x, f, x, f, 0.5)
    shares = virtual.labels(x, x, first, first)
    # the widest kernel has a radius of 16 spots; for clear labels the narrowest kernel is selected
    assert (shares[virtual.positions[:, 0] > 2 + 16 + 1e-6] == 0).all()
    assert (shares[virtual.positions[:, 0] > 2 + 4 + 1e-6] == 0).all()
    np.testing.assert_allclose(shares[virtual.positions[:, 0] < 0.5].sum(axis=1), 1)
    assert (interpolate_pair(x, f, x, f, 0.5).labels(x, x, 0 * first, 0 * first) == 0).all()


def test_positions_in_three_dimensions_are_interpolated():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 3))
    virtual = interpolate_pair(x, x, x + 0.02, x, 0.5)
    np.testing.assert_allclose(virtual.positions.mean(axis=0), x.mean(axis=0) + 0.01, atol=1e-9)


def test_a_measured_slice_is_its_own_virtual_slice():
    x, _ = _grid()
    virtual = whole_slice(x, 10, mass=2.0)
    np.testing.assert_array_equal(virtual.positions, x)
    np.testing.assert_array_equal(virtual.mix(x, np.ones((10, 2))), x)
    subsample = whole_slice(x, 10, mass=2.0, n_obs=100)
    assert subsample.weights.sum() == pytest.approx(2)
    # systematic sampling selects distinct spots
    assert len(np.unique(subsample.positions, axis=0)) == 100


def test_spacing_ignores_duplicate_positions():
    x, _ = _grid()
    assert median_spacing(np.vstack([x, x]), x + 5) == 1


def test_joint_distance_is_in_units_of_the_true_slice():
    x, f = _grid()
    scale = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert joint_distance(x + [3 * scale, 0], f, x, f) == pytest.approx(3 / np.sqrt(2))
    assert joint_distance(50 * x, 2 * f + 1, 50 * (x + 2), 2 * f) == pytest.approx(
        joint_distance(x, f + 0.5, x + 2, f)
    )
    # the mean of the true slice has distance 1
    centre = np.array([x.mean(axis=0)]), np.array([f.mean(axis=0)])
    assert joint_distance(*centre, x, f) == pytest.approx(1)
