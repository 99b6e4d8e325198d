"""The Gaussian mixture: its exact fields, counts and clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import kstest, norm

from scdiffot import datasets
from scdiffot.datasets._simulated import laws as _laws

if TYPE_CHECKING:
    import anndata


def snapshot(adata: anndata.AnnData, time: float) -> np.ndarray:
    return adata.X[(adata.obs["time"] == time).to_numpy()].astype(float)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.3])
def test_mixture_fulfils_the_fokker_planck_equation(sigma):
    # dp/dt + div(p b) - sigma^2/2 Lap p - g p = 0 by central differences around points of the
    # cloud.
    law, variance = _laws.gaussian_mixture_law(2, sigma), 0.005

    def density(x, t):
        centres, masses = _laws.gaussian_mixture_components(2, t)
        return (masses * norm.pdf(x[:, None], centres, np.sqrt(variance)).prod(axis=2)).sum(axis=1)

    rng, h, t = np.random.default_rng(0), 1e-4, 0.1
    # the two halves overlap here, so that responsibilities vary
    x = rng.normal(0, 0.1, size=(40, 2))
    p = density(x, t)
    residual = (density(x, t + h) - density(x, t - h)) / (2 * h) - law.growth(x, t) * p
    for e in h * np.eye(2):
        up, down = x + e, x - e
        flux = (
            density(up, t) * (law.drift(up, t) @ e) - density(down, t) * (law.drift(down, t) @ e)
        ) / h
        residual += (
            flux / (2 * h) - sigma**2 / 2 * (density(up, t) - 2 * p + density(down, t)) / h**2
        )
    # the error of the differences is h^2 times third derivatives, of the order of p /
    # variance^(3/2)
    assert np.abs(residual).max() < 1e-3 * p.max() / np.sqrt(variance)


def test_mixture_counts_and_clusters():
    adata = datasets.gaussian_mixture()
    table = adata.obs.groupby("time_label", observed=True)["cell_type"].value_counts().unstack()
    assert table.loc["0"].to_dict() == {"left": 200, "right": 200, "growing": 100}
    assert table.loc["1"].to_dict() == {"left": 200, "right": 200, "growing": 1000}
    right = snapshot(adata, 1.0)[(adata.obs["cell_type"] == "right")[adata.obs["time"] == 1.0]]
    centred = (right - np.eye(10)[0]) / np.sqrt(0.005)
    assert kstest(centred.ravel(), norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize("n_dims", [2, 100, 1000])
def test_mixture_in_many_dimensions(n_dims):
    adata = datasets.gaussian_mixture(n_dims, 50)
    assert adata.shape == (50 + 140, n_dims)
    assert np.isfinite(adata.obsm["true_drift"]).all()
    # away from the overlap at time zero every point has the rate of its own cluster
    late = adata.obs["time"] == 1
    rates = adata.obs[late].groupby("cell_type", observed=True)["true_growth"].agg(["min", "max"])
    np.testing.assert_allclose(rates.loc["growing"], np.log(10), rtol=1e-6)
    np.testing.assert_allclose(rates.loc[["left", "right"]], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_dims": 1}, "`n_dims` is 1"),
        ({"sigma": -1.0}, "`sigma` is -1.0"),
        ({"sigma": np.inf}, "`sigma` is inf"),
    ],
)
def test_mixture_names_wrong_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        datasets.gaussian_mixture(**arguments)


def test_mixture_particles_reach_the_sampled_snapshot():
    law, n = _laws.gaussian_mixture_law(3, 0.3), 3000
    x0 = law.initial(n, np.random.default_rng(0))
    end_states, log_weights = _laws.evolve(
        law, x0, 0.0, 1.0, dt=0.005, rng=np.random.default_rng(1), branch=False
    )
    w = np.exp(log_weights)
    assert w.mean() == pytest.approx(0.8 + 2.0, rel=0.02)
    for centre, share in (([-1, 0, 0], 0.4), ([1, 0, 0], 0.4), ([0, 2.5, 0], 2.0)):
        near = np.linalg.norm(end_states - centre, axis=1) < 0.5
        # five binomial standard deviations of the share of the founders, and the bias of the Euler
        # steps
        founders = min(share, 0.2 if share > 1 else share)
        assert w[near].sum() / n == pytest.approx(
            share, rel=5 * np.sqrt((1 - founders) / (founders * n)) + 0.02
        )
        variance = end_states[near].var(axis=0)
        np.testing.assert_allclose(variance, 0.005, rtol=5 * np.sqrt(2 / near.sum()) + 0.05)
