"""Survival of single cells, as a function of their state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from scdiffot.core.nets.divergence import check_networks
from scdiffot.core.nets.mlp import MLP
from scdiffot.core.nets.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Conditions
    from .pairs import ConditionPairs

N_HIDDEN, N_LAYERS = 32, 2
N_STEPS, BATCH_SIZE = 400, 512
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 1e-2


class Survival(nn.Module):
    """Log survival of cells, a function of their state and treatment.

    Parameters
    ----------
    conditions
        The treatments.
    n_dims
        Dimension of the state.
    generator
        Source of the initial weights; unused if they are replaced by stored weights.

    See Also
    --------
    fit_survival : Fit the survival.
    scdiffot.core.response.model.ResponseModel : Responses with survival.
    """

    offset: Tensor
    limits: Tensor

    def __init__(
        self, conditions: Conditions, n_dims: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.conditions = conditions
        n_in = n_dims + conditions.embedding.shape[1] + 1
        self.net = MLP(n_in, 1, N_HIDDEN, N_LAYERS, generator)
        # offset of the log survival for every treatment, and range of the network output
        self.register_buffer("offset", torch.zeros(len(conditions.strength)))
        self.register_buffer("limits", torch.zeros(2))

    @staticmethod
    def shapes(conditions: Conditions, n_dims: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all stored parameters and buffers, without building a network."""
        net = MLP.shapes(n_dims + conditions.embedding.shape[1] + 1, 1, N_HIDDEN, N_LAYERS)
        levels = {"offset": (len(conditions.strength),), "limits": (2,)}
        return levels | {f"net.{name}": shape for name, shape in net.items()}

    def log_survival(self, x: Tensor, embedding: np.ndarray, strength: float) -> Tensor:
        """Log survival of cells, shape ``(n,)``, under any treatment.

        It is interpolated between doses, and zero without treatment.
        """
        shares = torch.as_tensor(
            self.conditions.weights(embedding, strength), dtype=x.dtype, device=x.device
        )
        treatment = torch.as_tensor(np.append(embedding, strength), dtype=x.dtype, device=x.device)
        network_output = self.net(torch.cat([x, treatment.expand(len(x), -1)], 1))[:, 0]
        network_output = network_output.clamp(self.limits[0], self.limits[1])
        return self.conditions.gate(strength) * network_output + shares @ self.offset


def fit_survival(
    conditions: Conditions,
    pairs: Sequence[ConditionPairs],
    *,
    width: float,
    rng: np.random.Generator,
    weights: torch.Generator,
) -> Survival:
    """Regress the transported mass of cells, with a Poisson deviance, which preserves means.

    Parameters
    ----------
    conditions
        The treatments.
    pairs
        Cells and their transported masses, for every treatment.
    width
        Standard deviation of the smoothing of cells.
    rng
        Generator of the batches.
    weights
        Source of the initial weights.

    Returns
    -------
    The survival.

    See Also
    --------
    Survival : The result.
    scdiffot.core.response.pairs.draw_condition_pairs : Couplings with transported masses.
    """
    model = Survival(conditions, pairs[0].x.shape[1], weights)
    cells = torch.cat([p.cells for p in pairs])
    ratio = torch.cat([p.survival / p.survival.mean() for p in pairs])
    features = torch.as_tensor(conditions.features, dtype=cells.dtype)
    treatment = torch.cat([features[i].expand(len(p.cells), -1) for i, p in enumerate(pairs)])
    model.limits.copy_(ratio.clamp_min(1e-3).log().quantile(torch.tensor([0.01, 0.99])))
    min_ratio = min(p.min_mass / float(p.survival.mean()) for p in pairs)
    model.limits[0].clamp_(max=math.log(max(min_ratio, 1e-3)))
    optimizer = Optimizer(model.net, weight_decay=WEIGHT_DECAY)
    optimizer.begin_cycle(LEARNING_RATE, N_STEPS)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    for _ in range(N_STEPS):
        rows = torch.randint(len(cells), (BATCH_SIZE,), generator=generator)
        x = cells[rows] + width * torch.randn(BATCH_SIZE, cells.shape[1], generator=generator)
        log_rate = model.net(torch.cat([x, treatment[rows]], 1))[:, 0]
        optimizer.step((log_rate.exp() - ratio[rows] * log_rate).mean())
    check_networks(model.net)
    with torch.no_grad():
        for i, p in enumerate(pairs):
            log_rate = model.log_survival(
                p.cells, conditions.embedding[i], float(conditions.strength[i])
            )
            model.offset[i] += np.log(p.mass) - float(
                torch.logsumexp(log_rate, 0) - np.log(len(p.cells))
            )
    return model.eval()
