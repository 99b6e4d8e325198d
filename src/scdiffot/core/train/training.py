"""Training by unbalanced bridge matching: couple, bridge, regress, correct, calibrate."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot._utils.rng import torch_seed
from scdiffot.core.nets.divergence import check_loss, check_networks
from scdiffot.core.nets.fields import Fields
from scdiffot.core.nets.model import RUOTModel
from scdiffot.core.nets.optimizer import Optimizer
from scdiffot.core.nets.seeding import torch_generator
from scdiffot.core.problem.config import FitConfig, Progress, default_n_hidden
from scdiffot.core.problem.scales import find_walls, smoothing_width, subsample

from .batches import Batch, BatchSampler
from .bridges import Pairs, stack
from .calibration import growth_range_at, growth_range_of_pairs, log_density_offset
from .corrections import refine_reference
from .diagnostics import diagnose
from .matching import match
from .objective import regression_losses
from .pair_sampling import PairSampler, mix_halves
from .rollout import missing_growth, simulate_particles, smooth
from .selection import SigmaSearch, select_bridge_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.problem.snapshots import Snapshots

History = dict[str, np.ndarray | float | bool | str]
LOSSES = ("loss", "loss_flow", "loss_growth", "loss_score")
# Steps between two reports of the loss.
REPORT_INTERVAL = 25
# Rounds of correction at the end with a constant sigma.
N_CONSTANT_SIGMA = 1
# Reports at the end of a round whose mean loss is the misfit of its sigma.
N_MISFIT_REPORTS = 3
# Cells of a snapshot from which the growth of a fit is calibrated.
N_CALIBRATION = 20_000
# Learning rates of corrections relative to the first stage. Corrections determine autonomous
# fields; they change other fields only slightly.
AUTONOMOUS_CORRECTION_RATE, CORRECTION_RATE = 0.25, 0.1


class Training:
    """One fit, in the solver's units."""

    def __init__(
        self,
        snapshots: Snapshots,
        config: FitConfig,
        rng: np.random.Generator,
        device: torch.device,
        callback: Callable[[Progress], None] | None,
    ) -> None:
        self.start_time = time.perf_counter()
        weight_generator = torch_generator(rng)
        self.rng, self.device, self.callback = rng, device, callback
        if not config.growth:
            snapshots = replace(snapshots, masses=np.ones(snapshots.n_snapshots), growth_prior=None)
        if config.form == "auto":
            separate = config.autonomous or snapshots.growth_prior is not None
            config = replace(config, form="separate" if separate else "gradient")
        if snapshots.n_snapshots == 2 and not config.autonomous:
            # Particles deviate from the snapshots at inner snapshots only.
            config = replace(config, n_corrections=0)
        self.config, self.snapshots, self.scaled = config, snapshots, snapshots.scaled()
        self.bridge_config = select_bridge_config(self.scaled, snapshots.scaling, config)
        self.pair_sampler = PairSampler(
            self.scaled, self.bridge_config, config.n_landmarks, config.n_pairs, rng
        )
        # A fixed seed: widths depend on the data alone, so that refits share them.
        data_rng = np.random.default_rng(0)
        self.widths = np.array(
            [smoothing_width(x, data_rng, config.smoothing) for x in self.scaled.states]
        )
        self.fields = self._initial_fields(weight_generator)
        self.fields.walls.copy_(find_walls(self.scaled.states))
        self.fields.to(device)
        generator = torch.Generator(device).manual_seed(torch_seed(rng))
        self.batches = BatchSampler(
            self.scaled,
            self.fields.walls,
            self.widths,
            self.bridge_config,
            config.batch_size,
            generator,
        )
        self.optimizer = Optimizer(self.fields)
        self.log: list[tuple[float, ...]] = []
        self.step = 0
        self.best: dict[str, Tensor] | None = None
        self.first_loss: float | None = None

    def _initial_fields(self, generator: torch.Generator) -> Fields:
        config, n_dims = self.config, self.scaled.n_dims
        return Fields(
            torch.as_tensor(self.scaled.times, dtype=torch.float32),
            n_dims,
            growth=config.growth,
            form=config.form,
            autonomous=config.autonomous,
            sigma=self.bridge_config.sigma,
            alpha=self.bridge_config.alpha or 1.0,
            n_hidden=config.n_hidden or default_n_hidden(n_dims),
            n_layers=config.n_layers,
            generator=generator,
        )

    def run(self) -> tuple[RUOTModel, History]:
        """Train, calibrate, and compare with the snapshots."""
        pool = stack([self.pair_sampler.pairs(k) for k in range(self.scaled.n_snapshots - 1)])
        interrupted = False
        try:
            self._train(pool)
        except KeyboardInterrupt:
            if self.best is None:
                raise
            interrupted = True
            self.fields.load_state_dict(self.best)
            self.fields.eval()
        check_networks(self.fields)
        if self.bridge_config.alpha is not None and not self.config.autonomous:
            missing = missing_growth(self.fields, self.scaled, N_CALIBRATION, self.rng)
            self.fields.growth_offset.copy_(missing)
        offset = log_density_offset(
            self.fields, pool, self.scaled, self.bridge_config, self.widths, self.rng
        )
        self.fields.log_norm.copy_(offset)
        scaling, times, masses = self.snapshots.scaling, self.snapshots.times, self.snapshots.masses
        model = RUOTModel(self.fields.cpu(), scaling, self.config, times, masses)
        history: History = dict(zip(("step", *LOSSES), np.array(self.log).T, strict=True))
        history |= diagnose(model, self.snapshots, self.rng)
        history |= {
            "path": self.bridge_config.path,
            "interrupted": interrupted,
            "seconds": time.perf_counter() - self.start_time,
        }
        return model, history

    def _train(self, pool: Pairs) -> None:
        config = self.config
        shared = config.autonomous
        self.fields.growth_range.copy_(
            growth_range_of_pairs(
                pool, np.diff(self.scaled.times), self.bridge_config, shared=shared
            )
        )
        rounds, n_steps = config.corrections
        relative_rate = AUTONOMOUS_CORRECTION_RATE if config.autonomous else CORRECTION_RATE
        # A growth prior need not be linear in the state.
        self.fields.restrict_growth(linear=self.snapshots.growth_prior is None)
        self._regress(self.batches.on_bridges(pool.to(self.device)), config.n_steps, 1.0, "bridges")
        searches = config.autonomous and config.sigma == "auto" and config.search_sigma
        search = SigmaSearch(self.bridge_config.sigma) if searches else None
        for i in range(rounds):
            # Every second round starts from simulated particles, which follow the model, except
            # while the misfits of different sigmas are compared.
            from_particles = i % 2 == 1 and (search is None or search.finished)
            batches = self._correction(from_particles, pool)
            self._regress(batches, n_steps, relative_rate, "correction")
            # The first round has not converged.
            if search is not None and not search.finished and i > 0:
                more = i < rounds - N_CONSTANT_SIGMA
                self._set_sigma(search.next_sigma(self._misfit(), more=more))
        self.fields.restrict_growth(linear=False)
        if config.matching:
            # Paths identify sigma better than populations do: matching fits it only if the search
            # on paths has not bracketed a minimum.
            self._match(fit_sigma=config.sigma == "auto" and not (search and search.bracketed))
            # The density of the regression is that of the paths before matching.
            self.fields.requires_grad_(False)
            self.optimizer = Optimizer(self.fields.log_density_net.requires_grad_(True))
            batches = self._correction(False, pool)
            self._regress(batches, config.n_density_steps, relative_rate, "density")

    def _misfit(self) -> float:
        """Loss of flow and growth at the end of the current round, in multiples of sigma^2."""
        flow, growth = np.array(self.log[-N_MISFIT_REPORTS:])[:, [2, 3]].mean(0)
        return float(flow + growth) / self.bridge_config.sigma**2

    def _set_sigma(self, sigma: float) -> None:
        self.bridge_config = replace(self.bridge_config, sigma=sigma)
        self.fields.sigma = sigma

    def _match(self, *, fit_sigma: bool) -> None:
        """Match autonomous fields to the snapshots."""
        start_step = self.step

        def report(step: int, loss: float) -> None:
            self.step = start_step + step
            if not np.isfinite(loss):
                self._check(loss, self.step)
            if self.callback is not None and step % REPORT_INTERVAL == 0:
                self.callback(Progress("matching", self.step, self.config.n_total_steps, loss))

        match(
            self.fields,
            self.scaled,
            n_steps=self.config.matching,
            fit_sigma=fit_sigma,
            generator=self.batches.generator,
            report=report,
        )
        self._set_sigma(self.fields.sigma)
        if self.config.growth:
            cells = [subsample(x, N_CALIBRATION, self.rng) for x in self.scaled.states]
            self.fields.growth_range.copy_(
                growth_range_at(self.fields, torch.cat(cells).to(self.device))
            )
        self._save_state()

    def _regress(
        self, batches: Iterator[Batch], n_steps: int, relative_rate: float, stage: str
    ) -> None:
        """Regress the fields on the targets of random points."""
        self.fields.train()
        self.optimizer.begin_cycle(relative_rate * self.config.learning_rate, n_steps)
        # Losses of different stages are not comparable: the best state is that of this stage.
        best, sums, n_since_report = float("inf"), torch.zeros(4, device=self.device), 0
        for step in range(1, n_steps + 1):
            losses = regression_losses(self.fields, self.bridge_config, *next(batches))
            self.optimizer.step(losses[0])
            sums += losses.detach()
            n_since_report += 1
            if self.first_loss is None:
                self.first_loss = float(losses[0].detach())
            if n_since_report == REPORT_INTERVAL or step == n_steps:
                mean = (sums / n_since_report).tolist()
                self._check(mean[0], self.step + n_since_report)
                if mean[0] < best:
                    best = mean[0]
                    self._save_state()
                self._report(mean, n_since_report, stage)
                sums.zero_()
                n_since_report = 0
        self.fields.eval()

    def _check(self, loss: float, step: int) -> None:
        check_loss(loss, self.first_loss or 0.0, step, self.config.learning_rate)

    def _save_state(self) -> None:
        """Save the current state as the best so far."""
        self.best = {name: value.clone() for name, value in self.fields.state_dict().items()}

    def _report(self, losses: list[float], n_new: int, stage: str) -> None:
        self.step += n_new
        self.log.append((self.step, *losses))
        if self.callback is not None:
            self.callback(Progress(stage, self.step, self.config.n_total_steps, losses[0]))

    def _correction(self, from_particles: bool, pool: Pairs) -> Iterator[Batch]:
        """Batches of a round of correction.

        Autonomous fields follow their own paths, from the cells or, if `from_particles`, from
        simulated particles.
        """
        widths = self.widths.tolist()
        if from_particles or not self.config.autonomous:
            particles = simulate_particles(
                self.fields, self.scaled, widths[0], self.config.n_landmarks, self.rng
            )
        else:
            cells = map(self.pair_sampler.cells, range(self.scaled.n_snapshots - 1))
            particles = [
                (smooth(self.fields, x, widths[k], self.rng), mass)
                for k, (x, mass) in enumerate(cells)
            ]
        if not self.config.autonomous:
            corrected = stack(
                [self.pair_sampler.pairs(k, particles[k]) for k in range(len(particles) - 1)]
            )
            return self.batches.on_bridges(mix_halves(pool, corrected, self.rng).to(self.device))
        paths = []
        for k, (start, end) in enumerate(pairwise(self.scaled.times.tolist())):
            path = refine_reference(
                self.fields,
                particles[k],
                self.pair_sampler.cells(k + 1),
                (start, end - start),
                alpha=self.bridge_config.alpha,
                n_pairs=self.config.n_pairs,
                generator=self.batches.generator,
            )
            paths.append(path)
        return self.batches.on_paths(paths)
