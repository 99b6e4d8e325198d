"""Fates of cells by forward stochastic trajectory analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.classifier import check_estimator
from scdiffot._analysis.sta_inputs import MAX_SHARE_OUTSIDE, StaInputs
from scdiffot._data.read.checks import as_writable, check_count, check_flag, check_share
from scdiffot._data.write.fate_tables import write_fate
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, OUTSIDE, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.fate import N_STEPS

from .fate_run import FateRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def sta_forward(
    adata: AnnData | MuData,
    cell_key: str,
    source: str | float | np.ndarray | Iterable[str] | None = None,
    *,
    target_time: float | str | None = None,
    n_trajectories: int = 100,
    growth: bool | None = None,
    path: bool = False,
    classifier: Any = None,
    n_neighbors: int = 30,
    threshold: float = 0.5,
    n_steps: int | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    copy: bool = False,
    show_progress: bool = True,
) -> AnnData | MuData | None:
    r"""Estimate fates, numbers of descendants and commitment times of cells.

    The method is forward stochastic trajectory analysis (STA). From every cell :math:`(x, t)`,
    stochastic trajectories run to the target time :math:`T`, along which cells multiply:

    .. math::
        n(x, t) &= E\big[ e^{\int g} \,\big|\, X_t = x \big], \\
        \text{fate}_A(x, t) &= E\big[ e^{\int g} \, 1_A(X_T) \,\big|\, X_t = x \big] / n(x, t),

    the expected number of descendants (the size of the clone) and the share of type A among them.
    Without the weights, the second is the probability that a *single* trajectory ends in A. That is
    not the composition of the descendants if types multiply at different rates; `path` adds it.

    The types of the ends are predicted by a classifier of the cells observed at the target time.
    Its probabilities are averaged, so that an ambiguous state contributes to several types.
    Descendants far from every observed cell are ``"outside"`` and have no type: their distance
    exceeds 1.25 times the 99.9 % quantile of the distances between nearest observed cells.
    Descendants among cells without a type (NaN) are ``"unknown"``; this class exists only if some
    cells of the target time have no type.

    A trajectory is *committed* from the time on at which the same classifier gives its last type at
    least the probability `threshold` without interruption. The commitment time of a cell is the
    mean over its trajectories, weighted by descendants; it is the start if all were committed
    before.

    Parameters
    ----------
    %(fit)s
    %(cell_key)s
    source
        Cells to follow: a time (number) or its label, a query of `adata.obs` (``"cell_type ==
        'stem' and day < 4"``), names of cells, or a boolean mask. By default all cells before the
        target; cells of a single time are faster. Every cell starts at its own time.
    %(target_time)s
    n_trajectories
        Number of trajectories of every cell. Standard errors fall with its square root.
    %(growth)s
    path
        Whether to write the probabilities of single trajectories, too.
    classifier
        Any classifier of scikit-learn with `predict_proba`, which is calibrated by cross-validation
        if every type has ten cells or more. By default the shares of types among the nearest
        neighbours of the cell nearest to the state.
    n_neighbors
        Number of neighbours, at most a tenth of the cells. For types with fewer cells, smaller
        numbers are used as far as they predict these types better.
    threshold
        Probability of a type from which on a trajectory is committed to it.
    %(n_steps)s
    %(rng)s
    %(key)s
    %(copy)s
    %(show_progress)s

    Returns
    -------
    None, or the copy. Sets the following fields, which are NaN for cells that are not in `source`.
    In column names, ``|`` stands for a ``/`` in the name of a type, because files of AnnData refuse
    ``/``; :func:`scdiffot.get.fate` gives the original names.

    `adata.obsm["{key}_fate"]` : data frame of shape ``(n, classes)``
        Shares of the types observed at the target time, of ``"unknown"`` if some cells there have
        no type, and of ``"outside"``, among the descendants.
    `adata.obsm["{key}_fate_se"]` : data frame of shape ``(n, classes)``
        Their Monte-Carlo standard errors.
    `adata.obsm["{key}_fate_path"]` : data frame of shape ``(n, classes)``
        Probabilities of a single trajectory, if `path`.
    `adata.obs["{key}_n_descendants"]`, `adata.obs["{key}_n_descendants_se"]`
        Expected number of descendants, and its standard error.
    `adata.obs["{key}_fate_ess"]`
        Effective number of independent trajectories (effective sample size).
    `adata.obs["{key}_commitment_time"]`
        Time at which the fate is decided.
    `adata.uns["{key}"]["fate"]`
        `cell_key`, `target_time`, `classes`; `accuracy` of the classifier on held-out cells, and
        `accuracy_by_type`, a data frame with the `accuracy` on the cells of every type and their
        number `n_cells`; `n_trajectories`, `growth`; and the flow of mass between types:
        `flow_times` of shape ``(S,)``, `flow_classes` of shape ``(K,)``, `flow_masses` of shape
        ``(S, K)``, the mass of every type per source cell, and `flows` of shape ``(S - 1, K, K)``,
        the mass from type to type on arrival. A cell of `source` that starts later joins
        `flow_masses` at its time; by default the flow is that of the cells of the first time alone.

    Raises
    ------
    KeyError
        If there is no fit, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the target does not come after all source cells, lies outside the fit or has no cells
        with a type, no cell is selected, `growth` is True for a fit without it, a number is out of
        range, or `adata` cannot be used. Nothing is written then.

    See Also
    --------
    scdiffot.tl.sta_backward : Ancestors of cells.
    scdiffot.tl.trajectory_genes : Gene expression along the trajectories to every fate.
    scdiffot.get.fate : Read the fates.
    scdiffot.pl.fate : Plot the fates.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.sta_forward(adata, "cell_type", n_trajectories=20)
    >>> adata.obsm["scdiffot_fate"].dropna().sum(axis=1).round(6).unique().tolist()
    [1.0]
    """
    keys = Keys(key, "key")
    adata = as_writable(adata, copy=copy)
    inputs = StaInputs.read(adata, cell_key, key)
    check_estimator(classifier)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    threshold, path = check_share("threshold", threshold), check_flag("path", path)
    growth = inputs.check_growth(growth, "growth")
    target = inputs.find_time(target_time, inputs.model.times[-1], "target_time")
    cells = inputs.find_earlier_cells(adata, source, target)
    starts = inputs.times_of(cells)
    _check_starts(inputs, cells, starts, target)
    inputs.typed_cells(target, "target_time")
    generator = as_generator(rng)
    run = FateRun(inputs, starts[0], target, classifier, n_neighbors, generator)
    with cell_bar("fates", len(cells), show=show_progress) as progress:
        options = {
            "n_trajectories": n_trajectories,
            "growth": growth,
            "path": path,
            "threshold": threshold,
            "n_steps": n_steps,
            "rng": generator,
            "progress": progress,
        }
        for t in starts:
            start_cells = cells[inputs.times.values[cells] == t]
            run.follow(start_cells, t, options, flow=source is not None or t == starts[0])
    _warn_ends(run)
    run.classifier.log_accuracy(inputs.names)
    params = {
        "cell_key": cell_key,
        "target_time": target,
        "classes": inputs.classes[run.columns],
        "accuracy": run.classifier.accuracy,
        "accuracy_by_type": run.classifier.accuracy_table(inputs.names),
        "n_trajectories": n_trajectories,
        "growth": growth,
        **run.flows(),
    }
    _write(adata, keys, run, params, path=path)
    return adata if copy else None


def _check_starts(inputs: StaInputs, cells: np.ndarray, starts: np.ndarray, target: float) -> None:
    """Refuse source cells that do not come before the target."""
    if starts[-1] >= target:
        n_late = int((inputs.times.values[cells] >= target).sum())
        raise ValueError(
            f"`target_time` is {number_text(target)}, but {n_late} of the {len(cells)} cells of "
            f"`source` are of that time or later (up to {number_text(starts[-1])}): choose earlier "
            "cells, or a later target."
        )


def _write(
    adata: AnnData | MuData, keys: Keys, run: FateRun, params: dict[str, Any], *, path: bool
) -> None:
    """Write the fates of the source cells; probabilities of single trajectories if `path`."""
    tables = {keys.fate: "fate", keys.fate_se: "fate_se"} | (
        {keys.fate_path: "path"} if path else {}
    )
    columns = {
        keys.n_descendants: "n_descendants",
        keys.n_descendants_se: "n_descendants_se",
        keys.fate_ess: "ess",
        keys.commitment_time: "commitment",
    }
    write_fate(
        adata,
        keys,
        run.cells,
        tables={name: run.join(field)[:, run.columns] for name, field in tables.items()},
        columns={name: run.join(field) for name, field in columns.items()},
        entry=params,
    )


def _warn_ends(run: FateRun) -> None:
    """Warn if descendants end among cells without a type, or far from all cells."""
    inputs, target = run.inputs, run.target
    shares = np.average(run.join("fate"), axis=0, weights=run.join("n_descendants"))
    inputs.warn_single_cells(inputs.times.cells(target), run.classifier)
    inputs.warn_untyped(target, float(shares[-2]), "descendants")
    if shares[-1] > MAX_SHARE_OUTSIDE:
        logger.warning(
            "%.0f %% of the descendants end far from every cell of time %s and count as %r.",
            100 * shares[-1],
            number_text(target),
            OUTSIDE,
        )
