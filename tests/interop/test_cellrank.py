"""CellRank reads our transition matrix and finds the fates of the circuit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import scdiffot as sdo
from scdiffot.datasets._simulated.laws import misa_law

with warnings.catch_warnings():
    # deprecation warnings of CellRank and its dependencies
    warnings.simplefilter("ignore")
    cr = pytest.importorskip("cellrank")

pytestmark = pytest.mark.filterwarnings("ignore")


def _in_wells(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the states at the attractors of X and of Y."""
    return (x[:, 0] > 1.1) & (x[:, 1] < 0.35), (x[:, 1] > 1.1) & (x[:, 0] < 0.35)


def _first_to_x(cells: np.ndarray, n: int = 100, seed: int = 0) -> np.ndarray:
    """Probability of reaching the attractor of X before that of Y in the true circuit."""
    law, dt, rng = misa_law(), 0.02, np.random.default_rng(seed)
    x, wins = np.repeat(cells.astype(float), n, axis=0), np.full(n * len(cells), np.nan)
    for _ in range(1000):
        live = np.flatnonzero(np.isnan(wins))
        if not len(live):
            break
        step = law.drift(x[live], 0.0) * dt + law.sigma * np.sqrt(dt) * rng.normal(
            size=(len(live), 2)
        )
        x[live] = np.maximum(x[live] + step, 0)
        at_x, at_y = _in_wells(x[live])
        wins[live[at_x]], wins[live[at_y]] = 1, 0
    return np.nanmean(wins.reshape(len(cells), n), axis=1)


@pytest.fixture(scope="module")
def circuit():
    """Cells of the circuit with their true drift, so that only the Markov chain is tested."""
    adata = sdo.datasets.misa(200)
    law = misa_law()
    sdo.tl.fit(
        adata,
        "time",
        use_rep="X",
        sigma=float(law.sigma[0]),
        config={
            "train": {"n_steps": 20},
            "corrections": {"n_rounds": 0},
            "coupling": {"n_landmarks": 100},
        },
        show_progress=False,
    )
    adata.obsm["scdiffot_velocity"] = adata.obsm["true_drift"]
    sdo.tl.transition_matrix(adata)
    return adata


@pytest.fixture(scope="module")
def estimator(circuit):
    kernel = cr.kernels.PrecomputedKernel("scdiffot_T_fwd", adata=circuit)
    estimator = cr.estimators.GPCCA(kernel)
    estimator.compute_schur(n_components=6, method="brandts")
    estimator.compute_macrostates(n_states=2, cluster_key="cell_type")
    return estimator


@pytest.mark.slow
def test_terminal_states_are_the_attractors(circuit, estimator):
    estimator.set_terminal_states()
    terminal_states = estimator.terminal_states
    assert sorted(terminal_states.cat.categories) == ["X", "Y"]
    for name in "XY":
        is_terminal = (terminal_states == name).to_numpy()
        # CellRank selects 30 cells per terminal state, and few more are at Y
        assert (circuit.obs["cell_type"][is_terminal] == name).mean() > 0.9


@pytest.mark.slow
def test_fate_probabilities_are_those_of_the_circuit(circuit, estimator):
    x = np.asarray(circuit.X)
    at_x, at_y = _in_wells(x)
    wells = {"X": circuit.obs_names[at_x].tolist(), "Y": circuit.obs_names[at_y].tolist()}
    estimator.set_terminal_states(wells)
    estimator.compute_fate_probabilities(solver="direct")
    transient_cells = np.flatnonzero(~(at_x | at_y))
    sample = np.random.default_rng(0).choice(transient_cells, 200, replace=False)
    probability = np.asarray(estimator.fate_probabilities["X"])[sample].ravel()
    truth = _first_to_x(x[sample])
    # the noise of 100 trajectories contributes 0.05
    assert np.sqrt(np.mean((probability - truth) ** 2)) < 0.1
    assert np.corrcoef(probability, truth)[0, 1] > 0.95
