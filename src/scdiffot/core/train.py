"""Training by unbalanced bridge matching: couple, bridge, regress, correct, calibrate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from scdiffot._rng import as_generator, torch_seed

from .bridges import Bridge, Pairs, bridge, stack
from .config import FitConfig, Progress
from .diagnostics import diagnose
from .dynamics import roll_out
from .fields import Fields
from .model import RUOTModel, log_density_offset
from .pools import Coupler
from .scales import smoothing_width, subsample
from .selection import choose_regime
from .snapshots import Snapshots

History = dict[str, np.ndarray | float | bool]
REPORT_EVERY = 25
GRADIENT_CLIP = 5.0
WEIGHT_DECAY = 1e-4


def fit(
    snapshots: Snapshots,
    config: FitConfig | None = None,
    *,
    rng: int | np.random.Generator = 0,
    device: str = "auto",
    callback: Callable[[Progress], None] | None = None,
) -> tuple[RUOTModel, History]:
    """Fit drift, growth and score to snapshots by simulation-free unbalanced bridge matching.

    Parameters
    ----------
    snapshots
        At least two snapshots.
    config
        Options; the defaults serve every data set.
    rng
        Seed or generator: equal seeds give equal results on one machine and number of threads.
    device
        ``"auto"`` (cuda where there is one), or a torch device.
    callback
        Called every few steps with the progress.

    Returns
    -------
    The model, and the history of its training: ``step``, ``loss``, ``loss_flow``, ``loss_growth``, ``loss_score``, then at
    every snapshot ``times``, ``w1``, ``w1_floor``, ``mass_error``, ``ess``, and ``action``, ``hjb_residual``, ``sigma``,
    ``alpha``, ``interrupted``, ``seconds``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before any training; later, the best state so far is returned and ``interrupted`` is True.

    Examples
    --------
    >>> import numpy as np
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> rng = np.random.default_rng(0)
    >>> cells = (rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1)
    >>> model, history = fit(Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)), FitConfig(n_steps=20, n_corrections=0))
    >>> model.drift(cells[0], 0.0).shape
    (60, 2)
    """
    config = config or FitConfig()
    generator = as_generator(rng)
    chosen = "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    with single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(generator))
        return _Training(snapshots, config, generator, torch.device(chosen), callback).run()


@contextmanager
def single_thread() -> Iterator[None]:
    """One torch thread: with more, small networks train no faster, and several times slower under load."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class _Training:
    def __init__(
        self,
        snapshots: Snapshots,
        config: FitConfig,
        rng: np.random.Generator,
        device: torch.device,
        callback: Callable[[Progress], None] | None,
    ) -> None:
        self.started = time.perf_counter()
        self.config, self.rng, self.device, self.callback = config, rng, device, callback
        self.snapshots = snapshots
        scaled = snapshots.scaled()
        if not config.growth:
            scaled = replace(scaled, masses=np.ones(scaled.n_snapshots), growth_prior=None)
        self.scaled = scaled
        self.regime = choose_regime(replace(snapshots, masses=scaled.masses), config)
        self.coupler = Coupler(scaled, self.regime, config.n_landmarks, config.n_pairs, rng)
        fixed = np.random.default_rng(0)
        self.widths = np.array([smoothing_width(x, fixed, config.smoothing) for x in scaled.states])
        self.times = torch.as_tensor(scaled.times, dtype=torch.float32, device=device)
        self.n_intervals = scaled.n_snapshots - 1
        self.fields = Fields(
            self.times,
            scaled.n_dims,
            growth=config.growth,
            form=config.form,
            autonomous=config.autonomous,
            sigma=self.regime.sigma,
            alpha=self.regime.alpha or 1.0,
            n_hidden=config.n_hidden or (64 if scaled.n_dims <= 20 else 128),
            n_layers=config.n_layers,
        ).to(device)
        self.draws = torch.Generator(device).manual_seed(torch_seed(rng))
        self.log: list[tuple[float, ...]] = []
        self.best: tuple[float, dict[str, Tensor]] | None = None

    def run(self) -> tuple[RUOTModel, History]:
        config = self.config
        interrupted = False
        pools: list[Pairs] = []
        try:
            pools = [self.coupler.pairs(k) for k in range(self.n_intervals)]
            self._regress(pools, config.n_steps, config.learning_rate, "bridges")
            for _ in range(config.n_corrections):
                self.best = None
                corrected = [self.coupler.pairs(k, z) for k, z in enumerate(self._particles()[:-1])]
                self._regress(corrected, config.n_correction_steps, config.learning_rate / 2, "correction")
        except KeyboardInterrupt:
            if self.best is None and not self.log:
                raise
            interrupted = True
            if self.best is not None:
                self.fields.load_state_dict(self.best[1])
        self._calibrate_mass()
        self.fields.log_norm.copy_(self._log_norm(pools))
        model = RUOTModel(self.fields.cpu(), self.snapshots.scaling, config, self.snapshots.times, self.scaled.masses)
        history: History = dict(zip(("step", "loss", "loss_flow", "loss_growth", "loss_score"), map(np.array, zip(*self.log, strict=True)), strict=True))
        history |= diagnose(model, replace(self.snapshots, masses=self.scaled.masses), self.rng)
        history |= {"interrupted": interrupted, "seconds": time.perf_counter() - self.started}
        return model, history

    def _regress(self, pools: list[Pairs], n_steps: int, learning_rate: float, stage: str) -> None:
        """Regress the fields on the targets of random points on the bridges."""
        fields = self.fields
        fields.train()
        optimizer = torch.optim.AdamW(fields.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=n_steps + 1, pct_start=0.1)
        pool = stack(pools).to(self.device)
        sums = torch.zeros(4, device=self.device)
        for step in range(1, n_steps + 1):
            losses = self._losses(pool)
            optimizer.zero_grad()
            losses[0].backward()
            torch.nn.utils.clip_grad_norm_(fields.parameters(), GRADIENT_CLIP)
            optimizer.step()
            schedule.step()
            sums += torch.stack([loss.detach() for loss in losses])
            if step % REPORT_EVERY == 0 or step == n_steps:
                self._report(sums / (step % REPORT_EVERY or REPORT_EVERY), stage, step % REPORT_EVERY or REPORT_EVERY)
                sums.zero_()

    def _report(self, losses: Tensor, stage: str, n_new: int) -> None:
        step = (self.log[-1][0] if self.log else 0) + n_new
        self.log.append((step, *losses.tolist()))
        loss = self.log[-1][1]
        if self.best is None or loss < self.best[0]:
            self.best = (loss, {name: value.clone() for name, value in self.fields.state_dict().items()})
        if self.callback is not None:
            self.callback(Progress(stage, int(step), self.config.n_total_steps, loss))

    def _losses(self, pool: Pairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Total, flow, growth and score loss of a batch with as many points in every interval."""
        points, t, weight = self._batch(pool)
        d = self.scaled.n_dims
        out = self.fields(points.x, t)
        target, motion = points.velocity, out["motion"]
        if self.fields.moves_drift:
            target = target + self.regime.sigma**2 / 2 * out["score"].detach()
        flow = (weight * (motion - target).square().sum(1)).mean()
        score = (weight * (points.spread[:, None] * out["score"] + points.noise).square().sum(1)).mean() / d
        growth = torch.zeros((), device=self.device)
        if self.regime.alpha is not None:
            growth = self.regime.alpha * (weight * (out["growth"] - points.growth).square()).mean()
        return flow + growth + score, flow, growth, score

    def _batch(self, pool: Pairs) -> tuple[Bridge, Tensor, Tensor]:
        n = -(-self.config.batch_size // self.n_intervals)
        k = torch.arange(self.n_intervals, device=self.device).repeat_interleave(n)
        index = torch.randint(pool.x0.shape[1], (len(k),), generator=self.draws, device=self.device)
        jitter = torch.rand(self.n_intervals, n, generator=self.draws, device=self.device)
        u = ((torch.arange(n, device=self.device) + jitter) / n).flatten()
        noise = torch.randn(len(k), self.scaled.n_dims, generator=self.draws, device=self.device)
        dt = self.times.diff()[k]
        masses = torch.as_tensor(self.scaled.masses, dtype=u.dtype, device=self.device)
        points = bridge(pool[k, index], u, dt, noise, regime=self.regime, width=self._width(k, u))
        return points, self.times[k] + u * dt, points.weight / (masses[k] * masses[k + 1]).sqrt()

    def _width(self, k: Tensor, u: Tensor) -> Tensor:
        widths = torch.as_tensor(self.widths, dtype=u.dtype, device=self.device)
        return widths[k] * (1 - u) + widths[k + 1] * u

    def _particles(self) -> list[tuple[Tensor, Tensor]]:
        """The model's own particles at every snapshot, with weights that sum to its mass."""
        n = self.config.n_landmarks
        x = subsample(self.scaled.states[0], n, self.rng)
        x = x.repeat(-(-min(n, 1000) // len(x)), 1)
        x = x + float(self.widths[0]) * torch.randn(x.shape, generator=torch.Generator().manual_seed(torch_seed(self.rng)))
        paths = roll_out(self.fields, x.to(self.device), self.scaled.times, n_steps=10)
        weights = [torch.softmax(log_w.double(), 0).float() * float(m) for (_, log_w), m in zip(paths, self.scaled.masses, strict=True)]
        return [(z.cpu(), w.cpu().clamp_min(1e-12)) for (z, _), w in zip(paths, weights, strict=True)]

    def _calibrate_mass(self) -> None:
        """Add a constant to the growth of every interval so that the rolled-out masses are those of the snapshots."""
        if self.regime.alpha is None or self.config.autonomous:
            return
        x = subsample(self.scaled.states[0], self.config.n_landmarks, self.rng)
        paths = roll_out(self.fields, x.to(self.device), self.scaled.times, n_steps=20)
        reached = torch.stack([torch.logsumexp(log_w.double(), 0) for _, log_w in paths]).diff()
        wanted = torch.as_tensor(np.diff(np.log(self.scaled.masses)), device=self.device)
        self.fields.growth_offset.copy_((wanted - reached) / self.times.diff())

    def _log_norm(self, pools: list[Pairs]) -> Tensor:
        return log_density_offset(self.fields, stack(pools), self.scaled, self.regime, self.widths, self.rng)
