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
# Steps of the map for every step of its inverse.
N_INNER = 5
LEARNING_RATE = 1e-3
# Share and maximum number of held-out cells, and steps between evaluations on them.
VALIDATION_SHARE, MAX_VALIDATION_CELLS, CHECK_INTERVAL = 0.2, 1000, 50
# Maximum number of L-BFGS iterations of an inverse, and their tolerance of the gradient.
MAX_INVERSE_STEPS, TOLERANCE = 60, 1e-4


class ConvexPotential(nn.Module):
    """Convex function whose gradient is the map: a quadratic form plus an input-convex network.

    The network is close to zero at the start. The function is convex by construction: the quadratic
    form is a square, weights between layers are softplus of free parameters, and the activation is
    convex and increasing (Amos, Xu & Kolter 2017).

    Parameters
    ----------
    n_dims
        Dimension of the state.
    generator
        Source of the initial weights.
    n_hidden, n_layers
        Width and number of hidden layers.

    See Also
    --------
    ConvexMaps : Potentials of all treatments.
    fit_convex : Train the potentials.
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
    def initialise(self, matrix: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
        """Start from the affine map of a positive definite matrix that maps source to target.

        The matrix has shape ``(d, d)``, the points shape ``(d,)``.
        """
        values, vectors = np.linalg.eigh(matrix)
        self.root.copy_(torch.as_tensor((vectors * np.sqrt(values)) @ vectors.T))
        self.shift.copy_(torch.as_tensor(target - matrix @ source))

    def forward(self, x: Tensor) -> Tensor:
        """Value, shape ``(n,)``, at points, shape ``(n, d)``."""
        z = functional.softplus(self.inputs[0](x))
        for layer, weight in zip(list(self.inputs)[1:], self.between, strict=True):
            z = functional.softplus(z @ functional.softplus(weight).T + layer(x))
        return (
            (x @ self.root.T).square().sum(1) / 2
            + x @ self.shift
            + z @ functional.softplus(self.out)
        )

    def gradient(self, x: Tensor, *, create_graph: bool = False) -> Tensor:
        """The map, shape ``(n, d)``; works without enabled gradients."""
        with torch.enable_grad():
            point = x if x.requires_grad else x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self(point).sum(), point, create_graph=create_graph)
        return slope if create_graph else slope.detach()

    def inverse(self, y: Tensor, start: Tensor) -> Tensor:
        """Points with gradient ``y``, by L-BFGS minimisation from an initial guess."""
        point = start.detach().clone().requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [point],
            max_iter=MAX_INVERSE_STEPS,
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
    """A map, and an approximate inverse, for every treatment.

    Parameters
    ----------
    n_conditions, n_dims
        Number of treatments, and dimension of the state.
    generator
        Source of the initial weights; unused if they are replaced by stored weights.

    See Also
    --------
    fit_convex : Train the maps.
    scdiffot.core.response.flow.ResponseFlow : A flow instead of maps.
    """

    def __init__(
        self, n_conditions: int, n_dims: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        generator = generator or first_generator()
        # two potentials per treatment: of the map, and of the approximate inverse
        self.potentials = nn.ModuleList(
            ConvexPotential(n_dims, generator) for _ in range(2 * n_conditions)
        )

    @staticmethod
    def shapes(n_conditions: int, n_dims: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, without building a network."""
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
        """Potentials of the map of a treatment and of its approximate inverse."""
        source, target = self.potentials[2 * condition], self.potentials[2 * condition + 1]
        assert isinstance(source, ConvexPotential)
        assert isinstance(target, ConvexPotential)
        return source, target

    def carry(self, x: Tensor, condition: int, *, inverse: bool) -> tuple[Tensor, Tensor]:
        """Mapped cells, shape ``(n, d)``, and half their squared displacement, shape ``(n,)``."""
        source, target = self.pair(condition)
        states = source.inverse(x, target.gradient(x)) if inverse else source.gradient(x)
        return states, (states - x).square().sum(1) / 2


