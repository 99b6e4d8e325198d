"""Exact regularised unbalanced optimal transport (RUOT) in one dimension, on a grid.

Independent of the package's code. The dual of min int int [b^2/2 + alpha g^2/2] p dx dt subject to
dp/dt = -(pb)_x + (sigma^2/2) p_xx + g p is the maximum over the terminal potential lambda_T of
int lambda_T q1 - int lambda_0 q0, where lambda solves the Hamilton-Jacobi-Bellman equation
-d_t lambda = lambda_x^2/2 + (sigma^2/2) lambda_xx + lambda^2/(2 alpha) backward. Its two parts are
solved exactly and composed (Strang splitting): motion and diffusion by the Hopf-Cole transform,
growth by its ordinary differential equation. The density is pushed forward by the exact adjoint, so
the gradient of the dual, q1 - p_T, is exact as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixture:
    """Unnormalised mixture of Gaussians on the line."""

    masses: tuple[float, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]

    @property
    def mass(self) -> float:
        return sum(self.masses)

    def density(self, x: np.ndarray) -> np.ndarray:
        parts = zip(self.masses, self.means, self.sds, strict=True)
        return sum(
            m * np.exp(-(((x - c) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi)) for m, c, s in parts
        )

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        w, c, s = (np.array(v) for v in (self.masses, self.means, self.sds))
        mean = (w * c).sum() / w.sum()
        return mean, np.sqrt((w * (s**2 + (c - mean) ** 2)).sum() / w.sum())

    def draw(self, n: int, rng: np.random.Generator, *, stratified: bool = True) -> np.ndarray:
        """Cells (n, 1), one from each of n slices of equal mass, or independent."""
        grid = np.linspace(
            min(self.means) - 6 * max(self.sds), max(self.means) + 6 * max(self.sds), 20_001
        )
        cumulative = np.cumsum(self.density(grid))
        u = (np.arange(n) + rng.random(n)) / n if stratified else rng.random(n)
        return np.interp(u, cumulative / cumulative[-1], grid)[:, None]


@dataclass(frozen=True)
class Problem:
    """Ends, duration, diffusion and cost of growth."""

    q0: Mixture
    q1: Mixture
    duration: float
    sigma: float
    alpha: float


@dataclass(frozen=True)
class Solution:
    """Optimal value and fields on a grid; ``dual <= optimum``, ``primal`` is the action on it."""

    dual: float
    primal: float
    residual: float  # int |q1 - p_T| / int q1
    x: np.ndarray  # (n_x,)
    t: np.ndarray  # (n_t + 1,)
    potential: np.ndarray  # lambda (n_t + 1, n_x)
    density: np.ndarray  # (n_t + 1, n_x)


class _Splitting:
    """Half a step of growth, a step of motion and diffusion, and half a step of growth."""

    def __init__(self, problem: Problem, x: np.ndarray, n_t: int) -> None:
        self.alpha, self.eps, self.n_t, self.dt = (
            problem.alpha,
            problem.sigma**2,
            n_t,
            problem.duration / n_t,
        )
        kernel = np.exp(-((x[:, None] - x) ** 2) / (2 * self.eps * self.dt))
        self.kernel = kernel / kernel.sum(1, keepdims=True)

    def _grow(self, potential: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Potential half a step earlier, and the factor by which mass grows meanwhile."""
        shrink = 1 - potential * self.dt / (4 * self.alpha)
        return potential / shrink, shrink**-2

    def backward(self, terminal: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
        steps, potential = [], terminal
        for _ in range(self.n_t):
            late, late_factor = self._grow(potential)
            weight = np.exp((late - late.max()) / self.eps)
            total = self.kernel @ weight
            diffused = late.max() + self.eps * np.log(total)
            early, early_factor = self._grow(diffused)
            steps.append((potential, late_factor, weight, total, early_factor))
            potential = early
        return potential, steps[::-1]

    def forward(self, q0: np.ndarray, steps: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
        path = [q0]
        for _, late_factor, weight, total, early_factor in steps:
            path.append(((path[-1] * early_factor / total) @ self.kernel) * weight * late_factor)
        return path


def solve(problem: Problem, *, n_x: int = 240, n_t: int = 48, tol: float = 1e-6) -> Solution:
    """Solve a problem on a grid of ``n_x`` points and ``n_t`` steps."""
    ends = (problem.q0, problem.q1)
    margin = 5.5 * max(max(q.sds) for q in ends)
    x = np.linspace(
        min(min(q.means) for q in ends) - margin, max(max(q.means) for q in ends) + margin, n_x
    )
    dx = x[1] - x[0]
    q0, q1 = (q.density(x) for q in ends)
    q0, q1 = q0 * problem.q0.mass / (q0.sum() * dx), q1 * problem.q1.mass / (q1.sum() * dx)
    q1 = np.maximum(q1, 1e-12 * q1.max())
    splitting = _Splitting(problem, x, n_t)

    # Generalised iterative proportional fitting: a fixed-point ascent of the dual; for infinite
    # alpha, the Sinkhorn iteration.
    terminal = np.zeros_like(x)
    rate = 1 / (1 / problem.sigma**2 + problem.duration / problem.alpha)
    for _ in range(5000):
        terminal_density = splitting.forward(q0, splitting.backward(terminal)[1])[-1]
        if np.abs(terminal_density - q1).sum() < tol * q1.sum():
            break
        terminal = terminal + rate * np.log(q1 / np.maximum(terminal_density, 1e-300))
    initial, steps = splitting.backward(terminal)
    path = np.array(splitting.forward(q0, steps))
    potential = np.array([initial, *[step[0] for step in steps]])
    drift, growth = np.gradient(potential, dx, axis=1), potential / problem.alpha
    rate_of_action = ((drift**2 / 2 + problem.alpha * growth**2 / 2) * path).sum(1) * dx
    t = np.linspace(0, problem.duration, n_t + 1)
    return Solution(
        dual=float((terminal @ q1 - initial @ q0) * dx),
        primal=float(np.trapezoid(rate_of_action, t)),
        residual=float(np.abs(path[-1] - q1).sum() / q1.sum()),
        x=x,
        t=t,
        potential=potential,
        density=path,
    )


PROBLEMS = {
    "shift and growth": Problem(
        Mixture((1.0,), (0.0,), (0.5,)), Mixture((1.6,), (1.5,), (0.6,)), 1.0, 0.5, 1.0
    ),
    "two modes": Problem(
        Mixture((0.5, 0.5), (-1.5, 1.5), (0.4, 0.4)),
        Mixture((1.0, 0.4), (-1.2, 1.8), (0.4, 0.5)),
        2.0,
        0.4,
        0.5,
    ),
    "splitting": Problem(
        Mixture((1.0,), (0.0,), (0.4,)), Mixture((0.9, 0.6), (-1.3, 1.3), (0.4, 0.4)), 1.0, 0.6, 1.5
    ),
}
