from __future__ import annotations

import anndata
import numpy as np
import pytest

from scdiffot import datasets
from scdiffot.datasets._simulated import laws as _laws

SIMULATORS = {
    "misa": datasets.misa,
    "gene_network": datasets.gene_network,
    "gaussian_mixture": datasets.gaussian_mixture,
}
LAWS = {
    "misa": _laws.misa_law(),
    "gene_network": _laws.gene_network_law(),
    "gaussian_mixture": _laws.gaussian_mixture_law(10, 0.1),
}

every_simulator = pytest.mark.parametrize("name", list(SIMULATORS))


@pytest.fixture(scope="module")
def simulations() -> dict[str, anndata.AnnData]:
    return {name: simulate() for name, simulate in SIMULATORS.items()}


# --- stored entries


@every_simulator
def test_layout(simulations, name):
    adata = simulations[name]
    assert adata.X.dtype == np.float32
    assert adata.obs_names.is_unique
    assert adata.obs["time"].dtype == np.float64
    assert adata.obs["time"].is_monotonic_increasing
    assert adata.obs["time_label"].dtype.ordered
    assert adata.obs["cell_type"].dtype == "category"
    assert adata.obsm["true_drift"].shape == adata.shape
    assert np.isfinite(adata.X).all()


@every_simulator
def test_truth_is_the_law_at_the_cells(simulations, name):
    adata, law = simulations[name], LAWS[name]
    for t in adata.uns["true"]["times"]:
        rows = (adata.obs["time"] == t).to_numpy()
        x = adata.X[rows].astype(float)
        # cells are stored in single precision, which the mixture's steep fields amplify
        np.testing.assert_allclose(
            adata.obsm["true_drift"][rows], law.drift(x, t), rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(
            adata.obs["true_growth"][rows], law.growth(x, t), rtol=1e-3, atol=1e-4
        )
    np.testing.assert_array_equal(adata.uns["true"]["sigma"], law.sigma)


@every_simulator
def test_masses_are_the_counts(simulations, name):
    adata = simulations[name]
    counts = adata.obs["time"].value_counts(sort=False).to_numpy()
    np.testing.assert_allclose(adata.uns["true"]["masses"], counts / counts[0])


@every_simulator
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
def test_round_trip(simulations, name, suffix, tmp_path):
    adata, path = simulations[name], tmp_path / f"a.{suffix}"
    getattr(adata, f"write_{suffix}")(path)
    repeat = getattr(anndata, f"read_{suffix}")(path)
    np.testing.assert_array_equal(repeat.X, adata.X)
    assert set(repeat.uns["true"]["params"]) == set(adata.uns["true"]["params"])


@every_simulator
def test_seeds_reproduce(name):
    simulate = SIMULATORS[name]
    first, second, other = (simulate(n_obs=40, rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.X, second.X)
    assert first.shape != other.shape or (first.X != other.X).any()
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(simulate(n_obs=40, rng=generator).X, first.X)
    assert not np.array_equal(simulate(n_obs=40, rng=generator).X[:40], first.X[:40])


@every_simulator
def test_any_times_and_sizes(name):
    adata = SIMULATORS[name](n_obs=30, times=(0.5, 0.75))
    assert adata.obs["time"].unique().tolist() == [0.5, 0.75]
    assert adata.obs["time_label"].cat.categories.tolist() == ["0.5", "0.75"]
    assert SIMULATORS[name](n_obs=30, times=[0]).obs["time"].unique().tolist() == [0]


@every_simulator
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_obs": 0}, "`n_obs` is 0"),
        ({"n_obs": 10.5}, "`n_obs` is a float"),
        ({"times": (1, 0)}, r"`times` is \(1, 0\)"),
        ({"times": ()}, r"`times` is \(\)"),
        ({"times": (0, np.nan)}, r"`times\[1\]` is nan"),
        ({"times": 3}, "`times` is 3: pass a sequence"),
        ({"times": "012"}, "`times` is '012': pass a sequence"),
        ({"times": (0, "1")}, r"`times\[1\]` is a str"),
        ({"n_obs": 10**12}, "`n_obs` is 1000000000000: pass at most"),
    ],
)
def test_wrong_input_is_named(name, arguments, match):
    with pytest.raises((TypeError, ValueError), match=match):
        SIMULATORS[name](**arguments)


# --- laws


def test_misa_law_by_hand():
    law = LAWS["misa"]
    x = np.array([[2.0, 1.0]])
    on_x, on_y = 16 / 16.0625, 1 / 1.0625
    expected = [0.7 * on_x + 0.8 * 0.0625 / 1.0625 - 2, 0.7 * on_y + 0.8 * 0.0625 / 16.0625 - 1]
    np.testing.assert_allclose(law.drift(x, 0.0)[0], expected)
    np.testing.assert_allclose(law.growth(x, 0.0), 1.285 * 4 / 5 - 0.573)


def test_gene_network_law_by_hand():
    law = LAWS["gene_network"]
    x = np.array([[2.0, 1.0, 0.5]])
    expected = [
        (0.5 * 4 + 1) / (1 + 0.5 * 4 + 1 + 10 * 0.25 + 1) - 0.8,
        (1 + 1) / (1 + 0.5 * 4 + 1 + 10 * 0.25 + 1) - 0.4,
        0.25 / 1.25 - 0.2,
    ]
    np.testing.assert_allclose(law.drift(x, 0.0)[0], expected, atol=1e-15)
    np.testing.assert_allclose(law.growth(x, 0.0), 0.065 / 2)


