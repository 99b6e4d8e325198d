"""Autonomous fields whose simulated populations match the snapshots.

Rounds of correction attribute what is missing in each interval to what costs least there. One law that serves all
intervals says more: particles are simulated from every snapshot to the next, and from the first to all others, compared with
them, and the comparison is differentiated through the paths.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from scdiffot.core.nets.mlp import LinearResidualNet
from scdiffot.core.nets.optimizer import Optimizer

from .stratified_sampling import StratifiedSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Snapshots

# Particles of all intervals together, and the least and most of one; twice as many cells are compared with them.
N_PARTICLES, MIN_PARTICLES, MAX_PARTICLES = 900, 250, 300
# Steps over all times, and the fewest of an interval.
N_STEPS, MIN_STEPS = 24, 4
N_MEAN_DISTANCE = 2000
# Log of weight over the observed one from where on weights are linear in it, so that no single particle is all that counts.
MAX_LOG_WEIGHT = 4.0
# An unbiased distance can be negative, by chance: about as much as the sample makes of it. Few cells could make it as negative as they like, by
# growth that leaves one of them, whose pairs with itself do not count. Below this many times there is nothing to be gained.
LOSS_FLOOR = 3.0
LEARNING_RATE = 2e-3
# The gradients of masses have heavy tails. Unclipped, the few large ones would slow the descent down; clipped to where all are alike, the many
# small ones, by which growth should differ more, would outvote them.
CLIP_FACTOR = 1.5
# The few numbers that every cell depends on follow at once; the weights of the networks, slowly. What a network adds to linear growth begins as
# nothing, and its hidden units would waste away in the noise of the mass before it is anything.
RELATIVE_RATES = {
    "growth.line": 75.0,
    "growth.bend.out": 8.0,
    "growth.bend.hidden": 0.5,
    "motion.line": 25.0,
    "log_sigma": 40.0,
}
# Cells that move on and cells that die, or stay and multiply, look alike: what tells the linear parts apart lies in both together.
JOINT_GROUPS = (("growth.line", "motion.line"), ("growth.bend.out.weight",))
# What a growth of one per mean interval beside the expected one costs, in multiples of sampling noise.
PRIOR_WEIGHT = 100.0
# What the slopes of growth and the change of the drift cost, times the fourth power of the number of dimensions. In directions that hardly
# change, growth and the drift against it could else be as large as they like together; and the more dimensions, the more coefficients chance
# has to use, d^3 in a quadratic law, and the less the energy distance, which takes all of them as one, tells of each. Principal components beyond
# so many hardly vary, and count no more.
SLOPE_PENALTY, MAX_DIMS = 0.005, 15
# What second derivatives of the drift cost, of which there are d^2 for every component, and the step in which they are taken. From so many cells
# of a snapshot on the price grows with the root of their number: the mismatch counts in proportion to it, but a step sees no more of them.
CURVATURE_PENALTY, FD_STEP, MIN_CELLS_SCALED = 0.02, 0.3, 1500


class Interval(NamedTuple):
    """What is compared in one interval: cells at its start and end, their strata, expected growth at the start, log ratio of the masses."""

    source: Tensor
    target: Tensor
    sources: StratifiedSampler
    targets: StratifiedSampler
    prior: Tensor | None
    dt: float
    n_steps: int
    log_ratio: float
    # Mean distance of two cells at the end.
    apart: float


class _Law(nn.Module):
    """The parts of the fields that move particles."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        # In a tuple: as a module of its own it would bring the density into the descent.
        self.fields = (fields,)
        if fields.form == "gradient":
            self.potential = fields.potential_net
        else:
            self.motion = fields.motion_net
            if fields.has_growth:
                self.growth = fields.growth_net
        self.log_sigma = nn.Parameter(torch.zeros((), device=fields.growth_offset.device))

    def simulate(
        self, x: Tensor, interval: Interval, sigma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Ends (n, d) and log weights (n,) of particles, by the two-step scheme of Adams and Bashforth.

        The noise of one half is the mirror image of that of the other: it hardly moves the mean of what they tell.
        """
        dt = interval.dt / interval.n_steps
        log_w, before = torch.zeros_like(x[:, 0]), None
        for _ in range(interval.n_steps):
            rates = self.fields[0].drift_and_growth(x, log_w)
            b, g = (
                rates
                if before is None
                else (1.5 * now - 0.5 * old for now, old in zip(rates, before, strict=True))
            )
            half = torch.randn((len(x) // 2, x.shape[1]), generator=generator, device=x.device)
            noise = torch.cat([half, -half])
            x, log_w = self.fields[0].move(x, b * dt, sigma * dt**0.5 * noise), log_w + g * dt
            before = rates
        return x, log_w


def match(
    fields: Fields,
    snapshots: Snapshots,
    *,
    n_steps: int,
    find_sigma: bool,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> None:
    """Match simulated populations to the snapshots (in the solver's units); changes the networks, and sigma if asked.

    The loss is the energy distance of weighted particles from the cells, in multiples of what sampling alone makes of it, summed over
    the snapshots. Particles start from the cells of every snapshot and from those of the first alone, in turn; the latter tells how
    lineages grow, in which there is much chance, and is left out where growth is expected beforehand. Else growth is a linear function of
    the state at first, whose few coefficients follow at once; a network adds to it, slowly, what the snapshots demand beyond.

    Parameters
    ----------
    fields
        Autonomous fields.
    snapshots
        What to match.
    n_steps
        Steps of the descent.
    find_sigma
        Whether to change sigma.
    generator
        Source of noise and choices while training.
    report
        Called after every step with its number and the loss for an interval.
    """
    law = _Law(fields)
    intervals = _intervals(snapshots, generator)
    n = min(max(N_PARTICLES // len(intervals), MIN_PARTICLES), MAX_PARTICLES)
    descent = Optimizer(
        law, weight_decay=0.0, speeds=RELATIVE_RATES, joint=JOINT_GROUPS, outlier=CLIP_FACTOR
    )
    descent.begin(LEARNING_RATE, n_steps)
    fields.train()
    before, start = deepcopy(fields).requires_grad_(False), fields.sigma
    expected = snapshots.growth_prior is not None
    for step in range(1, n_steps + 1):
        sigma = start * law.log_sigma.exp() if find_sigma else torch.tensor(start)
        starts = [interval.sources.mirrored(n) for interval in intervals]
        mismatches = _mismatches(
            law, intervals, starts, sigma, generator, afresh=expected or step % 2 == 0
        )
        loss = torch.stack([*mismatches, _price(law, before, intervals, starts, generator)]).sum()
        descent.step(loss)
        report(step, float(loss.detach()) / len(intervals))
    if find_sigma:
        fields.sigma = start * math.exp(float(law.log_sigma.detach()))
    fields.eval()


def _intervals(snapshots: Snapshots, generator: torch.Generator) -> list[Interval]:
    found, device = [], generator.device
    lengths = snapshots.times[1:] - snapshots.times[:-1]
    strata = [StratifiedSampler(x, generator) for x in snapshots.states]
    states = [torch.as_tensor(x, dtype=torch.float32, device=device) for x in snapshots.states]
    priors = snapshots.growth_prior or [None] * len(states)
    for k, dt in enumerate(lengths):
        source, target = states[k], states[k + 1]
        # Drawn from all of the cloud, some cells would leave more noise in their mean distance than there is in a step.
        some = (
            target[strata[k + 1].one_each(N_MEAN_DISTANCE)]
            if len(target) > N_MEAN_DISTANCE
            else target
        )
        prior = (
            None
            if priors[k] is None
            else torch.as_tensor(priors[k], dtype=torch.float32, device=device)
        )
        found.append(
            Interval(
                source,
                target,
                strata[k],
                strata[k + 1],
                prior,
                float(dt),
                max(round(N_STEPS * float(dt / lengths.sum())), MIN_STEPS),
                float(math.log(snapshots.masses[k + 1] / snapshots.masses[k])),
                float(torch.cdist(some, some).sum()) / (len(some) * (len(some) - 1)),
            )
        )
    return found


def _mismatches(
    law: _Law,
    intervals: list[Interval],
    starts: list[tuple[Tensor, Tensor]],
    sigma: Tensor,
    generator: torch.Generator,
    *,
    afresh: bool,
) -> Iterator[Tensor]:
    """How far simulated populations are from the observed ones, in multiples of what sampling makes of it.

    Particles start `afresh` in every interval, or go through all of them from the first.
    """
    n_source = 0
    for interval, (chosen, pairs) in zip(intervals, starts, strict=True):
        if afresh or not n_source:
            n_source, x, share = len(interval.source), interval.source[chosen], pairs
            log_w = torch.zeros_like(x[:, 0])
        x, gained = law.simulate(x, interval, sigma, generator)
        # relative to the mass that is observed
        log_w = log_w + gained - interval.log_ratio
        y = interval.target[interval.targets.one_each(2 * len(x))]
        noise = interval.apart * (1 / n_source + 1 / len(interval.target))
        chance = interval.apart * (
            1 / min(n_source, len(x)) + 1 / min(len(interval.target), len(y))
        )
        w = log_w.clamp(max=MAX_LOG_WEIGHT).exp() * (1 + (log_w - MAX_LOG_WEIGHT).relu())
        distance = energy_distance(x, w / len(x), share, y, interval.apart)
        yield distance.clamp(min=-LOSS_FLOOR * chance) / noise


def _price(
    law: _Law,
    before: Fields,
    intervals: list[Interval],
    starts: list[tuple[Tensor, Tensor]],
    generator: torch.Generator,
) -> Tensor:
    """What it costs that the drift bends or is not what it was before, and that growth differs between cells or from what is expected."""
    x = torch.cat(
        [interval.source[chosen] for interval, (chosen, _) in zip(intervals, starts, strict=True)]
    )
    h = FD_STEP * torch.randn(x.shape, generator=generator, device=x.device)
    around = torch.cat([x, x + h, x - h])
    drifts, growths = law.fields[0].drift_and_growth(around, around[:, 0])
    (drift, ahead, behind), growth = drifts.view(3, *x.shape), growths[: len(x)]
    every = SLOPE_PENALTY * min(x.shape[1], MAX_DIMS) ** 4
    price = every * (drift - before.drift_and_growth(x, x[:, 0])[0]).square().sum(1).mean()
    bend = (ahead + behind - 2 * drift) / FD_STEP**2
    many = sum(
        max(len(interval.target) / MIN_CELLS_SCALED, 1) ** 0.5 for interval in intervals
    ) / len(intervals)
    price = price + many * CURVATURE_PENALTY * x.shape[1] ** 2 * bend.square().sum(1).mean()
    expected = [
        i.prior[chosen]
        for i, (chosen, _) in zip(intervals, starts, strict=True)
        if i.prior is not None
    ]
    if expected:
        return (
            price + len(intervals) * PRIOR_WEIGHT * (growth - torch.cat(expected)).square().mean()
        )
    if isinstance(trend := getattr(law, "growth", None), LinearResidualNet):
        price = price + every * (trend.line.weight.square().sum() + trend.bend(x).var())
    return price


def energy_distance(x: Tensor, w: Tensor, share: Tensor, y: Tensor, apart: float) -> Tensor:
    """Unbiased energy distance :cite:p:`Szekely2013` of weighted particles from cells.

    That of the metrics, for weights that sum to one. Others are not set right, which would bias it by as much as it counts, in favour of
    weights that are alike: the squared error of the mass is added, in units of the distance between cells.

    Parameters
    ----------
    x, w
        Particles (n, d), and weights (n,) that should sum to one on average.
    share
        How much every pair of particles counts (n, n), on average one.
    y
        Cells (m, d).
    apart
        Mean distance of two cells.
    """
    centre = y.mean(0)
    # A kernel of the energy distance is |x - c| + |y - c| - |x - y|, to which a constant adds the squared error of the mass.
    reach, reach_y = (
        (x - centre).norm(dim=1) + apart / 2,
        (y - centre).norm(dim=1).mean() + apart / 2,
    )
    pairs = w[:, None] * w * share
    within = 2 * pairs.sum(1) @ reach - (pairs * torch.cdist(x, x)).sum()
    across = w @ (reach + reach_y - torch.cdist(x, y).mean(1))
    return within - 2 * across + 2 * reach_y - apart
