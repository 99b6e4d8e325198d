from __future__ import annotations

from typing import Any

import numpy as np
import ot
import pytest
import torch

from scdiffot.core.ot.coupling import MAX_ANGLE, ground_cost, plan, sinkhorn


def clouds(
    n: int = 30,
    m: int = 25,
    *,
    mass: float = 1.7,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) * 0.7 + [1.0, 0.3]
    a, b = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, m)
    return tuple(torch.as_tensor(v, dtype=dtype) for v in (x, a / a.sum(), y, mass * b / b.sum()))


def exact(alpha: float | None, eps: float, *arrays: torch.Tensor) -> torch.Tensor:
    return plan(sinkhorn(*arrays, alpha=alpha, eps=eps, tol=1e-10, max_iter=20_000))


def test_ground_cost() -> None:
    x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])
    np.testing.assert_allclose(ground_cost(x, y, None), [[12.5, 0.125, 1250.0]], rtol=1e-6)
    np.testing.assert_allclose(
        ground_cost(x, y, 16.0)[0, :2], -64 * np.log(np.cos([5 / 8, 0.5 / 8])), atol=64 * 1e-6
    )
    # From pi sqrt(alpha) on, moving costs more than any growth: the cost is finite and constant.
    far = ground_cost(x, y, 1.0)[0]
    assert far[0] == far[2] == pytest.approx(-4 * np.log(np.cos(MAX_ANGLE)), rel=1e-3)
    # If growth costs too much, the cost is half the squared distance.
    np.testing.assert_allclose(
        ground_cost(x.double(), y.double(), 1e8), [[12.5, 0.125, 1250.0]], rtol=1e-4
    )


# A change of the potentials below 1e-10 eps in five iterations, with a contraction of at least .001
# an iteration, leaves an error below 1e-7 of the entries; entries are below one.
PLAN_TOLERANCE = 1e-7


def pot_plan(eps: float, penalty: Any, *arrays: torch.Tensor, cost: torch.Tensor) -> np.ndarray:
    """Return the coupling of POT, with a Kullback-Leibler penalty of both or each marginal."""
    _, a, _, b = (array.numpy() for array in arrays)
    return ot.unbalanced.sinkhorn_unbalanced(
        a, b, cost.numpy(), eps, penalty, reg_type="kl", stopThr=1e-14, numItermax=200_000
    )


def check_plan(result: torch.Tensor, reference: np.ndarray) -> None:
    """Compare couplings and both marginals."""
    for axes in ((), (0,), (1,)):
        np.testing.assert_allclose(
            result.numpy().sum(axis=axes) if axes else result,
            reference.sum(axis=axes) if axes else reference,
            atol=PLAN_TOLERANCE,
        )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_balanced_plan_is_that_of_pot(eps: float, seed: int) -> None:
    x, a, y, b = clouds(mass=1.0, seed=seed)
    cost = ground_cost(x, y, None).numpy()
    reference = ot.sinkhorn(a.numpy(), b.numpy(), cost, eps, stopThr=1e-12, numItermax=100_000)
    result = exact(None, eps, x, a, y, b)
    check_plan(result, reference)
    np.testing.assert_allclose(result.sum(1), a, atol=PLAN_TOLERANCE)
    np.testing.assert_allclose(result.sum(0), b, atol=PLAN_TOLERANCE)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpha", [0.5, 3.0])
@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_unbalanced_plan_is_that_of_pot(alpha: float, eps: float, seed: int) -> None:
    """Penalties are KL(P | a b) and 2 alpha KL of the marginals."""
    x, a, y, b = clouds(seed=seed)
    reference = pot_plan(eps, 2 * alpha, x, a, y, b, cost=ground_cost(x, y, alpha))
    check_plan(exact(alpha, eps, x, a, y, b), reference)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("penalty", [0.5, 5.0])
@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_plan_with_a_penalty_of_the_source_is_that_of_pot(
    penalty: float, eps: float, seed: int
) -> None:
    x, a, y, b = clouds(seed=seed)
    reference = pot_plan(eps, (penalty, np.inf), x, a, y, b, cost=ground_cost(x, y, None))
    result = plan(
        sinkhorn(
            x, a, y, b, alpha=None, eps=eps, tol=1e-10, max_iter=20_000, source_penalty=penalty
        )
    )
    check_plan(result, reference)
    np.testing.assert_allclose(result.sum(0), b, atol=PLAN_TOLERANCE)
    # The mass is that of the target, so the source, with a penalty only, differs from its masses.
    assert float((result.sum(1) - a).abs().max()) > 1e-3


