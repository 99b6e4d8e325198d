"""Kernel means around positions, and subsamples of weighted spots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from scdiffot.core.spatial.between.place_kernel import kernel_width, smoothing_kernel
from scdiffot.core.spatial.between.subsampling import lloyd_step, sample_spots


def _spots(n=900):
    return np.random.default_rng(0).uniform(size=(n, 2)) * np.sqrt(n)


def test_kernel_means_preserve_constants_and_follow_weights():
    spots = _spots()
    places = spots[:50] + 0.3
    kernel = smoothing_kernel(spots, np.ones(900), places, 1.5, 1.0)
    np.testing.assert_allclose(kernel @ np.ones(900), 1)
    weights = np.where(spots[:, 0] < 15, 1e9, 1.0)
    share = smoothing_kernel(spots, weights, np.array([[15.5, 15.0]]), 1.5, 1.0) @ (
        spots[:, 0] < 15
    )
    assert share == pytest.approx(1, abs=1e-6)


def test_the_bandwidth_increases_with_the_noise_of_labels():
    spots = _spots()
    rng = np.random.default_rng(1)

    def width(labels):
        return kernel_width(spots, np.ones(900), np.eye(labels.max() + 1)[labels], 1.0)

    clear_labels = (spots[:, 0] > 15).astype(int)
    noisy_labels = np.where(rng.random(900) < 0.3, 1 - clear_labels, clear_labels)
    # labels that do not depend on position are predicted best by the widest kernel
    assert width(rng.integers(2, size=900)) == pytest.approx(4)
    assert width(clear_labels) < width(noisy_labels)
    assert width(noisy_labels) > 1.5


def test_the_bandwidth_scales_with_the_tissue_and_ignores_spots_without_labels():
    spots = _spots()
    labels = np.eye(3)[np.random.default_rng(2).integers(3, size=900)] * (spots[:, :1] > 10)
    has_label = spots[:, 0] > 10
    width = kernel_width(spots, np.ones(900), labels, 1.0)
    assert kernel_width(7 * spots, np.ones(900), labels, 7.0) == pytest.approx(7 * width)
    assert kernel_width(spots[has_label], np.ones(has_label.sum()), labels[has_label], 1.0) == width
    assert kernel_width(spots, np.ones(900), 0 * labels, 1.0) == 1.0


@pytest.mark.parametrize("d", [2, 3])
def test_a_lloyd_step_reduces_the_quantisation_error(d):
    rng = np.random.default_rng(3)
    spots, weights = rng.normal(size=(600, d)), rng.uniform(size=600)
    rows = sample_spots(spots, weights, 150)
    moved_spots = lloyd_step(spots, weights, rows)

    def quantisation_error(places):
        return weights @ cKDTree(places).query(spots)[0] ** 2

    # a step of Lloyd's algorithm does not increase the quantisation error
    assert quantisation_error(moved_spots) < quantisation_error(spots[rows])


def test_a_lloyd_step_leaves_complete_selections_unchanged():
    spots = _spots(100)
    rows = np.arange(100)
    np.testing.assert_allclose(lloyd_step(spots, np.ones(100), rows), spots)
    np.testing.assert_allclose(
        lloyd_step(spots, np.ones(100), np.repeat(rows, 3)), np.repeat(spots, 3, axis=0)
    )


def test_spots_at_equal_distances_are_shared():
    line = np.column_stack([np.arange(5.0), np.zeros(5)])
    moved_spots = lloyd_step(line, np.ones(5), np.array([0, 2, 4]))
    np.testing.assert_allclose(moved_spots[:, 0], [1 / 3, 2, 11 / 3])