@pytest.mark.parametrize(
    ("name", "start"),
    [("misa", [1.2, 0.8]), ("gene_network", [1.5, 1.0, 0.3]), ("gaussian_mixture", [0.05] * 10)],
)
def test_short_steps_follow_drift_noise_and_growth(name, start):
    # Over a short time h: mean displacement b h, variance sigma^2 h, mass exp(g h). The fields
    # change by O(sqrt(h)) within this time, far less than the Monte-Carlo error of the mean.
    law, n, h, t = LAWS[name], 40_000, 1e-3, 0.3
    x0 = np.tile(start, (n, 1))
    end_states, log_weights = _laws.evolve(
        law, x0, t, t + h, dt=h / 4, rng=np.random.default_rng(0), branch=False
    )
    step = end_states - x0
    error = law.sigma * np.sqrt(h / n)
    np.testing.assert_array_less(np.abs(step.mean(axis=0) - law.drift(x0[:1], t)[0] * h), 5 * error)
    np.testing.assert_allclose(step.var(axis=0), law.sigma**2 * h, rtol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(
        log_weights.mean(), law.growth(x0[:1], t)[0] * h, rtol=0.05, atol=1e-9
    )


@pytest.mark.parametrize(("name", "t"), [("misa", 2.0), ("gene_network", 16.0)])
def test_branching_and_weighted_populations_agree(name, t):
    # Two simulations of one law: with division and death, and with the integrated growth as
    # weight.
    law, n, dt = LAWS[name], 4000, {"misa": 0.02, "gene_network": 0.2}[name]
    x0 = law.initial(n, np.random.default_rng(0))
    population, _ = _laws.evolve(law, x0, 0.0, t, dt=dt, rng=np.random.default_rng(1))
    end_states, log_weights = _laws.evolve(
        law, x0, 0.0, t, dt=dt, rng=np.random.default_rng(2), branch=False
    )
    w = np.exp(log_weights)
    assert len(population) / n == pytest.approx(w.mean(), abs=5 * w.std() / np.sqrt(n) + 1 / n)
    mean = np.average(end_states, axis=0, weights=w)
    spread = np.sqrt(np.average((end_states - mean) ** 2, axis=0, weights=w))
    # Relatives are correlated, so the standard error of a branching population is that of n
    # founders.
    assert (np.abs(population.mean(axis=0) - mean) < 5 * spread * np.sqrt(2 / n)).all()


def test_counts_follow_the_integral_of_growth():
    # d(log mass)/dt is the mean growth rate, integrated by the trapezoidal rule over fine
    # snapshots.
    times = np.linspace(0, 2, 21)
    adata = datasets.misa(1000, times=times.tolist())
    rate = adata.obs.groupby("time")["true_growth"].mean().to_numpy()
    expected = np.exp(np.sum((rate[1:] + rate[:-1]) / 2 * np.diff(times)))
    # Snapshots are independent: each contributes the standard error of its mean rate times its
    # weight.
    error = 5 * adata.obs["true_growth"].std() / np.sqrt(1000) * 2
    assert adata.uns["true"]["masses"][-1] == pytest.approx(expected, rel=error)


def test_numbers_of_daughters_are_exact_to_within_one():
    law, rng = LAWS["misa"], np.random.default_rng(0)
    x = np.arange(1000.0)[:, None] * np.ones(2)
    offspring = rng.uniform(0, 2, size=1000)
    counts = np.mean(
        [
            np.bincount(_laws._divide(x, offspring, law, rng)[:, 0].astype(int), minlength=1000)
            for _ in range(400)
        ],
        axis=0,
    )
    # a count is the floor or the ceiling of its expectation, so its variance is at most 1/4
    np.testing.assert_array_less(np.abs(counts - offspring), 5 * 0.5 / np.sqrt(400))
    assert abs(len(_laws._divide(x, offspring, law, rng)) - offspring.sum()) <= 1


def test_expression_is_not_negative(simulations):
    assert simulations["misa"].X.min() >= 0
    assert simulations["gene_network"].X.min() >= 0


def test_misa_symmetry_and_fate(simulations):
    # The circuit is symmetric, growth favours X: more cells end in X than in Y, from equal shares
    # at the start.
    adata = simulations["misa"]
    counts = adata.obs[adata.obs["time"] == 6]["cell_type"].value_counts()
    assert counts["X"] > 2 * counts["Y"]
    law = LAWS["misa"]
    x = np.random.default_rng(0).uniform(0, 2, size=(50, 2))
    np.testing.assert_allclose(law.drift(x, 0.0)[:, ::-1], law.drift(x[:, ::-1], 0.0))


def test_gene_network_branch_that_grows(simulations):
    adata = simulations["gene_network"]
    table = adata.obs.groupby("time_label", observed=True)["cell_type"].value_counts().unstack()
    # the silent branch keeps 200 cells at every time, except for rare divisions
    np.testing.assert_allclose(table["x3"], 200, atol=10)
    assert table.loc["32", "x2"] > 3 * table.loc["0", "x1"]
    assert adata.obs.loc[adata.obs["cell_type"] == "x3", "true_growth"].max() < 0.01
