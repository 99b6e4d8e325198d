"""What cells become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.classifier import check_estimator
from scdiffot._analysis.sta_inputs import StaInputs
from scdiffot._data.read.checks import check_count, check_flag, check_share, writable
from scdiffot._data.write.fate_tables import write_fate
from scdiffot._utils.keys import DEFAULT, OUTSIDE, Keys
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot._utils.progress import cell_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core.lineage.fate import N_STEPS, FateEstimate, descend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Share of descendants that end outside from which on the user is told.
MANY_OUTSIDE = 0.1


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
    r"""Follow cells to what they become: fates, numbers of descendants, and when the fate is decided.

    From every cell :math:`(x, t)` stochastic paths run to the target time :math:`T`, along which cells multiply:

    .. math::
        n(x, t) = E\big[ e^{\int g} \,\big|\, X_t = x \big], \qquad
        \text{fate}_A(x, t) = E\big[ e^{\int g} \, 1_A(X_T) \,\big|\, X_t = x \big] / n(x, t),

    the expected number of descendants (the size of the clone) and the share of type A among them. Without the weights it is the
    probability that a *single* path ends in A, which is not the composition of the descendants where types multiply at different
    rates; `path` adds it.

    Types at the end are told from the state by a classifier of the cells observed at the target time. Its probabilities are
    averaged, so that an undecided state counts for several types with the shares that such states have. Descendants far from
    every observed cell (a quarter farther than all but one in a thousand of these are from the nearest other one) are of no
    type, but ``"outside"``. Those among cells that have no type (NaN) are ``"unknown"``; there is no such class where all
    cells of the target time have one.

    A trajectory is *committed* from the time on from which the same classifier gives its last type at least the probability
    `threshold` without interruption. The commitment time of a cell is the mean over its trajectories, weighted by descendants;
    the start if all were decided before.

    Parameters
    ----------
    adata
        Cells with a fit.
    cell_key
        Column of `adata.obs` with the cell types.
    source
        Cells to follow: a time (number) or its label, a query of `adata.obs` (``"cell_type == 'stem' and day < 4"``), names
        of cells, or a boolean mask. By default all cells before the target; naming those of one time takes less time. Every
        cell starts at its own time.
    target_time
        Time of the fates (number or label), at which cells were observed; the last by default.
    n_trajectories
        Paths of every cell. Standard errors fall with the root of it.
    growth
        Whether to count that cells divide and die. By default, if the fit knows it.
    path
        Whether to write the probabilities of single paths, too.
    classifier
        Any classifier of scikit-learn with `predict_proba`, which is calibrated by cross-validation if every type has ten cells or
        more. By default the shares of types among the nearest neighbours (of the cell nearest to the state).
    n_neighbors
        Number of neighbours, at most a tenth of the cells. For types with fewer cells, smaller numbers take part as far as
        they predict these types better.
    threshold
        Probability of a type from which on a trajectory is committed to it.
    n_steps
        Steps in an interval between snapshots, 10 by default.
    rng
        Seed or generator.
    key
        Name of the fit.
    copy
        Whether to return a copy instead of writing into `adata`.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    None, or the copy. Sets the following fields, which are NaN for cells that were not followed. In column names, ``|`` stands for a
    ``/`` in the name of a type, which files of AnnData refuse; :func:`scdiffot.get.fate` gives the names as they are.

    `adata.obsm["{key}_fate"]` : data frame of shape ``(n, classes)``
        Shares of the types observed at the target time, of ``"unknown"`` if some cells there have no type, and of
        ``"outside"``, among the descendants.
    `adata.obsm["{key}_fate_se"]` : data frame of shape ``(n, classes)``
        Their Monte-Carlo standard errors.
    `adata.obsm["{key}_fate_path"]` : data frame of shape ``(n, classes)``
        Probabilities of a single path, if `path`.
    `adata.obs["{key}_n_descendants"]`, `adata.obs["{key}_n_descendants_se"]`
        Expected number of descendants, and its standard error.
    `adata.obs["{key}_fate_ess"]`
        Effective number of independent trajectories.
    `adata.obs["{key}_commitment_time"]`
        Time at which the fate is decided.
    `adata.uns["{key}"]["fate"]`
        `cell_key`, `target_time`, `classes`; `accuracy` of the classifier on cells it has not seen, and
        `accuracy_by_type`, a data frame with the `accuracy` on the cells of every type and their number `n_cells`;
        `n_trajectories`, `growth`; and the flow of mass between types: `flow_times` (S), `flow_classes` (K), `flow_masses`
        (S x K) of every type per followed cell, and `flows` (S - 1 x K x K), from type to type as large as it is on arrival.
        A cell of `source` that starts later joins `flow_masses` at its time; by default the flow is that of the cells of the
        first time alone.

    Raises
    ------
    KeyError
        If there is no fit, column, time or cell of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the target does not come after all source cells, lies outside the fit or has no cells with a type, no cell is
        selected, `growth` is asked of a fit without it, a number is out of range, or `adata` cannot be used. Nothing is
        written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.sta_forward(adata, "cell_type", n_trajectories=20)
    >>> adata.obsm["scdiffot_fate"].dropna().sum(axis=1).round(6).unique().tolist()
    [1.0]
    """
    keys = Keys(key, "key")
    adata = writable(adata, copy=copy)
    setting = StaInputs.read(adata, cell_key, key)
    check_estimator(classifier)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    threshold, path = check_share("threshold", threshold), check_flag("path", path)
    growth = setting.check_growth(growth, "growth")
    target = setting.find_time(target_time, setting.model.times[-1], "target_time")
    cells = setting.find_earlier_cells(adata, source, target)
    starts = setting.times_of(cells)
    if starts[-1] >= target:
        late = int((setting.times.values[cells] >= target).sum())
        raise ValueError(
            f"`target_time` is {number_text(target)}, but {late} of the {len(cells)} cells of `source` are of that time or later "
            f"(up to {number_text(starts[-1])}): choose earlier cells, or a later target."
        )
    setting.typed_cells(target, "target_time")
    generator = as_generator(rng)
    course = _FateRun(setting, starts[0], target, classifier, n_neighbors, generator)
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
            course.descend(
                cells[setting.times.values[cells] == t],
                t,
                options,
                flow=source is not None or t == starts[0],
            )
    _warn_ends(course)
    course.classifier.log_accuracy(setting.names)
    tables = {keys.fate: "fate", keys.fate_se: "fate_se"} | (
        {keys.fate_path: "path"} if path else {}
    )
    numbers = {
        keys.n_descendants: "n_descendants",
        keys.n_descendants_se: "n_descendants_se",
        keys.fate_ess: "ess",
        keys.commitment_time: "commitment",
    }
    write_fate(
        adata,
        keys,
        course.cells,
        tables={name: course.join(field)[:, course.columns] for name, field in tables.items()},
        columns={name: course.join(field) for name, field in numbers.items()},
        found={
            "cell_key": cell_key,
            "target_time": target,
            "classes": setting.classes[course.columns],
            "accuracy": course.classifier.accuracy,
            "accuracy_by_type": course.classifier.accuracy_table(setting.names),
            "n_trajectories": n_trajectories,
            "growth": growth,
            **course.flows(),
        },
    )
    return adata if copy else None


def _warn_ends(course: _FateRun) -> None:
    """Warn where descendants end among cells without a type, or far from all."""
    shares = np.average(course.join("fate"), axis=0, weights=course.join("n_descendants"))
    course.setting.warn_single_cells(course.setting.times.cells(course.target), course.classifier)
    course.setting.warn_untyped(course.target, float(shares[-2]), "descendants")
    if shares[-1] > MANY_OUTSIDE:
        logger.warning(
            "%.0f %% of the descendants end far from every cell of time %s and count as %r.",
            100 * shares[-1],
            number_text(course.target),
            OUTSIDE,
        )


class _FateRun:
    """Times at which types are told, what was followed, and the mass that flows between the classes."""

    def __init__(
        self,
        setting: StaInputs,
        start: float,
        target: float,
        classifier: Any,
        n_neighbors: int,
        rng: np.random.Generator,
    ) -> None:
        self.setting, self.target = setting, target
        codes, points = setting.codes, setting.times.points
        low, high = setting.model.times[[0, -1]]
        points = points[(points >= max(start, low)) & (points <= min(target, high))]
        self.times = np.array(
            [t for t in points if t == start or (codes[setting.times.cells(t)] >= 0).any()]
        )
        self.stages = [
            (float(t), setting.classifier(setting.times.cells(t), classifier, n_neighbors, rng))
            for t in self.times[1:]
        ]
        self.classifier = self.stages[-1][1]
        n_classes = len(setting.classes)
        self.columns = np.append(setting.class_codes(setting.times.cells(target)), n_classes - 1)
        self._parts: list[tuple[np.ndarray, FateEstimate]] = []
        self._masses = np.zeros((len(self.times), n_classes))
        self._flows = np.zeros((len(self.stages), n_classes, n_classes))
        self._n_flowing = 0

    @property
    def cells(self) -> np.ndarray:
        """Cells that were followed."""
        return np.concatenate([cells for cells, _ in self._parts])

    def join(self, name: str) -> np.ndarray:
        """A field of the descendants of all cells that were followed."""
        return np.concatenate([getattr(part, name) for _, part in self._parts])

    def descend(self, cells: np.ndarray, t: float, options: dict[str, Any], *, flow: bool) -> None:
        """Follow the cells of a time, and add to the flows if they take part in these."""
        first = int(np.flatnonzero(self.times >= t)[0])
        stages = [stage for stage in self.stages if stage[0] > t]
        codes = self.setting.codes[cells]
        classes = np.where(codes < 0, len(self.setting.names), codes)
        found = descend(
            self.setting.model,
            self.setting.states[cells],
            t,
            stages=stages,
            classes=classes,
            **options,
        )
        self._parts.append((cells, found))
        if flow:
            self._n_flowing += len(cells)
            self._masses[first] += np.bincount(classes, minlength=self._masses.shape[1])
            offset = len(self.stages) - len(stages)
            self._flows[offset:] += found.flows
            self._masses[offset + 1 :] += found.flows.sum(axis=1)

    def flows(self) -> dict[str, np.ndarray]:
        """Flows between the classes that occur, per cell that takes part in them."""
        occur = np.union1d(np.flatnonzero(self._masses.any(axis=0)), self.columns)
        return {
            "flow_times": self.times,
            "flow_classes": self.setting.classes[occur],
            "flow_masses": self._masses[:, occur] / self._n_flowing,
            "flows": self._flows[:, occur][:, :, occur] / self._n_flowing,
        }
