"""Summaries of neighbourhoods on a grid, and their invariance to units and pose."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core.spatial.domains.neighbourhoods import (
    aggregate,
    averaging,
    n_averaged,
    nearest_spots,
    spatial_components,
)


def _grid(n: int = 14) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2).astype(float)


def _interior_mask(positions: np.ndarray, margin: float = 4.5) -> np.ndarray:
    return ((positions > margin) & (positions < positions.max() - margin)).all(axis=1)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(("n_required", "n_linked"), [(4, 4), (6, 8), (8, 8), (12, 12)])
def test_tied_spots_of_a_grid_are_all_neighbours(n_required, n_linked):
    grid = _grid()
    links = nearest_spots(grid, n_required)
    assert set(links.sum(axis=1)[_interior_mask(grid)]) == {n_linked}
    rotated_links = nearest_spots(1e4 * grid @ _rotation(0.7).T - 3e6, n_required)
    assert (links != rotated_links).nnz == 0


def test_links_are_symmetric_and_have_no_loops():
    positions = np.random.default_rng(0).normal(size=(200, 2))
    positions[:30] = positions[30:60]
    links = nearest_spots(positions, 5)
    assert (links != links.T).nnz == 0
    assert links.diagonal().max() == 0
    assert links.sum(axis=1).min() >= 5
    np.testing.assert_allclose(averaging(links).sum(axis=1), 1)


def test_with_fewer_spots_than_neighbours_all_are_linked():
    assert nearest_spots(np.eye(3, 2), 12).sum() == 6
    assert nearest_spots(np.zeros((1, 2)), 12).nnz == 0


def test_linear_states_have_their_mean_gradient_and_variance():
    grid = _grid()
    values = grid @ np.array([[2.0, 0.0], [1.0, -3.0]]) + 100
    links = nearest_spots(grid, 4)
    result = aggregate(
        grid, values, links, np.zeros(len(grid), int), n_hops=1, channels=("variance", "gradient")
    )
    interior = _interior_mask(grid)
    np.testing.assert_allclose(result.mean[interior], values[interior])
    first, second = links.nonzero()
    # ties at the edge are more distant
    unit = np.sqrt(((grid[first] - grid[second]) ** 2).sum(axis=1).mean())
    slopes = unit * np.array([5**0.5, 3.0])
    np.testing.assert_allclose(
        result.gradient[interior], np.tile(slopes, (interior.sum(), 1)), rtol=5e-3
    )
    # two of a spot and its four neighbours differ by the slope along each axis
    np.testing.assert_allclose(
        result.variance[interior] ** 2, np.tile([2 * 5 / 5, 2 * 9 / 5], (interior.sum(), 1))
    )


def test_channels_do_not_depend_on_unit_and_pose():
    rng = np.random.default_rng(1)
    positions, values = rng.uniform(size=(300, 2)), rng.normal(size=(300, 3))
    transformed = 250 * positions @ _rotation(2.0).T * [1, -1] + [1e4, -5e3]
    reference, result = (
        aggregate(
            p,
            values,
            nearest_spots(p, 6),
            np.zeros(300, int),
            n_hops=2,
            channels=("variance", "gradient"),
        )
        for p in (positions, transformed)
    )
    for channel in ("mean", "variance", "gradient"):
        np.testing.assert_allclose(
            getattr(reference, channel), getattr(result, channel), rtol=1e-6, atol=1e-9
        )


def test_the_effective_number_of_spots_is_that_of_the_weights():
    links = nearest_spots(np.random.default_rng(0).uniform(size=(2000, 2)), 8)
    weights = averaging(links) @ averaging(links)
    exact = links.shape[0] / weights.power(2).sum()
    # 32 samples of noise at 2,000 spots
    assert n_averaged(links, 2, rng=np.random.default_rng(0)) == pytest.approx(exact, rel=0.05)
    assert n_averaged(links, 0, rng=np.random.default_rng(0)) == 1


def _simulate_patterns(
    rng: np.random.Generator, n: int = 1500
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states with two spatial patterns and eight dimensions of noise."""
    positions = rng.uniform(size=(n, 2))
    pattern = np.stack([np.sin(6 * positions[:, 0]), positions[:, 1] > 0.5], axis=1)
    noise = rng.normal(size=(n, 8)) * np.array([8, 4, 2, 1, 1, 1, 1, 1])
    states = np.hstack([pattern + rng.normal(size=(n, 2)), noise])
    return positions, pattern - pattern.mean(axis=0), states


def test_components_are_the_spatial_patterns_only():
    rng = np.random.default_rng(2)
    positions, pattern, states = _simulate_patterns(rng)
    linear_map = rng.normal(size=(10, 10))
    links = nearest_spots(positions, 12)
    n_effective = n_averaged(links, 2, rng=rng)
    codes = np.zeros(len(states), dtype=int)
    results = []
    for values in (states, 1e3 * states @ linear_map + 7):
        means = aggregate(positions, values, links, codes, n_hops=2).mean
        result = spatial_components(values, means, codes, n_averaged=n_effective)
        assert result.loadings.shape == (10, 2)
        assert result.shares.min() > result.noise
        results.append((means - means.mean(axis=0)) @ result.loadings)
    # components are invariant to linear maps of the representation
    np.testing.assert_allclose(np.abs(results[0]), np.abs(results[1]), rtol=1e-4, atol=1e-6)
    smooth_pattern = aggregate(positions, pattern, links, codes, n_hops=2).mean
    coefficients = np.linalg.lstsq(results[0], smooth_pattern, rcond=None)[0]
    # the residual is the remaining noise, of variance 1 in both patterns
    expected_residual = 2 / n_effective / smooth_pattern.var(axis=0).sum()
    assert ((smooth_pattern - results[0] @ coefficients) ** 2).sum() / (
        smooth_pattern**2
    ).sum() == pytest.approx(expected_residual, rel=0.35)


def test_noise_has_the_minimum_of_two_components():
    rng = np.random.default_rng(3)
    positions, states = rng.uniform(size=(800, 2)), rng.normal(size=(800, 20))
    links = nearest_spots(positions, 12)
    codes = np.repeat([0, 1], 400)
    means = aggregate(positions, states, links, codes, n_hops=2).mean
    n_effective = n_averaged(links, 2, rng=rng)
    result = spatial_components(states, means, codes, n_averaged=n_effective)
    assert result.loadings.shape == (20, 2)
    # the Marchenko-Pastur edge is asymptotic
    assert result.shares[0] < 1.2 * result.noise


def test_columns_without_variance_have_no_weight():
    rng = np.random.default_rng(4)
    positions, _, states = _simulate_patterns(rng, 300)
    states[:, 4] = 1.0
    links = nearest_spots(positions, 6)
    codes = np.zeros(300, dtype=int)
    means = aggregate(positions, states, links, codes, n_hops=1).mean
    result = spatial_components(states, means, codes, n_averaged=7, n_components=3)
    assert np.isfinite(result.loadings).all()
    np.testing.assert_allclose(result.loadings[4], 0, atol=1e-9)
