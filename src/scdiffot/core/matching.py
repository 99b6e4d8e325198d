"""Autonomous fields whose simulated populations match the snapshots.

Rounds of correction attribute what is missing in each interval to what costs least there. One law that serves all
intervals says more: particles are simulated from every snapshot to the next, compared with it, and the comparison is
differentiated through the paths.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from .soap import Descent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from .fields import Fields
    from .snapshots import Snapshots

# Particles of all intervals together, and the least and most of one; twice as many cells are compared with them.
N_PARTICLES, FEWEST, MOST = 1200, 300, 400
# Steps of a mean interval, and the fewest of a short one.
N_STEPS, FEWEST_STEPS = 12, 6
N_SPREAD = 2000
RATE = 1e-3
# The few numbers that every cell depends on follow at once; the weights of the networks, slowly.
SPEEDS = {"growth.line": 100.0, "growth.bend": 5.0, "log_sigma": 50.0}
# What a growth of one per mean interval beside the expected one costs, in multiples of sampling noise.
PRIOR_PRICE = 100.0
# What growth costs that differs between cells by one per mean interval: as if it were normal with standard deviation 1/2. In directions
# that hardly change, growth and the drift back could else be as large as they like together.
PRICE = 2.0


class Interval(NamedTuple):
    """What is compared in one interval: cells at its start and end, expected growth at the start, log ratio of the masses."""

    source: Tensor
    target: Tensor
    prior: Tensor | None
    dt: float
    n_steps: int
    log_ratio: float
    # Mean distance of two cells at the end, and variance of a mean over the cells of both ends, over that of one cell.
    apart: float
    variance: float


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
        """Ends (n, d) and log weights (n,) of particles, by the two-step scheme of Adams and Bashforth."""
        dt = interval.dt / interval.n_steps
        log_w, before = torch.zeros_like(x[:, 0]), None
        for _ in range(interval.n_steps):
            rates = self.fields[0].drift_and_growth(x, log_w)
            b, g = rates if before is None else (1.5 * now - 0.5 * old for now, old in zip(rates, before, strict=True))
            noise = torch.randn(x.shape, generator=generator, device=x.device)
            x, log_w, before = x + b * dt + sigma * dt**0.5 * noise, log_w + g * dt, rates
        return x, log_w


def match(
    fields: Fields,
    snapshots: Snapshots,
    *,
    n_steps: int,
    find_sigma: bool,
    generator: torch.Generator,
    rng: np.random.Generator,
    report: Callable[[int, float], None],
) -> None:
    """Match simulated populations to the snapshots (in the solver's units); changes the networks, and sigma if asked.

    The loss sums, over the intervals, the energy distance and the squared difference of log masses, both in multiples of what
    sampling alone makes of them. Growth is a linear function of the state at first, whose few coefficients follow at
    once; a network adds to it, slowly, what the snapshots demand beyond.

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
    rng
        Source of the cells that measure the spread.
    report
        Called after every step with its number and the loss for an interval.
    """
    law = _Law(fields)
    intervals = _intervals(snapshots, generator.device, rng)
    n = min(max(N_PARTICLES // len(intervals), FEWEST), MOST)
    descent = Descent(law, weight_decay=0.0, speeds=SPEEDS, rotate=False)
    descent.begin(RATE, n_steps)
    fields.train()
    start = fields.sigma
    for step in range(1, n_steps + 1):
        sigma = start * law.log_sigma.exp() if find_sigma else torch.tensor(start)
        loss = torch.stack(list(_mismatches(law, intervals, n, sigma, generator))).sum()
        descent.step(loss)
        report(step, float(loss.detach()) / len(intervals))
    if find_sigma:
        fields.sigma = start * math.exp(float(law.log_sigma.detach()))
    fields.eval()


def _intervals(snapshots: Snapshots, device: torch.device, rng: np.random.Generator) -> list[Interval]:
    found = []
    lengths = snapshots.times[1:] - snapshots.times[:-1]
    states = [torch.as_tensor(x, dtype=torch.float32, device=device) for x in snapshots.states]
    priors = snapshots.growth_prior or [None] * len(states)
    for k, dt in enumerate(lengths):
        source, target = states[k], states[k + 1]
        some = target[torch.as_tensor(rng.permutation(len(target))[:N_SPREAD])]
        prior = None if priors[k] is None else torch.as_tensor(priors[k], dtype=torch.float32, device=device)
        found.append(
            Interval(
                source,
                target,
                prior,
                float(dt),
                max(round(N_STEPS * float(dt / lengths.mean())), FEWEST_STEPS),
                float(math.log(snapshots.masses[k + 1] / snapshots.masses[k])),
                float(torch.cdist(some, some).sum()) / (len(some) * (len(some) - 1)),
                1 / len(source) + 1 / len(target),
            )
        )
    return found


def _mismatches(
    law: _Law, intervals: list[Interval], n: int, sigma: Tensor, generator: torch.Generator
) -> Iterator[Tensor]:
    """How far simulated populations are from the observed ones, in multiples of what sampling makes of it."""
    for interval in intervals:
        chosen = _choose(len(interval.source), n, generator)
        x, log_w = law.simulate(interval.source[chosen], interval, sigma, generator)
        y = interval.target[_choose(len(interval.target), min(2 * n, len(interval.target)), generator)]
        yield energy_distance(x, torch.softmax(log_w, 0), y, interval.apart) / (interval.apart * interval.variance)
        if law.fields[0].has_growth:
            reached = torch.logsumexp(log_w, 0) - math.log(n)
            yield (reached - interval.log_ratio).square() / interval.variance
            growth = law.fields[0].drift_and_growth(interval.source[chosen], log_w)[1]
            if interval.prior is not None:
                yield PRIOR_PRICE * (growth - interval.prior[chosen]).square().mean()
            else:
                yield PRICE * growth.var()


def _choose(n_total: int, n: int, generator: torch.Generator) -> Tensor:
    """Indices of cells, without replacement where that matters."""
    if n_total > 8 * n:
        return torch.randint(n_total, (n,), generator=generator, device=generator.device)
    order = [torch.randperm(n_total, generator=generator, device=generator.device) for _ in range(-(-n // n_total))]
    return torch.cat(order)[:n]


def energy_distance(x: Tensor, w: Tensor, y: Tensor, apart: float) -> Tensor:
    """Unbiased energy distance :cite:p:`Szekely2013` of particles (n, d), weights (n,), from cells (m, d) that are `apart` on average.

    That of the metrics, in torch.
    """
    both = w[:, None] * w
    both = both - both.diagonal().diag()
    within = (both * torch.cdist(x, x)).sum() / both.sum()
    return 2 * (w @ torch.cdist(x, y)).mean() - within - apart
