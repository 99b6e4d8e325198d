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


def solved(price: float | None, mass: float = 0.7) -> np.ndarray:
    arrays = problem(mass)
    options = {"alpha": None, "eps": EPS, "source_price": price, "tol": 1e-11, "max_iter": 50_000}
    return plan(sinkhorn(*arrays, **options)).numpy()


@pytest.mark.parametrize("price", [0.1, 1.0, 10.0])
def test_death_has_the_price_that_pot_gives_it(price):
    x, a, y, b = problem()
    cost = ground_cost(x, y, None).numpy()
    # exact on the side of the treated cells
    reference = ot.unbalanced.sinkhorn_unbalanced(
        a.numpy(),
        b.numpy(),
        cost,
        EPS,
        (price, float("inf")),
        reg_type="kl",
        stopThr=1e-14,
        numItermax=200_000,
    )
    found = solved(price)
    assert found == pytest.approx(reference, abs=1e-7)
    assert found.sum(axis=0) == pytest.approx(b.numpy(), abs=1e-9)


def test_dear_death_is_none():
    x, a, y, b = problem(1.0)
    reference = ot.sinkhorn(
        a.numpy(), b.numpy(), ground_cost(x, y, None).numpy(), EPS, stopThr=1e-13, numItermax=10**5
    )
    # the marginal is off by the order of one over the price
    assert solved(1e5, 1.0) == pytest.approx(reference, abs=1e-5)


def test_where_death_costs_nothing_each_treated_cell_chooses_its_origin():
    x, a, y, b = problem()
    kernel = a[:, None] * torch.exp(-ground_cost(x, y, None) / EPS)
    assert solved(1e-7) == pytest.approx((kernel / kernel.sum(0) * b).numpy(), abs=1e-5)


def kinds(n: int = 300, seed: int = 0) -> tuple[ContextPair, np.ndarray, np.ndarray]:
    """Two kinds side by side; the treatment carries each one past the place of the other, along another axis."""
    rng = np.random.default_rng(seed)
    of_x, of_y = rng.integers(2, size=n), rng.integers(2, size=n)
    x, y = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    # the third and fourth coordinates tell the kinds apart, and the treatment leaves them alone
    for z, kind in ((x, of_x), (y, of_y)):
        z[:, 2:] *= 0.2
        z[:, 2] += kind
    y[:, 0] += 4 + 6 * of_y
    return ContextPair(x, y, 0), of_x, of_y


def scaled(stratum: ContextPair, matrix: np.ndarray) -> ContextPair:
    return ContextPair(
        *((z @ matrix).astype(np.float32) for z in (stratum.control, stratum.treated)), 0
    )


def share(
    stratum: ContextPair,
    matrix: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    *,
    learned: bool,
) -> float:
    turned = scaled(stratum, matrix)
    root = (
        learn_metric([turned], unbalanced=False, rng=np.random.default_rng(0)) if learned else None
    )
    x, y = torch.as_tensor(turned.control), torch.as_tensor(turned.treated)
    p = couple(x, y, root, 1.0, 10.0).plan.numpy()
    return float(p[labels[0][:, None] == labels[1]].sum() / p.sum())


@pytest.mark.parametrize("seed", [0, 1])
def test_metric_finds_what_the_treatment_leaves_alone(seed):
    stratum, *labels = kinds(seed=seed)
    # some cells have to change sides: numbers of both kinds differ by chance
    assert share(stratum, np.eye(4), tuple(labels), learned=True) > 0.95
    assert share(stratum, np.eye(4), tuple(labels), learned=False) < 0.9


def test_metric_does_not_depend_on_rotation_and_units():
    stratum, *labels = kinds()
    rng = np.random.default_rng(3)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    for matrix in (rotation, 100 * rotation, np.diag([1.0, 3.0, 0.5, 2.0]) @ rotation):
        assert share(stratum, matrix, tuple(labels), learned=True) > 0.95


def test_tells_gaussians_from_others():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(800, 3)), rng.normal(size=(800, 3)) * [1, 2, 0.5] + 1
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert are_gaussian([ContextPair(x, y, 0)])
    halves = y.copy()
    halves[::2, 0] += 8
    assert not are_gaussian([ContextPair(x, halves, 0)])
    # one context is enough
    assert not are_gaussian([ContextPair(x, y, 0), ContextPair(x, halves, 0)])
