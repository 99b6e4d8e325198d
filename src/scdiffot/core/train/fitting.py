"""Fits of drift, growth and score to snapshots."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.nets.model import RUOTModel
from scdiffot.core.nets.seeding import one_thread
from scdiffot.core.problem.config import FitConfig
from scdiffot.core.problem.outliers import drop_isolated

from .diagnostics import diagnose
from .stages.calibration import CalibrationStage
from .stages.corrections import CorrectionStage, SigmaSearchStage
from .stages.coupling import CouplingStage
from .stages.matching import DensityStage, MatchingStage
from .stages.regression import BridgeStage
from .stages.stage import history_of
from .stages.state import initial_state, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch

    from scdiffot.core.problem.config import Progress
    from scdiffot.core.problem.snapshots import Snapshots

    from .stages.stage import History, Stage
    from .stages.state import TrainingState


def fit(
    snapshots: Snapshots,
    config: FitConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    device: str | torch.device = "auto",
    callback: Callable[[Progress], None] | None = None,
) -> tuple[RUOTModel, History]:
    """Fit drift, growth and score to snapshots by simulation-free unbalanced bridge matching.

    Parameters
    ----------
    snapshots
        At least two snapshots.
    config
        Options; the defaults suit all data sets.
    rng
        Seed or generator: equal seeds give equal results on one machine and number of threads.
    device
        ``"auto"`` (CUDA if available), or a torch device.
    callback
        Called at least every 25 steps with the progress.

    Isolated cells (see :func:`~scdiffot.core.problem.outliers.isolated_cells`) are excluded from
    the training.

    Returns
    -------
    The model, and the history of its training. For at most 25 steps each: ``stage``, ``step`` and
    the mean losses of the stage, which are NaN in others. ``loss`` is the total, ``loss_error`` its
    standard error, ``loss_flow``, ``loss_growth`` and ``loss_score`` are those of regressions, and
    ``loss_mismatch`` and ``loss_penalty`` those of matching. At every snapshot: ``times``, ``w1``,
    ``w1_floor``, ``mass_error`` and ``ess``. Also ``action``, ``hjb_residual``, ``sigma``,
    ``alpha``, ``path``, ``interrupted`` and ``seconds``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before any training. A later interrupt returns the best state so far, with
        ``interrupted`` True.

    See Also
    --------
    leave_one_out : Prediction error of the same fit for every inner snapshot.
    simulate : Trajectories of the fitted model.
    interpolate : The population at a time between snapshots.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> rng = np.random.default_rng(0)
    >>> cells = (rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1)
    >>> model, history = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> model.drift(cells[0], 0.0).shape
    (60, 2)
    """
    torch_device = resolve_device(device)
    generator = as_generator(rng)
    start_time = time.perf_counter()
    with one_thread():
        config = config or FitConfig()
        snapshots, config = resolve(drop_isolated(snapshots, config.outliers), config)
        state = initial_state(
            snapshots, config, rng=generator, device=torch_device, callback=callback
        )
        stages = training_stages(config)
        interrupted = run_stages(stages, state)
        CalibrationStage().run(state)
        scaling, times, masses = snapshots.scaling, snapshots.times, snapshots.masses
        model = RUOTModel(state.fields.cpu(), scaling, config, times, masses)
        history = history_of(stages) | diagnose(model, snapshots, generator)
    return model, history | {
        "path": state.bridge_config.path,
        "interrupted": interrupted,
        "seconds": time.perf_counter() - start_time,
    }


def training_stages(config: FitConfig) -> list[Stage]:
    """The stages of a fit that train its fields, in order."""
    stages: list[Stage] = [CouplingStage(), BridgeStage()]
    n_rounds, n_constant = config.corrections.n_rounds, config.selection.n_constant_rounds
    for i in range(n_rounds):
        correction = CorrectionStage(i)
        stages.append(correction)
        # The first round has not converged.
        if i > 0:
            stages.append(SigmaSearchStage(correction, more=i < n_rounds - n_constant))
    if config.matching.n_steps:
        stages += [MatchingStage(), DensityStage()]
    return stages


def run_stages(stages: list[Stage], state: TrainingState) -> bool:
    """Run stages one after another; whether they were interrupted.

    If so, the fields have the best weights of the stage so far.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before any loss was reported.
    """
    try:
        for stage in stages:
            state = stage.run(state)
    except KeyboardInterrupt:
        if state.best is None:
            raise
        state.fields.load_state_dict(state.best)
        state.fields.eval()
        return True
    return False
