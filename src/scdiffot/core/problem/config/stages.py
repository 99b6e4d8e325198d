"""Settings of the stages of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scdiffot._utils.options import MAX_BATCH, MAX_STEPS

from .setting import Settings, setting

MAX_CORRECTIONS = 1000


@dataclass(frozen=True)
class TrainConfig(Settings):
    """First stage of training: regression on the bridges between coupled cells.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "train"

    n_steps: int = setting(800, "Optimisation steps.", low=1, high=MAX_STEPS)
    batch_size: int = setting(
        512, "Points of bridges in every step, over all intervals.", low=1, high=MAX_BATCH
    )
    learning_rate: float = setting(
        1e-2, "Peak learning rate of the one-cycle schedule.", above=True, high=1
    )


@dataclass(frozen=True)
class CorrectionConfig(Settings):
    """Corrections: simulated particles of the model are coupled with the snapshots.

    Corrections determine autonomous fields; they change other fields only slightly.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "corrections"

    n_rounds: int = setting(
        None,
        "Rounds of coupling and regression. None is 2, or 7 for autonomous fields; fits of two "
        "snapshots use none, unless autonomous.",
        high=MAX_CORRECTIONS,
        optional=True,
    )
    n_steps: int = setting(
        None,
        "Optimisation steps of each of these rounds. None is 100, or 75 for autonomous fields.",
        high=MAX_STEPS,
        optional=True,
    )
    relative_rate: float = setting(
        None,
        "Peak learning rate, relative to `train.learning_rate`. None is 0.1, or 0.25 for "
        "autonomous fields.",
        above=True,
        high=100,
        optional=True,
    )
    n_integration_steps: int = setting(
        24, "Integration steps of an interval for the paths of autonomous fields.", low=1
    )
    n_particle_steps: int = setting(
        10, "Integration steps of an interval for particles that are coupled again.", low=1
    )
    min_particles: int = setting(
        1000, "Fewest particles of a simulation; fewer cells are repeated.", low=1
    )


@dataclass(frozen=True)
class MatchingConfig(Settings):
    """Matching of simulated populations of autonomous fields to the snapshots.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "matching"

    n_steps: int = setting(
        None,
        "Optimisation steps. None is 400 for autonomous fields; other fields are not matched.",
        high=MAX_STEPS,
        optional=True,
    )
    n_density_steps: int = setting(
        None,
        "Steps after the matching, in which the density is fitted to the matched paths. None is "
        "four rounds of correction.",
        high=MAX_STEPS,
        optional=True,
    )
    learning_rate: float = setting(
        2e-3, "Peak learning rate, for parameters without a relative rate.", above=True, high=1
    )
    growth_linear_rate: float = setting(
        75.0,
        "Learning rate of the linear part of growth. Linear parts have few parameters, on which "
        "every cell depends, and learn fast.",
        unit="`learning_rate`",
    )
    growth_output_rate: float = setting(
        8.0,
        "Learning rate of the output layer of the residual of growth, which starts at zero.",
        unit="`learning_rate`",
    )
    growth_hidden_rate: float = setting(
        0.5,
        "Learning rate of its hidden layers: until the output is nonzero, their gradients are "
        "mostly noise of the mass.",
        unit="`learning_rate`",
    )
    motion_linear_rate: float = setting(
        25.0, "Learning rate of the linear part of the drift.", unit="`learning_rate`"
    )
    sigma_rate: float = setting(
        40.0, "Learning rate of the logarithm of sigma.", unit="`learning_rate`"
    )
    clip_factor: float = setting(
        1.5,
        "Gradient clip. Mass gradients have heavy tails: without a clip rare large gradients slow "
        "the optimiser down. With a clip so low that all norms are equal, the many small "
        "gradients, which increase differences of growth between cells, outweigh the few large "
        "ones, and long optimisations diverge.",
        above=True,
        unit="running mean of the gradient norm",
        source="docs/mathematics.md",
    )
    n_particles: int = setting(
        900,
        "Particles of a step, divided by the number of intervals and clipped: with the defaults "
        "300 for each of up to three intervals, and 250 for each of four or more. Twice as many "
        "cells are compared.",
        low=4,
    )
    min_particles: int = setting(250, "Fewest particles of an interval.", low=4)
    max_particles: int = setting(300, "Most particles of an interval.", low=4)
    n_integration_steps: int = setting(
        24, "Integration steps over all times, in proportion to the intervals.", low=1
    )
    min_integration_steps: int = setting(4, "Fewest integration steps of an interval.", low=1)
    n_cells_distance: int = setting(
        2000,
        "Cells from which the mean distance between two cells of a snapshot is estimated.",
        low=2,
    )
    max_log_weight: float = setting(
        4.0,
        "Log ratio of a particle's mass to the observed mass above which its weight is linear in "
        "it instead of exponential, so that no single particle dominates the loss.",
        high=80,
    )
    loss_floor: float = setting(
        3.0,
        "Lower bound of the energy distance of an interval is minus this number. The unbiased "
        "estimate can be negative; with few cells it has no lower bound: growth that keeps a "
        "single cell leaves only pairs of that cell with itself, which are excluded.",
        unit="expected sampling error of the step",
    )
    prior_weight: float = setting(
        100.0,
        "Weight of the squared deviation of growth from the expected rate.",
        unit="sampling error of the loss, times squared mean interval",
    )
    slope_penalty: float = setting(
        0.005,
        "Weight of the slope of growth and of the change of the drift, times the fourth power of "
        "the number of dimensions. Along directions of little variance growth and an opposite "
        "drift cancel, so only a penalty bounds them. The power of four: a quadratic field has "
        "d^3 coefficients, and the energy distance, one number for all dimensions, identifies "
        "each the less the more there are.",
        source="with a quarter of the weight, and none for the drift, the growth of a gene network "
        "in ten components was mostly noise in two of three cases",
    )
    max_penalty_dims: int = setting(
        15,
        "Largest number of dimensions in that power; components beyond hardly vary.",
        low=1,
        source="in 30 components of two networks growth correlates with the truth by 0.90 and "
        "0.79, and by 0.79 and 0.77 without the limit (docs/mathematics.md)",
    )
    curvature_penalty: float = setting(
        0.02,
        "Weight of the squared second derivatives of the drift, times d^2, their number per "
        "component.",
        source="the penalty, the linear part and walls together increase the correlation of "
        "regulation with the truth from 0.71 to 0.83 (two genes, four snapshots of 500 cells)",
    )
    curvature_step: float = setting(
        0.3,
        "Step of the finite differences of these derivatives.",
        above=True,
        unit="standard deviations of the state",
    )
    min_cells_scaled: int = setting(
        1500,
        "Cells of a snapshot above which this weight grows with the square root of their number: "
        "the mismatch, in multiples of the sampling error, grows in proportion to the number of "
        "cells, but a step has at most 600 cells. That argues for 600; why the value is 1,500 is "
        "not on record.",
        low=1,
        source="with 3,000 cells 95.5 and 96.5 % of the signs of regulation are right (two draws), "
        "and 94.3 and 95.1 % without this growth (docs/mathematics.md); other thresholds: "
        "no recorded measurement",
    )


@dataclass(frozen=True)
class CalibrationConfig(Settings):
    """Range of growth rates, masses of the snapshots, and offset of the log-density.

    See Also
    --------
    FitConfig : All settings of a fit.
    """

    GROUP: ClassVar[str] = "calibration"

    growth_quantiles: tuple[float, ...] = setting(
        (0.005, 0.995),
        "Quantiles of the growth rates of pairs or cells that bound the growth of the fields.",
        high=1,
    )
    range_progress: tuple[float, ...] = setting(
        (0.05, 0.5, 0.95),
        "Progress along a path at which its growth rates enter these quantiles.",
        high=1,
    )
    n_cells: int = setting(20_000, "Cells of a snapshot from which growth is calibrated.", low=10)
    n_mass_steps: int = setting(
        20,
        "Integration steps of an interval for the masses, which the fit must reproduce exactly.",
        low=1,
    )
    n_queries: int = setting(
        500, "Points at which the density of a mixture of bridges is evaluated.", low=1
    )
    n_kernels: int = setting(2000, "Kernels of this mixture.", low=1)
