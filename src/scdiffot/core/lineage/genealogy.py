"""Genealogy of the particles of a fate simulation: origins, classes and past states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.simulate.particles import select_particles
from scdiffot.core.simulate.paths import effective_share, resample_systematically

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core.simulate.particles import Particles

# A cell is resampled if its effective sample size is below this share of its particles.
MIN_EFFECTIVE_SHARE = 0.5


@dataclass
class Genealogy:
    """Origins, classes and past states of m particles of each of n cells.

    Parameters
    ----------
    origins
        Initial particle from which each particle descends, shape ``(n, m)``.
    labels
        Class at the previous stage, shape ``(n, m)``.
    checkpoints
        Times, and states at these times, shape ``(n, m, d)``.
    resampled
        Whether particles were resampled at least once.

    See Also
    --------
    scdiffot.core.lineage.fate.descend : Simulate fates.
    scdiffot.core.simulate.particles.Particles : Particles and their weights.
    """

    origins: Tensor
    labels: Tensor
    checkpoints: list[tuple[float, Tensor]] = field(default_factory=list)
    resampled: bool = False

    def resample(self, particles: Particles, u: Tensor) -> None:
        """Resample particles by weight in cells with a low effective sample size."""
        degenerate = effective_share(particles.log_w) < MIN_EFFECTIVE_SHARE
        if not degenerate.any():
            return
        n, m = particles.log_w.shape
        index = torch.where(
            degenerate[:, None], resample_systematically(particles.log_w, u), torch.arange(m)
        )
        mean = torch.logsumexp(particles.log_w.double(), 1, keepdim=True).float() - float(np.log(m))
        self.origins, self.labels = self.origins.gather(1, index), self.labels.gather(1, index)
        self.checkpoints = [(t, select_particles(x, index)) for t, x in self.checkpoints]
        particles.select(index)
        particles.log_w = torch.where(degenerate[:, None], mean, particles.log_w)
        self.resampled = True

    def classify(self, labels: Tensor, log_w: Tensor, n_classes: int) -> np.ndarray:
        """Set the classes of a stage; return the mass, in cells, from class to class.

        The mass has shape ``(n_classes, n_classes)``, from rows to columns.
        """
        valid = self.labels >= 0
        pairs = (self.labels * n_classes + labels)[valid]
        masses = log_w.double().exp()[valid] / log_w.shape[1]
        self.labels = labels
        total = torch.bincount(pairs, masses, minlength=n_classes**2)
        return np.asarray(total.reshape(n_classes, n_classes).numpy())

    def commitment_times(
        self,
        committed: np.ndarray,
        selection: np.ndarray,
        is_committed: Callable[[Tensor, np.ndarray, np.ndarray], np.ndarray],
        end: float,
    ) -> np.ndarray:
        """Earliest checkpoint since which each selected particle is committed, shape ``(n, k)``.

        `committed` holds the state at the end, and `is_committed` decides it for states, shape
        ``(c, d)``, of the particles at c rows and columns.
        """
        times = np.full(committed.shape, end)
        for t, x in reversed(self.checkpoints):
            rows, columns = np.nonzero(committed)
            if len(rows) == 0:
                break
            certain = is_committed(x[:, selection][rows, columns], rows, columns)
            times[rows[certain], columns[certain]] = t
            committed[rows[~certain], columns[~certain]] = False
        return times
