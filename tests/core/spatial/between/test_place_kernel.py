"""Means over what lies around a place, and few spots that stand for many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from scdiffot.core.spatial.between.place_kernel import kernel_width, smoothing_kernel
from scdiffot.core.spatial.between.spread import settle, spread


def _spots(n=900):
    return np.random.default_rng(0).uniform(size=(n, 2)) * np.sqrt(n)


def test_a_constant_is_its_mean_and_weights_count():
    spots = _spots()
    places = spots[:50] + 0.3
    kernel = smoothing_kernel(spots, np.ones(900), places, 1.5, 1.0)
    np.testing.assert_allclose(kernel @ np.ones(900), 1)
    heavy = np.where(spots[:, 0] < 15, 1e9, 1.0)
    left = smoothing_kernel(spots, heavy, np.array([[15.5, 15.0]]), 1.5, 1.0) @ (spots[:, 0] < 15)
    assert left == pytest.approx(1, abs=1e-6)


def test_the_width_follows_the_labels():
    spots = _spots()
    rng = np.random.default_rng(1)

    def width(labels):
        return kernel_width(spots, np.ones(900), np.eye(labels.max() + 1)[labels], 1.0)

    clear = (spots[:, 0] > 15).astype(int)
    noisy = np.where(rng.random(900) < 0.3, 1 - clear, clear)
    # labels that place says nothing about are told best by all that are considered
    assert width(rng.integers(2, size=900)) == pytest.approx(4)
    assert width(clear) < width(noisy)
    assert width(noisy) > 1.5


def test_the_width_scales_with_the_tissue_and_passes_over_spots_without_labels():
    spots = _spots()
    labels = np.eye(3)[np.random.default_rng(2).integers(3, size=900)] * (spots[:, :1] > 10)
    rest = spots[:, 0] > 10
    here = kernel_width(spots, np.ones(900), labels, 1.0)
    assert kernel_width(7 * spots, np.ones(900), labels, 7.0) == pytest.approx(7 * here)
    assert kernel_width(spots[rest], np.ones(rest.sum()), labels[rest], 1.0) == here
    assert kernel_width(spots, np.ones(900), 0 * labels, 1.0) == 1.0


@pytest.mark.parametrize("d", [2, 3])
def test_spots_that_settle_are_nearer_to_what_they_stand_for(d):
    rng = np.random.default_rng(3)
    spots, weights = rng.normal(size=(600, d)), rng.uniform(size=600)
    chosen = spread(spots, weights, 150)
    settled = settle(spots, weights, chosen)

    def apart(places):
        return weights @ cKDTree(places).query(spots)[0] ** 2

    # Lloyd's step never makes that more
    assert apart(settled) < apart(spots[chosen])


def test_spots_that_stand_for_themselves_stay():
    spots = _spots(100)
    every = np.arange(100)
    np.testing.assert_allclose(settle(spots, np.ones(100), every), spots)
    np.testing.assert_allclose(
        settle(spots, np.ones(100), np.repeat(every, 3)), np.repeat(spots, 3, axis=0)
    )


def test_a_spot_between_others_is_shared():
    line = np.column_stack([np.arange(5.0), np.zeros(5)])
    settled = settle(line, np.ones(5), np.array([0, 2, 4]))
    np.testing.assert_allclose(settled[:, 0], [1 / 3, 2, 11 / 3])
