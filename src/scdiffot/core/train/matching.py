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
from scdiffot.core.simulate.integration import antithetic_noise, integrate
from scdiffot.core.simulate.particles import Particles
from scdiffot.core.simulate.schedule import Leg
from scdiffot.core.simulate.schemes import adams_bashforth

from .objective import energy_loss, matching_penalty
from .stratified_sampling import StratifiedSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.config import FitConfig, MatchingConfig
    from scdiffot.core.problem.snapshots import Snapshots

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
        particles = Particles(x, torch.zeros_like(x[:, 0]))
        integrate(
            self.fields[0],
            particles,
            [Leg(0.0, interval.dt, interval.n_steps)],
            scheme=adams_bashforth,
            noise=antithetic_noise(sigma, generator),
        )
        return particles.x, particles.log_w


def match(
    fields: Fields,
    snapshots: Snapshots,
    config: FitConfig,
    *,
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
    config
        Resolved settings.
    fit_sigma
        Whether sigma is fitted too.
    generator
        Source of the noise and of the sampling of cells.
    report
        Called after every step with the loss, the energy distance and the penalty per interval.
    """
    dynamics, matching = _Dynamics(fields), config.matching
    intervals = _intervals(snapshots, generator, matching)
    n = max(matching.n_particles // len(intervals), matching.min_particles)
    n = min(n, matching.max_particles)
    optimizer = Optimizer(
        dynamics,
        config.optimizer,
        weight_decay=0.0,
        relative_rates=_relative_rates(matching),
        joint_groups=JOINT_GROUPS,
        clip_factor=matching.clip_factor,
    )
    optimizer.begin_cycle(matching.learning_rate, matching.n_steps)
    fields.train()
    initial, sigma0 = deepcopy(fields).requires_grad_(False), fields.sigma
    has_prior = snapshots.growth_prior is not None
    for step in range(1, matching.n_steps + 1):
        sigma = torch.tensor(sigma0) if not fit_sigma else sigma0 * dynamics.log_sigma.exp()
        samples = [interval.source_sampler.antithetic(n) for interval in intervals]
        mismatches = _mismatches(
            dynamics,
            intervals,
            samples,
            sigma,
            generator,
            config=matching,
            restart=has_prior or step % 2 == 0,
        )
        terms = [
            *mismatches,
            matching_penalty(fields, initial, intervals, samples, generator, matching),
        ]
        losses = torch.stack(terms)
        loss = losses.sum()
        optimizer.step(loss)
        report(torch.stack([loss, losses[:-1].sum(), losses[-1]]).detach() / len(intervals))
    if fit_sigma:
        fields.sigma = sigma0 * math.exp(float(dynamics.log_sigma.detach()))
    fields.eval()


def _relative_rates(config: MatchingConfig) -> dict[str, float]:
    """Learning rates relative to the schedule, by the beginning of the parameter's name."""
    return {
        "growth.line": config.growth_linear_rate,
        "growth.bend.out": config.growth_output_rate,
        "growth.bend.hidden": config.growth_hidden_rate,
        "motion.line": config.motion_linear_rate,
        "log_sigma": config.sigma_rate,
    }


def _intervals(
    snapshots: Snapshots, generator: torch.Generator, config: MatchingConfig
) -> list[Interval]:
    """Data of every interval; draws the cells from which mean distances are estimated."""
    intervals, device = [], generator.device
    lengths = snapshots.times[1:] - snapshots.times[:-1]
    samplers = [StratifiedSampler(x, generator) for x in snapshots.states]
    states = [torch.as_tensor(x, dtype=torch.float32, device=device) for x in snapshots.states]
    priors = snapshots.growth_prior or [None] * len(states)
    for k, dt in enumerate(lengths):
        source, target = states[k], states[k + 1]
        # Stratified: independent draws would leave a larger error than the sampling of one step.
        n_cells = config.n_cells_distance
        subset = target[samplers[k + 1].sample(n_cells)] if len(target) > n_cells else target
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
                n_steps=max(
                    round(config.n_integration_steps * float(dt / lengths.sum())),
                    config.min_integration_steps,
                ),
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
    config: MatchingConfig,
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
        cap = config.max_log_weight
        w = log_w.clamp(max=cap).exp() * (1 + (log_w - cap).relu())
        distance = energy_loss(x, w / len(x), weights_xx, y, interval.mean_distance)
        yield distance.clamp(min=-config.loss_floor * step_error) / full_error
