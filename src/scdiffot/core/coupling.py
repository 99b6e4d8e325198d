"""Entropic unbalanced optimal transport between two snapshots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The Wasserstein-Fisher-Rao cost is infinite from pi/2 on; the cap keeps it finite and leaves far pairs apart.
MAX_ANGLE = math.pi / 2 - 1e-3
# Scalings are absorbed into the kernel before their product can leave the range of single precision.
MAX_LOG_SCALING = 30
TINY = 1e-26
# Exponentials that underflow take a hundred times as long as others, and so do products with what they leave behind.
MIN_EXPONENT = -60.0


def ground_cost(x: Tensor, y: Tensor, alpha: float | None) -> Tensor:
    """Action times dt of moving a unit mass from each ``x`` (n, d) to each ``y`` (m, d).

    Half the squared distance for ``alpha=None`` (balanced transport), else the Wasserstein-Fisher-Rao cost
    ``-4 alpha log cos(|x - y| / (2 sqrt(alpha)))`` (Chizat et al. 2018; Liero, Mielke & Savare 2018).
    """
    distance = torch.cdist(x, y)
    if alpha is None:
        return 0.5 * distance.square_()
    angle = distance.div_(2 * math.sqrt(alpha)).clamp_(max=MAX_ANGLE)
    return torch.log_(torch.cos_(angle)).mul_(-4 * alpha)


@dataclass(frozen=True)
class Potentials:
    """Dual potentials of a coupling on its landmarks, and what is needed to extend them to other cells."""

    x: Tensor
    y: Tensor
    f: Tensor
    g: Tensor
    log_a: Tensor
    log_b: Tensor
    eps: float
    alpha: float | None

    def _damping(self) -> float:
        return 1.0 if self.alpha is None else 2 * self.alpha / (2 * self.alpha + self.eps)

    def extend_g(self, y: Tensor) -> Tensor:
        """Potential of any target cells by the soft c-transform."""
        inner = (self.f - ground_cost(y, self.x, self.alpha)) / self.eps + self.log_a
        return -self._damping() * self.eps * _log_sum_exp(inner, 1)


def sinkhorn(
    x: Tensor,
    a: Tensor,
    y: Tensor,
    b: Tensor,
    *,
    alpha: float | None,
    eps: float,
    tol: float = 1e-4,
    max_iter: int = 500,
    start: Potentials | None = None,
    source_price: float | None = None,
) -> Potentials:
    """Dual potentials of the entropic unbalanced coupling of ``(x, a)`` with ``(y, b)``.

    Minimises ``<P, C> + eps KL(P | a b) + 2 alpha [KL(P 1 | a) + KL(P' 1 | b)]`` (``alpha=None``: exact marginals, but for
    ``source_price KL(P 1 | a)`` in their place where that is given) by Sinkhorn iterations in the scaling domain, with
    potentials absorbed into the kernel at every level of a geometric descent of eps and, if unbalanced on both sides, the
    translation-invariant shift (Sejourne et al. 2022). ``start``, the potentials of other cells of the same two snapshots
    at the same eps, saves the descent.
    """
    cost = ground_cost(x, y, alpha)
    log_a, log_b = a.log(), b.log()
    both = math.inf if alpha is None else 2 * alpha
    rho = (both if source_price is None else source_price, both)
    if start is not None:
        f, g = _solve_level(cost, log_a, log_b, start.extend_g(y), eps, rho, tol, max_iter)
        return Potentials(x, y, f, g, log_a, log_b, eps, alpha)
    g = torch.zeros_like(b)
    level = max(float(cost.max()) / 4, eps)
    while True:
        f, g = _solve_level(cost, log_a, log_b, g, level, rho, tol, max_iter if level == eps else 30)
        if level == eps:
            return Potentials(x, y, f, g, log_a, log_b, eps, alpha)
        level = max(level / 3, eps)


def _solve_level(
    cost: Tensor, log_a: Tensor, log_b: Tensor, g: Tensor, eps: float, rho: tuple[float, float], tol: float, n_iter: int
) -> tuple[Tensor, Tensor]:
    damping, damping_g = (1.0 if math.isinf(r) else r / (r + eps) for r in rho)
    # Potentials from another level may underflow whole rows of the kernel; one log-domain sweep makes it safe.
    f = -damping * eps * _log_sum_exp((g - cost).div_(eps).add_(log_b), 1)
    g = -damping_g * eps * _log_sum_exp((f[:, None] - cost).div_(eps).add_(log_a[:, None]), 0)
    kernel = _exp((f[:, None] + g - cost).div_(eps))
    df, dg = torch.zeros_like(f), torch.zeros_like(g)
    a, b = log_a.exp(), log_b.exp()
    for _ in range(n_iter):
        # New potential F = f + df solves F = -damping * eps * log(sum_j K_ij b_j exp(dg_j / eps)) + damping * f.
        previous = df
        row = torch.mv(kernel, b * (dg / eps).exp()).clamp_min_(TINY)
        df = damping * (f - eps * row.log()) - f
        column = torch.mv(kernel.T, a * (df / eps).exp()).clamp_min_(TINY)
        dg = damping_g * (g - eps * column.log()) - g
        if not math.isinf(max(rho)):
            price = rho[0]
            shift = torch.logsumexp(log_a - (f + df) / price, 0) - torch.logsumexp(log_b - (g + dg) / price, 0)
            shift = price / 2 * shift
            df, dg = df + shift, dg - shift
        if float((df - previous).abs().max()) < tol * eps:
            break
        if float(torch.maximum(df.abs().max(), dg.abs().max())) > MAX_LOG_SCALING * eps:
            f, g = f + df, g + dg
            kernel = _exp((f[:, None] + g - cost).div_(eps))
            df, dg = torch.zeros_like(f), torch.zeros_like(g)
    return f + df, g + dg


def plan(p: Potentials) -> Tensor:
    """The coupling (n, m) of the cells that the potentials belong to."""
    return _exp((p.f[:, None] + p.g - ground_cost(p.x, p.y, p.alpha)).div_(p.eps).add_(p.log_a[:, None]).add_(p.log_b))


def draw_entries(weights: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of entries, drawn in proportion to their weights by stratified sampling.

    ``jitter`` (n,) holds a uniform number for each of the ``n`` strata. One number for all would take the same quantiles of
    every row of equal cells, and never reach some columns.
    """
    cumulative = weights.flatten().cumsum(0, dtype=torch.float64)
    strata = torch.arange(len(jitter), dtype=torch.float64, device=weights.device) + jitter
    flat = torch.searchsorted(cumulative, strata / len(jitter) * cumulative[-1]).clamp_max_(weights.numel() - 1)
    return flat // weights.shape[1], flat % weights.shape[1]


def _exp(exponent: Tensor) -> Tensor:
    return exponent.clamp_(min=MIN_EXPONENT).exp_()


def _log_sum_exp(exponent: Tensor, dim: int) -> Tensor:
    largest = exponent.amax(dim, keepdim=True)
    return _exp(exponent.sub_(largest)).sum(dim).log_() + largest.squeeze(dim)
