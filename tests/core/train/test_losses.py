"""What a step of training minimises, and which state is left of an interrupted one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scdiffot.core import FitConfig, Progress, fit
from scdiffot.core.train.bridges import stack
from scdiffot.core.train.objective import regression_losses
from scdiffot.core.train.training import Training

if TYPE_CHECKING:
    from scdiffot.core import RUOTModel, Snapshots


@pytest.mark.parametrize("form", ["separate", "gradient"])
@pytest.mark.parametrize("alpha", [0.25, 4.0])
def test_losses_are_mean_squares_of_the_residuals(
    form: str, alpha: float, snapshots: Snapshots, quick: dict
) -> None:
    """Of motion, of growth times alpha, and of the score times the spread, weighted by the mass of the points."""
    config = FitConfig(**quick, sigma=0.3, alpha=alpha, form=form)
    training = Training(snapshots, config, np.random.default_rng(0), torch.device("cpu"), None)
    training.fields.train()
    pool = stack([training.coupler.pairs(k) for k in range(2)])
    points, t, weight = next(training.batches.on_bridges(pool))
    with torch.no_grad():
        total, motion, growth, score = (
            regression_losses(training.fields, training.regime, points, t, weight)
            .numpy()
            .astype(float)
        )
        out = [value.double().numpy() for value in training.fields.regressed(points.x, t)]
    x = {
        name: getattr(points, name).double().numpy()
        for name in ("velocity", "lean", "growth", "noise", "spread")
    }
    w = weight.double().numpy() / len(t)
    sigma, price = training.regime.sigma, alpha / snapshots.scaling.scale**2
    # The bridge's own velocity has the part of the score of the middle of the interval; the drift has all of it.
    lean = x["lean"] + (sigma**2 / 2 if form == "gradient" else 0)
    residual = out[0] - x["velocity"] - lean[:, None] * out[2]
    assert motion == pytest.approx((w * (residual**2).sum(1)).sum(), rel=1e-5)
    assert growth == pytest.approx(price * (w * (out[1] - x["growth"]) ** 2).sum(), rel=1e-5)
    assert score == pytest.approx(
        (w[:, None] * (x["noise"] + x["spread"][:, None] * out[2]) ** 2).sum() / 2, rel=1e-5
    )
    assert total == pytest.approx(motion + growth + score, rel=1e-6)


def test_an_interrupted_fit_keeps_the_best_state(snapshots: Snapshots, quick: dict) -> None:
    """The state of the report with the least loss, not of the last one."""
    config = FitConfig(**{**quick, "n_steps": 400, "batch_size": 8}, sigma=0.3)
    config = replace(config, n_corrections=0)

    def interrupted(after: int) -> tuple[RUOTModel, list[float]]:
        losses: list[float] = []

        def watch(progress: Progress) -> None:
            losses.append(progress.loss)
            if len(losses) == after:
                raise KeyboardInterrupt

        return fit(snapshots, config, callback=watch)[0], losses

    _, losses = interrupted(16)
    best = int(np.argmin(losses[:-1])) + 1
    worse = next(i for i in range(best + 1, 17) if losses[i - 1] > losses[best - 1])
    states = [interrupted(after)[0].networks.state_dict() for after in (best, worse)]
    learned = [name for name in states[0] if "_net" in name]
    assert learned
    for name in learned:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=0, atol=0)
