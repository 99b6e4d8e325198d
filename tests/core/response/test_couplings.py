"""Couplings of untreated and treated cells against POT, and the learned metric."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from scdiffot.core.ot.coupling import ground_cost, plan, sinkhorn
from scdiffot.core.response import ContextPair
from scdiffot.core.response.metric import are_gaussian, couple, learn_metric

EPS = 0.3


def problem(mass: float = 0.7) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(15, 2)) * 0.7 + [1.0, 0.3]
    a, b = rng.uniform(0.5, 1.5, 20), rng.uniform(0.5, 1.5, 15)
    return tuple(torch.as_tensor(v) for v in (x, a / a.sum(), y, mass * b / b.sum()))


def solve(death_cost: float | None, mass: float = 0.7) -> np.ndarray:
    arrays = problem(mass)
    options = {
        "alpha": None,
        "eps": EPS,
        "source_penalty": death_cost,
        "tol": 1e-11,
        "max_iter": 50_000,
    }
    return plan(sinkhorn(*arrays, **options)).numpy()


@pytest.mark.parametrize("death_cost", [0.1, 1.0, 10.0])
def test_couplings_with_a_cost_of_death_agree_with_pot(death_cost):
    x, a, y, b = problem()
    cost = ground_cost(x, y, None).numpy()
    # the marginal of the treated cells is exact
    reference = ot.unbalanced.sinkhorn_unbalanced(
        a.numpy(),
        b.numpy(),
        cost,
        EPS,
        (death_cost, float("inf")),
        reg_type="kl",
        stopThr=1e-14,
        numItermax=200_000,
    )
    result = solve(death_cost)
    assert result == pytest.approx(reference, abs=1e-7)
    assert result.sum(axis=0) == pytest.approx(b.numpy(), abs=1e-9)


def test_a_high_cost_of_death_gives_a_balanced_coupling():
    x, a, y, b = problem(1.0)
    reference = ot.sinkhorn(
        a.numpy(), b.numpy(), ground_cost(x, y, None).numpy(), EPS, stopThr=1e-13, numItermax=10**5
    )
    # the error of the marginal is of the order of one over the cost
    assert solve(1e5, 1.0) == pytest.approx(reference, abs=1e-5)


def test_without_a_cost_of_death_treated_cells_are_assigned_independently():
    x, a, y, b = problem()
    kernel = a[:, None] * torch.exp(-ground_cost(x, y, None) / EPS)
    assert solve(1e-7) == pytest.approx((kernel / kernel.sum(0) * b).numpy(), abs=1e-5)


def make_context(n: int = 300, seed: int = 0) -> tuple[ContextPair, np.ndarray, np.ndarray]:
    """Return a context of two types, which a treatment moves by different distances."""
    rng = np.random.default_rng(seed)
    x_types, y_types = rng.integers(2, size=n), rng.integers(2, size=n)
    x, y = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    # the third and fourth coordinates identify the types and do not respond to the treatment
    for z, types in ((x, x_types), (y, y_types)):
        z[:, 2:] *= 0.2
        z[:, 2] += types
    y[:, 0] += 4 + 6 * y_types
    return ContextPair(x, y, 0), x_types, y_types


def transform(context: ContextPair, matrix: np.ndarray) -> ContextPair:
    return ContextPair(
        *((z @ matrix).astype(np.float32) for z in (context.control, context.treated)), 0
    )


def matched_share(
    context: ContextPair,
    matrix: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    *,
    learn: bool,
) -> float:
    transformed = transform(context, matrix)
    root = (
        learn_metric([transformed], unbalanced=False, rng=np.random.default_rng(0))
        if learn
        else None
    )
    x, y = torch.as_tensor(transformed.control), torch.as_tensor(transformed.treated)
    p = couple(x, y, root, 1.0, 10.0).plan.numpy()
    return float(p[labels[0][:, None] == labels[1]].sum() / p.sum())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_learned_metric_couples_cells_of_the_same_type(seed):
    context, *labels = make_context(seed=seed)
    # some cells are coupled with the other type, because sampled proportions differ by chance
    assert matched_share(context, np.eye(4), tuple(labels), learn=True) > 0.95
    assert matched_share(context, np.eye(4), tuple(labels), learn=False) < 0.9


def test_the_learned_metric_does_not_depend_on_rotation_and_units():
    context, *labels = make_context()
    rng = np.random.default_rng(3)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for matrix in (rotation, 100 * rotation, np.diag([1.0, 3.0, 0.5, 2.0]) @ rotation):
        assert matched_share(context, matrix, tuple(labels), learn=True) > 0.95


def test_normal_and_other_populations_are_distinguished():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(800, 3)), rng.normal(size=(800, 3)) * [1, 2, 0.5] + 1
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert are_gaussian([ContextPair(x, y, 0)])
    bimodal = y.copy()
    bimodal[::2, 0] += 8
    assert not are_gaussian([ContextPair(x, bimodal, 0)])
    # a single context that is not normal decides
    assert not are_gaussian([ContextPair(x, y, 0), ContextPair(x, bimodal, 0)])
