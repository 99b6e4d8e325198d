"""What cells become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.checks import check_count, check_share, writable
from scdiffot._data.classes import Classifier, check_estimator
from scdiffot._data.number_text import number_text
from scdiffot._data.shares import write_fate
from scdiffot._keys import DEFAULT, OUTSIDE, Keys
from scdiffot._logging import logger
from scdiffot._progress import cell_bar
from scdiffot._rng import as_generator
from scdiffot.core.fate import N_STEPS, Descent, descend

from ._sta import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    every observed cell (a quarter farther than all but one in a thousand of these are from the nearest other one) are of no type, but
    ``"outside"``.

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
        Cells to follow: a time (number) or its label, a query of `adata.obs` (``"cell_type == 'stem' and day < 4"``), names of cells, or
        a boolean mask. The cells of the first time by default. Every cell starts at its own time.
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
        Number of neighbours, at most a tenth of the cells.
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
        Shares of the types observed at the target time, and ``"outside"``, among the descendants.
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
        `cell_key`, `target_time`, `classes`; `accuracy` of the classifier on cells it has not seen; `n_trajectories`, `growth`; and the
        flow of mass between types: `flow_times` (S), `flow_classes` (K), `flow_masses` (S x K) of every type per followed
        cell, and `flows` (S - 1 x K x K), from type to type as large as it is on arrival. A cell that starts later joins
        `flow_masses` at its time.

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
    keys = Keys(key)
    adata = writable(adata, copy=copy)
    setting = Setting.read(adata, cell_key, key)
    check_estimator(classifier)
    n_trajectories = check_count("n_trajectories", n_trajectories, 2)
    n_neighbors = check_count("n_neighbors", n_neighbors, 1)
    n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
    threshold = check_share("threshold", threshold)
    growth = setting.check_growth(growth, "growth")
    target = setting.find_time(target_time, setting.model.times[-1], "target_time")
    cells = setting.find_cells(adata, source, setting.model.times[0])
    starts = setting.times_of(cells)
    if starts[-1] >= target:
        late = int((setting.times.values[cells] >= target).sum())
        raise ValueError(
            f"`target_time` is {number_text(target)}, but {late} of the {len(cells)} cells of `source` are of that time or later "
            f"(up to {number_text(starts[-1])}): choose earlier cells, or a later target."
        )
    setting.typed_cells(target, "target_time")
    generator = as_generator(rng)
    course = _Course(setting, starts[0], target, classifier, n_neighbors, generator)
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
        parts = [course.descend(cells[setting.times.values[cells] == t], t, options) for t in starts]
    rows = np.concatenate([part_cells for part_cells, _ in parts])
    columns = course.columns
    tables = {keys.fate: "fate", keys.fate_se: "fate_se"} | ({keys.fate_path: "path"} if path else {})
    numbers = {
        keys.n_descendants: "n_descendants",
        keys.n_descendants_se: "n_descendants_se",
        keys.fate_ess: "ess",
        keys.commitment_time: "commitment",
    }

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for _, part in parts])

    outside = float(np.average(joined("fate")[:, -1], weights=joined("n_descendants")))
    if outside > MANY_OUTSIDE:
        logger.warning(
            "%.0f %% of the descendants end far from every cell of time %g and count as %r.",
            100 * outside,
            target,
            OUTSIDE,
        )
    logger.info("The classifier tells the types of unseen cells with an accuracy of %.2f.", course.accuracy)
    write_fate(
        adata,
        keys,
        rows,
        tables={name: joined(field)[:, columns] for name, field in tables.items()},
        columns={name: joined(field) for name, field in numbers.items()},
        found={
            "cell_key": cell_key,
            "target_time": target,
            "classes": course.names(columns),
            "accuracy": course.accuracy,
            "n_trajectories": n_trajectories,
            "growth": growth,
            **course.flows(len(cells)),
        },
    )
    return adata if copy else None


class _Course:
    """Times at which types are told, and the mass that flows between them."""

    def __init__(
        self,
        setting: Setting,
        start: float,
        target: float,
        classifier: Any,
        n_neighbors: int,
        rng: np.random.Generator,
    ) -> None:
        self.setting = setting
        codes, points = setting.codes, setting.times.points
        low, high = setting.model.times[[0, -1]]
        points = points[(points >= max(start, low)) & (points <= min(target, high))]
        self.times = np.array([t for t in points if t == start or (codes[setting.times.cells(t)] >= 0).any()])
        self.stages: list[tuple[float, Callable]] = []
        for t in self.times[1:]:
            cells = setting.times.cells(t)
            told = Classifier(
                setting.states[cells],
                codes[cells],
                n_types=len(setting.names),
                estimator=classifier,
                n_neighbors=n_neighbors,
                # a generator of its own, so that the paths are the same whatever the classifier
                rng=np.random.default_rng(rng.integers(2**63)),
            )
            self.stages.append((float(t), told))
        self.accuracy = told.accuracy
        n_classes = len(setting.names) + 1
        seen = np.unique(codes[setting.times.cells(target)])
        self.columns = np.append(seen[seen >= 0], n_classes - 1)
        self._masses = np.zeros((len(self.times), n_classes))
        self._flows = np.zeros((len(self.stages), n_classes, n_classes))

    def names(self, columns: np.ndarray) -> np.ndarray:
        """Names of classes, of which the last is outside."""
        return np.array([*self.setting.names, OUTSIDE])[columns]

    def descend(self, cells: np.ndarray, t: float, options: dict[str, Any]) -> tuple[np.ndarray, Descent]:
        """Follow the cells of a time, and add to the flows."""
        first = int(np.flatnonzero(self.times >= t)[0])
        stages = [stage for stage in self.stages if stage[0] > t]
        codes = self.setting.codes[cells]
        found = descend(self.setting.model, self.setting.states[cells], t, stages=stages, classes=codes, **options)
        self._masses[first] += np.bincount(codes[codes >= 0], minlength=self._masses.shape[1])
        offset = len(self.stages) - len(stages)
        self._flows[offset:] += found.flows
        self._masses[offset + 1 :] += found.flows.sum(axis=1)
        return cells, found

    def flows(self, n_cells: int) -> dict[str, np.ndarray]:
        """Flows between the classes that occur, per followed cell."""
        occur = np.flatnonzero(self._masses.any(axis=0))
        occur = np.union1d(occur, self.columns)
        return {
            "flow_times": self.times,
            "flow_classes": self.names(occur),
            "flow_masses": self._masses[:, occur] / n_cells,
            "flows": self._flows[:, occur][:, :, occur] / n_cells,
        }
