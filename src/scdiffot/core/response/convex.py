"""Response maps that are gradients of input-convex networks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scdiffot.core.nets.divergence import check_loss
from scdiffot.core.nets.seeding import first_generator, linear
from scdiffot.core.ot.gaussian_map import GaussianMap
from scdiffot.core.scores.cloud_scores import energy_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .data import ResponseConfig
    from .pairs import ConditionPairs

N_HIDDEN, N_LAYERS = 64, 3
N_INNER = 5
LEARNING_RATE = 1e-3
VALIDATION, N_VALIDATION, CHECK_INTERVAL = 0.2, 1000, 50
N_INVERSE, TOLERANCE = 60, 1e-4


class ConvexPotential(nn.Module):
    """Convex function whose gradient is the map: a full quadratic form and an input-convex network, at first hardly there.

    Convex by construction: the quadratic form is a square, weights between layers are softplus of free parameters, and
    the activation is convex and increasing (Amos, Xu & Kolter 2017).
    """

    def __init__(
        self,
        n_dims: int,
        generator: torch.Generator,
        n_hidden: int = N_HIDDEN,
        n_layers: int = N_LAYERS,
    ) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.eye(n_dims))
        self.shift = nn.Parameter(torch.zeros(n_dims))
        self.inputs = nn.ModuleList(linear(n_dims, n_hidden, generator) for _ in range(n_layers))
        self.between = nn.ParameterList(
            torch.full((n_hidden, n_hidden), -4.0) for _ in range(n_layers - 1)
        )
        self.out = nn.Parameter(torch.full((n_hidden,), -6.0))

    @torch.no_grad()
    def start(self, matrix: np.ndarray, at: np.ndarray, reached: np.ndarray) -> None:
        """Begin with the affine map of a positive definite matrix (d, d) that sends one point (d,) to another."""
        values, vectors = np.linalg.eigh(matrix)
        self.root.copy_(torch.as_tensor((vectors * np.sqrt(values)) @ vectors.T))
        self.shift.copy_(torch.as_tensor(reached - matrix @ at))

    def forward(self, x: Tensor) -> Tensor:
        """Value (n,) at points (n, d)."""
        z = functional.softplus(self.inputs[0](x))
        for layer, weight in zip(list(self.inputs)[1:], self.between, strict=True):
            z = functional.softplus(z @ functional.softplus(weight).T + layer(x))
        return (
            (x @ self.root.T).square().sum(1) / 2
            + x @ self.shift
            + z @ functional.softplus(self.out)
        )

    def gradient(self, x: Tensor, *, create_graph: bool = False) -> Tensor:
        """The map (n, d), also where gradients are switched off."""
        with torch.enable_grad():
            point = x if x.requires_grad else x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self(point).sum(), point, create_graph=create_graph)
        return slope if create_graph else slope.detach()

    def inverse(self, y: Tensor, start: Tensor) -> Tensor:
        """Points whose gradient is ``y``: the minimum of a convex function, by L-BFGS from a first guess."""
        point = start.detach().clone().requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [point],
            max_iter=N_INVERSE,
            tolerance_grad=TOLERANCE,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = (self(point) - (point * y).sum(1)).sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(closure)
        return point.detach()


class ConvexMaps(nn.Module):
    """A map and a first guess of its inverse for every treatment."""

    def __init__(
        self, n_conditions: int, n_dims: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        generator = generator or first_generator()
        # Of a treatment: the potential of the map, and of a first guess of its inverse
        self.potentials = nn.ModuleList(
            ConvexPotential(n_dims, generator) for _ in range(2 * n_conditions)
        )

    @staticmethod
    def shapes(n_conditions: int, n_dims: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, without a network."""
        layers = range(N_LAYERS)
        potential: dict[str, tuple[int, ...]] = {
            "root": (n_dims, n_dims),
            "shift": (n_dims,),
            "out": (N_HIDDEN,),
            **{f"inputs.{i}.weight": (N_HIDDEN, n_dims) for i in layers},
            **{f"inputs.{i}.bias": (N_HIDDEN,) for i in layers},
            **{f"between.{i}": (N_HIDDEN, N_HIDDEN) for i in layers[:-1]},
        }
        return {
            f"potentials.{i}.{name}": shape
            for i in range(2 * n_conditions)
            for name, shape in potential.items()
        }

    def pair(self, condition: int) -> tuple[ConvexPotential, ConvexPotential]:
        """Potentials of the map of a treatment, and of its inverse."""
        source, target = self.potentials[2 * condition], self.potentials[2 * condition + 1]
        assert isinstance(source, ConvexPotential)
        assert isinstance(target, ConvexPotential)
        return source, target

    def carry(self, x: Tensor, condition: int, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Mapped cells (n, d), and half the squared way of each (n,)."""
        source, target = self.pair(condition)
        reached = source.inverse(x, target.gradient(x)) if inverse else source.gradient(x)
        return reached, (reached - x).square().sum(1) / 2


def fit_convex(
    pairs: Sequence[ConditionPairs],
    config: ResponseConfig,
    *,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> tuple[ConvexMaps, bool]:
    """Solve the dual problem of optimal transport between the drawn cells (Makkuva et al. 2020) for every treatment.

    Maps start as the optimal ones between Gaussians, as in Bunne et al. (2022): the networks learn what is not linear. The
    state that is kept is that of least energy distance on cells that were set aside, not the last one.
    """
    maps = ConvexMaps(len(pairs), pairs[0].x.shape[1], generator)
    for i, p in enumerate(pairs):
        report_map = partial(_report_after, report, i * config.steps)
        interrupted = _solve(*maps.pair(i), p, config, generator=generator, report=report_map)
        if interrupted:
            if i + 1 < len(pairs):
                raise KeyboardInterrupt
            return maps.eval(), True
    return maps.eval(), False


def _report_after(report: Callable[[int, float], None], done: int, step: int, value: float) -> None:
    report(done + step, value)


def _solve(
    source: ConvexPotential,
    target: ConvexPotential,
    pairs: ConditionPairs,
    config: ResponseConfig,
    *,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> bool:
    """Train the potentials of one map; True if interrupted after the first step."""
    # Pairs share cells, so what is set aside is cells and not pairs.
    (x, held_x), (y, held_y) = (_split(z, generator) for z in (pairs.x, pairs.y))
    linear = GaussianMap.fit(x.numpy(), y.numpy())
    source.start(linear.forward, linear.mean_x, linear.mean_y)
    target.start(linear.backward, linear.mean_y, linear.mean_x)
    slow = torch.optim.Adam(target.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.9))
    fast = torch.optim.Adam(source.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.9))
    n = min(config.batch_size, 256)
    best, kept = _error(source, held_x, held_y), _state(source, target)
    step, interrupted = 1, False
    try:
        for step in range(1, config.steps + 1):
            for _ in range(N_INNER):
                batch = _draw(x, n, generator)
                mapped = source.gradient(batch.requires_grad_(True), create_graph=True)
                loss = (target(mapped) - (mapped * batch).sum(1)).mean()
                fast.zero_grad()
                loss.backward()
                fast.step()
            batch, other = _draw(x, n, generator), _draw(y, n, generator)
            loss = target(other).mean() - target(source.gradient(batch)).mean()
            slow.zero_grad()
            loss.backward()
            slow.step()
            if step % CHECK_INTERVAL == 0 or step == config.steps:
                value = _finite_error(source, held_x, held_y, step)
                if value < best:
                    best, kept = value, _state(source, target)
                report(step, value)
    except KeyboardInterrupt:
        if step == 1:
            raise
        interrupted = True
    source.load_state_dict(kept[0])
    target.load_state_dict(kept[1])
    return interrupted


def _error(source: ConvexPotential, x: Tensor, y: Tensor) -> float:
    return energy_distance(source.gradient(x).numpy(), y.numpy())


def _finite_error(source: ConvexPotential, x: Tensor, y: Tensor, step: int) -> float:
    if not bool(torch.isfinite(source.gradient(x)).all()):
        check_loss(float("nan"), 0.0, step)
    return _error(source, x, y)


def _state(*potentials: ConvexPotential) -> list[dict[str, Tensor]]:
    return [{name: value.clone() for name, value in p.state_dict().items()} for p in potentials]


def _draw(cells: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return cells[torch.randint(len(cells), (n,), generator=generator)]


def _split(drawn: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    cells, of_pair = torch.unique(drawn, dim=0, return_inverse=True)
    held = torch.rand(len(cells), generator=generator) < VALIDATION
    return drawn[~held[of_pair]], drawn[held[of_pair]][:N_VALIDATION]
