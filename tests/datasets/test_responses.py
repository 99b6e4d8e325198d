"""Simulated responses to treatments with known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from scdiffot import datasets, metrics
from scdiffot._data.read.extract import locate
from scdiffot._data.write.decoders import _read_pca

if TYPE_CHECKING:
    from scdiffot._data.write.decoders import GeneSpace

SMALL: dict[str, Any] = {"n_obs": 1200, "n_dims": 10, "n_genes": 30}


def control(adata: ad.AnnData) -> np.ndarray:
    return (adata.obs["condition"] == "control").to_numpy()


def states(adata: ad.AnnData) -> np.ndarray:
    return adata.obsm["X_pca"].astype(float)


def decoder(adata: ad.AnnData) -> GeneSpace:
    return _read_pca(
        locate(adata, "X_pca"), adata.varm["PCs"], adata.uns["pca"], adata.obsm["X_pca"].shape[1]
    )


def assert_same_population(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
    """The distance of two samples is not larger than after random reassignment of their points."""
    distance, pooled, pooled_distances = metrics.wasserstein(x, y), np.concatenate([x, y]), []
    for _ in range(10):
        order = rng.permutation(len(pooled))
        pooled_distances.append(
            metrics.wasserstein(pooled[order[: len(x)]], pooled[order[len(x) :]])
        )
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


# --- stored entries


def test_layout(default, tmp_path):
    assert default.shape == (4000, 200)
    assert default.X.dtype == np.float32
    assert default.X.min() >= 0
    assert default.obs_names.is_unique
    assert default.obs["condition"].cat.categories.tolist() == ["control", "drug"]
    assert default.obs["donor"].cat.categories.tolist() == ["donor_1", "donor_2", "donor_3"]
    assert len(default.obs["subpopulation"].cat.categories) == 5
    assert default.obs.groupby("condition", observed=True)["dose"].unique().map(list).to_dict() == {
        "control": [0.0],
        "drug": [1.0],
    }
    assert default.obsm["true_response"].shape == default.obsm["X_pca"].shape == (4000, 50)
    assert (default.obs["true_survival"] == 1).all()
    table = pd.crosstab(default.obs["donor"], default.obs["condition"])
    # the same number of cells of every donor in both conditions
    assert (table["control"] == table["drug"]).all()
    default.write_h5ad(tmp_path / "a.h5ad")
    from_file = ad.read_h5ad(tmp_path / "a.h5ad")
    assert set(from_file.uns["true"]) == {
        "amplitude",
        "effect",
        "survival",
        "shares",
        "donor_shifts",
    }


def test_coordinates_are_the_principal_components(default):
    pcs, x = default.varm["PCs"], default.X.astype(float)
    np.testing.assert_allclose(pcs.T @ pcs, np.eye(50), atol=1e-10)
    np.testing.assert_allclose((x - x.mean(axis=0)) @ pcs, default.obsm["X_pca"], atol=1e-4)
    other = default.copy()
    sc.pp.pca(other, n_comps=50)
    np.testing.assert_allclose(
        other.uns["pca"]["variance"], default.uns["pca"]["variance"], rtol=1e-4
    )
    np.testing.assert_allclose(
        other.uns["pca"]["variance_ratio"], default.uns["pca"]["variance_ratio"], rtol=1e-4
    )
    # the same axes, up to sign, if their variances differ enough
    np.testing.assert_allclose(np.abs((other.varm["PCs"] * pcs).sum(axis=0))[:5], 1, atol=1e-4)


def test_genes_decode_exactly(default):
    np.testing.assert_allclose(decoder(default).decode(default.obsm["X_pca"]), default.X, atol=1e-4)
    part = default[(default.obs["donor"] == "donor_1") & control(default)].copy()
    np.testing.assert_allclose(decoder(part).decode(part.obsm["X_pca"]), part.X, atol=1e-4)


@pytest.mark.parametrize("n_obs", [400, 2000])
def test_law_does_not_depend_on_the_number_of_cells(n_obs):
    small, large = (
        datasets.perturbation_response(n, n_dims=8, n_genes=20, death=0.2) for n in (n_obs, 600)
    )
    for name in ("amplitude", "survival", "shares"):
        np.testing.assert_array_equal(small.uns["true"][name], large.uns["true"][name])
    # effects in genes, which do not depend on the rotation to the components of the sample
    genes = [a.uns["true"]["effect"] @ a.varm["PCs"].T for a in (small, large)]
    np.testing.assert_allclose(genes[0], genes[1], atol=1e-10)


def test_seeds_reproduce():
    first, second, other = (datasets.perturbation_response(**SMALL, rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.X, second.X)
    assert (first.X != other.X).any()
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(datasets.perturbation_response(**SMALL, rng=generator).X, first.X)
    assert (datasets.perturbation_response(**SMALL, rng=generator).X != first.X).any()


# --- truth


def test_treated_controls_are_the_treated_population():
    adata = datasets.perturbation_response(**SMALL)
    is_control, x = control(adata), states(adata)
    shifted_states = x + adata.obsm["true_response"]
    rng = np.random.default_rng(0)
    assert_same_population(shifted_states[is_control], x[~is_control], rng)
    before = x[~is_control] - adata.obsm["true_response"][~is_control]
    assert_same_population(before, x[is_control], rng)
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


def test_targets_are_alike_but_not_the_same(screen):
    a, b = screen.uns["true"]["effect"]
    cosine = (a * b).sum(axis=1)
    assert (np.abs(cosine) < 0.99).all()
    assert 0.4 < cosine.mean() < 0.95
    means = screen.uns["true"]["amplitude"].mean(axis=1)
    assert means[0] == pytest.approx(5)
    assert 2.5 <= means[1] <= 7.5


def test_numbers_of_cells_carry_the_survival(deadly):
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


def test_death_takes_cells_and_changes_no_other():
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


def test_default_is_as_hard_as_documented(default):
    ot = pytest.importorskip("ot")
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


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"n_obs": 3}, ValueError, "`n_obs` is 3: pass a whole number of at least 4"),
        ({"n_dims": 1}, ValueError, "`n_dims` is 1"),
        ({"n_genes": 20}, ValueError, "`n_genes` is 20: pass a whole number of at least 50"),
        ({"n_types": 0}, ValueError, "`n_types` is 0"),
        ({"n_donors": 1.5}, ValueError, "`n_donors` is 1.5"),
        ({"targets": "drug"}, TypeError, "`targets` is 'drug': pass a sequence of names"),
        ({"targets": (1,)}, TypeError, r"`targets` is \(1,\)"),
        ({"targets": ()}, ValueError, r"`targets` is \(\)"),
        ({"targets": ("a", "a")}, ValueError, "each once"),
        ({"targets": ("control",)}, ValueError, "other than 'control'"),
        ({"doses": 1.0}, ValueError, "`doses` is 1.0"),
        ({"doses": (0.0, 1.0)}, ValueError, "pass a sequence of positive"),
        ({"doses": (1.0, 1.0)}, ValueError, "pass every dose once"),
        ({"shared": 1.1}, ValueError, "`shared` is 1.1: .* at most 1"),
        ({"heterogeneity": -0.1}, ValueError, "`heterogeneity` is -0.1"),
        ({"separation": np.nan}, ValueError, "`separation` is nan"),
        ({"donor_shift": np.inf}, ValueError, "`donor_shift` is inf"),
        ({"death": 1.0}, ValueError, "`death` is 1: nothing would be left"),
        ({"death": "all"}, ValueError, "`death` is 'all'"),
    ],
)
def test_wrong_input_is_named(arguments, error, match):
    with pytest.raises(error, match=match):
        datasets.perturbation_response(**arguments)
