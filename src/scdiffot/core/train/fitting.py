"""Fits of drift, growth and score to snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._utils.rng import as_generator
from scdiffot.core.nets.devices import resolve_device
from scdiffot.core.nets.seeding import one_thread
from scdiffot.core.problem.config import FitConfig
from scdiffot.core.problem.outliers import drop_isolated

from .training import Training

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch

    from scdiffot.core.nets.model import RUOTModel
    from scdiffot.core.problem.config import Progress
    from scdiffot.core.problem.snapshots import Snapshots

    from .training import History


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
    The model, and the history of its training: ``step``, ``loss``, ``loss_flow``, ``loss_growth``
    and ``loss_score``; at every snapshot ``times``, ``w1``, ``w1_floor``, ``mass_error`` and
    ``ess``; and ``action``, ``hjb_residual``, ``sigma``, ``alpha``, ``path``, ``interrupted`` and
    ``seconds``.

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
    ...     FitConfig(n_steps=20, n_corrections=0),
    ... )
    >>> model.drift(cells[0], 0.0).shape
    (60, 2)
    """
    torch_device = resolve_device(device)
    generator = as_generator(rng)
    with one_thread():
        return Training(
            drop_isolated(snapshots), config or FitConfig(), generator, torch_device, callback
        ).run()
