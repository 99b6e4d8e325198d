"""Follow cells through the fitted dynamics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, check_count, check_flag
from scdiffot._data.read.select import select_cells
from scdiffot._data.read.times.values import as_list
from scdiffot._data.write.derived import fit_digest
from scdiffot._data.write.store import read_model, read_params, read_states, read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.number_text import number_text
from scdiffot._utils.options import MAX_PARTICLES, MAX_STEPS
from scdiffot._utils.rng import as_generator
from scdiffot.core import simulate as simulate_core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.times.columns import CellTimes
    from scdiffot.core import RUOTModel, Trajectories


@fill_parameters
def simulate(
    adata: AnnData | MuData,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    *,
    t0: float | str | None = None,
    t1: float | str | None = None,
    n_particles: int | None = None,
    kind: Literal["ode", "sde"] = "ode",
    direction: Literal["forward", "backward"] = "forward",
    weighted: bool = True,
    n_steps: int | None = None,
    save_times: Iterable[float] | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
) -> Trajectories:
    r"""Simulate trajectories of weighted particles that start at cells.

    .. math::
        \text{ode: } & dx = v \, dt, \\
        \text{sde: } & dX = b \, dt + \sigma \, dW, \\
        & d \log w = g \, dt

    with flow :math:`v`, drift :math:`b` and growth :math:`g` of the fit. The flow is an ordinary
    differential equation (ODE), the dynamics of single cells are a stochastic differential equation
    (SDE). Backward, the ODE is integrated in reverse, and the SDE is replaced by its time reversal
    :cite:p:`Anderson1982`.

    Parameters
    ----------
    %(fit)s
    source
        Cells where particles start: a time (number) or its label, a query of `adata.obs`
        (``"cell_type == 'stem'"``), names of cells, or a boolean mask. The cells of time `t0` by
        default.
    t0
        Start. By default the time of the source cells, or without `source` the first time (the last
        one backward).
    t1
        End. By default the last time (the first one backward).
    n_particles
        Number of particles; one per source cell by default. Cells are drawn without replacement if
        there are enough of them, otherwise with replacement.
    kind
        Deterministic flow (``"ode"``) or stochastic trajectories of single cells (``"sde"``).
    direction
        ``"forward"`` or ``"backward"`` in time.
    weighted
        Whether weights follow the growth. Backward without weights, trajectories are those of the
        ancestors of the cells, of which each cell has one; backward with weights, they reconstruct
        the earlier population.
    n_steps
        Steps in an interval between snapshots: 20 for the ODE, 60 for the SDE by default.
    save_times
        Times to save; by default 20 in every interval, and start and end.
    %(rng)s
    %(key)s

    Returns
    -------
    :class:`~scdiffot.core.Trajectories`: ``times`` of shape ``(S,)``, ``states`` of shape
    ``(S, N, d)``, ``log_weights`` of shape ``(S, N)``, which start at zero, and ``origin`` of shape
    ``(N,)``, the position in `adata` of the cell at which each particle starts. In a tissue also
    ``positions`` of shape ``(S, N, 2)``, which the last columns of ``states`` hold in the unit of
    the state. Writes nothing.

    Raises
    ------
    KeyError
        If there is no fit, or a label or name does not exist.
    TypeError
        If an argument has the wrong type.
    ValueError
        If no cell is selected, cells of several times are selected and `t0` is missing, a time lies
        outside those of the fit, or `t1` lies on the wrong side of `t0`.

    See Also
    --------
    scdiffot.tl.interpolate : The population at any time.
    scdiffot.tl.sta_forward : Fates of cells.
    scdiffot.tl.sta_backward : Ancestors of cells.
    scdiffot.pl.trajectories : Plot trajectories.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> paths = sdo.tl.simulate(adata, "cell_type == 'both'", t0=0, t1=2, n_particles=50)
    >>> paths.states.shape
    (41, 50, 2)
    """
    direction = check_choice("direction", direction, ("forward", "backward"))
    kind, weighted = check_choice("kind", kind, ("ode", "sde")), check_flag("weighted", weighted)
    if n_particles is not None:
        n_particles = check_count("n_particles", n_particles, 1, MAX_PARTICLES)
    if n_steps is not None:
        n_steps = check_count("n_steps", n_steps, 1, MAX_STEPS)
    model = read_model(adata, key)
    times = read_times(adata, key)
    first, last = (
        float(t) for t in (model.times[[0, -1]] if direction == "forward" else model.times[[-1, 0]])
    )
    cells, start = _select_start(adata, source, _time(times, t0, "t0"), times, first)
    end = _time(times, t1, "t1")
    end = last if end is None else end
    _check_range(model, start, end, direction)
    generator = as_generator(rng)
    if n_particles is not None:
        cells = generator.choice(cells, n_particles, replace=n_particles > len(cells))
    states = read_states(adata, key)[cells]
    trajectories = simulate_core(
        model,
        states,
        start,
        t1=end,
        kind=kind,
        n_steps=n_steps,
        save_times=None
        if save_times is None
        else np.array([_time(times, t, "save_times") for t in as_list(save_times)]),
        weighted=weighted,
        rng=generator,
    )
    trajectories = replace(
        trajectories, origin=cells[trajectories.origin], fit=fit_digest(adata, key)
    )
    tissue = read_params(adata, key)["tissue"]
    if tissue is None:
        return trajectories
    return replace(trajectories, n_dims=tissue.n_dims, unit=tissue.unit)


def _select_start(
    adata: AnnData | MuData, source: Any, start: float | None, times: CellTimes, default: float
) -> tuple[np.ndarray, float]:
    """Cells where particles start, and their time."""
    if source is None:
        start = default if start is None else start
        k = times.nearest(start)
        if k is None:
            raise ValueError(
                f"`t0` is {number_text(start)}, where no cells were observed: name the cells to "
                "start from with `source`."
            )
        return times.cells(times.points[k]), start
    cells = select_cells(adata, source, times)
    if start is None:
        source_times = np.unique(times.values[cells])
        if len(source_times) > 1:
            raise ValueError(
                f"`source` has cells of the times {', '.join(map(number_text, source_times))}: "
                "choose cells of one, or pass `t0`."
            )
        start = float(source_times[0])
    return cells, start


def _check_range(model: RUOTModel, start: float, end: float, direction: str) -> None:
    """Refuse times outside the fit, or in the wrong order."""
    low, high = model.times[0], model.times[-1]
    for name, time in (("t0", start), ("t1", end)):
        if not low <= time <= high:
            raise ValueError(
                f"`{name}` is {number_text(time)}: the fit covers the times from "
                f"{number_text(low)} to "
                f"{number_text(high)}."
            )
    if start == end or (start < end) != (direction == "forward"):
        raise ValueError(
            f"`t0` is {number_text(start)} and `t1` is {number_text(end)}: that is not "
            f"{direction}; swap them or the `direction`."
        )


def _time(times: CellTimes, value: float | str | None, argument: str) -> float | None:
    """Read a time, unless it is None."""
    return None if value is None else times.read(value, argument)
