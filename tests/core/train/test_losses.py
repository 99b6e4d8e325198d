"""The losses of a training step, and the state of an interrupted fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scdiffot.core import FitConfig, Progress, fit
from scdiffot.core.train.objective import regression_losses
from scdiffot.core.train.stages.coupling import CouplingStage
from scdiffot.core.train.stages.state import initial_state

if TYPE_CHECKING:
    from scdiffot.core import RUOTModel, Snapshots


@pytest.mark.parametrize("form", ["separate", "gradient"])
@pytest.mark.parametrize("alpha", [0.25, 4.0])
def test_losses_are_mean_squares_of_the_residuals(
    form: str, alpha: float, snapshots: Snapshots, quick: dict
) -> None:
    """Motion, growth times alpha, and score times the standard deviation, weighted by mass."""
    config = FitConfig(**quick, sigma=0.3, alpha=alpha, form=form).resolve(
        n_dims=2, n_snapshots=3, has_prior=False
    )
    state = initial_state(
        snapshots, config, rng=np.random.default_rng(0), device=torch.device("cpu")
    )
    state = CouplingStage().run(state)
    state.fields.train()
    points, t, weight = next(state.batches.on_bridges(state.pool))
    with torch.no_grad():
        total, motion, growth, score = (
            regression_losses(state.fields, state.bridge_config, points, t, weight)
            .numpy()
            .astype(float)
        )
        outputs = [value.double().numpy() for value in state.fields.network_outputs(points.x, t)]
    targets = {
        name: getattr(points, name).double().numpy()
        for name in ("velocity", "score_weight", "growth", "noise", "std")
    }
    w = weight.double().numpy() / len(t)
    sigma, alpha_scaled = state.bridge_config.sigma, alpha / snapshots.scaling.scale**2
    # The velocity of a bridge has a time-dependent share of the score; the drift has all of it.
    score_weight = targets["score_weight"] + (sigma**2 / 2 if form == "gradient" else 0)
    residual = outputs[0] - targets["velocity"] - score_weight[:, None] * outputs[2]
    assert motion == pytest.approx((w * (residual**2).sum(1)).sum(), rel=1e-5)
    assert growth == pytest.approx(
        alpha_scaled * (w * (outputs[1] - targets["growth"]) ** 2).sum(), rel=1e-5
    )
    assert score == pytest.approx(
        (w[:, None] * (targets["noise"] + targets["std"][:, None] * outputs[2]) ** 2).sum() / 2,
        rel=1e-5,
    )
    assert total == pytest.approx(motion + growth + score, rel=1e-6)


def test_an_interrupted_fit_keeps_the_best_state(snapshots: Snapshots, quick: dict) -> None:
    """The state of the report with the least loss, not of the last one."""
    options = {
        **quick,
        "train": {"n_steps": 400, "batch_size": 8},
        "corrections": {"n_rounds": 0},
    }
    config = FitConfig(**options, sigma=0.3)

    def fit_interrupted(n_reports: int) -> tuple[RUOTModel, list[float]]:
        losses: list[float] = []

        def watch(progress: Progress) -> None:
            losses.append(progress.loss)
            if len(losses) == n_reports:
                raise KeyboardInterrupt

        return fit(snapshots, config, callback=watch)[0], losses

    _, losses = fit_interrupted(16)
    best = int(np.argmin(losses[:-1])) + 1
    worse = next(i for i in range(best + 1, 17) if losses[i - 1] > losses[best - 1])
    states = [fit_interrupted(n_reports)[0].networks.state_dict() for n_reports in (best, worse)]
    learned = [name for name in states[0] if "_net" in name]
    assert learned
    for name in learned:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=0, atol=0)
