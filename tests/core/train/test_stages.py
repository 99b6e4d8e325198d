"""The stages of a fit: their logs, their units, and their interruption."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scdiffot.core import FitConfig, Progress, Snapshots
from scdiffot.core.train.fitting import run_stages, training_stages
from scdiffot.core.train.stages.matching import MatchingStage
from scdiffot.core.train.stages.stage import Stage, StageLog, history_of
from scdiffot.core.train.stages.state import TrainingState, initial_state, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

# Networks whose size does not matter.
SMALL = {"n_hidden": 8, "n_layers": 1}


def make_state(
    snapshots: Snapshots,
    config: FitConfig,
    seed: int = 0,
    callback: Callable[[Progress], None] | None = None,
) -> TrainingState:
    snapshots, config = resolve(snapshots, config)
    return initial_state(
        snapshots,
        config,
        rng=np.random.default_rng(seed),
        device=torch.device("cpu"),
        callback=callback,
    )


@pytest.mark.parametrize("n_steps", [25, 26, 60])
def test_rows_are_means_with_their_standard_errors(n_steps: int) -> None:
    values = np.random.default_rng(0).normal(5, 2, size=(n_steps, 2)).astype(np.float32)
    log = StageLog(("loss", "loss_flow"))
    complete = [
        log.add(i, torch.tensor(row), last=i == n_steps) for i, row in enumerate(values, start=1)
    ]
    ends = [i for i in range(1, n_steps + 1) if i % 25 == 0 or i == n_steps]
    assert np.flatnonzero(complete).tolist() == [i - 1 for i in ends]
    assert [row["step"] for row in log.rows] == ends
    for row, start, end in zip(log.rows, [0, *ends], ends, strict=False):
        part = values[start:end].astype(float)
        assert row["loss"] == pytest.approx(part[:, 0].mean(), rel=1e-6)
        assert row["loss_flow"] == pytest.approx(part[:, 1].mean(), rel=1e-6)
        if end - start > 1:
            error = part[:, 0].std(ddof=1) / (end - start) ** 0.5
            assert row["loss_error"] == pytest.approx(error, rel=1e-4)
        else:
            assert np.isnan(row["loss_error"])


def test_every_stage_of_an_autonomous_fit_is_in_the_history(quick_fit: Callable) -> None:
    model, history = quick_fit(autonomous=True)
    config, stage = model.config, history["stage"]
    n_steps = {
        "bridges": config.train.n_steps,
        "correction": config.corrections.n_rounds * config.corrections.n_steps,
        "matching": config.matching.n_steps,
        "density": config.matching.n_density_steps,
    }
    assert list(dict.fromkeys(stage)) == list(n_steps)
    assert (np.diff(history["step"]) > 0).all()
    last = [history["step"][stage == name][-1] for name in n_steps]
    np.testing.assert_array_equal(last, np.cumsum(list(n_steps.values())))
    components = {
        "bridges": ("loss_flow", "loss_growth", "loss_score"),
        "correction": ("loss_flow", "loss_growth", "loss_score"),
        "matching": ("loss_mismatch", "loss_penalty"),
        "density": ("loss_score",),
    }
    names = {name for parts in components.values() for name in parts}
    for stage_name, parts in components.items():
        rows = stage == stage_name
        total = sum(history[name][rows] for name in parts)
        np.testing.assert_allclose(history["loss"][rows], total, rtol=1e-5, atol=1e-6)
        assert all(np.isnan(history[name][rows]).all() for name in names - set(parts))


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_mismatch_is_the_energy_distance_in_sampling_errors(shift: float) -> None:
    """Of the cells of both snapshots, without drift and noise, as before the first step.

    The cells at the start are the population that moves; those at the end are a sample.
    """
    n_draws, n = 12, np.array([400, 600])
    config = FitConfig(
        autonomous=True, growth=False, sigma=0.0, matching={"n_steps": 1}, networks=SMALL
    )
    differences = []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(n[0], 1)), rng.normal(size=(n[1], 1)) + shift
        state = make_state(Snapshots(np.array([0.0, 1.0]), (x, y), np.ones(2)), config, seed)
        stage = MatchingStage()
        stage.run(state)
        within_x, across, within_y = (np.abs(a - b.T).sum() for a, b in ((x, x), (x, y), (y, y)))
        mean_distance = within_y / (n[1] * (n[1] - 1))
        distance = 2 * across / n.prod() - within_x / n[0] ** 2 - mean_distance
        expected = distance / (mean_distance * (1 / n).sum())
        differences.append(stage.log.rows[0]["loss_mismatch"] - expected)
    error = np.std(differences, ddof=1) / n_draws**0.5
    assert error < 0.5
    # Pairs of a cell with itself are replaced by pairs of neighbours, which are not at distance 0.
    assert abs(np.mean(differences)) < 4 * error + 0.05


class Interruption(Stage):
    """A stage in which the user interrupts."""

    name = "interruption"

    def run(self, state: TrainingState) -> TrainingState:
        """Interrupt."""
        raise KeyboardInterrupt


def interrupt(_: Progress) -> None:
    raise KeyboardInterrupt


def test_interruption_before_any_loss_is_raised(snapshots: Snapshots, quick: dict) -> None:
    state = make_state(snapshots, FitConfig(**quick, sigma=0.3))
    with pytest.raises(KeyboardInterrupt):
        run_stages([training_stages(state.config)[0], Interruption()], state)


@pytest.mark.parametrize("name", ["correction", "matching", "density"])
def test_an_interrupted_stage_keeps_its_best_state(
    name: str, snapshots: Snapshots, quick: dict
) -> None:
    """A regression goes back to its best report, the matching to the stage before it."""
    config = FitConfig(**quick, sigma=0.3, autonomous=True)
    config = replace(config, corrections=replace(config.corrections, n_steps=100))
    state = make_state(snapshots, config)
    stages = training_stages(state.config)
    n_before = [stage.name for stage in stages].index(name)
    assert not run_stages(stages[:n_before], state)
    weights = {key: value.clone() for key, value in state.fields.state_dict().items()}
    saved, n_reports = [], 0

    def watch(_: Progress) -> None:
        nonlocal n_reports
        n_reports += 1
        saved.append({key: value.clone() for key, value in state.fields.state_dict().items()})
        if n_reports == (1 if name == "matching" else 3):
            raise KeyboardInterrupt

    state.callback = watch
    assert run_stages(stages[n_before:], state)
    rows = stages[n_before].log.rows
    assert len(rows) == n_reports
    best = saved[int(np.argmin([row["loss"] for row in rows]))]
    if name == "matching":
        assert state.best is not None
        best = state.best
        assert any(not torch.equal(saved[-1][key], best[key]) for key in best)
    else:
        assert any(not torch.equal(weights[key], best[key]) for key in best)
    for key, value in state.fields.state_dict().items():
        assert torch.equal(value, best[key])
    assert history_of(stages)["stage"][-1] == name
