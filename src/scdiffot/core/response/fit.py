"""Fitting responses: couple within contexts, then regress on the couplings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._rng import as_generator
from scdiffot.core.config import Progress
from scdiffot.core.scales import smoothing_width
from scdiffot.core.seeding import seeded_thread
from scdiffot.core.snapshots import Scaling, state_unit

from .convex import ConvexMaps, fit_convex
from .data import Stratum
from .metric import are_gaussian, learn_metric
from .model import ResponseModel
from .pairs import draw_pairs, linear_pairs
from .regression import fit_flow
from .survival import fit_survival

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .data import Conditions, ResponseConfig
    from .flow import ResponseFlow


def fit_response(
    strata: Sequence[Stratum],
    conditions: Conditions,
    config: ResponseConfig,
    *,
    rng: int | np.random.Generator = 0,
    device: str = "auto",
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
    generator = as_generator(rng)
    missing = sorted(set(range(len(conditions.strength))) - {s.condition for s in strata})
    if missing:
        raise ValueError(f"conditions {missing} have no cells.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with seeded_thread(generator):
        n_maps = len(conditions.strength) if config.method == "convex" else 1
        return _fit(strata, conditions, config, generator, device, _Report(n_maps * config.steps, callback))


def _fit(
    strata: Sequence[Stratum],
    conditions: Conditions,
    config: ResponseConfig,
    rng: np.random.Generator,
    device: str,
    report: _Report,
) -> tuple[ResponseModel, dict[str, Any]]:
    started = time.process_time()
    # the same cells may stand in several strata
    shift, scale = state_unit({id(z): z for s in strata for z in (s.control, s.treated)}.values())
    scaling = Scaling(shift, scale, 0.0, 1.0)
    scaled = [Stratum(scaling.state_in(s.control), scaling.state_in(s.treated), s.condition, s.mass) for s in strata]
    widths = [smoothing_width(z, rng, config.smoothing) for s in scaled for z in (s.control, s.treated)]
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
    pairs = []
    for i in range(len(conditions.strength)):
        of_condition = [s for s in scaled if s.condition == i]
        if linear:
            pairs.append(linear_pairs(of_condition))
            continue
        root = learn_metric(of_condition, unbalanced=config.unbalanced, rng=rng) if metric == "learned" else None
        pairs.append(draw_pairs(of_condition, root, config, rng))
    survival = fit_survival(conditions, pairs, width=width, rng=rng) if config.unbalanced else None
    transport: ResponseFlow | ConvexMaps
    if config.method == "convex":
        transport, interrupted = fit_convex(pairs, config, report)
    else:
        transport, interrupted = fit_flow(conditions, pairs, config, width=width, device=device, report=report)
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
