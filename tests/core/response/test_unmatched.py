"""Cell types without treated cells are not coupled with another type."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from scdiffot.core.response import Conditions, ContextPair, ResponseConfig, fit_response
from scdiffot.core.response.pairs import ConditionPairs, linear_pairs
from scdiffot.core.response.unmatched import add_extinct, add_mean_response, separate_unmatched

CONDITIONS = Conditions(np.zeros((1, 0)), np.ones(1))
CENTRES = np.array([[0.0, 0, 0], [0, 6, 0], [0, 0, 9]])
SHIFT = np.array([3.0, 0, 0])


def make_context(
    n_treated: tuple[int, int, int], n: int = 100, seed: int = 0
) -> tuple[ContextPair, np.ndarray]:
    """Return a context of three types with a common shift, and the types of untreated cells."""
    rng = np.random.default_rng(seed)
    types, treated_types = np.repeat(np.arange(3), n), np.repeat(np.arange(3), n_treated)
    x, y = (
        CENTRES[centre_rows] + rng.normal(size=(len(centre_rows), 3))
        for centre_rows in (types, treated_types)
    )
    return ContextPair(x.astype(np.float32), (y + SHIFT).astype(np.float32), 0), types


@pytest.mark.parametrize("metric", ["learned", "euclidean"])
def test_balanced_cells_do_not_become_another_type(metric, caplog):
    config = ResponseConfig(train={"n_steps": 100}, metric=metric)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        complete, types = make_context((100, 100, 100))
        fit_response([complete], CONDITIONS, config)
        assert not caplog.text
        extinct, _ = make_context((100, 100, 0))
        model, _ = fit_response([extinct], CONDITIONS, config)
    assert "33 % of the untreated cells have no treated counterpart" in caplog.text
    response = model.predict(extinct.control).states - extinct.control
    # two types are coupled and the third takes their mean response, within one standard deviation
    for of_type in range(3):
        assert np.linalg.norm(response[types == of_type].mean(axis=0) - SHIFT) < 0.5
    assert np.linalg.norm(response[types == 2] - SHIFT, axis=1).mean() < 1


def test_only_cells_without_counterpart_are_separated():
    context, types = make_context((100, 100, 0))
    matched, unmatched = separate_unmatched([context], None)
    is_unmatched = (context.control[:, None] == unmatched).all(axis=2).any(axis=1)
    assert is_unmatched[types == 2].all()
    assert not is_unmatched[types != 2].any()
    assert len(matched[0].control) + len(unmatched) == len(types)
    np.testing.assert_array_equal(matched[0].control, context.control[~is_unmatched])
    # the same with more cells than the coupling compares
    large_context = ContextPair(np.repeat(context.control, 10, axis=0), context.treated, 0)
    _, unmatched = separate_unmatched([large_context], None)
    assert len(unmatched) == pytest.approx(10 * is_unmatched.sum(), rel=0.1)


def test_moments_with_the_mean_response_are_those_of_all_pairs():
    context, _ = make_context((100, 100, 100))
    pairs = linear_pairs([ContextPair(context.control[:200], context.treated, 0)])
    unmatched = context.control[200:]
    result = add_mean_response(pairs, unmatched, 200)
    shift = (pairs.y - pairs.x).double().mean(0)
    x = torch.cat([pairs.x, torch.as_tensor(unmatched)]).double()
    y = torch.cat([pairs.y.double(), torch.as_tensor(unmatched) + shift])
    products = {"xx": (x, x), "xy": (x, y), "yy": (y, y)}
    for name, (u, v) in products.items():
        covariance = (u - u.mean(0)).T @ (v - v.mean(0)) / 300
        torch.testing.assert_close(getattr(result.moments, name), covariance, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(result.moments.mean_y, y.mean(0), rtol=1e-6, atol=1e-6)
    assert len(result.x) == 300
    torch.testing.assert_close(
        (result.y - result.x)[200:], shift.float().expand(100, 3), atol=1e-5, rtol=1e-5
    )


def test_contexts_without_treated_cells_add_their_mass():
    context, _ = make_context((100, 100, 100))
    pairs: ConditionPairs = linear_pairs([context])
    extinct = ContextPair(context.control[:100], context.control[:0], 0, 0.1)
    result = add_extinct(pairs, [extinct], 2000)
    assert result.mass == pytest.approx((300 + 100 * 0.1) / 400)
    assert result.min_mass == 0.1
    torch.testing.assert_close(
        result.survival, torch.cat([torch.ones(300), torch.full((100,), 0.1)])
    )


@pytest.mark.parametrize("n", [100, 12])
def test_the_survival_of_an_extinct_context_is_zero(n):
    context, types = make_context((100, 100, 0))
    contexts = [
        ContextPair(context.control[types == i], context.treated[i * 100 : (i + 1) * 100], 0)
        for i in (0, 1)
    ]
    extinct_cells = context.control[types == 2][:n]
    contexts.append(ContextPair(extinct_cells, extinct_cells[:0], 0, 0.5 / n))
    model, _ = fit_response(
        contexts,
        CONDITIONS,
        ResponseConfig(train={"n_steps": 30}, metric="euclidean", unbalanced=True),
    )
    survival = model.predict(context.control).survival
    # the true survival is 0, and 1 for the other types, up to the standard error of 100 counts
    assert survival[types == 2].mean() < 0.1
    for of_type in (0, 1):
        assert survival[types == of_type].mean() == pytest.approx(1, abs=0.15)
