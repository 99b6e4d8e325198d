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
from scdiffot.core.problem.config import FitConfig, Progress
from scdiffot.core.problem.scales import smoothing_width, subsample, walls

from .batches import Batch, BatchSampler
from .bridges import Pairs, stack
from .calibration import log_density_offset, range_at, range_of_pairs
from .corrections import refine_reference
from .diagnostics import diagnose
from .matching import match
from .objective import regression_losses
from .pair_sampling import PairSampler
from .rollout import missing_growth, own_particles, smoothed
from .selection import SigmaSearch, choose_regime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scdiffot.core.problem.snapshots import Snapshots

History = dict[str, np.ndarray | float | bool | str]
LOSSES = ("loss", "loss_flow", "loss_growth", "loss_score")
REPORT_INTERVAL = 25
# Rounds of correction that sigma stays the same at the end, and reports of a round that tell how well it does.
N_SETTLE, N_MISFIT = 1, 3
N_CALIBRATION = 20_000
# Learning rates of corrections relative to the first stage: they find autonomous fields, and only touch up others.
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
        self.started = time.perf_counter()
        weights = torch_generator(rng)
        self.rng, self.device, self.callback = rng, device, callback
        if not config.growth:
            snapshots = replace(snapshots, masses=np.ones(snapshots.n_snapshots), growth_prior=None)
        if config.form == "auto":
            free = config.autonomous or snapshots.growth_prior is not None
            config = replace(config, form="separate" if free else "gradient")
        if snapshots.n_snapshots == 2 and not config.autonomous:
            # Particles drift from the snapshots at inner ones only.
            config = replace(config, n_corrections=0)
        self.config, self.snapshots, self.scaled = config, snapshots, snapshots.scaled()
        self.regime = choose_regime(self.scaled, snapshots.scaling, config)
        self.coupler = PairSampler(
            self.scaled, self.regime, config.n_landmarks, config.n_pairs, rng
        )
        # Like the regime, the widths are properties of the data, which refits with other seeds share.
        fixed = np.random.default_rng(0)
        self.widths = np.array(
            [smoothing_width(x, fixed, config.smoothing) for x in self.scaled.states]
        )
        self.fields = Fields(
            torch.as_tensor(self.scaled.times, dtype=torch.float32),
            self.scaled.n_dims,
            growth=config.growth,
            form=config.form,
            autonomous=config.autonomous,
            sigma=self.regime.sigma,
            alpha=self.regime.alpha or 1.0,
            n_hidden=config.n_hidden or (64 if self.scaled.n_dims <= 20 else 128),
            n_layers=config.n_layers,
            generator=weights,
        )
        self.fields.walls.copy_(walls(self.scaled.states))
        self.fields.to(device)
        draws = torch.Generator(device).manual_seed(torch_seed(rng))
        self.batches = BatchSampler(
            self.scaled, self.fields.walls, self.widths, self.regime, config.batch_size, draws
        )
        self.descent = Optimizer(self.fields)
        self.log: list[tuple[float, ...]] = []
        self.n_done = 0
        self.best: dict[str, Tensor] | None = None
        self.first_loss: float | None = None

    def run(self) -> tuple[RUOTModel, History]:
        """Train, calibrate, and compare with the snapshots."""
        pool = stack([self.coupler.pairs(k) for k in range(self.scaled.n_snapshots - 1)])
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
        if self.regime.alpha is not None and not self.config.autonomous:
            missing = missing_growth(self.fields, self.scaled, N_CALIBRATION, self.rng)
            self.fields.growth_offset.copy_(missing)
        offset = log_density_offset(
            self.fields, pool, self.scaled, self.regime, self.widths, self.rng
        )
        self.fields.log_norm.copy_(offset)
        scaling, times, masses = self.snapshots.scaling, self.snapshots.times, self.snapshots.masses
        model = RUOTModel(self.fields.cpu(), scaling, self.config, times, masses)
        history: History = dict(zip(("step", *LOSSES), np.array(self.log).T, strict=True))
        history |= diagnose(model, self.snapshots, self.rng)
        history |= {
            "path": self.regime.path,
            "interrupted": interrupted,
            "seconds": time.perf_counter() - self.started,
        }
        return model, history

    def _train(self, pool: Pairs) -> None:
        config = self.config
        shared = config.autonomous
        self.fields.growth_range.copy_(
            range_of_pairs(pool, np.diff(self.scaled.times), self.regime, shared=shared)
        )
        rounds, n_steps = config.corrections
        speed = AUTONOMOUS_CORRECTION_RATE if config.autonomous else CORRECTION_RATE
        # Growth that is expected beforehand need not be linear.
        self.fields.straighten(self.snapshots.growth_prior is None)
        self._regress(self.batches.on_bridges(pool.to(self.device)), config.n_steps, 1.0, "bridges")
        searched = config.autonomous and config.sigma == "auto" and config.search_sigma
        search = SigmaSearch(self.regime.sigma) if searched else None
        for i in range(rounds):
            # From particles too, as they are where the model leads, but from cells while misfits are compared.
            from_particles = i % 2 == 1 and (search is None or search.done)
            self._regress(self._correction(from_particles, pool), n_steps, speed, "correction")
            # The first round is still learning.
            if search is not None and not search.done and i > 0:
                self._set_sigma(search.after(self._misfit(), more=i < rounds - N_SETTLE))
        self.fields.straighten(False)
        if config.matching:
            # Populations tell less of sigma than paths do, which is for where the search on these came to no end.
            self._match(find_sigma=config.sigma == "auto" and not (search and search.bracketed))
            # What was learned of the density belongs to the paths before.
            self.fields.requires_grad_(False)
            self.descent = Optimizer(self.fields.log_density_net.requires_grad_(True))
            self._regress(self._correction(False, pool), config.relearning, speed, "density")

    def _misfit(self) -> float:
        """How far the fields are from the paths of the current round, in multiples of what the noise explains."""
        flow, growth = np.array(self.log[-N_MISFIT:])[:, [2, 3]].mean(0)
        return float(flow + growth) / self.regime.sigma**2

    def _set_sigma(self, sigma: float) -> None:
        self.regime = replace(self.regime, sigma=sigma)
        self.fields.sigma = sigma

    def _match(self, *, find_sigma: bool) -> None:
        """Match autonomous fields to the snapshots."""
        n_before = self.n_done

        def report(step: int, loss: float) -> None:
            self.n_done = n_before + step
            if not np.isfinite(loss):
                self._check(loss, self.n_done)
            if self.callback is not None and step % REPORT_INTERVAL == 0:
                self.callback(Progress("matching", self.n_done, self.config.n_total_steps, loss))

        match(
            self.fields,
            self.scaled,
            n_steps=self.config.matching,
            find_sigma=find_sigma,
            generator=self.batches.generator,
            report=report,
        )
        self._set_sigma(self.fields.sigma)
        if self.config.growth:
            cells = [subsample(x, N_CALIBRATION, self.rng) for x in self.scaled.states]
            self.fields.growth_range.copy_(range_at(self.fields, torch.cat(cells).to(self.device)))
        self._keep()

    def _regress(self, batches: Iterator[Batch], n_steps: int, speed: float, stage: str) -> None:
        """Regress the fields on the targets of random points."""
        self.fields.train()
        self.descent.begin(speed * self.config.learning_rate, n_steps)
        # The losses of two stages are not comparable: the best state is that of the current one.
        best, sums, since = float("inf"), torch.zeros(4, device=self.device), 0
        for step in range(1, n_steps + 1):
            losses = regression_losses(self.fields, self.regime, *next(batches))
            self.descent.step(losses[0])
            sums += losses.detach()
            since += 1
            if self.first_loss is None:
                self.first_loss = float(losses[0].detach())
            if since == REPORT_INTERVAL or step == n_steps:
                mean = (sums / since).tolist()
                self._check(mean[0], self.n_done + since)
                if mean[0] < best:
                    best = mean[0]
                    self._keep()
                self._report(mean, since, stage)
                sums.zero_()
                since = 0
        self.fields.eval()

    def _check(self, loss: float, step: int) -> None:
        check_loss(loss, self.first_loss or 0.0, step, self.config.learning_rate)

    def _keep(self) -> None:
        """Keep the current state as the best so far."""
        self.best = {name: value.clone() for name, value in self.fields.state_dict().items()}

    def _report(self, losses: list[float], n_new: int, stage: str) -> None:
        self.n_done += n_new
        self.log.append((self.n_done, *losses))
        if self.callback is not None:
            self.callback(Progress(stage, self.n_done, self.config.n_total_steps, losses[0]))

    def _correction(self, from_particles: bool, pool: Pairs) -> Iterator[Batch]:
        """Batches of a round of correction; autonomous fields follow their own paths from the cells, or from the particles."""
        widths = self.widths.tolist()
        if from_particles or not self.config.autonomous:
            particles = own_particles(
                self.fields, self.scaled, widths[0], self.config.n_landmarks, self.rng
            )
        else:
            cells = map(self.coupler.cells, range(self.scaled.n_snapshots - 1))
            particles = [
                (smoothed(self.fields, x, widths[k], self.rng), mass)
                for k, (x, mass) in enumerate(cells)
            ]
        if not self.config.autonomous:
            corrected = stack(
                [self.coupler.pairs(k, particles[k]) for k in range(len(particles) - 1)]
            )
            return self.batches.on_bridges(self._halves(pool, corrected).to(self.device))
        paths = []
        for k, (start, end) in enumerate(pairwise(self.scaled.times.tolist())):
            path = refine_reference(
                self.fields,
                particles[k],
                self.coupler.cells(k + 1),
                (start, end - start),
                alpha=self.regime.alpha,
                n_pairs=self.config.n_pairs,
                generator=self.batches.generator,
            )
            paths.append(path)
        return self.batches.on_paths(paths)

    def _halves(self, first: Pairs, second: Pairs) -> Pairs:
        """Half of each pool: what corrects the particles must not unlearn the cells."""
        n = first.x0.shape[1]
        order = torch.as_tensor(self.rng.permutation(n))
        return first.columns(order[: n // 2]).beside(second.columns(order[n // 2 :]))
