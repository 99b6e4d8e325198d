"""Fates of cells, their numbers of descendants, and times of commitment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.simulate.paths import TrajectorySampler, map_chunks
from scdiffot.core.simulate.schedule import model_schedule
from scdiffot.core.simulate.vector_field import WithoutGrowth

from .genealogy import Genealogy

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel

# Maps states (N, d) to class probabilities (N, K) and flags (N,) of states far from all classes.
Classify = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

N_STEPS = 10
# Commitment is computed on a fifth of the trajectories of a cell, but at least this many.
MIN_COMMITMENT_TRAJECTORIES = 20
# Maximum number of times, besides start and end, at which commitment is checked.
MAX_COMMITMENT_CHECKS = 20


@dataclass(frozen=True)
class FateEstimate:
    """Descendants of cells; the last of the K + 1 classes is outside of all other classes.

    Parameters
    ----------
    n_descendants, n_descendants_se
        Expected number of descendants of every cell, shape ``(n,)``, and its standard error.
    fate, fate_se
        Shares of the classes among them, shape ``(n, K + 1)``, and their standard errors.
    path
        Probabilities of the classes for a single path, without growth, shape ``(n, K + 1)``; NaN if
        not requested.
    ess
        Effective number of independent trajectories, shape ``(n,)``.
    commitment
        Mean time of commitment to a fate, shape ``(n,)``; NaN where all trajectories end outside.
    flows
        Mass that moves from class to class between consecutive stages, the start included, shape
        ``(S, K + 1, K + 1)``, in cells at the end of each stage.

    See Also
    --------
    descend : Compute the estimate.
    scdiffot.core.lineage.ancestry.ancestors : Ancestors, back in time.
    """

    n_descendants: np.ndarray
    n_descendants_se: np.ndarray
    fate: np.ndarray
    fate_se: np.ndarray
    path: np.ndarray
    ess: np.ndarray
    commitment: np.ndarray
    flows: np.ndarray


def descend(
    model: RUOTModel,
    x: np.ndarray,
    t0: float,
    *,
    stages: Sequence[tuple[float, Classify]],
    classes: np.ndarray,
    n_trajectories: int = 100,
    growth: bool = True,
    path: bool = False,
    threshold: float = 0.5,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int], None] | None = None,
) -> FateEstimate:
    r"""Estimate fates from stochastic trajectories that are weighted by growth.

    With trajectories :math:`X` of ``dX = b dt + sigma dW`` and weights :math:`w = \exp \int g`, the
    number of descendants is the mean of w, the fate is the mean of the class probabilities at the
    end weighted by w, and the path probability is their mean without weights. Particles of a cell
    are resampled if their effective sample size is low. Standard errors (of the ratio by the delta
    method) treat all particles that descend from one initial particle as one observation
    :cite:p:`Chan2013`.

    A trajectory is committed at the earliest time after which the probability of its final class
    never falls below `threshold`, by the classifier of the last stage. Particles far from every
    cell have the probabilities of their nearest cells. The commitment time of a cell is the mean
    over its trajectories weighted by w, without those that end outside.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells, shape ``(n, d)``.
    t0
        Time at which they start.
    stages
        Increasing times after `t0` at which to classify, with their classifiers; the last is the
        end.
    classes
        Class of every cell at the start, shape ``(n,)``; cells of class -1 are excluded from the
        flows.
    n_trajectories
        Trajectories of every cell.
    growth
        Whether weights follow the growth.
    path
        Whether to compute path probabilities, which needs a second simulation, without growth, of
        resampled cells.
    threshold
        Probability at which a trajectory is committed.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells completed since the last call.

    Returns
    -------
    The estimate of fates and descendants.

    See Also
    --------
    scdiffot.core.lineage.ancestry.ancestors : Ancestors, back in time.
    scdiffot.core.genes.perturbation.contrasts : Fates with and without an intervention.
    scdiffot.core.genes.trends.sample_weighted_trajectories : Trajectories with their states.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.lineage.fate import descend
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(train={"n_steps": 20}, corrections={"n_rounds": 0}),
    ... )
    >>> def sides(x):
    ...     return np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(float), np.zeros(len(x), bool)
    >>> descend(model, cells[0], 0.0, stages=[(1.0, sides)], classes=np.zeros(60, int)).fate.shape
    (60, 3)
    """
    run = _FateRun(model, t0, stages, n_steps, threshold)

    def run_chunk(cells: slice, generator: np.random.Generator) -> FateEstimate:
        # a separate stream for the noise, so that it is the same with and without growth
        seed = torch_seed(generator)

        def start(*, growth: bool) -> TrajectorySampler:
            return TrajectorySampler(
                model.networks if growth else WithoutGrowth(model.networks),
                model.scaling.state_in(x[cells]),
                n_trajectories=n_trajectories,
                generator=torch.Generator().manual_seed(seed),
            )

        estimate, probability, resampled = run.estimate(
            start(growth=growth), classes[cells], generator
        )
        if path:
            unweighted = run.final_probability(start(growth=False)) if resampled else probability
            estimate = replace(estimate, path=unweighted.mean(1))
        return estimate

    parts = list(
        map_chunks(run_chunk, len(x), n_trajectories, rng=as_generator(rng), progress=progress)
    )
    names = ("n_descendants", "n_descendants_se", "fate", "fate_se", "path", "ess", "commitment")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return FateEstimate(**arrays, flows=np.sum([part.flows for part in parts], axis=0))


class _FateRun:
    """Schedule and stages of a simulation, shared by all cells."""

    def __init__(
        self,
        model: RUOTModel,
        t0: float,
        stages: Sequence[tuple[float, Classify]],
        n_steps: int,
        threshold: float,
    ) -> None:
        self.scaling, self.threshold = model.scaling, threshold
        self.schedule = model_schedule(model, np.array([t0, *(t for t, _ in stages)]), n_steps)
        self.stages = [(float(model.scaling.time_in(t)), classify) for t, classify in stages]
        self.n_steps = sum(leg.n_steps for leg in self.schedule)
        self.check_interval = -(-self.n_steps // MAX_COMMITMENT_CHECKS)

    def estimate(
        self, sampler: TrajectorySampler, classes: np.ndarray, rng: np.random.Generator
    ) -> tuple[FateEstimate, np.ndarray, bool]:
        """Return the estimate, final probabilities, and whether particles were resampled."""
        particles = sampler.particles
        n, m = particles.log_w.shape
        labels = torch.from_numpy(classes.astype(np.int64))[:, None].expand(n, m)
        genealogy = Genealogy(torch.arange(m).expand(n, m), labels)
        genealogy.checkpoints.append((self.schedule[0].start, particles.x))
        flows = []
        stage = 0
        probability = np.empty((n, m, 0))
        for n_done, step in enumerate(sampler.steps(self.schedule), 1):
            # resampling at the end would only add noise
            if n_done < self.n_steps:
                genealogy.resample(particles, torch.from_numpy(rng.random(n)))
                if n_done % self.check_interval == 0:
                    genealogy.checkpoints.append((step.end, particles.x))
            if step.is_last and step.end > self.stages[stage][0] - 1e-6:
                probability = self.classify(particles.x, self.stages[stage][1])
                labels = torch.from_numpy(probability.argmax(2))
                flows.append(genealogy.classify(labels, particles.log_w, probability.shape[2]))
                stage += 1
        commitment = self.commitment(genealogy, particles.log_w, probability)
        return (
            _summarise(particles.log_w, genealogy, probability, commitment, np.array(flows)),
            probability,
            genealogy.resampled,
        )

    def final_probability(self, sampler: TrajectorySampler) -> np.ndarray:
        """Simulate to the end; probabilities at the end, shape ``(n, m, K + 1)``."""
        sampler.run(self.schedule)
        return self.classify(sampler.particles.x, self.stages[-1][1])

    def classify(self, x: Tensor, classify: Classify) -> np.ndarray:
        """Probabilities, shape ``(n, m, K + 1)``, of which the last is that of being outside."""
        n, m, d = x.shape
        shares, is_outside = classify(self.scaling.state_out(x.reshape(-1, d).numpy()))
        is_outside = is_outside[:, None]
        probability = np.concatenate([np.where(is_outside, 0, shares), is_outside], 1)
        return probability.reshape(n, m, -1)

    def commitment(
        self, genealogy: Genealogy, log_w: Tensor, probability: np.ndarray
    ) -> np.ndarray:
        """Mean time of commitment, shape ``(n,)``, in the user's unit."""
        n, m, n_classes = probability.shape
        # equally spaced particles represent the weights, also after systematic resampling
        n_selected = min(m, max(m // 5, MIN_COMMITMENT_TRAJECTORIES))
        selection = np.linspace(0, m - 1, n_selected).round().astype(int)
        final_class = probability[:, selection].argmax(2)
        has_fate = final_class < n_classes - 1
        certainty = np.take_along_axis(probability[:, selection], final_class[:, :, None], 2)

        def is_committed(x: Tensor, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            shares, _ = self.stages[-1][1](self.scaling.state_out(x.numpy()))
            return shares[np.arange(len(rows)), final_class[rows, columns]] >= self.threshold

        committed = has_fate & (certainty[:, :, 0] >= self.threshold)
        end = self.schedule[-1].end
        times = genealogy.commitment_times(committed, selection, is_committed, end)
        weight = torch.softmax(log_w[:, selection].double(), 1).numpy() * has_fate
        total = weight.sum(1)
        mean = np.divide((weight * times).sum(1), total, out=np.full(n, np.nan), where=total > 0)
        return mean * self.scaling.time_scale + self.scaling.time_shift


def _summarise(
    log_w: Tensor,
    genealogy: Genealogy,
    probability: np.ndarray,
    commitment: np.ndarray,
    flows: np.ndarray,
) -> FateEstimate:
    """Means over the particles, and their standard errors over the initial particles."""
    m = log_w.shape[1]
    shift = log_w.double().amax(1, keepdim=True)
    w = (log_w.double() - shift).exp()
    p = torch.from_numpy(probability).double()
    weighted = w[:, :, None] * p
    if genealogy.resampled:
        w = torch.zeros_like(w).scatter_add_(1, genealogy.origins, w)
        index = genealogy.origins[:, :, None].expand_as(weighted)
        weighted = torch.zeros_like(weighted).scatter_add_(1, index, weighted)
    total = w.sum(1, keepdim=True)
    fate = weighted.sum(1) / total
    residual = weighted - fate[:, None] * w[:, :, None]
    fate_se = (residual.square().sum(1) * m / max(m - 1, 1)).sqrt() / total
    scale = shift[:, 0].exp()
    return FateEstimate(
        n_descendants=(scale * total[:, 0] / m).numpy(),
        n_descendants_se=(scale * w.std(1) / m**0.5).numpy(),
        fate=fate.numpy(),
        fate_se=fate_se.numpy(),
        path=np.full(fate.shape, np.nan),
        ess=(total[:, 0].square() / w.square().sum(1)).numpy(),
        commitment=commitment,
        flows=flows,
    )
