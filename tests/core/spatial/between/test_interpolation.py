from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.between.interpolation import (
    interpolate_pair,
    joint_distance,
    spacing,
    whole_slice,
)

forms = pytest.mark.parametrize("form", ["displacement", "barycentric"])


def _grid(n=15):
    x = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(float)
    return x, np.c_[np.sin(x[:, 0] / 3), np.cos(x[:, 1] / 4)]


@forms
@pytest.mark.parametrize("t", [0.25, 0.8])
def test_a_moving_tissue_is_met_on_its_way(form, t):
    x, f = _grid()
    made = interpolate_pair(x, f, 1.1 * x + 1, f, t, form=form, smoothing=0, partial=False)
    expected = (1 - t) * x + t * (1.1 * x + 1)
    order = np.lexsort(made.positions.T.round(6))
    np.testing.assert_allclose(
        made.positions[order], expected[np.lexsort(expected.T.round(6))], atol=1e-9
    )


@forms
def test_rows_of_the_mixture_sum_to_one(form):
    x, f = _grid()
    part = x[:, 0] < 9
    made = interpolate_pair(x, f, x[part] + 0.3, f[part], 0.3, form=form)
    np.testing.assert_allclose(made.mix(np.ones((len(x), 1)), np.ones((part.sum(), 1))), 1)
    assert made.source.min() >= 0
    assert made.target.min() >= 0


@forms
def test_number_of_spots_and_mass_lie_between(form):
    x, f = _grid()
    part = x[:, 0] < 9
    made = interpolate_pair(x, f, x[part], f[part], 0.25, form=form)
    assert len(made.positions) == round(0.75 * 225 + 0.25 * 135)
    assert made.weights.sum() == pytest.approx(0.75 * 225 + 0.25 * 135)
    heavy = interpolate_pair(x, f, x[part], f[part], 0.25, form=form, masses=(2, 6), n_obs=40)
    assert len(heavy.positions) == 40
    assert heavy.weights.sum() == pytest.approx(3)
    assert np.ptp(heavy.weights) == 0


def test_tissue_of_one_slice_fades_in_its_place():
    x, f = _grid()
    part = x[:, 0] < 11
    lost = [
        (
            interpolate_pair(
                x, f, x[part], f[part], t, masses=(225, part.sum()), n_obs=2000
            ).positions[:, 0]
            > 11.5
        ).mean()
        for t in (0.2, 0.8)
    ]
    assert lost[0] > 2 * lost[1]


def test_smoothing_brings_expression_nearer_to_its_mean():
    x, f = _grid()
    rng = np.random.default_rng(0)
    genes = rng.normal(size=(2, len(x))) + f[:, 0]

    def error(smoothing):
        made = interpolate_pair(x, f, x, f, 0.5, smoothing=smoothing)
        truth = np.sin(made.positions[:, 0] / 3)
        return np.sqrt(((made.mix(genes[0], genes[1]) - truth) ** 2).mean())

    # two draws of noise, then about a dozen of them
    assert error(0) == pytest.approx(np.sqrt(0.5), rel=0.15)
    assert error(1) < 0.6 * error(0)


@forms
@pytest.mark.parametrize("seed", range(5))
def test_units_and_pose_do_not_matter(form, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.gamma(2.0, size=(2, 80, 2)) * [2, 1]
    fx, fy = rng.normal(size=(2, 80, 3))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    made = interpolate_pair(x, fx, y, fy, 0.4, form=form)
    again = interpolate_pair(100 * x @ turn + 7, 5 * fx, 100 * y @ turn + 7, 5 * fy, 0.4, form=form)
    np.testing.assert_allclose(again.positions, 100 * made.positions @ turn + 7, rtol=1e-9)
    np.testing.assert_allclose(again.mix(fx, fy), made.mix(fx, fy), atol=1e-8)
    labels = np.eye(3)[rng.integers(3, size=(2, 80))]
    np.testing.assert_allclose(
        again.labels(100 * x @ turn + 7, 100 * y @ turn + 7, *labels),
        made.labels(x, y, *labels),
        atol=1e-8,
    )


@forms
def test_labels_are_those_of_the_place(form):
    x, f = _grid(20)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2, len(x), 3))
    domain = (x[:, 0] > 9.5).astype(int)
    # three of ten spots have the wrong label
    noisy = [np.where(rng.random(len(x)) < 0.3, 1 - domain, domain) for _ in range(2)]
    first, second = np.eye(2)[noisy]
    made = interpolate_pair(x, states[0], x, states[1], 0.5, form=form)
    shares = made.labels(x, x, first, second)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    true = made.positions[:, 0] > 9.5
    wrong = (shares.argmax(axis=1) == 1) != true
    # Of a dozen spots, most are wrong in 4 %, and a third of them in the two columns of twenty at the border.
    assert wrong.mean() < 0.08
    assert wrong.mean() < ((made.mix(first, second).argmax(axis=1) == 1) != true).mean()


def test_what_has_no_label_stays_without():
    x, f = _grid()
    labelled = x[:, 0] < 3
    first = np.where(labelled[:, None], np.eye(2)[(x[:, 1] > 7).astype(int)], 0.0)
    made = interpolate_pair(x, f, x, f, 0.5)
    shares = made.labels(x, x, first, first)
    # the widest kernel tried ends 4 times 4 spots away; of clear labels the narrowest is found
    assert (shares[made.positions[:, 0] > 2 + 16 + 1e-6] == 0).all()
    assert (shares[made.positions[:, 0] > 2 + 4 + 1e-6] == 0).all()
    np.testing.assert_allclose(shares[made.positions[:, 0] < 0.5].sum(axis=1), 1)
    assert (interpolate_pair(x, f, x, f, 0.5).labels(x, x, 0 * first, 0 * first) == 0).all()


def test_three_dimensions():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(60, 3))
    made = interpolate_pair(x, x, x + 0.02, x, 0.5)
    np.testing.assert_allclose(made.positions.mean(axis=0), x.mean(axis=0) + 0.01, atol=1e-9)


def test_whole_slice():
    x, _ = _grid()
    made = whole_slice(x, 10, mass=2.0)
    np.testing.assert_array_equal(made.positions, x)
    np.testing.assert_array_equal(made.mix(x, np.ones((10, 2))), x)
    thinned = whole_slice(x, 10, mass=2.0, n_obs=100)
    assert thinned.weights.sum() == pytest.approx(2)
    # evenly thinned, no two of the spots are the same
    assert len(np.unique(thinned.positions, axis=0)) == 100


def test_spacing_passes_over_spots_at_one_place():
    x, _ = _grid()
    assert spacing(np.vstack([x, x]), x + 5) == 1


def test_joint_distance_of_a_shift():
    x, f = _grid()
    scale = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert joint_distance(x + [3 * scale, 0], f, x, f) == pytest.approx(3 / np.sqrt(2))
    assert joint_distance(50 * x, 2 * f + 1, 50 * (x + 2), 2 * f) == pytest.approx(
        joint_distance(x, f + 0.5, x + 2, f)
    )
    # the mean of the true slice is 1 away
    middle = np.array([x.mean(axis=0)]), np.array([f.mean(axis=0)])
    assert joint_distance(*middle, x, f) == pytest.approx(1)
