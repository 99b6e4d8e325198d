from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy as sc

from scdiffot import datasets
from scdiffot.datasets._simulated.laws import evolve
from scdiffot.datasets._simulated.laws_network import draw_network, network_law
from scdiffot.datasets._simulated.regulatory_network import cell_types


@pytest.fixture(scope="module")
def network_adata() -> anndata.AnnData:
    return datasets.regulatory_network()


@pytest.fixture(scope="module")
def network():
    return draw_network(50, 3, np.random.default_rng(0))


def test_layout(network_adata):
    assert network_adata.X.dtype == np.float32
    assert (network_adata.X >= 0).all()
    assert network_adata.obsm["true_drift"].shape == network_adata.shape
    counts = network_adata.layers["counts"]
    np.testing.assert_array_equal(counts, np.round(counts))
    assert counts.sum(axis=1).mean() == pytest.approx(1000, rel=0.03)
    assert network_adata.var["driver"].sum() == 6
    assert network_adata.var["role"].value_counts().to_dict() == {
        "target": 21,
        "housekeeping": 14,
        "cycle": 6,
        "driver": 6,
        "progenitor": 3,
    }
    assert sorted(network_adata.var["fate"][network_adata.var["driver"]]) == sorted(
        ["fate_1", "fate_2", "fate_3"] * 2
    )
    np.testing.assert_allclose(sorted(network_adata.var["growth"])[::49], [-0.2, 0.35])
    masses = network_adata.obs["time"].value_counts(sort=False).to_numpy() / 300
    np.testing.assert_allclose(network_adata.uns["true"]["masses"], masses)
    assert masses[-1] > 1.3


def test_truth_is_the_law_at_the_states(network_adata, network):
    law = network_law(network, sigma=0.2)
    x = network_adata.layers["state"].astype(float)
    np.testing.assert_allclose(network_adata.obsm["true_drift"], law.drift(x, 0), atol=1e-4)
    np.testing.assert_allclose(network_adata.obs["true_growth"], law.growth(x, 0), atol=1e-5)
    np.testing.assert_array_equal(network_adata.uns["true"]["network"], network.edges)


def test_edges_are_the_signs_of_the_jacobian(network):
    law = network_law(network, sigma=0.2)
    # away from zero, where a Hill function is flat
    x = np.random.default_rng(0).uniform(0.4, 1.5, size=(20, 50))
    step = 1e-5
    jacobian = np.stack(
        [
            (law.drift(x + step * e, 0) - law.drift(x - step * e, 0)) / (2 * step)
            for e in np.eye(50)
        ],
        axis=2,
    )
    jacobian += np.diag(network.decay)
    signs = np.where(np.abs(jacobian) > 1e-7, np.sign(jacobian), 0)
    np.testing.assert_array_equal(signs, np.broadcast_to(network.edges, signs.shape))


def test_drift_by_hand(network):
    law = network_law(network, sigma=0.2)
    x = np.zeros((1, 50))
    x[0, :6] = [1.0, 0.5, 0.2, 0, 0, 0]
    x[0, 6] = 1.6
    h = x[0] ** 3 / (0.8**3 + x[0] ** 3)
    expected = 3 * (h[0] + h[1] + h[6]) / 3 * (1 - 0.95 * h[2]) - 1.0
    assert law.drift(x, 0)[0, 0] == pytest.approx(expected)
    assert law.growth(x, 0)[0] == pytest.approx(0.35 * h[0])
    # targets have higher thresholds
    (activator,) = np.flatnonzero(network.edges[9])
    assert network.roles[9] == "target"
    late = x[0, activator] ** 3 / (1.28**3 + x[0, activator] ** 3)
    assert law.drift(x, 0)[0, 9] == pytest.approx(network.gain[9] * late)


def test_genes_behave_according_to_their_role(network):
    edges, drivers = network.edges, network.of_role("driver")
    assert not edges[network.of_role("housekeeping")].any()
    targets = network.of_role("target")
    assert (np.abs(edges[targets]).sum(axis=1) > 0).all()
    # no path of edges leads from targets, cycle or housekeeping genes to a driver
    reach = np.abs(edges)
    for _ in range(6):
        reach = np.minimum(reach + reach @ reach, 1)
    causes = np.flatnonzero(reach[drivers].any(axis=0))
    np.testing.assert_array_equal(
        causes, np.concatenate([drivers, network.of_role("progenitor")[:1]])
    )


