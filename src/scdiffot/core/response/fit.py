"""Fits of responses: couplings within contexts, then regression on paired cells."""

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
from .pairs import draw_condition_pairs, linear_pairs
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
    contexts: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    *,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    callback: Callable[[Progress], None] | None = None,
) -> tuple[ResponseModel, dict[str, Any]]:
    """Fit the responses of cells to treatments.

    Parameters
    ----------
    contexts
        Cells of every context before and after every treatment, in the user's unit.
    conditions
        The treatments.
    config
        Options.
    rng
        Seed or generator.
    device
        ``"auto"`` (CUDA if available), or a torch device.
    callback
        Called with the progress.

    Returns
    -------
    The model, and the history: ``step``, ``loss``, ``metric`` (the metric that was used),
    ``smoothing``, ``seconds`` and ``interrupted``.

    Raises
    ------
    ValueError
        If a treatment has no cells.
    KeyboardInterrupt
        If interrupted before the first step.

    See Also
    --------
    scdiffot.core.response.model.ResponseModel : The fitted model.
    scdiffot.core.response.evaluation.evaluate_responses : Score predictions for held-out cells.
    """
    torch_device = resolve_device(device)
    generator = as_generator(rng)
    missing = sorted(
        set(range(len(conditions.strength))) - {s.condition for s in contexts if s.coupled}
    )
    if missing:
        raise ValueError(f"conditions {missing} have no cells.")
    contexts = drop_isolated_responses(contexts, config.outliers)
    with one_thread():
        n_maps = len(conditions.strength) if config.method == "convex" else 1
        return _fit(
            contexts,
            conditions,
            config,
            generator,
            torch_device,
            _Report(n_maps * config.train.n_steps, callback),
        )


def _fit(
    contexts: Sequence[ContextPair],
    conditions: Conditions,
    config: ResponseConfig,
    rng: np.random.Generator,
    device: torch.device,
    report: _Report,
) -> tuple[ResponseModel, dict[str, Any]]:
    start_time = time.process_time()
    weights = torch_generator(rng)
    config = config.resolve(contexts[0].control.shape[1])
    coupled = [s for s in contexts if s.coupled]
    # contexts may share arrays of cells, which are counted once
    shift, scale = state_unit({id(z): z for s in coupled for z in (s.control, s.treated)}.values())
    scaling = Scaling(shift, scale, 0.0, 1.0)
    coupled, extinct = (
        [_rescale(s, scaling) for s in contexts if s.coupled == flag] for flag in (True, False)
    )
    widths = [
        smoothing_width(z, rng, config.scale) for s in coupled for z in (s.control, s.treated)
    ]
    width = float(np.mean(widths))
    metric, linear = _choose_metric(coupled, config)
    if linear and len(coupled) == len(conditions.strength):
        # the linear maps of single contexts are exact and need no smoothing
        width = 0.0
    pairs = []
    for i in range(len(conditions.strength)):
        of_condition = [s for s in coupled if s.condition == i]
        p = (
            linear_pairs(of_condition)
            if linear
            else _couple_and_sample(of_condition, config, rng, learn=metric == "learned")
        )
        pairs.append(
            add_extinct(p, [s for s in extinct if s.condition == i], config.coupling.n_landmarks)
        )
    survival = None
    if config.unbalanced:
        survival = fit_survival(conditions, pairs, width=width, rng=rng, weights=weights)
    transport: ResponseFlow | ConvexMaps
    if config.method == "convex":
        transport, interrupted = fit_convex(pairs, config, generator=weights, report=report)
    else:
        options: dict[str, Any] = {"device": device, "generator": weights, "report": report}
        transport, interrupted = fit_flow(conditions, pairs, config, width=width, **options)
    history = report.history() | {
        "metric": metric,
        "smoothing": width * scaling.scale,
        "seconds": time.process_time() - start_time,
        "interrupted": interrupted,
    }
    return ResponseModel(transport, survival, conditions, scaling, config), history


def _choose_metric(contexts: Sequence[ContextPair], config: ResponseConfig) -> tuple[str, bool]:
    """Metric of the couplings, and whether optimal linear maps replace couplings."""
    if config.method == "convex":
        return "euclidean", False
    if config.metric != "auto":
        return config.metric, False
    gaussian = are_gaussian(contexts)
    # survival is computed from couplings
    return "euclidean" if gaussian else "learned", gaussian and not config.unbalanced


def _rescale(context: ContextPair, scaling: Scaling) -> ContextPair:
    return replace(
        context,
        control=scaling.state_in(context.control),
        treated=scaling.state_in(context.treated),
    )


def _couple_and_sample(
    contexts: list[ContextPair], config: ResponseConfig, rng: np.random.Generator, *, learn: bool
) -> ConditionPairs:
    """Pairs of one treatment; balanced fits do not couple cells without a treated counterpart."""
    root = learn_metric(contexts, unbalanced=config.unbalanced, rng=rng) if learn else None
    if config.unbalanced:
        return draw_condition_pairs(contexts, root, config, rng)
    contexts, unmatched = separate_unmatched(contexts, root)
    if learn and len(unmatched):
        root = learn_metric(contexts, unbalanced=False, rng=rng)
    n_coupled = sum(len(s.control) for s in contexts)
    return add_mean_response(
        draw_condition_pairs(contexts, root, config, rng), unmatched, n_coupled
    )


class _Report:
    """Records losses and reports them to a callback."""

    def __init__(self, n_steps: int, callback: Callable[[Progress], None] | None) -> None:
        self.n_steps = n_steps
        self.callback = callback
        self.log: list[tuple[float, float]] = []

    def history(self) -> dict[str, Any]:
        """Steps and losses; a single NaN if nothing was reported."""
        log = np.array(self.log or [(1, float("nan"))])
        return {"step": log[:, 0].astype(np.int64), "loss": log[:, 1]}

    def __call__(self, step: int, loss: float) -> None:
        self.log.append((step, loss))
        if self.callback is not None:
            self.callback(Progress("training", step, self.n_steps, loss))
