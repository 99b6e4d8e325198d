"""Fitting responses: couple within contexts, then regress on the couplings."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.nets.seeding import one_thread, torch_generator
from scdiffot.core.problem.config import Progress
from scdiffot.core.problem.outliers import drop_isolated_responses
from scdiffot.core.problem.scales import smoothing_width
from scdiffot.core.problem.snapshots import Scaling, state_unit

from .convex import ConvexMaps, fit_convex
from .metric import are_gaussian, learn_metric
from .model import ResponseModel
from .pairs import draw_pairs, linear_pairs
from .regression import fit_flow
from .survival import fit_survival
from .unmatched import add_extinct, add_mean_response, separate_unmatched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from .data import Conditions, ContextPair, ResponseConfig
    from .flow import ResponseFlow
    from .pairs import ConditionPairs


def fit_response(
    strata: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    *,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    callback: Callable[[Progress], None] | None = None,
) -> tuple[ResponseModel, dict[str, Any]]:
    """Learn what treatments do to cells.

    Parameters
    ----------
    strata
        Cells of every context before and after every treatment, in the user's unit.
    conditions
        The treatments.
    config
        Options.
    rng
        Seed or generator.
    device
        ``"auto"`` (cuda where there is one), or a torch device.
    callback
        Called with the progress.

    Returns
    -------
    The model, and the history: ``step``, ``loss``, ``metric`` (the one that was used), ``seconds`` and ``interrupted``.

    Raises
    ------
    ValueError
        If a treatment has no cells.
    KeyboardInterrupt
        If interrupted before there is a state to keep.
    """
    where = resolve_device(device)
    generator = as_generator(rng)
    missing = sorted(
        set(range(len(conditions.strength))) - {s.condition for s in strata if s.coupled}
    )
    if missing:
        raise ValueError(f"conditions {missing} have no cells.")
    strata = drop_isolated_responses(strata)
    with one_thread():
        n_maps = len(conditions.strength) if config.method == "convex" else 1
        return _fit(
            strata, conditions, config, generator, where, _Report(n_maps * config.steps, callback)
        )


def _fit(
    strata: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    rng: np.random.Generator,
    device: torch.device,
    report: _Report,
) -> tuple[ResponseModel, dict[str, Any]]:
    started = time.process_time()
    weights = torch_generator(rng)
    coupled = [s for s in strata if s.coupled]
    # the same cells may stand in several strata
    shift, scale = state_unit({id(z): z for s in coupled for z in (s.control, s.treated)}.values())
    scaling = Scaling(shift, scale, 0.0, 1.0)
    scaled, extinct = (
        [_scaled(s, scaling) for s in strata if s.coupled == part] for part in (True, False)
    )
    widths = [
        smoothing_width(z, rng, config.smoothing) for s in scaled for z in (s.control, s.treated)
    ]
    width = float(np.mean(widths))
    metric = "euclidean" if config.method == "convex" else config.metric
    linear = metric == "auto" and are_gaussian(scaled)
    if metric == "auto":
        metric = "euclidean" if linear else "learned"
    # survival is read off couplings
    linear = linear and not config.unbalanced
    if linear and len(scaled) == len(conditions.strength):
        # nothing is left to smooth
        width = 0.0
    learned = metric == "learned"
    pairs = []
    for i in range(len(conditions.strength)):
        of_condition = [s for s in scaled if s.condition == i]
        p = (
            linear_pairs(of_condition)
            if linear
            else _pairs(of_condition, config, rng, learned=learned)
        )
        pairs.append(add_extinct(p, [s for s in extinct if s.condition == i], config.n_landmarks))
    survival = None
    if config.unbalanced:
        survival = fit_survival(conditions, pairs, width=width, rng=rng, weights=weights)
    transport: ResponseFlow | ConvexMaps
    if config.method == "convex":
        transport, interrupted = fit_convex(pairs, config, generator=weights, report=report)
    else:
        transport, interrupted = fit_flow(
            conditions,
            pairs,
            config,
            width=width,
            device=device,
            generator=weights,
            report=report,
        )
    if not report.log:
        report.note(1, float("nan"))
    log = np.array(report.log)
    history = {
        "step": log[:, 0].astype(np.int64),
        "loss": log[:, 1],
        "metric": metric,
        "smoothing": width * scaling.scale,
        "seconds": time.process_time() - started,
        "interrupted": interrupted,
    }
    return ResponseModel(transport, survival, conditions, scaling, config), history


def _scaled(stratum: ContextPair, scaling: Scaling) -> ContextPair:
    return replace(
        stratum,
        control=scaling.state_in(stratum.control),
        treated=scaling.state_in(stratum.treated),
    )


def _pairs(
    strata: list[ContextPair], config: ResponseConfig, rng: np.random.Generator, *, learned: bool
) -> ConditionPairs:
    """Pairs of one treatment; in balanced fits, cells without a treated counterpart are not coupled."""
    root = learn_metric(strata, unbalanced=config.unbalanced, rng=rng) if learned else None
    if config.unbalanced:
        return draw_pairs(strata, root, config, rng)
    strata, unmatched = separate_unmatched(strata, root)
    if learned and len(unmatched):
        root = learn_metric(strata, unbalanced=False, rng=rng)
    n_coupled = sum(len(s.control) for s in strata)
    return add_mean_response(draw_pairs(strata, root, config, rng), unmatched, n_coupled)


class _Report:
    """Collects the loss and passes it on."""

    def __init__(self, n_steps: int, callback: Callable[[Progress], None] | None) -> None:
        self.n_steps = n_steps
        self.callback = callback
        self.log: list[tuple[float, float]] = []

    def note(self, step: int, loss: float) -> None:
        """Keep a loss without passing it on."""
        self.log.append((step, loss))

    def __call__(self, step: int, loss: float) -> None:
        self.note(step, loss)
        if self.callback is not None:
            self.callback(Progress("training", step, self.n_steps, loss))