@pytest.mark.parametrize("seed", range(3))
def test_all_fates_are_reached_and_marked_by_more_genes_than_the_drivers(seed):
    adata = datasets.regulatory_network(200, rng=seed)
    by_time = {t: adata[adata.obs["time"] == t] for t in (0.0, 5.0)}
    assert (by_time[0.0].obs["cell_type"] == "progenitor").mean() > 0.98
    shares = by_time[5.0].obs["cell_type"].value_counts(normalize=True)
    assert (shares[["fate_1", "fate_2", "fate_3"]] > 0.05).all()
    assert shares["progenitor"] < 0.08
    # the fate that divides has more cells than the one that dies
    assert shares["fate_1"] > 2 * shares["fate_3"]
    fate = (by_time[5.0].obs["cell_type"] == "fate_1").to_numpy(dtype=float)
    correlation = np.abs(
        [np.corrcoef(column, fate)[0, 1] for column in np.asarray(by_time[5.0].X).T]
    )
    decoys = (adata.var["role"] == "target").to_numpy()
    weakest = correlation[adata.var["fate"].eq("fate_1") & adata.var["driver"]].min()
    assert (correlation[decoys] > 0.8 * weakest).sum() >= 3
    assert (correlation[decoys] > 0.5).sum() >= 6


def test_drivers_change_fates_and_targets_do_not(network):
    """Knock-outs in the true law: only drivers and the gene that primes them change the fates."""
    rng = np.random.default_rng(1)
    law = network_law(network, sigma=0.2)
    start = law.initial(400, rng)

    def shares(gene: int | None) -> np.ndarray:
        x = start.copy()
        if gene is not None:
            x[:, gene] = 0
        end, log_w = evolve(law, x, 0, 5, dt=0.05, rng=np.random.default_rng(2), branch=False)
        types = cell_types(end, network)
        w = np.exp(log_w)
        return np.array([w[types == f"fate_{k + 1}"].sum() for k in range(3)]) / w.sum()

    control = shares(None)
    for fate in range(3):
        for gene in network.of_role("driver", fate):
            # Monte-Carlo error of a share with common noise: below 0.03
            assert shares(gene)[fate] < control[fate] - 0.05
    for gene in (
        *network.of_role("target")[:4],
        network.of_role("housekeeping")[0],
        network.of_role("cycle")[0],
    ):
        np.testing.assert_allclose(shares(gene), control, atol=1e-12)


def test_cycle_genes_oscillate(network):
    law = network_law(network, sigma=0.0)
    x = law.initial(1, np.random.default_rng(0))
    ring = network.of_role("cycle")[:3]
    trace = []
    for _ in range(200):
        x, _ = evolve(law, x, 0, 0.1, dt=0.02, rng=np.random.default_rng(0), branch=False)
        trace.append(x[0, ring])
    late = np.array(trace)[100:]
    assert (np.ptp(late, axis=0) > 0.2).all()


def test_network_does_not_depend_on_the_number_of_cells():
    first, second, other = (
        datasets.regulatory_network(n, rng=seed) for n, seed in ((20, 3), (30, 3), (20, 4))
    )
    np.testing.assert_array_equal(first.uns["true"]["network"], second.uns["true"]["network"])
    np.testing.assert_array_equal(
        first.uns["true"]["params"]["gain"], second.uns["true"]["params"]["gain"]
    )
    assert not np.array_equal(first.uns["true"]["network"], other.uns["true"]["network"])
    np.testing.assert_array_equal(first.X, datasets.regulatory_network(20, rng=3).X)


def test_any_sizes():
    adata = datasets.regulatory_network(
        30, n_genes=40, n_fates=2, times=(0.0, 4.0), n_counts=200, rng=1
    )
    assert adata.n_vars == 40
    assert set(adata.obs["cell_type"]) <= {"fate_1", "fate_2", "progenitor"}
    assert adata.layers["counts"].sum(axis=1).mean() == pytest.approx(200, rel=0.1)
    assert datasets.regulatory_network(10, n_genes=30, rng=1).var["role"].nunique() == 5


def test_principal_components_separate_the_fates(network_adata):
    sc.pp.pca(network_adata, n_comps=10)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    late = (network_adata.obs["time"] == 5).to_numpy()
    states, types = network_adata.obsm["X_pca"][late], network_adata.obs["cell_type"][late]
    assert cross_val_score(LogisticRegression(max_iter=1000), states, types, cv=3).mean() > 0.95


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
def test_round_trip(network_adata, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    getattr(network_adata, f"write_{suffix}")(path)
    from_file = getattr(anndata, f"read_{suffix}")(path)
    np.testing.assert_array_equal(from_file.X, network_adata.X)
    np.testing.assert_array_equal(
        from_file.uns["true"]["network"], network_adata.uns["true"]["network"]
    )
    assert from_file.var["fate"].tolist() == network_adata.var["fate"].tolist()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_obs": 0}, "`n_obs` is 0"),
        ({"n_fates": 1}, "`n_fates` is 1"),
        ({"n_genes": 29}, "`n_genes` is 29: 3 fates need at least 30"),
        ({"n_genes": 50.5}, "`n_genes` is a float"),
        ({"n_counts": 0}, "`n_counts` is 0"),
        ({"n_counts": float("nan")}, "`n_counts` is nan"),
        ({"times": (1, 0)}, r"`times` is \(1, 0\)"),
    ],
)
def test_wrong_input_is_named(arguments, match):
    with pytest.raises((TypeError, ValueError), match=match):
        datasets.regulatory_network(**arguments)
