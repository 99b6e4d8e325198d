"""The metric in which untreated cells resemble themselves after a treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.problem.scales import subsample, uniform_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import ContextPair

# Entropic regularisation, in units of the median cost to the nearest treated cell.
EPS = 0.1
# Cost of a unit of death, in the same unit, for unbalanced and balanced fits. It is finite in
# balanced fits, since the composition of samples varies by chance and exact marginals would couple
# cells of different types.
MISMATCH_COSTS = {True: 1.0, False: 10.0}
# Costs of death in the first couplings of each search. With a low cost, cells are coupled by type
# before the numbers of cells per type have to agree.
INITIAL_COSTS: tuple[tuple[float, ...], ...] = ((1.0,), (0.05, 0.3))
# Maximum number of cells, of iterations, and of dimensions of the metric.
MAX_CELLS, MAX_ITERATIONS, MAX_DIMS = 1500, 8, 100
# Smallest decrease of the log determinant that continues the iteration.
TOLERANCE = 0.02
# Smallest relative singular value of a tested component, and the level of the normality test.
MIN_SINGULAR_VALUE, LEVEL = 1e-6, 0.01
# Relative ridge of the second moment of displacements.
RIDGE = 1e-3


@dataclass(frozen=True)
class Coupling:
    """A coupling of untreated and treated cells.

    Parameters
    ----------
    x, y
        Untreated cells, shape ``(n, d)``, and treated cells, shape ``(m, d)``.
    plan
        Coupled masses, shape ``(n, m)``.

    See Also
    --------
    couple : Compute a coupling.
    scdiffot.core.response.pairs.draw_condition_pairs : Sample pairs from couplings.
    """

    x: Tensor
    y: Tensor
    plan: Tensor

    @property
    def survival(self) -> Tensor:
        """Mass that every untreated cell transports, relative to its own mass, shape ``(n,)``."""
        return self.plan.sum(1) * len(self.x)

    def displacement(self) -> Tensor:
        """Second moment of the displacement, shape ``(d, d)``."""
        p = self.plan.double() / self.plan.double().sum()
        x, y = self.x.double(), self.y.double()
        cross = x.T @ (p @ y)
        return (x.T * p.sum(1)) @ x + (y.T * p.sum(0)) @ y - cross - cross.T


def couple(
    x: Tensor, y: Tensor, root: Tensor | None, mass: float, death_cost: float | None
) -> Coupling:
    """Couple cells by entropic optimal transport in the metric ``|(x - y) root|``.

    Parameters
    ----------
    x, y
        Untreated cells, shape ``(n, d)``, and treated cells, shape ``(m, d)``.
    root
        Root of the metric, shape ``(d, r)``; None for the Euclidean metric.
    mass
        Number of treated cells per untreated cell.
    death_cost
        Cost of death, in units of the median cost to the nearest treated cell; None for a balanced
        coupling.

    Returns
    -------
    The coupling.

    See Also
    --------
    learn_metric : Learn the metric of the coupling.
    Coupling : The result.
    """
    u, v = (x, y) if root is None else (x @ root, y @ root)
    nearest = float(torch.cdist(u, v).min(1).values.square().median()) / 2
    # a lower bound keeps the regularisation positive if cells coincide
    unit = max(nearest, 1e-6 * float(u.var(0).sum() + v.var(0).sum()), 1e-12)
    potentials = sinkhorn(
        u,
        uniform_weights(u, 1.0),
        v,
        uniform_weights(v, mass if death_cost is not None else 1.0),
        alpha=None,
        eps=EPS * unit,
        source_penalty=None if death_cost is None else death_cost * unit,
    )
    return Coupling(x, y, plan(potentials))


def learn_metric(
    contexts: Sequence[ContextPair], *, unbalanced: bool, rng: np.random.Generator
) -> Tensor:
    r"""Learn a metric in which displacements have low rank.

    Minimises :math:`\log \det \sum_{ij} P_{ij} (y_j - x_i)(y_j - x_i)^T` over couplings P. The
    objective is concave, so every coupling that is optimal for its linearisation, transport in the
    metric of the inverse matrix, decreases it. Directions that the treatment does not change then
    identify corresponding cells, independently of rotation and units. Searches start from the
    Euclidean metric with several costs of death; the result is that with the lowest objective.

    Parameters
    ----------
    contexts
        Cells before and after the treatment.
    unbalanced
        Whether cells die or divide.
    rng
        Generator that subsamples the cells.

    Returns
    -------
    Root of the metric, shape ``(d, r)``.

    See Also
    --------
    couple : Couple cells in a metric.
    are_gaussian : Whether a learned metric is unnecessary.
    """
    n = max(MAX_CELLS // len(contexts), 300)
    cells = [(subsample(s.control, n, rng), subsample(s.treated, n, rng), s.mass) for s in contexts]
    basis = _principal_directions(torch.cat([z for x, y, _ in cells for z in (x, y)]))
    cells = [(x @ basis, y @ basis, mass) for x, y, mass in cells]
    total = sum(len(x) for x, _, _ in cells)
    death_cost = MISMATCH_COSTS[unbalanced]
    lowest, best = float("inf"), torch.eye(basis.shape[1])
    for initial_costs in INITIAL_COSTS:
        root: Tensor | None = None
        previous = float("inf")
        for i in range(MAX_ITERATIONS):
            couplings = [
                couple(x, y, root, mass, initial_costs[i] if i < len(initial_costs) else death_cost)
                for x, y, mass in cells
            ]
            moment = torch.stack([c.displacement() * (len(c.x) / total) for c in couplings]).sum(0)
            ridge = RIDGE * max(1.0, 20 * len(moment) / total) * moment.trace() / len(moment)
            moment = moment + ridge * torch.eye(len(moment), dtype=moment.dtype)
            value = float(torch.logdet(moment))
            final_cost = i >= len(initial_costs)
            if final_cost and value > previous - TOLERANCE:
                break
            root = torch.linalg.cholesky(torch.linalg.inv(moment)).float()
            if final_cost:
                previous = value
                if value < lowest:
                    lowest, best = value, root
    return basis @ best


def are_gaussian(contexts: Sequence[ContextPair]) -> bool:
    """Test whether untreated and treated cells are normally distributed.

    The test uses the skewness and kurtosis of principal components (D'Agostino & Pearson 1973, with
    Bonferroni correction). The optimal map between normal distributions is linear and has a closed
    form.

    See Also
    --------
    learn_metric : The metric for other distributions.
    scdiffot.core.response.pairs.linear_pairs : Pairs by linear maps.
    """
    from scipy.stats import normaltest

    for context in contexts:
        for cells in (context.control, context.treated):
            centred = cells.astype(np.float64) - cells.mean(0, dtype=np.float64)
            _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
            components = centred @ axes[sizes > MIN_SINGULAR_VALUE * sizes[0]].T
            if (
                components.shape[1]
                and normaltest(components, axis=0).pvalue.min() * components.shape[1] < LEVEL
            ):
                return False
    return True


def _principal_directions(cells: Tensor) -> Tensor:
    """Orthonormal basis, shape ``(d, r)``, of the directions of largest variance of cells."""
    d = cells.shape[1]
    if d <= MAX_DIMS:
        return torch.eye(d, dtype=cells.dtype)
    _, _, axes = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    return axes[:MAX_DIMS].T.contiguous()
