"""Simulated responses to treatments with known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import ot
import pandas as pd
import pytest

from scdiffot import datasets, metrics

if TYPE_CHECKING:
    import anndata as ad

SMALL: dict[str, Any] = {"n_obs": 1200, "n_dims": 10, "n_genes": 30}


def control(adata: ad.AnnData) -> np.ndarray:
    return (adata.obs["condition"] == "control").to_numpy()


def states(adata: ad.AnnData) -> np.ndarray:
    return adata.obsm["X_pca"].astype(float)


def assert_same_population(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
    """The distance of two samples is not larger than after random reassignment of their points."""
    distance, pool, pooled_distances = metrics.wasserstein(x, y), np.concatenate([x, y]), []
    for _ in range(10):
        order = rng.permutation(len(pool))
        pooled_distances.append(metrics.wasserstein(pool[order[: len(x)]], pool[order[len(x) :]]))
    assert distance < np.mean(pooled_distances) + 4 * np.std(pooled_distances, ddof=1)


@pytest.fixture(scope="module")
def default() -> ad.AnnData:
    return datasets.perturbation_response()


@pytest.fixture(scope="module")
def deadly() -> ad.AnnData:
    return datasets.perturbation_response(8000, n_dims=10, n_genes=30, death=0.3, rng=1)


@pytest.fixture(scope="module")
def screen() -> ad.AnnData:
    """Two targets at three doses."""
    return datasets.perturbation_response(
        7000, n_dims=10, n_genes=30, targets=("a", "b"), doses=(0.1, 1, 10), death=0.3, rng=2
    )


def test_treated_controls_are_the_treated_population():
    adata = datasets.perturbation_response(**SMALL)
    is_control, x = control(adata), states(adata)
    shifted_states = x + adata.obsm["true_response"]
    rng = np.random.default_rng(0)
    assert_same_population(shifted_states[is_control], x[~is_control], rng)
    untreated_states = x[~is_control] - adata.obsm["true_response"][~is_control]
    assert_same_population(untreated_states, x[is_control], rng)
    # without the response the populations differ
    shift = np.linalg.norm(x[is_control].mean(axis=0) - x[~is_control].mean(axis=0))
    assert metrics.wasserstein(x[is_control], x[~is_control]) > shift > 2


def test_surviving_controls_are_the_treated_population():
    adata = datasets.perturbation_response(**SMALL, death=0.4, rng=5)
    is_control, x = control(adata), states(adata)
    rng = np.random.default_rng(0)
    shifted_states = (x + adata.obsm["true_response"])[is_control]
    alive = rng.random(len(shifted_states)) < adata.obs["true_survival"].to_numpy()[is_control]
    assert_same_population(shifted_states[alive], x[~is_control], rng)
    # death depends on the state
    w1 = metrics.wasserstein(shifted_states, x[~is_control])
    assert w1 > 1.3 * metrics.wasserstein(shifted_states[alive], x[~is_control])


def test_response_follows_the_law(screen):
    truth, obs = screen.uns["true"], screen.obs
    target = np.where(obs["condition"] == "b", 1, 0)
    dose = np.where(control(screen), 10.0, obs["dose"])
    types = obs["subpopulation"].cat.codes.to_numpy()
    response = screen.obsm["true_response"].astype(float)
    length = np.linalg.norm(response, axis=1)
    np.testing.assert_allclose(
        response, length[:, None] * truth["effect"][target, types], atol=1e-4
    )
    relative = length / (truth["amplitude"][target, types] * 2 * dose / (1 + dose))
    # the change is at most half of the default heterogeneity, and the states span most of this
    # range
    assert relative.min() > 0.7 - 1e-5
    assert relative.max() < 1.3 + 1e-5
    assert relative.std() > 0.1
    assert relative.mean() == pytest.approx(1, abs=0.05)


def test_dose_increases_the_effect_and_saturates(screen):
    length = pd.Series(np.linalg.norm(screen.obsm["true_response"], axis=1), index=screen.obs_names)
    means = length.groupby([screen.obs["condition"], screen.obs["dose"]], observed=True).mean()
    for target in ("a", "b"):
        low, middle, high = means[target]
        assert 3 < middle / low < 8  # equal cells would give 5.5
        assert 1.3 < high / middle < 2.5  # the value of this draw is 1.8
    treated = screen.obs[~control(screen)]
    alive = treated.groupby(["condition", "dose"], observed=True).size() / control(screen).sum()
    # 30 % die at the highest dose, fewer in proportion to the effect; tolerance 5 * 0.3 /
    # sqrt(1,000)
    for target in ("a", "b"):
        np.testing.assert_allclose(
            1 - alive[target], 0.3 * np.array([0.1, 0.55, 1.0]), rtol=0, atol=0.05
        )


def test_responses_to_targets_are_similar_but_not_equal(screen):
    a, b = screen.uns["true"]["effect"]
    cosine = (a * b).sum(axis=1)
    assert (np.abs(cosine) < 0.99).all()
    assert 0.4 < cosine.mean() < 0.95
    means = screen.uns["true"]["amplitude"].mean(axis=1)
    assert means[0] == pytest.approx(5)
    assert 2.5 <= means[1] <= 7.5


def test_numbers_of_cells_show_the_survival(deadly):
    is_control = control(deadly)
    n, death_rate = is_control.sum(), 1 - (~is_control).sum() / is_control.sum()
    # the expected share varies with the cells drawn by about 0.3 / sqrt(n)
    assert death_rate == pytest.approx(0.3, abs=5 * 0.3 / np.sqrt(n))
    assert deadly.obs["true_survival"][is_control].mean() == pytest.approx(
        0.7, abs=5 * 0.3 / np.sqrt(n)
    )
    table = pd.crosstab(deadly.obs["subpopulation"], deadly.obs["condition"])
    survival, expected = table["drug"] / table["control"], deadly.uns["true"]["survival"][0]
    relative_error = np.sqrt(1 / table["drug"] + 1 / table["control"])
    assert (np.abs(survival - expected) < 5 * expected * relative_error).all()
    # selective between subpopulations and within them
    assert expected.max() - expected.min() > 0.3
    assert (
        deadly.obs[is_control].groupby("subpopulation", observed=True)["true_survival"].std().max()
        > 0.05
    )


def test_death_removes_cells_and_leaves_the_others_unchanged():
    alive, dead = (datasets.perturbation_response(**SMALL, death=death) for death in (0.0, 0.3))
    np.testing.assert_array_equal(alive.uns["true"]["amplitude"], dead.uns["true"]["amplitude"])
    genes = [(a.X - a.X[0])[control(a)] for a in (alive, dead)]
    np.testing.assert_allclose(genes[0], genes[1], atol=1e-5)


def test_donors_differ_in_state_and_composition(deadly):
    obs, truth = deadly.obs[control(deadly)], deadly.uns["true"]
    shares = pd.crosstab(obs["donor"], obs["subpopulation"], normalize="index")
    error = np.sqrt(truth["shares"] * (1 - truth["shares"]) / (len(obs) / 3))
    assert (np.abs(shares - truth["shares"]) < 5 * error).all(axis=None)
    assert np.ptp(truth["shares"], axis=0).max() > 0.05

    single_type = datasets.perturbation_response(
        6000, n_dims=10, n_genes=30, n_types=1, donor_shift=2.0
    )
    x, donor = (
        states(single_type)[control(single_type)],
        single_type.obs["donor"].to_numpy()[control(single_type)],
    )
    shifts = single_type.uns["true"]["donor_shifts"]
    np.testing.assert_allclose(np.linalg.norm(shifts, axis=1), 2)
    means = np.stack([x[donor == f"donor_{i + 1}"].mean(axis=0) for i in range(3)])
    # 1,000 cells per donor, with a standard deviation of at most 0.8
    np.testing.assert_allclose(
        means - means[0], shifts - shifts[0], atol=5 * 0.8 * np.sqrt(2 / 1000)
    )
    no_shift = datasets.perturbation_response(**SMALL, donor_shift=0.0)
    assert (no_shift.uns["true"]["donor_shifts"] == 0).all()


def test_options_at_their_limits():
    identical = datasets.perturbation_response(
        **SMALL, shared=1.0, heterogeneity=0.0, separation=0.0, n_donors=1
    )
    response = identical.obsm["true_response"]
    np.testing.assert_allclose(response, np.broadcast_to(response[0], response.shape), atol=1e-5)
    assert np.linalg.norm(response[0]) == pytest.approx(5, rel=1e-5)
    no_shared = datasets.perturbation_response(**SMALL, shared=0.0, heterogeneity=1.0)
    effects = no_shared.uns["true"]["effect"][0]
    # without a shared part, the mean of the unit vectors is almost zero
    assert np.linalg.norm(effects.mean(axis=0)) < 0.4
    assert no_shared.uns["true"]["amplitude"].min() == 0
    few = datasets.perturbation_response(5, n_dims=2, n_genes=2, n_types=1, n_donors=3)
    assert few.n_obs == 4


def test_baselines_leave_the_documented_share_unexplained(default):
    is_control, x = control(default), states(default)
    response = default.obsm["true_response"][is_control]
    x, y = x[is_control], x[~is_control]

    def unexplained(predicted: np.ndarray) -> float:
        return float(np.square(predicted - response).sum() / np.square(response).sum())

    def root(a: np.ndarray, power: float = 0.5) -> np.ndarray:
        values, vectors = np.linalg.eigh(a)
        return (vectors * values**power) @ vectors.T

    assert unexplained(y.mean(axis=0) - x.mean(axis=0)) == pytest.approx(0.70, abs=0.02)
    half, inverse = root(np.cov(x.T)), root(np.cov(x.T), -0.5)
    monge = inverse @ root(half @ np.cov(y.T) @ half) @ inverse
    assert unexplained(y.mean(axis=0) + (x - x.mean(axis=0)) @ monge - x) == pytest.approx(
        0.48, abs=0.02
    )
    weights = np.full(len(x), 1 / len(x))
    plan = ot.emd(weights, weights, ot.dist(x, y), numItermax=10_000_000)
    assert unexplained(plan @ y * len(x) - x) == pytest.approx(0.48, abs=0.03)
