"""Cells and fates of perturbations, shared by single perturbations and screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_count, check_flag
from scdiffot._data.write.decoders import read_genes
from scdiffot._utils.keys import OUTSIDE
from scdiffot._utils.logging import logger
from scdiffot._utils.number_text import number_text
from scdiffot.core.genes.perturbation import contrasts, sample_trajectories
from scdiffot.core.lineage.contrasts import Contrasts
from scdiffot.core.lineage.fate import N_STEPS

from .classifier import check_estimator
from .gene_edits import Expression
from .nearest import Nearest
from .sta_inputs import MAX_SHARE_OUTSIDE, StaInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.genes.perturbation import Intervention

    from .classifier import Classifier

# Number of cells whose trajectories are compared with the data.
N_TRAJECTORIES_COMPARED = 500


@dataclass(frozen=True)
class PerturbationRun:
    """Source cells of a perturbation, and their possible fates.

    Parameters
    ----------
    inputs
        The fit.
    expression
        Expression of the cells of the fit.
    cells
        Positions of the source cells, in the order of `adata`.
    target
        Time of the fates.
    classifier
        Classifier of the types at that time.
    columns
        Types that occur at that time, and the class of cells without a type if there are any.
    growth, sustained, n_steps
        Options of the user.
    nearest
        Search for the nearest cell of the fit.
    """

    inputs: StaInputs
    expression: Expression
    cells: np.ndarray
    target: float
    classifier: Classifier
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
        """Read and check all inputs except the genes."""
        inputs = StaInputs.read(adata, cell_key, key)
        check_estimator(classifier)
        n_neighbors = check_count("n_neighbors", n_neighbors, 1)
        n_steps = N_STEPS if n_steps is None else check_count("n_steps", n_steps, 1)
        sustained = check_flag("sustained", sustained)
        growth = inputs.check_growth(growth, "growth")
        target = inputs.find_time(target_time, inputs.model.times[-1], "target_time")
        cells = inputs.find_cells(adata, source, inputs.model.times[0])
        late = inputs.times_of(cells)[-1]
        if late >= target:
            raise ValueError(
                f"`target_time` is {number_text(target)}, but `source` has cells of time "
                f"{number_text(late)}: choose earlier cells, or a later target."
            )
        ends = inputs.typed_cells(target, "target_time")
        trained = np.concatenate([inputs.times.cells(t) for t in inputs.model.times])
        space = read_genes(adata, key, decoder, gene_symbols=gene_symbols)
        expression = Expression.read(space, inputs.states, trained)
        type_classifier = inputs.classifier(ends, classifier, n_neighbors, rng)
        inputs.warn_single_cells(ends, type_classifier)
        nearest = Nearest(
            inputs.states[trained],
            np.random.default_rng(rng.integers(2**63)),
            codes=inputs.codes[trained],
        )
        columns = inputs.class_codes(ends)
        type_classifier.log_accuracy(inputs.names)
        return cls(
            inputs=inputs,
            expression=expression,
            cells=cells,
            target=target,
            classifier=type_classifier,
            columns=columns,
            growth=growth,
            sustained=sustained,
            n_steps=n_steps,
            nearest=nearest,
        )

    @property
    def fates(self) -> list[str]:
        """Names of the classes, the last of which is ``"outside"``."""
        return [*self.inputs.classes[self.columns].tolist(), OUTSIDE]

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
        """Compare the fates with and without each intervention, from the time of each cell."""
        times = self.inputs.times.values[self.cells]
        parts = []
        starts = np.unique(times)
        for start in starts:
            part = contrasts(
                self.inputs.model,
                self.inputs.states[self.cells[times == start]],
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
        joined = Contrasts.join(parts)
        if not by_cell:
            return joined.pool(np.arange(len(starts)))
        return joined.take(np.argsort(np.argsort(times, kind="stable"), kind="stable"))

    def classify(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Classify states of shape ``(m, d)`` at the target time.

        Returns
        -------
        Probabilities of the classes in `columns`, shape ``(m, k)``; and which states are far from
        all cells of that time, shape ``(m,)``.
        """
        probability, outside = self.classifier(x)
        return probability[:, self.columns], outside

    def outside_start(self, intervention: Intervention) -> float:
        """Share of the cells that the intervention moves far from all cells of the fit."""
        distance, _ = self.nearest(intervention(self.inputs.states[self.cells]))
        return float((distance > self.nearest.radius).mean())

    def outside_trajectories(
        self, intervention: Intervention, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Share of trajectories that is far from all cells of the fit.

        Returns
        -------
        The share without and with the intervention.
        """
        cells = rng.permutation(self.cells)[:N_TRAJECTORIES_COMPARED]
        times = self.inputs.times.values[cells]
        seed = int(rng.integers(2**63))
        shares = []
        for edit in (None, intervention):
            outside = []
            for start in np.unique(times):
                states = sample_trajectories(
                    self.inputs.model,
                    self.inputs.states[cells[times == start]],
                    (float(start), self.target),
                    edit,
                    sustained=self.sustained,
                    n_steps=self.n_steps,
                    rng=seed,
                )
                distance, _ = self.nearest(states.reshape(-1, states.shape[2]))
                is_outside = (distance > self.nearest.radius).reshape(states.shape[:2])
                outside.append(is_outside.mean(axis=0))
            shares.append(float(np.concatenate(outside).mean()))
        return shares[0], shares[1]

    def warn_untyped(self, control: np.ndarray) -> None:
        """Warn if descendants of the control, by its shares of fates, end among untyped cells."""
        if self.columns[-1] == len(self.inputs.names):
            self.inputs.warn_untyped(self.target, float(control[-2]), "descendants")

    def warn_outside(
        self,
        name: str,
        start: float,
        trajectories: tuple[float, float],
        ends: tuple[float, float],
    ) -> None:
        """Warn if changed cells leave the data, where the fit extrapolates.

        Parameters
        ----------
        name
            Name of the perturbation.
        start
            Share of the changed cells that start outside.
        trajectories, ends
            Shares of trajectories and of descendants outside, for the control and with the change.
        """
        if start > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: %.0f %% of the changed cells are farther from the cells of the fit than "
                "these are from each other, so that the result extrapolates.",
                name,
                100 * start,
            )
        if trajectories[1] - trajectories[0] > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: for %.0f %% of their way (of the control: %.0f %%) changed cells are farther "
                "from the cells of the fit than these are from each other: the dynamics are "
                "extrapolated.",
                name,
                100 * trajectories[1],
                100 * trajectories[0],
            )
        if ends[1] > MAX_SHARE_OUTSIDE:
            logger.warning(
                "%s: %.0f %% of the descendants (of the control: %.0f %%) end far from every cell "
                "of time %s and count as %r.",
                name,
                100 * ends[1],
                100 * ends[0],
                number_text(self.target),
                OUTSIDE,
            )
