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
        Options; the defaults serve every data set.
    rng
        Seed or generator: equal seeds give equal results on one machine and number of threads.
    device
        ``"auto"`` (cuda where there is one), or a torch device.
    callback
        Called every few steps with the progress.

    Isolated cells (see :func:`~scdiffot.core.problem.outliers.isolated_cells`) take no part in the training.

    Returns
    -------
    The model, and the history of its training: ``step``, ``loss``, ``loss_flow``, ``loss_growth``, ``loss_score``, then at
    every snapshot ``times``, ``w1``, ``w1_floor``, ``mass_error``, ``ess``, and ``action``, ``hjb_residual``, ``sigma``,
    ``alpha``, ``path``, ``interrupted``, ``seconds``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before any training; later, the best state so far is returned and ``interrupted`` is True.

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
    where = resolve_device(device)
    generator = as_generator(rng)
    with one_thread():
        return Training(
            drop_isolated(snapshots), config or FitConfig(), generator, where, callback
        ).run()