def fit_convex(
    pairs: Sequence[ConditionPairs],
    config: ResponseConfig,
    *,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> tuple[ConvexMaps, bool]:
    """Solve the dual problem of optimal transport (Makkuva et al. 2020) for every treatment.

    Maps start from the optimal maps between Gaussians, as in Bunne et al. (2022), so the networks
    learn the nonlinear residual. The result is the state with the smallest energy distance on
    held-out cells.

    Parameters
    ----------
    pairs
        Paired cells of every treatment.
    config, generator
        Options of the fit, and source of random numbers.
    report
        Called with the step and the energy distance.

    Returns
    -------
    The maps, and whether training was interrupted.

    See Also
    --------
    scdiffot.core.response.regression.fit_flow : Fit a flow instead.
    scdiffot.core.response.fit.fit_response : Couple cells, then fit.
    """
    maps = ConvexMaps(len(pairs), pairs[0].x.shape[1], generator)
    for i, p in enumerate(pairs):
        report_map = partial(_report_offset, report, i * config.train.n_steps)
        interrupted = _solve(*maps.pair(i), p, config, generator=generator, report=report_map)
        if interrupted:
            if i + 1 < len(pairs):
                raise KeyboardInterrupt
            return maps.eval(), True
    return maps.eval(), False


def _report_offset(
    report: Callable[[int, float], None], offset: int, step: int, value: float
) -> None:
    report(offset + step, value)


def _solve(
    source: ConvexPotential,
    target: ConvexPotential,
    pairs: ConditionPairs,
    config: ResponseConfig,
    *,
    generator: torch.Generator,
    report: Callable[[int, float], None],
) -> bool:
    """Train the potentials of one map; return True if interrupted after the first step."""
    # cells are held out rather than pairs, because pairs share cells
    (x, validation_x), (y, validation_y) = (_split(z, generator) for z in (pairs.x, pairs.y))
    affine = GaussianMap.fit(x.numpy(), y.numpy())
    source.initialise(affine.forward, affine.mean_x, affine.mean_y)
    target.initialise(affine.backward, affine.mean_y, affine.mean_x)
    target_optimizer = torch.optim.Adam(target.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.9))
    source_optimizer = torch.optim.Adam(source.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.9))
    n = min(config.train.batch_size, 256)
    best, best_state = _error(source, validation_x, validation_y), _copy_state(source, target)
    step, interrupted = 1, False
    try:
        for step in range(1, config.train.n_steps + 1):
            for _ in range(N_INNER):
                batch = _draw(x, n, generator)
                images = source.gradient(batch.requires_grad_(True), create_graph=True)
                loss = (target(images) - (images * batch).sum(1)).mean()
                source_optimizer.zero_grad()
                loss.backward()
                source_optimizer.step()
            batch, targets = _draw(x, n, generator), _draw(y, n, generator)
            loss = target(targets).mean() - target(source.gradient(batch)).mean()
            target_optimizer.zero_grad()
            loss.backward()
            target_optimizer.step()
            if step % CHECK_INTERVAL == 0 or step == config.train.n_steps:
                value = _finite_error(source, validation_x, validation_y, step)
                if value < best:
                    best, best_state = value, _copy_state(source, target)
                report(step, value)
    except KeyboardInterrupt:
        if step == 1:
            raise
        interrupted = True
    source.load_state_dict(best_state[0])
    target.load_state_dict(best_state[1])
    return interrupted


def _error(source: ConvexPotential, x: Tensor, y: Tensor) -> float:
    return energy_distance(source.gradient(x).numpy(), y.numpy())


def _finite_error(source: ConvexPotential, x: Tensor, y: Tensor, step: int) -> float:
    if not bool(torch.isfinite(source.gradient(x)).all()):
        check_loss(float("nan"), 0.0, step)
    return _error(source, x, y)


def _copy_state(*potentials: ConvexPotential) -> list[dict[str, Tensor]]:
    return [{name: value.clone() for name, value in p.state_dict().items()} for p in potentials]


def _draw(cells: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return cells[torch.randint(len(cells), (n,), generator=generator)]


def _split(sample: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split a sample with replacement into training and validation parts without shared cells."""
    cells, index = torch.unique(sample, dim=0, return_inverse=True)
    is_validation = torch.rand(len(cells), generator=generator) < VALIDATION_SHARE
    mask = is_validation[index]
    return sample[~mask], sample[mask][:MAX_VALIDATION_CELLS]
