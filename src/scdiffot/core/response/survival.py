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

N_HIDDEN, N_LAYERS, N_STEPS, BATCH, RATE, DECAY = 32, 2, 400, 512, 5e-3, 1e-2


class Survival(nn.Module):
    """Logarithm of the mass that a cell sends on, (n,), from its state (n, d) and its treatment."""

    offset: Tensor
    limits: Tensor

    def __init__(
        self, conditions: Conditions, n_dims: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.conditions = conditions
        n_in = n_dims + conditions.embedding.shape[1] + 1
        self.net = MLP(n_in, 1, N_HIDDEN, N_LAYERS, generator)
        # Level of the logarithm for every treatment, and its range
        self.register_buffer("offset", torch.zeros(len(conditions.strength)))
        self.register_buffer("limits", torch.zeros(2))

    @staticmethod
    def shapes(conditions: Conditions, n_dims: int) -> dict[str, tuple[int, ...]]:
        """Shapes of all that is stored, without a network."""
        net = MLP.shapes(n_dims + conditions.embedding.shape[1] + 1, 1, N_HIDDEN, N_LAYERS)
        levels = {"offset": (len(conditions.strength),), "limits": (2,)}
        return levels | {f"net.{name}": shape for name, shape in net.items()}

    def log_survival(self, x: Tensor, embedding: np.ndarray, strength: float) -> Tensor:
        """Of cells under any treatment: between doses it is interpolated, and without treatment all live."""
        shares = torch.as_tensor(
            self.conditions.weights(embedding, strength), dtype=x.dtype, device=x.device
        )
        treatment = torch.as_tensor(np.append(embedding, strength), dtype=x.dtype, device=x.device)
        learned = self.net(torch.cat([x, treatment.expand(len(x), -1)], 1))[:, 0]
        learned = learned.clamp(self.limits[0], self.limits[1])
        return self.conditions.gate(strength) * learned + shares @ self.offset


def fit_survival(
    conditions: Conditions,
    pairs: Sequence[ConditionPairs],
    *,
    width: float,
    rng: np.random.Generator,
    weights: torch.Generator,
) -> Survival:
    """Regress the mass that couplings let each cell send on: Poisson deviance, so that means are kept."""
    model = Survival(conditions, pairs[0].x.shape[1], weights)
    cells = torch.cat([p.cells for p in pairs])
    ratio = torch.cat([p.survival / p.survival.mean() for p in pairs])
    features = torch.as_tensor(conditions.features, dtype=cells.dtype)
    treatment = torch.cat([features[i].expand(len(p.cells), -1) for i, p in enumerate(pairs)])
    model.limits.copy_(ratio.clamp_min(1e-3).log().quantile(torch.tensor([0.01, 0.99])))
    least = min(p.least_mass / float(p.survival.mean()) for p in pairs)
    model.limits[0].clamp_(max=math.log(max(least, 1e-3)))
    descent = Optimizer(model.net, weight_decay=DECAY)
    descent.begin(RATE, N_STEPS)
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    for _ in range(N_STEPS):
        chosen = torch.randint(len(cells), (BATCH,), generator=generator)
        x = cells[chosen] + width * torch.randn(BATCH, cells.shape[1], generator=generator)
        log_rate = model.net(torch.cat([x, treatment[chosen]], 1))[:, 0]
        descent.step((log_rate.exp() - ratio[chosen] * log_rate).mean())
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
