"""Regression of a flow on paired cells, judged on cells that it does not see."""

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
# Points of a batch that share time and treatment, since their linear part is then one product.
GROUP = 16
# Share of the untreated cells that are set aside, and points of their paths.
VALIDATION, N_VALIDATION = 0.1, 4096


@dataclass(frozen=True)
class _Points:
    """Points (g, GROUP, d) of paths, the velocities there, and time and treatment of every group."""

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

    def draw(self, n: int) -> _Points:
        """About `n` random points."""
        n_groups = max(n // GROUP, 1)
        source: dict[str, Any] = {"generator": self.generator, "device": self.x.device}
        condition = torch.randint(len(self.sizes), (n_groups,), **source)
        # one time from every part of the unit interval
        part = torch.randperm(n_groups, **source) + torch.rand(n_groups, **source)
        node = (part / n_groups * N_NODES).long()
        chosen = (torch.rand(n_groups, GROUP, **source) * self.sizes[condition, None]).long()
        start, end = self.x[condition[:, None], chosen], self.y[condition[:, None], chosen]
        t = (node / (N_NODES - 1))[:, None, None]
        x = torch.lerp(start, end, t) + self.width * torch.randn(start.shape, **source)
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
    """Learn the flow by regression on the velocities of straight paths.

    Its network, which starts at zero, may learn single pairs by heart where cells are few. The state that is kept is that of
    least error on the paths of untreated cells that were set aside, not the last one.
    """
    n_dims = pairs[0].x.shape[1]
    flow = ResponseFlow(
        conditions,
        [p.moments for p in pairs],
        width=width,
        n_hidden=config.n_hidden or (64 if n_dims <= 20 else 128),
        n_layers=config.n_layers,
        generator=generator,
    ).to(device)
    descent = Optimizer(flow.net)
    descent.begin(config.learning_rate, config.steps)
    trained, held = zip(*[_split(p, generator) for p in pairs], strict=True)
    draws = generator_on(device, generator)
    paths = _StraightPaths(trained, width, draws)
    judge = _StraightPaths(held, width, draws).draw(N_VALIDATION)
    best = _Best(flow, descent.vector, judge)
    done = reported = 0
    try:
        while done < config.steps:
            descent.step(_loss(flow, paths.draw(config.batch_size)))
            done += 1
            if done % CHECK_INTERVAL == 0 or done == config.steps:
                reported = done
                loss = best.check()
                check_loss(loss, best.first, done, config.learning_rate)
                report(done, loss)
    except KeyboardInterrupt:
        # the linear part alone is a state, but nobody would take it for a fit
        if done == 0:
            raise
        if done > reported:
            report(done, best.check())
        best.restore()
        return flow.cpu().eval(), True
    best.restore()
    return flow.cpu().eval(), False


class _Best:
    """The state of least error on points that are not trained on."""

    def __init__(self, flow: ResponseFlow, vector: Tensor, points: _Points) -> None:
        self.flow, self.vector, self.points = flow, vector, points
        self.loss = float("inf")
        self.first = self.check()

    @torch.no_grad()
    def check(self) -> float:
        """Error of the present state, which is kept if it is the least."""
        loss = float(_loss(self.flow, self.points))
        if loss < self.loss:
            self.loss, self.state = loss, self.vector.detach().clone()
        return loss

    @torch.no_grad()
    def restore(self) -> None:
        """Return to the best state."""
        self.vector.copy_(self.state)


def _split(
    pairs: ConditionPairs, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pairs to learn from, and those of untreated cells that are set aside: pairs share cells."""
    cells, of_pair = torch.unique(pairs.x, dim=0, return_inverse=True)
    held = torch.zeros(len(cells), dtype=torch.bool)
    n_held = max(round(VALIDATION * len(cells)), 1)
    held[torch.randperm(len(cells), generator=generator)[:n_held]] = True
    aside = held[of_pair]
    return (pairs.x[~aside], pairs.y[~aside]), (pairs.x[aside], pairs.y[aside])


def _loss(flow: ResponseFlow, points: _Points) -> Tensor:
    """Squared error of the velocity."""
    found = flow.regressed(points.x, points.node, points.condition)
    return (found - points.velocity).square().sum(-1).mean()
