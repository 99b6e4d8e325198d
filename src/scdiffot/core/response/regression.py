"""Regression of a flow on paired cells, with validation on held-out cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scdiffot.core.nets.divergence import check_loss
from scdiffot.core.nets.optimizer import Optimizer
from scdiffot.core.nets.seeding import generator_on

from .flow import N_NODES, ResponseFlow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .data import Conditions, ResponseConfig
    from .pairs import ConditionPairs

CHECK_INTERVAL = 50
# Points of a batch that share time and treatment, so that their linear part is one matrix product.
GROUP_SIZE = 16
# Share of held-out untreated cells, and number of points on their paths.
VALIDATION_SHARE, N_VALIDATION_POINTS = 0.1, 4096


@dataclass(frozen=True)
class _Points:
    """Points of paths and their velocities, with time node and treatment of every group.

    Points and velocities have shape ``(g, GROUP_SIZE, d)``.
    """

    x: Tensor
    velocity: Tensor
    node: Tensor
    condition: Tensor


class _StraightPaths:
    """Straight paths between paired cells of every treatment."""

    def __init__(
        self, pairs: Sequence[tuple[Tensor, Tensor]], width: float, generator: torch.Generator
    ) -> None:
        device = generator.device
        self.x, self.y = (
            torch.nn.utils.rnn.pad_sequence(list(z), batch_first=True).to(device)
            for z in zip(*pairs, strict=True)
        )
        self.sizes = torch.tensor([len(x) for x, _ in pairs], device=device)
        self.width, self.generator = width, generator

    def sample(self, n: int) -> _Points:
        """Sample about `n` random points."""
        n_groups = max(n // GROUP_SIZE, 1)
        options: dict[str, Any] = {"generator": self.generator, "device": self.x.device}
        condition = torch.randint(len(self.sizes), (n_groups,), **options)
        # stratified sampling: one time per subinterval
        strata = torch.randperm(n_groups, **options) + torch.rand(n_groups, **options)
        node = (strata / n_groups * N_NODES).long()
        rows = (torch.rand(n_groups, GROUP_SIZE, **options) * self.sizes[condition, None]).long()
        start, end = self.x[condition[:, None], rows], self.y[condition[:, None], rows]
        t = (node / (N_NODES - 1))[:, None, None]
        x = torch.lerp(start, end, t) + self.width * torch.randn(start.shape, **options)
        return _Points(x, end - start, node, condition)


def fit_flow(
    conditions: Conditions,
    pairs: Sequence[ConditionPairs],
    config: ResponseConfig,
    *,
    width: float,
    device: torch.device,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> tuple[ResponseFlow, bool]:
    """Fit the flow by regression on the velocities of straight paths.

    With few cells the network may overfit single pairs. The result is therefore the state with the
    smallest error on the paths of held-out untreated cells.

    Parameters
    ----------
    conditions
        The treatments.
    pairs
        Paired cells of every treatment.
    config
        Options of the fit.
    width
        Standard deviation of the smoothing of paths.
    device
        Where to train.
    generator
        Source of random numbers.
    report
        Called with the step and the validation loss.

    Returns
    -------
    The flow, and whether training was interrupted.

    See Also
    --------
    scdiffot.core.response.flow.ResponseFlow : The flow.
    scdiffot.core.response.convex.fit_convex : Fit maps instead of a flow.
    """
    flow = ResponseFlow(
        conditions,
        [p.moments for p in pairs],
        width=width,
        n_hidden=config.networks.n_hidden,
        n_layers=config.networks.n_layers,
        generator=generator,
    ).to(device)
    optimizer = Optimizer(flow.net, config.optimizer)
    optimizer.begin_cycle(config.train.learning_rate, config.train.n_steps)
    training, validation = zip(*[_split(p, generator) for p in pairs], strict=True)
    sampler = generator_on(device, generator)
    paths = _StraightPaths(training, width, sampler)
    validation_points = _StraightPaths(validation, width, sampler).sample(N_VALIDATION_POINTS)
    best_state = _BestState(flow, optimizer.vector, validation_points)
    step = last_report = 0
    try:
        while step < config.train.n_steps:
            optimizer.step(_loss(flow, paths.sample(config.train.batch_size)))
            step += 1
            if step % CHECK_INTERVAL == 0 or step == config.train.n_steps:
                last_report = step
                loss = best_state.check()
                check_loss(loss, best_state.initial_loss, step, config.train.learning_rate)
                report(step, loss)
    except KeyboardInterrupt:
        # before the first step the flow is its linear part, which is not a fit
        if step == 0:
            raise
        if step > last_report:
            report(step, best_state.check())
        best_state.restore()
        return flow.cpu().eval(), True
    best_state.restore()
    return flow.cpu().eval(), False


class _BestState:
    """The state with the smallest error on validation points."""

    def __init__(self, flow: ResponseFlow, vector: Tensor, points: _Points) -> None:
        self.flow, self.vector, self.points = flow, vector, points
        self.loss = float("inf")
        self.initial_loss = self.check()

    @torch.no_grad()
    def check(self) -> float:
        """Error of the current state, which is saved if its error is the smallest."""
        loss = float(_loss(self.flow, self.points))
        if loss < self.loss:
            self.loss, self.state = loss, self.vector.detach().clone()
        return loss

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the best state."""
        self.vector.copy_(self.state)


def _split(
    pairs: ConditionPairs, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Split pairs into training and validation pairs without common untreated cells."""
    cells, index = torch.unique(pairs.x, dim=0, return_inverse=True)
    is_validation = torch.zeros(len(cells), dtype=torch.bool)
    n_validation = max(round(VALIDATION_SHARE * len(cells)), 1)
    is_validation[torch.randperm(len(cells), generator=generator)[:n_validation]] = True
    mask = is_validation[index]
    return (pairs.x[~mask], pairs.y[~mask]), (pairs.x[mask], pairs.y[mask])


def _loss(flow: ResponseFlow, points: _Points) -> Tensor:
    """Mean squared error of the velocity."""
    velocity = flow.velocity(points.x, points.node, points.condition)
    return (velocity - points.velocity).square().sum(-1).mean()
