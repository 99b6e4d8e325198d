"""What one perturbation and a screen of many share: cells, fates, and how to compare them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_count, check_flag
from scdiffot._data.write.decoders import read_genes
from scdiffot._utils.keys import OUTSIDE
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot.core.genes.perturbation import contrasts, course
from scdiffot.core.lineage.contrasts import Contrasts
from scdiffot.core.lineage.fate import N_STEPS

from .classifier import check_estimator
from .gene_edits import Expression
from .nearest import Nearest
from .sta_inputs import StaInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.genes.perturbation import Intervention

    from .classifier import Classifier

# Share of cells far from the data from which on the user is told.
MAX_SHARE_OUTSIDE = 0.1
# Cells whose course is compared with the data.
N_COURSES = 500


@dataclass(frozen=True)
class PerturbationRun:
    """Cells that are followed, and the fates they may have.

    Parameters
    ----------
    setting
        The fit.
    expression
        What its cells express.
    cells
        Positions of the cells that are followed, in the order of `adata`.
    target
        Time of the fates.
    told
        Tells the types at that time.
    columns
        Types that occur there, and the class of cells without one if there are such.
    growth, sustained, n_steps
        As the user asked.
    nearest
        The cells of the fit.
    """

    setting: StaInputs
    expression: Expression
    cells: np.ndarray
    target: float
    told: Classifier
    columns: np.ndarray
    growth: bool
    sustained: bool
    n_steps: int
    nearest: Nearest

    @classmethod
    def read(
        cls,
        adata: AnnData | MuData,
        cell_key: str,
        source: Any,
        *,
        target_time: float | str | None,
        growth: bool | None,
        sustained: bool,
        classifier: Any,
        n_neighbors: int,
        n_steps: int | None,
        decoder: Any,
        gene_symbols: str | None,
        rng: np.random.Generator,
        key: str,
    ) -> PerturbationRun:
        """Read and check everything but the genes."""
        setting = StaInputs.read(adata, cell_key, key)
        check_estimator(classifier)
        n_neighbors = check_count("n_neighbors", n_neighbors, 1)
        n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
        sustained = check_flag("sustained", sustained)
        growth = setting.check_growth(growth, "growth")
        target = setting.find_time(target_time, setting.model.times[-1], "target_time")
        cells = setting.find_cells(adata, source, setting.model.times[0])
        late = setting.times_of(cells)[-1]
        if late >= target:
            raise ValueError(
                f"`target_time` is {number_text(target)}, but `source` has cells of time {number_text(late)}: choose earlier cells, or a later target."
            )
        ends = setting.typed_cells(target, "target_time")
        trained = np.concatenate([setting.times.cells(t) for t in setting.model.times])
        space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
        expression = Expression.read(space, setting.states, trained)
        told = setting.classifier(ends, classifier, n_neighbors, rng)
        setting.warn_single_cells(ends, told)
        nearest = Nearest(
            setting.states[trained],
            np.random.default_rng(rng.integers(2**63)),
            codes=setting.codes[trained],
        )
        columns = setting.class_codes(ends)
        told.log_accuracy(setting.names)
        return cls(
            setting, expression, cells, target, told, columns, growth, sustained, n_steps, nearest
        )

    @property
    def fates(self) -> list[str]:
        """Names of the classes, the last of which is outside."""
        return [*self.setting.classes[self.columns].tolist(), OUTSIDE]

    def compare(
        self,
        interventions: Sequence[Intervention],
        *,
        by_cell: bool,
        n_trajectories: int,
        n_steps: int | None = None,
        rng: np.random.Generator,
        progress: Callable[[int], None] | None,
    ) -> Contrasts:
        """Follow the cells with and without each intervention; every cell starts at its own time."""
        times = self.setting.times.values[self.cells]
        parts = []
        starts = np.unique(times)
        for start in starts:
            part = contrasts(
                self.setting.model,
                self.setting.states[self.cells[times == start]],
                float(start),
                interventions,
                target=(self.target, self.classify),
                sustained=self.sustained,
                by_cell=by_cell,
                n_trajectories=n_trajectories,
                growth=self.growth,
                n_steps=n_steps or self.n_steps,
                rng=rng,
                progress=progress,
            )
            parts.append(part)
        both = Contrasts.join(parts)
        if not by_cell:
            return both.pool(np.arange(len(starts)))
        return both.take(np.argsort(np.argsort(times, kind="stable"), kind="stable"))

    def classify(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the classes that occur at the end, and which states are far from all cells there."""
        probability, outside = self.told(x)
        return probability[:, self.columns], outside

    def outside_start(self, intervention: Intervention) -> float:
        """Share of the cells that are far from all cells of the fit, once changed."""
        distance, _ = self.nearest(intervention(self.setting.states[self.cells]))
        return float((distance > self.nearest.radius).mean())

    def outside_course(
        self, intervention: Intervention, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Share of their way that cells are far from all cells of the fit, without and with the change."""
        cells = rng.permutation(self.cells)[:N_COURSES]
        times = self.setting.times.values[cells]
        seed = int(rng.integers(2**63))
        shares = []
        for change in (None, intervention):
            far = []
            for start in np.unique(times):
                states = course(
                    self.setting.model,
                    self.setting.states[cells[times == start]],
                    (float(start), self.target),
                    change,
                    sustained=self.sustained,
                    n_steps=self.n_steps,
                    rng=seed,
                )
                distance, _ = self.nearest(states.reshape(-1, states.shape[2]))
                far.append((distance > self.nearest.radius).reshape(states.shape[:2]).mean(axis=0))
            shares.append(float(np.concatenate(far).mean()))
        return shares[0], shares[1]

    def warn_untyped(self, control: np.ndarray) -> None:
        """Warn if descendants of unchanged cells, with these shares of the fates, end among cells without a type."""
        if self.columns[-1] == len(self.setting.names):
            self.setting.warn_untyped(self.target, float(control[-2]), "descendants")

    def warn_outside(
        self, name: str, start: float, way: tuple[float, float], ends: tuple[float, float]
    ) -> None:
        """Tell the user if changed cells leave the data, where the fit knows nothing."""
        if start > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: %.0f %% of the changed cells are farther from the cells of the fit than these are from each other, so that the "
                "result extrapolates.",
                name,
                100 * start,
            )
        if way[1] - way[0] > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: for %.0f %% of their way (of the control: %.0f %%) changed cells are farther from the cells of the fit than these are "
                "from each other, so that what happens there is extrapolated.",
                name,
                100 * way[1],
                100 * way[0],
            )
        if ends[1] > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: %.0f %% of the descendants (of the control: %.0f %%) end far from every cell of time %s and count as %r.",
                name,
                100 * ends[1],
                100 * ends[0],
                number_text(self.target),
                OUTSIDE,
            )
