"""Cells whose genes are set to other values, beside the same cells as they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from scdiffot._utils.rng import as_generator, torch_seed
from scdiffot.core.lineage.contrasts import Contrasts
from scdiffot.core.lineage.fate import N_STEPS, Classify
from scdiffot.core.nets.model import RUOTModel
from scdiffot.core.simulate.paths import CHUNK_SIZE, PathSampler, in_portions, legs

from .decoders import Decoder, LinearDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scdiffot.core.nets.fields import Fields
    from scdiffot.core.problem.snapshots import Scaling

# Interventions that share a walk of the control.
N_SHARING = 32


@dataclass(frozen=True)
class Intervention:
    """Genes that are set to ``max(scale * expression + offset, floor)``, and what that does to a state.

    The expression of a state z is ``decode(z)``. With the changed expression x', the state becomes
    ``z + encode(x') - encode(decode(z))``: what the decoder does not see of the cell stays as it is, and a change of nothing moves
    nothing.

    Parameters
    ----------
    decoder
        Between states, in the user's units, and expression.
    positions
        The genes, among those of the decoder, shape ``(k,)``.
    scale, offset, floor
        Their new values, shape ``(k,)`` each.
    """

    decoder: Decoder
    positions: Tensor
    scale: Tensor
    offset: Tensor
    floor: Tensor

    def target(self, x: Tensor) -> Tensor:
        """New values (n, k) of the genes from their own (n, k)."""
        return torch.maximum(x * self.scale + self.offset, self.floor)

    @torch.no_grad()
    def displacement(self, z: Tensor) -> Tensor:
        """By how much states (n, d) move."""
        if isinstance(self.decoder, LinearDecoder):
            loadings = self.decoder.loadings[self.positions]
            x = z @ loadings.T + self.decoder.mean[self.positions]
            return (self.target(x) - x) @ loadings
        x = self.decoder.decode(z)
        changed = x.index_copy(1, self.positions, self.target(x[:, self.positions]))
        return self.decoder.encode(changed) - self.decoder.encode(x)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """States (n, d) with the genes set."""
        z = torch.as_tensor(states, dtype=torch.float32)
        return (z + self.displacement(z)).numpy()


class HeldFields(nn.Module):
    """Drift and growth of cells in which genes are held at their values.

    A state moves by the fields at the state with the genes set, anew at every evaluation. The change does not pile up, and for
    states that are expression this is the system in which the held genes are constants.

    Parameters
    ----------
    fields
        The networks.
    intervention
        What is held.
    scaling
        Change of units.
    """

    def __init__(self, fields: Fields, intervention: Intervention, scaling: Scaling) -> None:
        super().__init__()
        self.fields, self.n_dims, self.sigma = fields, fields.n_dims, fields.sigma
        self._shift: Tensor
        self._intervention, self._scale = intervention, float(scaling.scale)
        self.register_buffer(
            "_shift", torch.as_tensor(scaling.shift, dtype=torch.float32), persistent=False
        )

    def move(self, x: Tensor, by: Tensor, noise: Tensor | None = None) -> Tensor:
        """States after a shift and noise."""
        return self.fields.move(x, by, noise)

    def drift_and_growth(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift (n, d) and growth (n,) at states (n, d) and times (n,), in the solver's units."""
        moved = self._intervention.displacement(x * self._scale + self._shift)
        return self.fields.drift_and_growth(x + moved / self._scale, t)


def contrasts(
    model: RUOTModel,
    x: np.ndarray,
    t0: float,
    interventions: Sequence[Intervention],
    *,
    target: tuple[float, Classify],
    sustained: bool = False,
    by_cell: bool = True,
    n_trajectories: int = 100,
    growth: bool = True,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int], None] | None = None,
) -> Contrasts:
    """Follow cells to a later time with and without interventions, by the same noise.

    Each path of a changed cell has a partner without the change whose noise is the same (common random numbers
    :cite:p:`Glasserman1992`), so that the difference of the two has little of it. Weights follow the growth as in
    :func:`~scdiffot.core.lineage.fate.descend`, but particles are not resampled, which would part the pairs.

    Parameters
    ----------
    model
        A fitted model.
    x
        Cells, shape ``(n, d)``.
    t0
        Time at which they start.
    interventions
        What is changed, one after the other.
    target
        Time at the end, and what classifies states there.
    sustained
        Whether genes are held along the whole path, and when it is classified, where no state is then outside; otherwise they are
        set at the start only.
    by_cell
        Whether to keep the cells apart.
    n_trajectories
        Paths of every cell, at least two.
    growth
        Whether weights follow the growth.
    n_steps
        Steps in an interval between snapshots.
    rng
        Seed or generator.
    progress
        Called with the number of cells, times interventions, that were done since the last call.

    Returns
    -------
    Descendants by class; the last of the K classes is outside of all others.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from scdiffot.core import FitConfig, Snapshots, fit
    >>> from scdiffot.core.genes.decoders import identity
    >>> from scdiffot.core.genes.perturbation import Intervention, contrasts
    >>> cells = tuple(np.random.default_rng(0).normal(size=(2, 60, 2)))
    >>> model, _ = fit(
    ...     Snapshots(np.array([0.0, 1.0]), cells, np.ones(2)),
    ...     FitConfig(n_steps=20, n_corrections=0),
    ... )
    >>> def sides(x):
    ...     return np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(float), np.zeros(len(x), bool)
    >>> off = Intervention(
    ...     identity(2),
    ...     torch.tensor([0]),
    ...     torch.zeros(1),
    ...     torch.zeros(1),
    ...     torch.full((1,), -torch.inf),
    ... )
    >>> found = contrasts(model, cells[0], 0.0, [off], target=(1.0, sides), by_cell=False)
    >>> found.compare().shift.shape
    (1, 1, 3)
    """
    generator = as_generator(rng)
    experiment = _PairedSimulation(model, t0, target, sustained, n_trajectories, growth, n_steps)
    states = np.asarray(x, dtype=np.float32)
    size = max(CHUNK_SIZE // n_trajectories, 1)
    blocks = [slice(first, min(first + size, len(states))) for first in range(0, len(states), size)]
    seeds = [torch_seed(generator) for _ in blocks]
    shared = [slice(first, first + N_SHARING) for first in range(0, len(interventions), N_SHARING)]
    tasks = [(chosen, block) for chosen in range(len(shared)) for block in range(len(blocks))]

    def work(task: slice, _: np.random.Generator) -> Contrasts:
        chosen, block = tasks[task.start]
        return experiment.contrast(
            states[blocks[block]], interventions[shared[chosen]], seeds[block], by_cell=by_cell
        )

    done = in_portions(work, len(tasks), CHUNK_SIZE, rng=generator)
    rows = []
    for chosen in shared:
        parts = []
        for block, part in zip(blocks, islice(done, len(blocks)), strict=True):
            parts.append(part)
            if progress is not None:
                progress((block.stop - block.start) * len(interventions[chosen]))
        found = Contrasts.join(parts)
        rows.append(found if by_cell else found.pool(np.arange(len(parts))))
    return Contrasts(
        np.concatenate([row.masses for row in rows]),
        np.concatenate([row.covariance for row in rows]),
        rows[0].n_paths,
    )


def course(
    model: RUOTModel,
    x: np.ndarray,
    times: tuple[float, float],
    intervention: Intervention | None,
    *,
    sustained: bool = False,
    n_steps: int = N_STEPS,
    rng: int | np.random.Generator = 0,
) -> np.ndarray:
    """States (T, n, d) on one path of every cell (n, d), after every step; with genes as they are held if `sustained`."""
    noise = torch.Generator().manual_seed(torch_seed(as_generator(rng)))
    walk = _walk(model, np.asarray(x, dtype=np.float32), intervention, sustained, 1, noise)
    states = [
        model.scaling.state_out(walk.x[:, 0].numpy())
        for leg in legs(model, np.array(times), n_steps)
        for _ in walk.leg(*leg)
    ]
    return np.stack(
        [intervention(z) for z in states] if intervention is not None and sustained else states
    )


def _walk(
    model: RUOTModel,
    states: np.ndarray,
    intervention: Intervention | None,
    sustained: bool,
    n_trajectories: int,
    noise: torch.Generator,
    *,
    growth: bool = True,
) -> PathSampler:
    """Paths of cells, changed at the start or held if there is an intervention."""
    if intervention is not None and sustained:
        fields = HeldFields(model.networks, intervention, model.scaling)
        model = RUOTModel(fields, model.scaling, model.config, model.times, model.masses)  # type: ignore[arg-type]
    elif intervention is not None:
        states = intervention(states)
    return PathSampler(model, states, n_trajectories=n_trajectories, growth=growth, generator=noise)


@dataclass(frozen=True)
class _PairedSimulation:
    """What all walks have in common."""

    model: RUOTModel
    t0: float
    target: tuple[float, Classify]
    sustained: bool
    n_trajectories: int
    growth: bool
    n_steps: int

    def contrast(
        self, states: np.ndarray, interventions: Sequence[Intervention], seed: int, *, by_cell: bool
    ) -> Contrasts:
        """Walk with and without each intervention."""
        control = self.follow(states, None, seed)
        n, m, k = control.shape
        masses, covariance = [], []
        for intervention in interventions:
            both = np.concatenate([control, self.follow(states, intervention, seed)], axis=2)
            mean = both.mean(axis=1)
            spread = both - mean[:, None]
            masses.append(mean.reshape(n, 2, k))
            covariance.append(spread.transpose(0, 2, 1) @ spread / (m * (m - 1)))
        found = Contrasts(np.stack(masses), np.stack(covariance), np.full(n, m))
        return found if by_cell else found.pool(np.arange(n))

    def follow(
        self, states: np.ndarray, intervention: Intervention | None, seed: int
    ) -> np.ndarray:
        """Weight of every path, by the class at its end (n, m, K)."""
        model, noise = self.model, torch.Generator().manual_seed(seed)
        held = intervention if self.sustained else None
        walk = _walk(
            model,
            states,
            intervention,
            self.sustained,
            self.n_trajectories,
            noise,
            growth=self.growth,
        )
        walk.to_the_end(legs(model, np.array([self.t0, self.target[0]]), self.n_steps))
        n, m, d = walk.x.shape
        ends = model.scaling.state_out(walk.x.reshape(-1, d).numpy())
        if held is None:
            known, outside = self.target[1](ends)
        else:
            known = self.target[1](held(ends))[0]
            # What is held takes cells away from all others by design.
            outside = np.zeros(len(known), bool)
        probability = np.concatenate([np.where(outside[:, None], 0, known), outside[:, None]], 1)
        return walk.log_w.double().exp().numpy()[:, :, None] * probability.reshape(n, m, -1)
