"""The content of the published data, and their agreement with the simulators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scdiffot import datasets, metrics
from scdiffot.datasets._published.download import path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


@pytest.fixture(scope="module")
def load() -> Callable[..., AnnData]:
    """Load a data set, or skip on a machine that has neither the files nor a network."""

    def load(function: Callable[..., AnnData], *arguments: str) -> AnnData:
        try:
            return function(*arguments, show_progress=False)
        except ConnectionError as error:
            pytest.skip(f"needs a network, or the files in the folder SCDIFFOT_DATA: {error}")

    return load


EXPECTED = {
    "mouse_hematopoiesis": ({2: 13035, 4: 16830, 6: 14103}, 11, {"X_ae": 2}),
    "zebrafish": ({0: 3152, 0.5: 1947, 3: 1110, 5: 907}, 4, {"X_ae": 6}),
    "mouse_embryo_spatial": (
        {9.5: 2500, 11.5: 5000, 13.5: 7500, 15.5: 8000, 16.5: 6000},
        8,
        {"X_ae": 2, "spatial": 2},
    ),
    "emt": (
        {0: 11791, 2: 12367, 6: 12299, 10: 12812, 12: 12529, 16: 12805, 20: 12751},
        4,
        {"X_pca": 2, "X_pca_scaled": 2},
    ),
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_time_courses(load, name, tmp_path):
    adata = load(getattr(datasets, name))
    counts, n_types, representations = EXPECTED[name]
    assert adata.obs["time"].value_counts(sort=False).to_dict() == counts
    assert adata.obs["time"].is_monotonic_increasing
    assert adata.obs["time_label"].cat.ordered
    assert adata.obs.groupby("time_label", observed=True)["time"].nunique().eq(1).all()
    assert len(adata.obs["cell_type"].cat.categories) == n_types
    assert {key: value.shape[1] for key, value in adata.obsm.items()} == representations
    assert all(np.isfinite(value).all() for value in adata.obsm.values())
    assert adata.obs_names.is_unique
    assert {"citation", "source", "license"} <= set(adata.uns)
    adata.write_h5ad(tmp_path / "a.h5ad")


DEEPRUOT = {
    "simulation_gene": (2, [400, 442, 530, 690, 969]),
    "mouse_hematopoiesis": (2, [1429, 3781, 5788]),
    "emt": (10, [577, 885, 788, 883]),
    "gaussian_10d": (10, [500, 1400]),
    "gaussian_20d": (20, [500, 1400]),
    "gaussian_50d": (50, [500, 1400]),
    "gaussian_100d": (100, [500, 1400]),
}


@pytest.mark.parametrize("name", list(DEEPRUOT))
def test_deepruot_tables(load, name):
    adata = load(datasets.deepruot, name)
    n_dims, counts = DEEPRUOT[name]
    assert adata.n_vars == n_dims
    assert adata.obs["time"].value_counts(sort=False).to_dict() == dict(enumerate(counts))
    assert np.isfinite(adata.X).all()


def test_deepruot_lists_its_tables():
    with pytest.raises(
        ValueError, match="`name` is 'absent': pass one of 'simulation_gene', 'mouse_hematopoiesis'"
    ):
        datasets.deepruot("absent")


def test_emt_components_decode_markers(load):
    adata = load(datasets.emt)
    pcs = adata.obsm["X_pca"]
    np.testing.assert_allclose(adata.obsm["X_pca_scaled"], (pcs - 1) / 4.5, atol=1e-6)
    # scores of a principal component analysis: centred, uncorrelated, with the variances stored
    np.testing.assert_allclose(pcs.mean(axis=0), 0, atol=1e-4)
    covariance = np.cov(pcs.T, dtype=np.float64)
    np.testing.assert_allclose(covariance, np.diag(adata.uns["pca"]["variance"]), atol=1e-3)
    np.testing.assert_allclose(adata.varm["PCs"].T @ adata.varm["PCs"], np.eye(2), atol=1e-5)
    ratio = adata.uns["pca"]["variance_ratio"]
    np.testing.assert_allclose(ratio[0] / ratio[1], covariance[0, 0] / covariance[1, 1], rtol=1e-4)

    markers = pcs @ adata.varm["PCs"].T + adata.var["mean"].to_numpy()
    assert markers.min() > 0
    mean = {t: markers[(adata.obs["cell_type"] == t).to_numpy()].mean(axis=0) for t in ("E", "M")}
    e_cadherin, vimentin = adata.var_names.get_loc("CDH1"), adata.var_names.get_loc("VIM")
    assert mean["E"][e_cadherin] > mean["M"][e_cadherin] + 2
    assert mean["M"][vimentin] > mean["E"][vimentin] + 2
    assert adata.obs.loc[adata.obs["treated"], "time"].unique().tolist() == [0, 2, 6, 10]


def assert_one_of(published: list[np.ndarray], simulated: list[list[np.ndarray]]) -> None:
    """The distance of published to simulated populations is that between simulated ones."""
    for k, y in enumerate(published):
        xs = [snapshots[k] for snapshots in simulated]
        n = len(xs)
        distances = np.zeros((n, n))
        for i in range(n):
            for j in range(i):
                distances[i, j] = distances[j, i] = metrics.wasserstein(xs[i], xs[j])
        means = distances.sum(axis=1) / (n - 1)
        distance = np.mean([metrics.wasserstein(x, y) for x in xs])
        assert distance < means.mean() + 4 * means.std(ddof=1)
        # random births and deaths change the size by about 5 %
        assert np.mean([len(x) for x in xs]) == pytest.approx(len(y), rel=0.12)


def test_misa_follows_the_published_snapshots(load):
    path = load(path_of, "diffusionot/MISA.npy")
    # an object array, unpickled after its hash was checked
    published = list(np.load(path, allow_pickle=True)[0])
    simulated = [datasets.misa(rng=seed) for seed in range(6)]
    assert_one_of(
        published, [[a.X[(a.obs["time"] == t).to_numpy()] for t in (0, 1, 2, 6)] for a in simulated]
    )


def test_gene_network_follows_the_published_table(load):
    table = load(datasets.deepruot, "simulation_gene")
    published = [table.X[(table.obs["time"] == k).to_numpy()] for k in range(5)]
    simulated = [datasets.gene_network(rng=seed)[:, :2] for seed in range(6)]
    assert_one_of(
        published, [[a.X[(a.obs["time"] == 8 * k).to_numpy()] for k in range(5)] for a in simulated]
    )


@pytest.mark.parametrize("n_dims", [10, 100])
def test_gaussian_mixture_follows_the_published_table(load, n_dims):
    table = load(datasets.deepruot, f"gaussian_{n_dims}d")
    published = [table.X[(table.obs["time"] == t).to_numpy()] for t in (0, 1)]
    first, second = (datasets.gaussian_mixture(n_dims, rng=seed) for seed in (1, 2))
    for t in (0, 1):
        a, b = (adata.X[(adata.obs["time"] == t).to_numpy()] for adata in (first, second))
        assert len(a) == len(published[t])
        # In high dimensions W1 hardly varies between samples: 3 % is about ten standard
        # deviations.
        assert metrics.wasserstein(a, published[t]) == pytest.approx(
            metrics.wasserstein(a, b), rel=0.03
        )
