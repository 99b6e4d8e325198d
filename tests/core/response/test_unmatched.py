"""Types of cells that are missing among the treated: nothing is made up for them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from scdiffot.core.response import Conditions, ContextPair, ResponseConfig, fit_response
from scdiffot.core.response.pairs import ConditionPairs, linear_pairs
from scdiffot.core.response.unmatched import add_extinct, add_mean_response, separate_unmatched

ONE = Conditions(np.zeros((1, 0)), np.ones(1))
CENTRES = np.array([[0.0, 0, 0], [0, 6, 0], [0, 0, 9]])
SHIFT = np.array([3.0, 0, 0])


def cells(
    n_treated: tuple[int, int, int], n: int = 100, seed: int = 0
) -> tuple[ContextPair, np.ndarray]:
    """Three types, of which so many cells are left after the same shift of all; and the types of the untreated cells."""
    rng = np.random.default_rng(seed)
    types, left = np.repeat(np.arange(3), n), np.repeat(np.arange(3), n_treated)
    x, y = (CENTRES[of] + rng.normal(size=(len(of), 3)) for of in (types, left))
    return ContextPair(x.astype(np.float32), (y + SHIFT).astype(np.float32), 0), types


@pytest.mark.parametrize("metric", ["learned", "euclidean"])
def test_balanced_cells_do_not_become_another_type(metric, caplog):
    config = ResponseConfig(n_steps=100, metric=metric)
    with caplog.at_level(logging.WARNING, logger="scdiffot"):
        complete, types = cells((100, 100, 100))
        fit_response([complete], ONE, config)
        assert not caplog.text
        extinct, _ = cells((100, 100, 0))
        model, _ = fit_response([extinct], ONE, config)
    assert "33 % of the untreated cells have no treated counterpart" in caplog.text
    response = model.predict(extinct.control).states - extinct.control
    # two types couple as usual, the third follows their mean: it is at most one standard deviation of a cell away
    for of_type in range(3):
        assert np.linalg.norm(response[types == of_type].mean(axis=0) - SHIFT) < 0.5
    assert np.linalg.norm(response[types == 2] - SHIFT, axis=1).mean() < 1


def test_only_cells_without_counterpart_are_separated():
    stratum, types = cells((100, 100, 0))
    matched, unmatched = separate_unmatched([stratum], None)
    lost = (stratum.control[:, None] == unmatched).all(axis=2).any(axis=1)
    assert lost[types == 2].all()
    assert not lost[types != 2].any()
    assert len(matched[0].control) + len(unmatched) == len(types)
    np.testing.assert_array_equal(matched[0].control, stratum.control[~lost])
    # the same, if not every cell can be compared
    many = ContextPair(np.repeat(stratum.control, 10, axis=0), stratum.treated, 0)
    _, unmatched = separate_unmatched([many], None)
    assert len(unmatched) == pytest.approx(10 * lost.sum(), rel=0.1)


def test_moments_with_the_mean_response_are_those_of_all_pairs():
    stratum, _ = cells((100, 100, 100))
    pairs = linear_pairs([ContextPair(stratum.control[:200], stratum.treated, 0)])
    rest = stratum.control[200:]
    both = add_mean_response(pairs, rest, 200)
    shift = (pairs.y - pairs.x).double().mean(0)
    x = torch.cat([pairs.x, torch.as_tensor(rest)]).double()
    y = torch.cat([pairs.y.double(), torch.as_tensor(rest) + shift])
    expected = {"xx": (x, x), "xy": (x, y), "yy": (y, y)}
    for name, (u, v) in expected.items():
        covariance = (u - u.mean(0)).T @ (v - v.mean(0)) / 300
        torch.testing.assert_close(getattr(both.moments, name), covariance, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both.moments.mean_y, y.mean(0), rtol=1e-6, atol=1e-6)
    assert len(both.x) == 300
    torch.testing.assert_close(
        (both.y - both.x)[200:], shift.float().expand(100, 3), atol=1e-5, rtol=1e-5
    )


def test_contexts_known_by_numbers_add_their_mass():
    stratum, _ = cells((100, 100, 100))
    pairs: ConditionPairs = linear_pairs([stratum])
    extinct = ContextPair(stratum.control[:100], stratum.control[:0], 0, 0.1)
    both = add_extinct(pairs, [extinct], 2000)
    assert both.mass == pytest.approx((300 + 100 * 0.1) / 400)
    assert both.least_mass == 0.1
    torch.testing.assert_close(both.survival, torch.cat([torch.ones(300), torch.full((100,), 0.1)]))


@pytest.mark.parametrize("n", [100, 12])
def test_survival_of_an_extinct_context(n):
    stratum, types = cells((100, 100, 0))
    parts = [
        ContextPair(stratum.control[types == i], stratum.treated[i * 100 : (i + 1) * 100], 0)
        for i in (0, 1)
    ]
    dead = stratum.control[types == 2][:n]
    parts.append(ContextPair(dead, dead[:0], 0, 0.5 / n))
    model, _ = fit_response(
        parts, ONE, ResponseConfig(n_steps=30, metric="euclidean", unbalanced=True)
    )
    survival = model.predict(stratum.control).survival
    # the truth is 0; of the two others 1, up to the standard error of the mean of a hundred counts
    assert survival[types == 2].mean() < 0.1
    for of_type in (0, 1):
        assert survival[types == of_type].mean() == pytest.approx(1, abs=0.15)
