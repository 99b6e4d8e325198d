"""Noise, regulation and knock-outs of the simulated circuit, compared with its law."""

from __future__ import annotations

import numpy as np
import pytest

import scdiffot as sdo
from scdiffot.core.genes.regulation import jacobians
from scdiffot.datasets._simulated.laws import misa_law

LAW = misa_law()
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("circuit")]


@pytest.fixture(scope="module")
def circuit():
    adata = sdo.datasets.misa(rng=1)
    sdo.tl.fit(adata, "time", use_rep="X", autonomous=True, show_progress=False)
    return adata


def simulated_fates(
    x: np.ndarray, *, start: dict[int, float], sustained: bool, n: int = 100
) -> tuple[dict[str, float], float]:
    """Composition and number of descendants at time 6 under the law, with genes set or held."""
    rng = np.random.default_rng(0)
    states, log_w = np.repeat(x, n, axis=0).astype(float), np.zeros(n * len(x))
    dt = 0.02
    for _ in range(int(6 / dt)):
        for gene, value in start.items():
            states[:, gene] = value
        start = start if sustained else {}
        log_w += LAW.growth(states, 0) * dt
        noise = LAW.sigma * np.sqrt(dt) * rng.normal(size=states.shape)
        states = np.maximum(states + LAW.drift(states, 0) * dt + noise, 0)
    weights, on = np.exp(log_w), states > LAW.params["threshold"]
    if sustained:
        on[:, list(start)] = np.array(list(start.values())) > LAW.params["threshold"]
    names = np.array(["neither", "X", "Y", "both"])[on[:, 0] + 2 * on[:, 1]]
    return {
        name: weights[names == name].sum() / weights.sum() for name in ("X", "Y", "both")
    }, weights.mean()


def test_noise_is_estimated(circuit) -> None:
    assert sdo.get.model(circuit).sigma == pytest.approx(LAW.sigma[0], rel=0.1)


def test_growth_is_that_of_the_first_gene(circuit) -> None:
    """Four snapshots of 500 cells; other samples give correlations of 0.89 to 0.98."""
    cells = np.asarray(circuit.X, dtype=float)
    assert np.corrcoef(circuit.obs["scdiffot_growth"], LAW.growth(cells, 0))[0, 1] > 0.85
    sdo.tl.growth_genes(circuit, show_progress=False)
    effect = circuit.uns["scdiffot"]["growth_genes"].set_index("gene")["effect"]
    assert effect["X"] > 2 * abs(effect["Y"])


def test_signs_of_regulation(circuit) -> None:
    """Four snapshots smooth steep parts of the circuit, but not the signs.

    Other samples give correlations of 0.79 to 0.83 between genes.
    """
    right, r, r_off = agreement(circuit)
    assert right > 0.95
    assert min(r, r_off) > 0.75


def test_many_snapshots_identify_the_law() -> None:
    """Eight snapshots of 1000 cells; growth varies most between samples (0.93, 0.99)."""
    adata = sdo.datasets.misa(1000, times=(0, 0.5, 1, 1.5, 2, 3, 4, 6), rng=0)
    sdo.tl.fit(adata, "time", use_rep="X", autonomous=True, show_progress=False)
    drift, true = adata.obsm["scdiffot_velocity"], adata.obsm["true_drift"]
    cosine = (drift * true).sum(1) / np.linalg.norm(drift, axis=1) / np.linalg.norm(true, axis=1)
    assert cosine.mean() > 0.85
    assert np.corrcoef(adata.obs["scdiffot_growth"], adata.obs["true_growth"])[0, 1] > 0.85
    right, r, r_off = agreement(adata)
    assert right > 0.94
    assert min(r, r_off) > 0.7


def test_more_cells_do_not_spoil_the_law() -> None:
    """The curvature penalty grows with the number of cells.

    Two samples give 0.955 and 0.965 of the signs, and correlations of growth of 0.88 and 0.83.
    """
    adata = sdo.datasets.misa(3000, rng=0)
    sdo.tl.fit(adata, "time", use_rep="X", autonomous=True, show_progress=False)
    assert np.corrcoef(adata.obs["scdiffot_growth"], adata.obs["true_growth"])[0, 1] > 0.8
    right, r, r_off = agreement(adata)
    assert right > 0.94
    assert min(r, r_off) > 0.75


def agreement(adata) -> tuple[float, float, float]:
    """Share of correct signs of strong regulations; correlations of all and off-diagonal ones."""
    x = np.asarray(adata.X, dtype=float)
    step = 1e-5
    true = np.stack(
        [(LAW.drift(x + step * e, 0) - LAW.drift(x - step * e, 0)) / (2 * step) for e in np.eye(2)],
        axis=2,
    )
    estimate = jacobians(sdo.get.model(adata), x, 0.0)
    clear, off = np.abs(true) > 0.1, ~np.eye(2, dtype=bool)
    right = (np.sign(estimate) == np.sign(true))[clear].mean()
    r, r_off = (
        np.corrcoef(estimate[:, part].ravel(), true[:, part].ravel())[0, 1]
        for part in (off | ~off, off)
    )
    return float(right), float(r), float(r_off)


@pytest.mark.parametrize(
    ("genes", "sustained"),
    [
        ({"Y": 0.0}, False),
        ({"X": 0.0, "Y": 0.0}, False),
        ({"X": 0.0}, True),
        ({"Y": 0.0}, True),
        ({"X": 1.0}, True),
        ({"X": 3.0}, False),
    ],
    ids=str,
)
def test_knockouts_shift_fates_as_in_the_law(
    circuit, genes: dict[str, float], sustained: bool
) -> None:
    """The tolerance is 0.1; the error of fates without a change is up to 0.04."""
    sdo.tl.perturb(
        circuit,
        genes,
        "cell_type",
        sustained=sustained,
        source="time == 0",
        n_trajectories=30,
        name="k",
        show_progress=False,
    )
    result = circuit.uns["scdiffot"]["perturbation"]["k"]
    shift = dict(zip(result["fates"], result["shift"][-1], strict=True))
    x = np.asarray(circuit.X)[circuit.obs["time"] == 0]
    control, _ = simulated_fates(x, start={}, sustained=False)
    changed, _ = simulated_fates(
        x, start={"XY".index(g): v for g, v in genes.items()}, sustained=sustained
    )
    for fate in ("X", "Y"):
        assert shift[fate] == pytest.approx(changed[fate] - control[fate], abs=0.1)


@pytest.mark.parametrize("gene", ["X", "Y"])
def test_over_expression_beyond_all_cells_is_extrapolated(circuit, gene: str, caplog) -> None:
    """No cell is high in one gene and intermediate in the other.

    The direction of the effect is correct, and a warning says that its size is extrapolated.
    """
    options = {
        "kind": "overexpress",
        "sustained": True,
        "source": "time == 0",
        "n_trajectories": 30,
    }
    sdo.tl.perturb(circuit, gene, "cell_type", name="o", show_progress=False, **options)
    result = circuit.uns["scdiffot"]["perturbation"]["o"]
    shift = dict(zip(result["fates"], result["shift"][-1], strict=True))
    x = np.asarray(circuit.X)[circuit.obs["time"] == 0]
    control, _ = simulated_fates(x, start={}, sustained=False)
    changed, _ = simulated_fates(x, start={"XY".index(gene): 2.2}, sustained=True)
    for fate in ("X", "Y"):
        assert np.sign(shift[fate]) == np.sign(changed[fate] - control[fate])
    assert result["outside_way"][1] > 0.3 > 0.05 > result["outside_way"][0]
    assert "of their way" in caplog.text
