"""Averages over surroundings, against what they must be on a grid and under changes of unit and pose."""

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


def _inside(positions: np.ndarray, margin: float = 4.5) -> np.ndarray:
    return ((positions > margin) & (positions < positions.max() - margin)).all(axis=1)


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(("wanted", "found"), [(4, 4), (6, 8), (8, 8), (12, 12)])
def test_ties_of_a_grid_are_neighbours_all_or_none(wanted, found):
    grid = _grid()
    links = nearest_spots(grid, wanted)
    assert set(links.sum(axis=1)[_inside(grid)]) == {found}
    turned = nearest_spots(1e4 * grid @ _turn(0.7).T - 3e6, wanted)
    assert (links != turned).nnz == 0


def test_links_are_mutual_and_never_to_oneself():
    positions = np.random.default_rng(0).normal(size=(200, 2))
    positions[:30] = positions[30:60]
    links = nearest_spots(positions, 5)
    assert (links != links.T).nnz == 0
    assert links.diagonal().max() == 0
    assert links.sum(axis=1).min() >= 5
    np.testing.assert_allclose(averaging(links).sum(axis=1), 1)


def test_fewer_spots_than_neighbours():
    assert nearest_spots(np.eye(3, 2), 12).sum() == 6
    assert nearest_spots(np.zeros((1, 2)), 12).nnz == 0


def test_a_plane_is_its_own_mean_and_has_its_slope():
    grid = _grid()
    values = grid @ np.array([[2.0, 0.0], [1.0, -3.0]]) + 100
    links = nearest_spots(grid, 4)
    found = aggregate(
        grid, values, links, np.zeros(len(grid), int), n_hops=1, channels=("variance", "gradient")
    )
    inside = _inside(grid)
    np.testing.assert_allclose(found.mean[inside], values[inside])
    first, second = links.nonzero()
    # spots at the edge are linked farther
    unit = np.sqrt(((grid[first] - grid[second]) ** 2).sum(axis=1).mean())
    slopes = unit * np.array([5**0.5, 3.0])
    np.testing.assert_allclose(
        found.gradient[inside], np.tile(slopes, (inside.sum(), 1)), rtol=5e-3
    )
    # of the spot and its four neighbours, two differ by the slope along each axis
    np.testing.assert_allclose(
        found.variance[inside] ** 2, np.tile([2 * 5 / 5, 2 * 9 / 5], (inside.sum(), 1))
    )


def test_channels_do_not_depend_on_unit_and_pose():
    rng = np.random.default_rng(1)
    positions, values = rng.uniform(size=(300, 2)), rng.normal(size=(300, 3))
    moved = 250 * positions @ _turn(2.0).T * [1, -1] + [1e4, -5e3]
    one, other = (
        aggregate(
            p,
            values,
            nearest_spots(p, 6),
            np.zeros(300, int),
            n_hops=2,
            channels=("variance", "gradient"),
        )
        for p in (positions, moved)
    )
    for channel in ("mean", "variance", "gradient"):
        np.testing.assert_allclose(
            getattr(one, channel), getattr(other, channel), rtol=1e-6, atol=1e-9
        )


def test_spots_averaged_are_those_of_the_weights():
    links = nearest_spots(np.random.default_rng(0).uniform(size=(2000, 2)), 8)
    weights = averaging(links) @ averaging(links)
    exact = links.shape[0] / weights.power(2).sum()
    # 32 draws of noise at 2000 spots
    assert n_averaged(links, 2, rng=np.random.default_rng(0)) == pytest.approx(exact, rel=0.05)
    assert n_averaged(links, 0, rng=np.random.default_rng(0)) == 1


def _planted(rng: np.random.Generator, n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two patterns in space beside eight dimensions of noise, some of it strong."""
    positions = rng.uniform(size=(n, 2))
    pattern = np.stack([np.sin(6 * positions[:, 0]), positions[:, 1] > 0.5], axis=1)
    noise = rng.normal(size=(n, 8)) * np.array([8, 4, 2, 1, 1, 1, 1, 1])
    states = np.hstack([pattern + rng.normal(size=(n, 2)), noise])
    return positions, pattern - pattern.mean(axis=0), states


def test_components_are_the_patterns_and_no_more():
    rng = np.random.default_rng(2)
    positions, pattern, states = _planted(rng)
    mixing = rng.normal(size=(10, 10))
    links = nearest_spots(positions, 12)
    averaged = n_averaged(links, 2, rng=rng)
    codes = np.zeros(len(states), dtype=int)
    results = []
    for values in (states, 1e3 * states @ mixing + 7):
        means = aggregate(positions, values, links, codes, n_hops=2).mean
        found = spatial_components(values, means, codes, n_averaged=averaged)
        assert found.loadings.shape == (10, 2)
        assert found.shares.min() > found.noise
        results.append((means - means.mean(axis=0)) @ found.loadings)
    # whatever linear map the representation went through
    np.testing.assert_allclose(np.abs(results[0]), np.abs(results[1]), rtol=1e-4, atol=1e-6)
    smooth = aggregate(positions, pattern, links, codes, n_hops=2).mean
    fitted = np.linalg.lstsq(results[0], smooth, rcond=None)[0]
    # what is left of the noise, of variance 1 in both
    missed = 2 / averaged / smooth.var(axis=0).sum()
    assert ((smooth - results[0] @ fitted) ** 2).sum() / (smooth**2).sum() == pytest.approx(
        missed, rel=0.35
    )


def test_noise_has_no_components_but_the_least_two():
    rng = np.random.default_rng(3)
    positions, states = rng.uniform(size=(800, 2)), rng.normal(size=(800, 20))
    links = nearest_spots(positions, 12)
    codes = np.repeat([0, 1], 400)
    means = aggregate(positions, states, links, codes, n_hops=2).mean
    averaged = n_averaged(links, 2, rng=rng)
    found = spatial_components(states, means, codes, n_averaged=averaged)
    assert found.loadings.shape == (20, 2)
    # the law of Marchenko and Pastur holds where there are many
    assert found.shares[0] < 1.2 * found.noise


def test_columns_without_variance_have_no_weight():
    rng = np.random.default_rng(4)
    positions, _, states = _planted(rng, 300)
    states[:, 4] = 1.0
    links = nearest_spots(positions, 6)
    codes = np.zeros(300, dtype=int)
    means = aggregate(positions, states, links, codes, n_hops=1).mean
    found = spatial_components(states, means, codes, n_averaged=7, n_components=3)
    assert np.isfinite(found.loadings).all()
    np.testing.assert_allclose(found.loadings[4], 0, atol=1e-9)
