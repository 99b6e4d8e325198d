"""Matching: autonomous fields whose simulated populations agree with the snapshots.

A round of correction assigns the unexplained motion of each interval to the interval alone. One
function of the state for all intervals is better identified: particles are simulated from every
snapshot to the next, and from the first to all others. They are compared with the snapshots by the
energy distance, which is differentiated through the trajectories.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from scdiffot.core.nets.optimizer import Optimizer

from .objective import energy_distance, matching_penalty
from .stratified_sampling import StratifiedSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Snapshots

# Particles of a step in total, and limits per interval; twice as many cells are compared.
N_PARTICLES, MIN_PARTICLES, MAX_PARTICLES = 900, 250, 300
# Integration steps over all times, and the minimum of one interval.
N_STEPS, MIN_STEPS = 24, 4
# Cells from which the mean distance between two cells of a snapshot is estimated, once.
N_MEAN_DISTANCE = 2000
# Log ratio of a particle's mass to the observed mass above which its weight is linear in it instead
# of exponentially, so that no single particle dominates the loss.
MAX_LOG_WEIGHT = 4.0
# Lower bound of the energy distance of an interval, in multiples of its expected sampling error.
# The unbiased estimate can be negative. With few cells it has no lower bound: growth that keeps a
# single cell leaves only pairs of that cell with itself, which are excluded.
LOSS_FLOOR = 3.0
# Peak learning rate of the one-cycle schedule, for parameters without a relative rate.
LEARNING_RATE = 2e-3
# Gradient clip, in multiples of the running mean of the gradient norm. Mass gradients have heavy
# tails: without a clip rare large gradients slow the optimiser down. With a clip so low that all
# norms are equal, the many small gradients, which increase differences of growth between cells,
# outweigh the few large ones, and long optimisations diverge (docs/mathematics.md).
CLIP_FACTOR = 1.5
# Learning rates relative to LEARNING_RATE, by the beginning of the parameter's name. Linear parts
# have few parameters, on which every cell depends, and learn fast. The output layer of the residual
# of growth starts at zero; its hidden layers learn slowly, because until the output is nonzero
# their gradients are mostly noise of the mass.
RELATIVE_RATES = {
    "growth.line": 75.0,
    "growth.bend.out": 8.0,
    "growth.bend.hidden": 0.5,
    "motion.line": 25.0,
    "log_sigma": 40.0,
}
# Parameters that share one preconditioner. Cells that leave and cells that die change a population
# alike, so the linear parts of growth and drift are identified only jointly. Above 15 dimensions
# the joint group exceeds the largest basis of the optimiser, and both parts keep separate ones.
JOINT_GROUPS = (("growth.line", "motion.line"), ("growth.bend.out.weight",))


class Interval(NamedTuple):
    """Data of one interval, between two snapshots."""

    # Cells at the start ``(n, d)`` and at the end ``(m, d)``, and their samplers.
    source: Tensor
    target: Tensor
    source_sampler: StratifiedSampler
    target_sampler: StratifiedSampler
    # Expected growth rate of the cells at the start ``(n,)``.
    prior: Tensor | None
    dt: float
    n_steps: int
    # Log ratio of the masses of the snapshots, and mean distance between two cells at the end.
    log_ratio: float
    mean_distance: float


class _Dynamics(nn.Module):
    """The networks that move particles, and the logarithm of the factor of sigma."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        # A tuple hides the module, whose density must not be trained here.
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
        """Final states ``(n, d)`` and log weights ``(n,)``, by the two-step Adams-Bashforth scheme.

        Noise is antithetic: that of the second half of the particles is the negative of that of
        the first. On the simulated circuit (MISA) a half to a third of the noise of the gradient
        remains (docs/mathematics.md).
        """
        dt = interval.dt / interval.n_steps
        log_w, previous = torch.zeros_like(x[:, 0]), None
        for _ in range(interval.n_steps):
            rates = self.fields[0].drift_and_growth(x, log_w)
            b, g = (
                rates
                if previous is None
                else (1.5 * new - 0.5 * old for new, old in zip(rates, previous, strict=True))
            )
            half = torch.randn((len(x) // 2, x.shape[1]), generator=generator, device=x.device)
            noise = torch.cat([half, -half])
            x, log_w = self.fields[0].move(x, b * dt, sigma * dt**0.5 * noise), log_w + g * dt
            previous = rates
        return x, log_w


def match(
    fields: Fields,
    snapshots: Snapshots,
    *,
    n_steps: int,
    fit_sigma: bool,
    generator: torch.Generator,
    report: Callable[[Tensor], None],
) -> None:
    """Match simulated populations to the snapshots; changes the networks, and sigma on request.

    The loss is the energy distance between weighted particles and cells, in multiples of its
    expected sampling error, summed over the snapshots, plus penalties. Steps alternate between
    particles that start from every snapshot and particles that start from the first alone. The
    latter constrain the growth of lineages, with a large variance; they are omitted if a growth
    prior is given. Growth is the sum of a linear function, which learns fast, and of the residual
    of a network, which learns slowly.

    Parameters
    ----------
    fields
        Autonomous fields.
    snapshots
        The snapshots, in the solver's units.
    n_steps
        Optimisation steps.
    fit_sigma
        Whether sigma is fitted too.
    generator
        Source of the noise and of the sampling of cells.
    report
        Called after every step with the loss, the energy distance and the penalty per interval.
    """
    dynamics = _Dynamics(fields)
    intervals = _intervals(snapshots, generator)
    n = min(max(N_PARTICLES // len(intervals), MIN_PARTICLES), MAX_PARTICLES)
    optimizer = Optimizer(
        dynamics,
        weight_decay=0.0,
        relative_rates=RELATIVE_RATES,
        joint_groups=JOINT_GROUPS,
        clip_factor=CLIP_FACTOR,
    )
    optimizer.begin_cycle(LEARNING_RATE, n_steps)
    fields.train()
    initial, sigma0 = deepcopy(fields).requires_grad_(False), fields.sigma
    has_prior = snapshots.growth_prior is not None
    for step in range(1, n_steps + 1):
        sigma = torch.tensor(sigma0) if not fit_sigma else sigma0 * dynamics.log_sigma.exp()
        samples = [interval.source_sampler.antithetic(n) for interval in intervals]
        mismatches = _mismatches(
            dynamics, intervals, samples, sigma, generator, restart=has_prior or step % 2 == 0
        )
        terms = [*mismatches, matching_penalty(fields, initial, intervals, samples, generator)]
        losses = torch.stack(terms)
        loss = losses.sum()
        optimizer.step(loss)
        report(torch.stack([loss, losses[:-1].sum(), losses[-1]]).detach() / len(intervals))
    if fit_sigma:
        fields.sigma = sigma0 * math.exp(float(dynamics.log_sigma.detach()))
    fields.eval()


def _intervals(snapshots: Snapshots, generator: torch.Generator) -> list[Interval]:
    """Data of every interval; draws the cells from which mean distances are estimated."""
    intervals, device = [], generator.device
    lengths = snapshots.times[1:] - snapshots.times[:-1]
    samplers = [StratifiedSampler(x, generator) for x in snapshots.states]
    states = [torch.as_tensor(x, dtype=torch.float32, device=device) for x in snapshots.states]
    priors = snapshots.growth_prior or [None] * len(states)
    for k, dt in enumerate(lengths):
        source, target = states[k], states[k + 1]
        # Stratified: independent draws would leave a larger error than the sampling of one step.
        subset = (
            target[samplers[k + 1].sample(N_MEAN_DISTANCE)]
            if len(target) > N_MEAN_DISTANCE
            else target
        )
        prior = (
            None
            if priors[k] is None
            else torch.as_tensor(priors[k], dtype=torch.float32, device=device)
        )
        intervals.append(
            Interval(
                source,
                target,
                samplers[k],
                samplers[k + 1],
                prior,
                dt=float(dt),
                n_steps=max(round(N_STEPS * float(dt / lengths.sum())), MIN_STEPS),
                log_ratio=float(math.log(snapshots.masses[k + 1] / snapshots.masses[k])),
                mean_distance=float(torch.cdist(subset, subset).sum())
                / (len(subset) * (len(subset) - 1)),
            )
        )
    return intervals


def _mismatches(
    dynamics: _Dynamics,
    intervals: list[Interval],
    samples: list[tuple[Tensor, Tensor]],
    sigma: Tensor,
    generator: torch.Generator,
    *,
    restart: bool,
) -> Iterator[Tensor]:
    """Energy distance at the end of every interval, in multiples of its expected sampling error.

    If `restart`, particles start from the cells of every interval; otherwise they start from the
    first snapshot and pass through all intervals.
    """
    n_source = 0
    for interval, (index, pair_weights) in zip(intervals, samples, strict=True):
        if restart or not n_source:
            n_source, x, weights_xx = len(interval.source), interval.source[index], pair_weights
            log_w = torch.zeros_like(x[:, 0])
        x, log_growth = dynamics.simulate(x, interval, sigma, generator)
        # Relative to the observed mass.
        log_w = log_w + log_growth - interval.log_ratio
        n_target = len(interval.target)
        y = interval.target[interval.target_sampler.sample(2 * len(x))]
        # Expected sampling error of all cells, and of the particles and cells of this step.
        full_error = interval.mean_distance * (1 / n_source + 1 / n_target)
        step_error = interval.mean_distance * (
            1 / min(n_source, len(x)) + 1 / min(n_target, len(y))
        )
        w = log_w.clamp(max=MAX_LOG_WEIGHT).exp() * (1 + (log_w - MAX_LOG_WEIGHT).relu())
        distance = energy_distance(x, w / len(x), weights_xx, y, interval.mean_distance)
        yield distance.clamp(min=-LOSS_FLOOR * step_error) / full_error