def test_single_precision_and_default_tolerance_are_enough() -> None:
    arrays = clouds()
    single = clouds(dtype=torch.float32)
    for alpha in (None, 0.5):
        x, a, y, b = single if alpha else clouds(mass=1.0, dtype=torch.float32)
        reference = exact(alpha, 0.1, *(arrays if alpha else clouds(mass=1.0)))
        result = plan(sinkhorn(x, a, y, b, alpha=alpha, eps=0.1))
        assert float((result - reference).abs().sum()) < 5e-3 * float(reference.sum())


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_extension_reproduces_the_landmarks(alpha: float | None) -> None:
    """At its own cells, the soft c-transform of converged potentials gives the potentials back."""
    x, a, y, b = clouds(mass=1.0)
    p = sinkhorn(x, a, y, b, alpha=alpha, eps=0.2, tol=1e-11, max_iter=20_000)
    np.testing.assert_allclose(p.extend_g(y), p.g, atol=1e-7)


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_start_from_the_potentials_of_other_cells_changes_nothing(alpha: float | None) -> None:
    x, a, y, b = clouds(mass=1.0)
    initial = sinkhorn(x + 0.3, a, y * 1.1, b, alpha=alpha, eps=0.2)
    p = sinkhorn(x, a, y, b, alpha=alpha, eps=0.2, tol=1e-11, max_iter=20_000, start=initial)
    np.testing.assert_allclose(plan(p), exact(alpha, 0.2, x, a, y, b), atol=1e-8)


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_plan_does_not_depend_on_the_origin(alpha: float | None) -> None:
    x, a, y, b = clouds(mass=1.0)
    shift = torch.tensor([5.0, -3.0], dtype=torch.float64)
    np.testing.assert_allclose(
        exact(alpha, 0.2, x + shift, a, y + shift, b), exact(alpha, 0.2, x, a, y, b), atol=1e-9
    )


def test_masses_of_another_unit_scale_the_plan() -> None:
    """With KL penalties and reference a b, the mass of the plan is a known power of both masses."""
    x, a, y, b = clouds()
    alpha, eps, c = 0.5, 0.3, 100.0
    once, scaled = exact(alpha, eps, x, a, y, b), exact(alpha, eps, x, c * a, y, c * b)
    # Stationarity in the total mass: (4 alpha + eps) log s = (4 alpha + 2 eps) log c.
    factor = c ** ((4 * alpha + 2 * eps) / (4 * alpha + eps))
    np.testing.assert_allclose(scaled, factor * once, rtol=1e-6, atol=1e-12)


def test_masses_of_very_different_size_converge_as_fast() -> None:
    """The shift of both potentials by a constant is solved exactly in every iteration."""
    x, a, y, b = clouds(mass=1e4)
    short = plan(sinkhorn(x, a, y, b, alpha=50.0, eps=0.5, max_iter=60))
    reference = exact(50.0, 0.5, x, a, y, b)
    assert float((short - reference).abs().sum() / reference.sum()) < 1e-3


@pytest.mark.parametrize("alpha", [None, 1e-4, 1.0, 1e4])
@pytest.mark.parametrize("eps", [1e-3, 1e-1, 1e2])
@pytest.mark.parametrize("distance", [0.0, 10.0, 1000.0])
def test_hard_inputs_stay_finite(alpha: float | None, eps: float, distance: float) -> None:
    x, a, y, b = clouds(mass=1.0, dtype=torch.float32)
    p = sinkhorn(x, a, y + distance, b, alpha=alpha, eps=eps, max_iter=50)
    result = plan(p)
    assert torch.isfinite(result).all()
    assert torch.isfinite(p.f).all()
    assert torch.isfinite(p.g).all()
    assert torch.isfinite(p.extend_g(y + 0.1)).all()
    # Where single precision resolves eps in potentials of the size of the cost.
    if alpha is None and float(p.f.abs().max()) * 1e-6 < eps:
        assert float(result.sum()) == pytest.approx(1, rel=0.02)
