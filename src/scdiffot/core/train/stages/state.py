"""The state of a fit between its stages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from scdiffot._utils.rng import torch_seed
from scdiffot.core.nets.divergence import check_loss
from scdiffot.core.nets.fields import Fields
from scdiffot.core.nets.optimizer import Optimizer
from scdiffot.core.nets.seeding import torch_generator
from scdiffot.core.problem.config import FitConfig, Progress
from scdiffot.core.problem.scales import find_walls, smoothing_width
from scdiffot.core.train.batches import BatchSampler
from scdiffot.core.train.pair_sampling import PairSampler
from scdiffot.core.train.selection import SigmaSearch, select_bridge_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from scdiffot.core.problem.snapshots import Snapshots
    from scdiffot.core.train.bridges import BridgeConfig, Pairs


@dataclass
class TrainingState:
    """What the stages of a fit share and change, in the solver's units."""

    config: FitConfig
    snapshots: Snapshots
    # Smoothing widths of the snapshots ``(T,)``.
    widths: np.ndarray
    bridge_config: BridgeConfig
    fields: Fields
    optimizer: Optimizer
    pair_sampler: PairSampler
    batches: BatchSampler
    # Sources of pairs and particles, and of batches and noise on the device.
    rng: np.random.Generator
    generator: torch.Generator
    callback: Callable[[Progress], None] | None
    # Pairs of cells of every interval, from the first stage on.
    pool: Pairs = field(init=False)
    # None if sigma is not searched.
    sigma_search: SigmaSearch | None = None
    # Optimisation steps so far, the loss of the first, and the best weights so far.
    step: int = 0
    first_loss: float | None = None
    best: dict[str, Tensor] | None = None

    def set_sigma(self, sigma: float) -> None:
        """Change sigma in the fields and in the regression."""
        self.bridge_config = replace(self.bridge_config, sigma=sigma)
        self.fields.sigma = sigma

    def save_best(self) -> None:
        """Save the current weights as the best so far."""
        self.best = {name: value.clone() for name, value in self.fields.state_dict().items()}

    def check(self, loss: float) -> None:
        """Raise an error if the training has diverged."""
        check_loss(loss, self.first_loss or 0.0, self.step, self.config.train.learning_rate)

    def report(self, stage: str, loss: float) -> None:
        """Report the progress to the callback."""
        if self.callback is not None:
            self.callback(Progress(stage, self.step, self.config.n_total_steps, loss))


def initial_state(
    snapshots: Snapshots,
    config: FitConfig,
    *,
    rng: np.random.Generator,
    device: torch.device,
    callback: Callable[[Progress], None] | None = None,
) -> TrainingState:
    """Select path, alpha and sigma, and create networks and samplers.

    The snapshots are in the user's units, and the config is resolved, see :func:`resolve`.
    """
    weight_generator = torch_generator(rng)
    scaling, snapshots = snapshots.scaling, snapshots.scaled()
    bridge_config = select_bridge_config(snapshots, scaling, config)
    # A fixed seed: widths depend on the data alone, so that refits share them.
    data_rng = np.random.default_rng(0)
    widths = np.array([smoothing_width(x, data_rng, config.scale) for x in snapshots.states])
    fields = Fields(
        torch.as_tensor(snapshots.times, dtype=torch.float32),
        snapshots.n_dims,
        growth=config.growth,
        form=config.form,
        autonomous=config.autonomous,
        sigma=bridge_config.sigma,
        alpha=bridge_config.alpha or 1.0,
        n_hidden=config.networks.n_hidden,
        n_layers=config.networks.n_layers,
        generator=weight_generator,
    )
    fields.walls.copy_(find_walls(snapshots.states, config.scale))
    fields.to(device)
    generator = torch.Generator(device).manual_seed(torch_seed(rng))
    searches = config.autonomous and config.sigma == "auto" and config.selection.refine_sigma
    return TrainingState(
        config=config,
        snapshots=snapshots,
        widths=widths,
        bridge_config=bridge_config,
        fields=fields,
        optimizer=Optimizer(fields, config.optimizer),
        pair_sampler=PairSampler(snapshots, bridge_config, config.coupling, rng, config.scale),
        batches=BatchSampler(
            snapshots, fields.walls, widths, bridge_config, config.train.batch_size, generator
        ),
        rng=rng,
        generator=generator,
        callback=callback,
        sigma_search=SigmaSearch(bridge_config.sigma, config.selection) if searches else None,
    )


def resolve(snapshots: Snapshots, config: FitConfig) -> tuple[Snapshots, FitConfig]:
    """Ignore masses without growth, and replace settings that depend on the snapshots."""
    if not config.growth:
        snapshots = replace(snapshots, masses=np.ones(snapshots.n_snapshots), growth_prior=None)
    has_prior = snapshots.growth_prior is not None
    config = config.resolve(
        n_dims=snapshots.n_dims, n_snapshots=snapshots.n_snapshots, has_prior=has_prior
    )
    return snapshots, config
