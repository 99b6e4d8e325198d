"""What cells become: fates, numbers of descendants, and when they are decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.simulate.paths import (
    PathSampler,
    effective_share,
    in_portions,
    legs,
    pick,
    systematic,
)

if TYPE_CHECKING:
    from scdiffot.core.nets.model import RUOTModel

# States (N, d) to probabilities of the classes (N, K), and whether a state is far from all of them (N,).
Classify = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

N_STEPS = 10
# A cell is resampled where its particles are worth less than this share of their number.
COLLAPSED = 0.5
# Commitment is read off a fifth of the trajectories of a cell but no fewer than 20, at up to 20 times besides start and end.
N_FOLLOWED, N_CHECKS = 20, 20


@dataclass(frozen=True)
class FateEstimate:
    """Descendants of cells; the last of the K + 1 classes is outside of all others.

    Parameters
    ----------
    n_descendants, n_descendants_se
        Expected number of descendants of every cell, shape ``(n,)``, and its standard error.
    fate, fate_se
        Shares of the classes among them, shape ``(n, K + 1)``, and their standard errors.
    path
        Probabilities of the classes for a single path, growth ignored, shape ``(n, K + 1)``; NaN unless asked for.
    ess
        Effective number of independent trajectories, shape ``(n,)``.
    commitment
        Mean time at which the fate is decided, shape ``(n,)``; NaN where all trajectories end outside.
    flows
        Mass that goes from class to class between the start and the stages, shape ``(S, K + 1, K + 1)``, in cells; as large as it
        is on arrival.
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
    r"""Follow stochastic paths from cells to a later time, weighted by how cells multiply along them.

    With paths :math:`X` of ``dX = b dt + sigma dW`` and weights :math:`w = \exp \int g`, the number of descendants is the mean of w,
    the fate the mean of the class probabilities at the end weighted by w, and the path probability the mean of them without
    weights. Particles of a cell of which few carry the weight are resampled; standard errors (of the ratio by the delta method)
    count the particles that descend from one at the start as one observation :cite:p:`Chan2013`.

    A trajectory is committed from the time on from which the probability of its last class never falls below `threshold`, by
    the classifier of the last stage; particles far from every cell count by their nearest. The time of a cell is the mean over
    its trajectories weighted by w, without those that end outside.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells, shape ``(n, d)``.
    t0
        Time at which they start.
    stages
        Increasing times after `t0` at which to classify, with what does it; the last is the end.
    classes
        Class of every cell at the start, shape ``(n,)``; -1 leaves it out of the flows.
    n_trajectories
        Paths of every cell.
    growth
        Whether weights follow the growth.
    path
        Whether to find the path probabilities, which costs a second walk without growth for cells that were resampled.
    threshold
        Probability at which a trajectory is committed.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells that were done since the last call.

    Returns
    -------
    The descendants.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.lineage.fate import descend
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(n_steps=20, n_corrections=0),
    ... )
    >>> def sides(x):
    ...     return np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(float), np.zeros(len(x), bool)
    >>> descend(model, cells[0], 0.0, stages=[(1.0, sides)], classes=np.zeros(60, int)).fate.shape
    (60, 3)
    """
    course = _Schedule(model, t0, stages, n_steps, threshold)

    def follow(cells: slice, generator: np.random.Generator) -> FateEstimate:
        # Noise has a stream of its own, so that it is the same with and without growth.
        seed = torch_seed(generator)

        def walk(*, growth: bool) -> PathSampler:
            noise = torch.Generator().manual_seed(seed)
            return PathSampler(
                model, x[cells], n_trajectories=n_trajectories, growth=growth, generator=noise
            )

        found, probability, resampled = course.follow(
            walk(growth=growth), classes[cells], generator
        )
        if path:
            single = course.ends(walk(growth=False)) if resampled else probability
            found = replace(found, path=single.mean(1))
        return found

    parts = list(
        in_portions(follow, len(x), n_trajectories, rng=as_generator(rng), progress=progress)
    )
    names = ("n_descendants", "n_descendants_se", "fate", "fate_se", "path", "ess", "commitment")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return FateEstimate(**joined, flows=np.sum([part.flows for part in parts], axis=0))


@dataclass
class _Lineage:
    """What is known of the particles of some cells besides where they are."""

    # Particle at the start from which each descends, (n, m)
    eve: Tensor
    # Class at the last stage, (n, m)
    label: Tensor
    # Times and states (n, m, d) of checks
    trail: list[tuple[float, Tensor]] = field(default_factory=list)
    resampled: bool = False

    def resample(self, walk: PathSampler, u: Tensor) -> None:
        """Draw new particles, by weight, in cells whose particles are worth little; others keep theirs."""
        few = effective_share(walk.log_w) < COLLAPSED
        if not few.any():
            return
        n, m = walk.log_w.shape
        index = torch.where(few[:, None], systematic(walk.log_w, u), torch.arange(m))
        mean = torch.logsumexp(walk.log_w.double(), 1, keepdim=True).float() - float(np.log(m))
        self.eve, self.label = self.eve.gather(1, index), self.label.gather(1, index)
        self.trail = [(t, pick(x, index)) for t, x in self.trail]
        walk.select(index)
        walk.log_w = torch.where(few[:, None], mean, walk.log_w)
        self.resampled = True


