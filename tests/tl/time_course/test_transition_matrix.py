from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

import scdiffot as sdo
from scdiffot._analysis.neighbors import neighbor_graph
from scdiffot.core.lineage.transitions import transition_matrix


def _double_well(n_dims: int, n: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a double well; most are sampled on the left, independently of the drift."""
    rng = np.random.default_rng(seed)
    first = np.where(rng.random(n) < 0.6, rng.normal(-0.8, 0.4, n), rng.normal(0.6, 0.6, n))
    first = first[np.abs(first) < 1.6]
    states = np.column_stack([first, 0.4 * rng.normal(size=(len(first), n_dims - 1))])
    return states, np.column_stack([-2 * first * (first**2 - 1) + 0.3, -2 * states[:, 1:]])


def _right_first(x: np.ndarray, sigma: float) -> np.ndarray:
    """Probability to reach 1 before -1 in the well, by quadrature of the scale function."""
    grid = np.linspace(-1, 1, 4001)
    well = 0.5 * (grid**2 - 1) ** 2 - 0.3 * grid
    scale = np.exp(2 * well / sigma**2)
    integral = np.concatenate([[0], np.cumsum(scale[1:] + scale[:-1])])
    return np.interp(x, grid, integral / integral[-1])


def _hitting_probability(
    chain: sparse.csr_matrix, target: np.ndarray, competitor: np.ndarray
) -> np.ndarray:
    """Probability of every cell to enter `target` before `competitor`."""
    probability = target.astype(float)
    transient = np.flatnonzero(~(target | competitor))
    entry = np.asarray(chain[transient][:, np.flatnonzero(target)].sum(axis=1)).ravel()
    probability[transient] = spsolve(
        sparse.identity(len(transient), format="csc") - chain[transient][:, transient].tocsc(),
        entry,
    )
    return probability


# Without the correction, the sampling density shifts these probabilities by 0.05 to 0.17 (root mean
# square).
@pytest.mark.parametrize(
    ("n_dims", "sigma", "error"), [(1, 0.7, 0.035), (2, 0.3, 0.02), (2, 1.2, 0.03), (5, 0.7, 0.045)]
)
def test_absorption_is_that_of_the_diffusion_whatever_the_sample(n_dims, sigma, error):
    states, drift = _double_well(n_dims)
    neighbors, links = neighbor_graph(states, 30)
    chain = transition_matrix(
        states, drift, sigma, neighbors=neighbors, links=links, connectivity_weight=0.2
    )
    in_right, in_left = states[:, 0] > 1, states[:, 0] < -1
    between = ~(in_right | in_left)
    result = _hitting_probability(chain, in_right, in_left)[between]
    truth = _right_first(states[between, 0], sigma)
    assert np.sqrt(np.mean((result - truth) ** 2)) < error


@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_without_noise_cells_step_along_the_drift(sigma):
    rng = np.random.default_rng(0)
    states = rng.uniform(-1, 1, size=(1500, 2))
    drift = np.column_stack([-states[:, 1], states[:, 0]])
    neighbors, links = neighbor_graph(states, 30)
    chain = transition_matrix(
        states, drift, sigma, neighbors=neighbors, links=links, connectivity_weight=0.0
    )
    step = chain @ states - states
    inside = (np.abs(states).max(axis=1) < 0.85) & (np.linalg.norm(states, axis=1) > 0.1)
    cosine = (
        (step * drift).sum(axis=1) / np.linalg.norm(step, axis=1) / np.linalg.norm(drift, axis=1)
    )
    # A step ends at the mean of five neighbours, which deviates from the drift by a few degrees.
    assert np.quantile(cosine[inside], 0.1) > 0.95


def test_a_chain_that_reaches_every_cell(fitted_adata):
    original = set(fitted_adata.obsp)
    assert sdo.tl.transition_matrix(fitted_adata, n_neighbors=10) is None
    assert set(fitted_adata.obsp) - original == {"scdiffot_T_fwd"}
    chain = fitted_adata.obsp["scdiffot_T_fwd"]
    assert chain.format == "csr"
    np.testing.assert_allclose(chain.sum(axis=1), 1, rtol=1e-12)
    assert chain.data.min() >= 0
    assert (chain.diagonal() > 0).all()
    assert connected_components(chain, connection="strong")[0] == 1


@pytest.mark.parametrize("n_parts", [2, 4])
def test_parts_are_linked_with_a_warning(time_course, quick, caplog, n_parts):
    part = np.arange(time_course.n_obs) % n_parts
    time_course.obsm["X_pca"][:, 2] += 1000.0 * part
    sdo.tl.fit(time_course, "time", **quick)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        sdo.tl.transition_matrix(time_course, n_neighbors=8)
    assert f"leave {n_parts} parts of the data unconnected" in caplog.text
    chain = time_course.obsp["scdiffot_T_fwd"]
    np.testing.assert_allclose(chain.sum(axis=1), 1, rtol=1e-12)
    assert connected_components(chain, connection="strong")[0] == 1
    links = chain.tocoo()
    crossing = part[links.row] != part[links.col]
    assert crossing.sum() == 2 * (n_parts - 1)


def test_cells_at_the_same_place(time_course, quick):
    time_course.obsm["X_pca"][:60] = 1.5
    sdo.tl.fit(time_course, "time", **quick)
    sdo.tl.transition_matrix(time_course, n_neighbors=8)
    chain = time_course.obsp["scdiffot_T_fwd"]
    assert np.isfinite(chain.data).all()
    np.testing.assert_allclose(chain.sum(axis=1), 1, rtol=1e-12)
    assert connected_components(chain, connection="strong")[0] == 1


def test_units_of_state_and_time_do_not_matter():
    states, drift = _double_well(2, n=300)
    neighbors, links = neighbor_graph(states, 12)
    chain = transition_matrix(states, drift, 0.7, neighbors=neighbors, links=links)
    # States are scaled by 1e-3 and times by 50.
    other = transition_matrix(
        1e-3 * states + 5, 1e-3 / 50 * drift, 1e-3 * 0.7 / 50**0.5, neighbors=neighbors, links=links
    )
    np.testing.assert_allclose(other.toarray(), chain.toarray(), atol=1e-9)


def test_copy_and_key(fitted_adata, fingerprint):
    original = fingerprint(fitted_adata)
    copy = sdo.tl.transition_matrix(fitted_adata, copy=True)
    assert fingerprint(fitted_adata) == original
    assert set(copy.obsp) == {"scdiffot_T_fwd"}


def test_mudata(mdata, quick):
    sdo.tl.fit(mdata, "rna:time", use_rep="rna:X_pca", key_added="run", **quick)
    sdo.tl.transition_matrix(mdata, key="run")
    assert mdata.obsp["run_T_fwd"].shape == (mdata.n_obs, mdata.n_obs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_neighbors": 1}, ValueError, "`n_neighbors` is 1: pass at least 2"),
        ({"n_neighbors": 10_000}, ValueError, "less than the number of cells"),
        ({"n_neighbors": 3.5}, TypeError, "`n_neighbors` is a float"),
        (
            {"connectivity_weight": 0},
            ValueError,
            "`connectivity_weight` is 0: pass a number above 0",
        ),
        ({"connectivity_weight": 1.5}, ValueError, "`connectivity_weight` is 1.5"),
        ({"connectivity_weight": "much"}, TypeError, "`connectivity_weight` is a str"),
        ({"key": "other"}, KeyError, "run scdiffot.tl.fit"),
    ],
)
def test_bad_input(fitted_adata, fingerprint, options, error, message):
    original = fingerprint(fitted_adata)
    with pytest.raises(error, match=message):
        sdo.tl.transition_matrix(fitted_adata, **options)
    assert fingerprint(fitted_adata) == original
    with pytest.raises(ValueError, match="is a view"):
        sdo.tl.transition_matrix(fitted_adata[:50])


def test_slow_modes_are_slow_in_time():
    """The relaxation rates of an Ornstein-Uhlenbeck process are multiples of the first."""
    rng = np.random.default_rng(0)
    # One side is sampled four times as densely.
    states = 0.5 * rng.normal(size=4000)
    states = np.sort(states[(states < 0) | (rng.random(4000) < 0.25)])[:, None]
    neighbors, links = neighbor_graph(states, 30)
    chain = transition_matrix(
        states, -states, 0.5 * 2**0.5, neighbors=neighbors, links=links, connectivity_weight=0.01
    )
    values = np.sort(np.linalg.eigvals(chain.toarray()).real)[::-1]
    rates = (1 - values[1:4]) / (1 - values[1])
    # If every cell made a whole step at a time, the rates would be 1, 3.2 and 5.9.
    np.testing.assert_allclose(rates, [1, 2, 3], rtol=0.22)
