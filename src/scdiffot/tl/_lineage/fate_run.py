"""Fates of the cells of several times, and the flow of mass between cell types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.core.lineage.fate import FateEstimate, descend

if TYPE_CHECKING:
    from scdiffot._analysis.sta_inputs import StaInputs


class FateRun:
    """Fates of the cells of several times, and the flow of mass between cell types.

    Parameters
    ----------
    inputs
        The fit and its cells.
    start, target
        First time of the source cells, and the time of the fates.
    classifier
        Classifier of scikit-learn; None for nearest neighbours.
    n_neighbors
        Number of neighbours of the default classifier.
    rng
        Generator of the classifiers.

    Attributes
    ----------
    times
        Times at which types are classified, from `start` to `target`, shape ``(S,)``.
    stages
        Time and classifier of every time after the first.
    classifier
        Classifier of the target time.
    columns
        Classes that occur at the target time, and ``"outside"``.
    """

    def __init__(
        self,
        inputs: StaInputs,
        start: float,
        target: float,
        classifier: Any,
        n_neighbors: int,
        rng: np.random.Generator,
    ) -> None:
        self.inputs, self.target = inputs, target
        codes, points = inputs.codes, inputs.times.points
        low, high = inputs.model.times[[0, -1]]
        points = points[(points >= max(start, low)) & (points <= min(target, high))]
        self.times = np.array(
            [t for t in points if t == start or (codes[inputs.times.cells(t)] >= 0).any()]
        )
        self.stages = [
            (float(t), inputs.classifier(inputs.times.cells(t), classifier, n_neighbors, rng))
            for t in self.times[1:]
        ]
        self.classifier = self.stages[-1][1]
        n_classes = len(inputs.classes)
        self.columns = np.append(inputs.class_codes(inputs.times.cells(target)), n_classes - 1)
        self._parts: list[tuple[np.ndarray, FateEstimate]] = []
        self._masses = np.zeros((len(self.times), n_classes))
        self._flows = np.zeros((len(self.stages), n_classes, n_classes))
        self._n_flowing = 0

    @property
    def cells(self) -> np.ndarray:
        """Source cells, in the order of the estimates."""
        return np.concatenate([cells for cells, _ in self._parts])

    def join(self, name: str) -> np.ndarray:
        """Concatenate a field of the estimates of all cells."""
        return np.concatenate([getattr(part, name) for _, part in self._parts])

    def follow(self, cells: np.ndarray, t: float, options: dict[str, Any], *, flow: bool) -> None:
        """Estimate the fates of the cells of a time; if `flow`, add them to the flow of mass."""
        first = int(np.flatnonzero(self.times >= t)[0])
        stages = [stage for stage in self.stages if stage[0] > t]
        classes = self.inputs.codes_with_unknown(cells)
        estimate = descend(
            self.inputs.model,
            self.inputs.states[cells],
            t,
            stages=stages,
            classes=classes,
            **options,
        )
        self._parts.append((cells, estimate))
        if flow:
            self._n_flowing += len(cells)
            self._masses[first] += np.bincount(classes, minlength=self._masses.shape[1])
            offset = len(self.stages) - len(stages)
            self._flows[offset:] += estimate.flows
            self._masses[offset + 1 :] += estimate.flows.sum(axis=1)

    def flows(self) -> dict[str, np.ndarray]:
        """Masses and flows between the classes that occur, per source cell."""
        classes = np.union1d(np.flatnonzero(self._masses.any(axis=0)), self.columns)
        return {
            "flow_times": self.times,
            "flow_classes": self.inputs.classes[classes],
            "flow_masses": self._masses[:, classes] / self._n_flowing,
            "flows": self._flows[:, classes][:, :, classes] / self._n_flowing,
        }
