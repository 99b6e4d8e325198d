"""Entropic unbalanced optimal transport between two snapshots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scdiffot._utils.errors import DivergenceError

# Largest angle of the Wasserstein-Fisher-Rao cost, which is infinite from pi / 2 on. The cap keeps
# it finite, and so large that distant pairs exchange hardly any mass.
MAX_ANGLE = math.pi / 2 - 1e-3
# Logarithm of the scaling factors above which they are absorbed into the kernel, so that products
# stay in the range of single precision; and the smallest marginal.
MAX_LOG_SCALING = 30
MIN_MARGINAL = 1e-26
# Smallest exponent: exponentials that underflow, and products with subnormal numbers, take a
# hundred times as long as others.
MIN_EXPONENT = -60.0
# Over-relaxation of the potentials: with 1.5 they converge in a third of the iterations of plain
# Sinkhorn (1); from 2 on they diverge.
RELAXATION = 1.5
# Iterations between two checks of convergence.
CHECK_INTERVAL = 5
# Factor by which the entropy decreases from level to level, its initial value relative to the
# largest cost, and the number of iterations of every level except the last.
LEVEL_FACTOR, INITIAL_SHARE, N_LEVEL_ITERATIONS = 3, 1 / 4, 30


def ground_cost(x: Tensor, y: Tensor, alpha: float | None) -> Tensor:
    """Action times dt of moving a unit mass from each ``x`` ``(n, d)`` to each ``y`` ``(m, d)``.

    Half the squared distance for ``alpha=None`` (balanced transport), otherwise the
    Wasserstein-Fisher-Rao cost ``-4 alpha log cos(|x - y| / (2 sqrt(alpha)))`` (Chizat et al. 2018;
    Liero, Mielke & Savare 2018).
    """
    distance = torch.cdist(x, y)
    if alpha is None:
        return 0.5 * distance.square_()
    angle = distance.div_(2 * math.sqrt(alpha)).clamp_(max=MAX_ANGLE)
    return torch.log_(torch.cos_(angle)).mul_(-4 * alpha)


@dataclass(frozen=True)
class Potentials:
    """Dual potentials of a coupling on its landmarks, and the data that extend them."""

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
        """Potential of any target cells, by the soft c-transform."""
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
    source_penalty: float | None = None,
) -> Potentials:
    """Dual potentials of the entropic unbalanced coupling of ``(x, a)`` with ``(y, b)``.

    Minimises ``<P, C> + eps KL(P | a b) + 2 alpha [KL(P 1 | a) + KL(P' 1 | b)]``, with the
    Kullback-Leibler divergence KL. If ``alpha`` is None, marginals are exact, except that
    ``source_penalty KL(P 1 | a)``, if given, replaces the constraint of the source.

    Sinkhorn iterations in the scaling domain use over-relaxation (Thibault et al. 2021), potentials
    that are absorbed into the kernel at every level of a geometric decrease of eps and, if both
    sides are unbalanced, the translation-invariant shift (Sejourne et al. 2022). ``start``, the
    potentials of other cells of the same two snapshots at the same eps, replaces the decrease.
    """
    cost = ground_cost(x, y, alpha)
    largest = float(cost.max())
    if not (math.isfinite(largest) and 0 < eps < math.inf):
        raise DivergenceError(
            "Training diverged: distances between cells or particles are infinite or NaN. "
            "Nothing was written: lower `sigma` or `learning_rate`, "
            "or look for extreme values among the states."
        )
    log_a, log_b = a.log(), b.log()
    penalty = math.inf if alpha is None else 2 * alpha
    rho = (penalty if source_penalty is None else source_penalty, penalty)
    if start is not None:
        f, g = _solve_level(cost, log_a, log_b, start.extend_g(y), eps, rho, tol, max_iter)
        return Potentials(x, y, f, g, log_a, log_b, eps, alpha)
    g = torch.zeros_like(b)
    level = max(largest * INITIAL_SHARE, eps)
    while True:
        f, g = _solve_level(
            cost, log_a, log_b, g, level, rho, tol, max_iter if level == eps else N_LEVEL_ITERATIONS
        )
        if level == eps:
            return Potentials(x, y, f, g, log_a, log_b, eps, alpha)
        level = max(level / LEVEL_FACTOR, eps)


def _solve_level(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    g: Tensor,
    eps: float,
    rho: tuple[float, float],
    tol: float,
    n_iter: int,
) -> tuple[Tensor, Tensor]:
    damping, damping_g = (1.0 if math.isinf(r) else r / (r + eps) for r in rho)
    # With potentials of another level whole rows of the kernel may underflow; one iteration in the
    # log domain prevents that.
    f = -damping * eps * _log_sum_exp((g - cost).div_(eps).add_(log_b), 1)
    g = -damping_g * eps * _log_sum_exp((f[:, None] - cost).div_(eps).add_(log_a[:, None]), 0)
    kernel = _exp((f[:, None] + g - cost).div_(eps))
    # In units of eps, and relative to f and g, which are absorbed into the kernel.
    u, v = torch.zeros_like(f), torch.zeros_like(g)
    for i in range(n_iter):
        previous = u
        row = torch.mv(kernel, (log_b + v).exp_()).clamp_min_(MIN_MARGINAL).log_()
        u = _over_relax(u, torch.sub((damping - 1) / eps * f, row, alpha=damping))
        column = torch.mv(kernel.T, (log_a + u).exp_()).clamp_min_(MIN_MARGINAL).log_()
        v = _over_relax(v, torch.sub((damping_g - 1) / eps * g, column, alpha=damping_g))
        if (i + 1) % CHECK_INTERVAL and i + 1 < n_iter:
            continue
        change = float((u - previous).abs().max())
        if not math.isinf(max(rho)):
            # The optimal shift of both potentials by a constant, which balances the total masses.
            weight = rho[0] / eps
            logits = (log_a - (f / eps + u) / weight, log_b - (g / eps + v) / weight)
            shift = weight / 2 * (torch.logsumexp(logits[0], 0) - torch.logsumexp(logits[1], 0))
            u, v, change = u + shift, v - shift, max(change, abs(float(shift)))
        if change < tol:
            break
        if float(torch.maximum(u.abs().max(), v.abs().max())) > MAX_LOG_SCALING:
            f, g = f + eps * u, g + eps * v
            kernel = _exp((f[:, None] + g - cost).div_(eps))
            u, v = torch.zeros_like(f), torch.zeros_like(g)
    return f + eps * u, g + eps * v


def _over_relax(old: Tensor, new: Tensor) -> Tensor:
    """Over-relaxed potentials, clipped to the range of single precision."""
    return torch.lerp(old, new, RELAXATION).clamp_(-2 * MAX_LOG_SCALING, 2 * MAX_LOG_SCALING)


def plan(p: Potentials) -> Tensor:
    """The coupling ``(n, m)`` of the landmarks of the potentials."""
    return _exp(
        (p.f[:, None] + p.g - ground_cost(p.x, p.y, p.alpha))
        .div_(p.eps)
        .add_(p.log_a[:, None])
        .add_(p.log_b)
    )


def draw_entries(weights: Tensor, jitter: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of entries, drawn in proportion to their weights by stratified sampling.

    ``jitter`` ``(n,)`` holds a uniform number for each of the ``n`` strata. A single number for all
    strata would select the same quantiles in every row of equal weight, and never some columns.
    """
    cumulative = weights.flatten().cumsum(0, dtype=torch.float64)
    strata = torch.arange(len(jitter), dtype=torch.float64, device=weights.device) + jitter
    flat = torch.searchsorted(cumulative, strata / len(jitter) * cumulative[-1]).clamp_max_(
        weights.numel() - 1
    )
    return flat // weights.shape[1], flat % weights.shape[1]


def _exp(exponent: Tensor) -> Tensor:
    return exponent.clamp_(min=MIN_EXPONENT).exp_()


def _log_sum_exp(exponent: Tensor, dim: int) -> Tensor:
    largest = exponent.amax(dim, keepdim=True)
    return _exp(exponent.sub_(largest)).sum(dim).log_() + largest.squeeze(dim)
