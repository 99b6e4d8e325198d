"""The metric in which untreated cells resemble themselves after a treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import subsample, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import ContextPair

# In costs of the nearest treated cell: entropy that blurs no further than neighbours.
EPS = 0.1
# What a unit of death costs, in the same unit. Where none die, samples still differ in composition by chance, and cells that
# had to make up for that would change their kind.
MISMATCH_COSTS = {True: 1.0, False: 10.0}
# Prices of death in the first couplings of the searches. Where death costs little, cells find their kind before the
# numbers of each kind have to agree.
STARTS: tuple[tuple[float, ...], ...] = ((1.0,), (0.05, 0.3))
N_METRIC, N_ROUNDS, MAX_DIMS = 1500, 8, 100
TOLERANCE = 0.02
MIN_VARIANCE, LEVEL = 1e-6, 0.01
RIDGE = 1e-3


@dataclass(frozen=True)
class Coupling:
    """A coupling of untreated cells (n, d) with treated ones (m, d), as a matrix (n, m), and its mean cost."""

    x: Tensor
    y: Tensor
    plan: Tensor

    @property
    def survival(self) -> Tensor:
        """Mass that every untreated cell sends on, relative to its own (n,)."""
        return self.plan.sum(1) * len(self.x)

    def displacement(self) -> Tensor:
        """Second moment (d, d) of the displacement."""
        p = self.plan.double() / self.plan.double().sum()
        x, y = self.x.double(), self.y.double()
        cross = x.T @ (p @ y)
        return (x.T * p.sum(1)) @ x + (y.T * p.sum(0)) @ y - cross - cross.T


def couple(x: Tensor, y: Tensor, root: Tensor | None, mass: float, price: float | None) -> Coupling:
    """Entropic coupling in the metric ``|(x - y) root|``; ``price`` is that of death, in costs of the nearest cell."""
    u, v = (x, y) if root is None else (x @ root, y @ root)
    nearest = float(torch.cdist(u, v).min(1).values.square().median()) / 2
    # cells that coincide need some entropy all the same
    unit = max(nearest, 1e-6 * float(u.var(0).sum() + v.var(0).sum()), 1e-12)
    potentials = sinkhorn(
        u,
        uniform(u, 1.0),
        v,
        uniform(v, mass if price is not None else 1.0),
        alpha=None,
        eps=EPS * unit,
        source_price=None if price is None else price * unit,
    )
    return Coupling(x, y, plan(potentials))


def learn_metric(
    strata: Sequence[ContextPair], *, unbalanced: bool, rng: np.random.Generator
) -> Tensor:
    r"""Root (d, r) of the metric under which a treatment displaces cells in as few directions as can be.

    Minimises :math:`\log \det \sum_{ij} P_{ij} (y_j - x_i)(y_j - x_i)^T` over couplings. The objective is concave, so
    every coupling that is optimal for its linearisation, transport in the metric of the inverse matrix, lowers it. What the
    treatment leaves alone then says which cell is which, whatever its direction and units. Searches start from the
    Euclidean metric at several prices of death, and the lowest end counts.
    """
    n = max(N_METRIC // len(strata), 300)
    cells = [(subsample(s.control, n, rng), subsample(s.treated, n, rng), s.mass) for s in strata]
    basis = _leading(torch.cat([z for x, y, _ in cells for z in (x, y)]))
    cells = [(x @ basis, y @ basis, mass) for x, y, mass in cells]
    total = sum(len(x) for x, _, _ in cells)
    price = MISMATCH_COSTS[unbalanced]
    least, best = float("inf"), torch.eye(basis.shape[1])
    for start in STARTS:
        root: Tensor | None = None
        last = float("inf")
        for i in range(N_ROUNDS):
            couplings = [
                couple(x, y, root, mass, start[i] if i < len(start) else price)
                for x, y, mass in cells
            ]
            moment = torch.stack([c.displacement() * (len(c.x) / total) for c in couplings]).sum(0)
            ridge = RIDGE * max(1.0, 20 * len(moment) / total) * moment.trace() / len(moment)
            moment = moment + ridge * torch.eye(len(moment), dtype=moment.dtype)
            value = float(torch.logdet(moment))
            settled = i >= len(start)
            if settled and value > last - TOLERANCE:
                break
            root = torch.linalg.cholesky(torch.linalg.inv(moment)).float()
            if settled:
                last = value
                if value < least:
                    least, best = value, root
    return basis @ best


def are_gaussian(strata: Sequence[ContextPair]) -> bool:
    """Whether untreated and treated cells are all normal, by the skewness and kurtosis of their principal components.

    The optimal map is linear then, and known in closed form (D'Agostino & Pearson 1973, with Bonferroni's correction).
    """
    from scipy.stats import normaltest

    for stratum in strata:
        for cells in (stratum.control, stratum.treated):
            centred = cells.astype(np.float64) - cells.mean(0, dtype=np.float64)
            _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
            components = centred @ axes[sizes > MIN_VARIANCE * sizes[0]].T
            if (
                components.shape[1]
                and normaltest(components, axis=0).pvalue.min() * components.shape[1] < LEVEL
            ):
                return False
    return True


def _leading(cells: Tensor) -> Tensor:
    """Orthonormal basis (d, r) of the directions in which cells vary most, all of them in few dimensions."""
    d = cells.shape[1]
    if d <= MAX_DIMS:
        return torch.eye(d, dtype=cells.dtype)
    _, _, axes = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    return axes[:MAX_DIMS].T.contiguous()