class _Schedule:
    """Stages and steps, shared by all cells."""

    def __init__(
        self,
        model: RUOTModel,
        t0: float,
        stages: Sequence[tuple[float, Classify]],
        n_steps: int,
        threshold: float,
    ) -> None:
        self.scaling, self.threshold = model.scaling, threshold
        self.legs = legs(model, np.array([t0, *(t for t, _ in stages)]), n_steps)
        self.stages = [(float(model.scaling.time_in(t)), classify) for t, classify in stages]
        self.n_steps = sum(n for _, _, n in self.legs)
        self.every = -(-self.n_steps // N_CHECKS)

    def follow(
        self, walk: PathSampler, classes: np.ndarray, rng: np.random.Generator
    ) -> tuple[FateEstimate, np.ndarray, bool]:
        """Walk through all stages and sum up; also the probabilities at the end (n, m, K + 1), and whether cells were resampled."""
        n, m = walk.log_w.shape
        eve = torch.arange(m).expand(n, m)
        line = _Lineage(eve, torch.from_numpy(classes.astype(np.int64))[:, None].expand(n, m))
        line.trail.append((self.legs[0][0], walk.x))
        flows = []
        stage, step = 0, 0
        probability = np.empty((n, m, 0))
        for begin, end, n_steps in self.legs:
            for t in walk.leg(begin, end, n_steps):
                step += 1
                # At the end, resampling would only add noise.
                if step < self.n_steps:
                    line.resample(walk, torch.from_numpy(rng.random(n)))
                    if step % self.every == 0:
                        line.trail.append((t, walk.x))
            if end > self.stages[stage][0] - 1e-6:
                probability = self.classify(walk.x, self.stages[stage][1])
                label = torch.from_numpy(probability.argmax(2))
                flows.append(_flow(line.label, label, walk.log_w, probability.shape[2]))
                line.label = label
                stage += 1
        commitment = self.commitment(line, walk, probability)
        return (
            _sum_up(walk.log_w, line, probability, commitment, np.array(flows)),
            probability,
            line.resampled,
        )

    def ends(self, walk: PathSampler) -> np.ndarray:
        """Walk to the end; probabilities there (n, m, K + 1)."""
        walk.to_the_end(self.legs)
        return self.classify(walk.x, self.stages[-1][1])

    def classify(self, x: Tensor, classify: Classify) -> np.ndarray:
        """Probabilities (n, m, K + 1), the last of them outside."""
        n, m, d = x.shape
        known, outside = classify(self.scaling.state_out(x.reshape(-1, d).numpy()))
        probability = np.concatenate([np.where(outside[:, None], 0, known), outside[:, None]], 1)
        return probability.reshape(n, m, -1)

    def commitment(self, line: _Lineage, walk: PathSampler, probability: np.ndarray) -> np.ndarray:
        """Mean time of commitment (n,), in the user's unit."""
        n, m, n_classes = probability.shape
        # Equally spaced particles are a sample by weight, also of resampled ones.
        followed = np.linspace(0, m - 1, min(m, max(m // 5, N_FOLLOWED))).round().astype(int)
        last = probability[:, followed].argmax(2)
        inside = last < n_classes - 1
        times = np.full(last.shape, self.legs[-1][1])
        still = inside & (
            np.take_along_axis(probability[:, followed], last[:, :, None], 2)[:, :, 0]
            >= self.threshold
        )
        for t, x in reversed(line.trail):
            rows, columns = np.nonzero(still)
            if len(rows) == 0:
                break
            states = self.scaling.state_out(x[:, followed][rows, columns].numpy())
            known, _ = self.stages[-1][1](states)
            kept = known[np.arange(len(rows)), last[rows, columns]] >= self.threshold
            times[rows[kept], columns[kept]] = t
            still[rows[~kept], columns[~kept]] = False
        weight = torch.softmax(walk.log_w[:, followed].double(), 1).numpy() * inside
        total = weight.sum(1)
        mean = np.divide((weight * times).sum(1), total, out=np.full(n, np.nan), where=total > 0)
        return mean * self.scaling.time_scale + self.scaling.time_shift


def _flow(before: Tensor, after: Tensor, log_w: Tensor, n_classes: int) -> np.ndarray:
    """Mass (K + 1, K + 1) from class to class, in cells."""
    known = before >= 0
    pair = (before * n_classes + after)[known]
    mass = log_w.double().exp()[known] / log_w.shape[1]
    return torch.bincount(pair, mass, minlength=n_classes**2).reshape(n_classes, n_classes).numpy()


def _sum_up(
    log_w: Tensor,
    line: _Lineage,
    probability: np.ndarray,
    commitment: np.ndarray,
    flows: np.ndarray,
) -> FateEstimate:
    """Means over the particles, and their standard errors over those at the start."""
    m = log_w.shape[1]
    shift = log_w.double().amax(1, keepdim=True)
    w = (log_w.double() - shift).exp()
    p = torch.from_numpy(probability).double()
    weighted = w[:, :, None] * p
    if line.resampled:
        w = torch.zeros_like(w).scatter_add_(1, line.eve, w)
        index = line.eve[:, :, None].expand_as(weighted)
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
