"""The optimal map between Gaussians in closed form, the baseline of every learned map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from scdiffot.core.problem.clouds import check_cloud, check_pair

# Covariances are shrunk if there are fewer points per dimension, or if the smallest eigenvalue is
# below this share of the largest.
POINTS_PER_DIMENSION = 5
MIN_VARIANCE = 1e-10
# Standard deviation below which points coincide up to rounding, relative to the largest coordinate.
MIN_SPREAD = 1e-12


@dataclass(frozen=True)
class GaussianMap:
    r"""Optimal transport between the Gaussians with the moments of two clouds :cite:p:`Knott1984`.

    .. math::
        T(x) = m_y + A (x - m_x), \qquad
        A = \Sigma_x^{-1/2} \big(\Sigma_x^{1/2} \Sigma_y \Sigma_x^{1/2}\big)^{1/2} \Sigma_x^{-1/2}

    The map is optimal between Gaussians, and the best affine map between other clouds.

    See Also
    --------
    scdiffot.metrics.wasserstein : Exact optimal transport distance between two clouds.
    """

    mean_x: np.ndarray
    """Mean of the source, shape ``(d,)``."""
    mean_y: np.ndarray
    """Mean of the target, shape ``(d,)``."""
    forward: np.ndarray
    """The matrix A, symmetric and positive definite, shape ``(d, d)``."""
    backward: np.ndarray
    """The inverse of A, shape ``(d, d)``."""

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        wx: np.ndarray | None = None,
        wy: np.ndarray | None = None,
    ) -> Self:
        """Fit the map to the moments of two clouds.

        Covariances are sample covariances, so the pushed cloud has exactly the mean and covariance
        of the target. If a cloud has fewer than five points per dimension (by its effective number,
        if weighted) or no spread in some direction, its covariance is shrunk towards a multiple of
        the identity, by the optimal amount of Ledoit and Wolf :cite:p:`Ledoit2004`.

        Parameters
        ----------
        x
            Source, shape ``(n, d)``.
        y
            Target, shape ``(m, d)``, in the same unit.
        wx
            Non-negative weights of `x`, shape ``(n,)``; equal ones by default.
        wy
            Non-negative weights of `y`, shape ``(m,)``; equal ones by default.

        Returns
        -------
        The map.

        Raises
        ------
        ValueError
            If a cloud is empty, not two-dimensional, not finite, or a single point, if dimensions
            or lengths disagree, or if weights are negative or sum to zero.

        See Also
        --------
        push : Map points of the source to the target.
        pull : Map points of the target to the source.
        """
        from ot.gaussian import bures_wasserstein_mapping

        x, wx, y, wy = check_pair(x, wx, y, wy)
        mean_x, cov_x = _moments(x, wx, "x")
        mean_y, cov_y = _moments(y, wy, "y")
        # Covariances of unit size, because the square roots have absolute tolerances.
        size_x, size_y = (float(np.trace(cov)) / len(cov) for cov in (cov_x, cov_y))
        zero = np.zeros(x.shape[1])
        forward, _ = bures_wasserstein_mapping(zero, zero, cov_x / size_x, cov_y / size_y)
        forward = (forward + forward.T) / 2 * np.sqrt(size_y / size_x)
        inverse = np.linalg.inv(forward)
        return cls(mean_x, mean_y, forward, (inverse + inverse.T) / 2)

    def push(self, x: np.ndarray) -> np.ndarray:
        """Map points of the source to the target, shape ``(q, d)``."""
        return np.asarray(self.mean_y + (self._check_points(x, "x") - self.mean_x) @ self.forward)

    def pull(self, y: np.ndarray) -> np.ndarray:
        """Map points of the target to the source, shape ``(q, d)``: the inverse of :meth:`push`."""
        return np.asarray(self.mean_x + (self._check_points(y, "y") - self.mean_y) @ self.backward)

    def _check_points(self, points: np.ndarray, name: str) -> np.ndarray:
        points, _ = check_cloud(points, None, name, "w")
        if points.shape[1] != len(self.mean_x):
            raise ValueError(
                f"`{name}` has {points.shape[1]} dimensions and the map {len(self.mean_x)}: "
                "pass points of the space in which the map was fitted."
            )
        return points


def _moments(x: np.ndarray, w: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, shrunk if the sample is too small for its dimension."""
    mean = w @ x
    centred = x - mean
    cov = (w[:, None] * centred).T @ centred
    d = len(cov)
    size = float(np.trace(cov)) / d
    if size <= (MIN_SPREAD * float(np.abs(x).max())) ** 2:
        raise ValueError(f"`{name}` has no spread: pass points that differ.")
    eigenvalues = np.linalg.eigvalsh(cov)
    n_effective = 1 / np.sum(w**2)
    if n_effective >= POINTS_PER_DIMENSION * d and eigenvalues[0] > MIN_VARIANCE * eigenvalues[-1]:
        return mean, cov
    # The optimal share is the variance of the sample covariance over its squared distance to a
    # multiple of the identity.
    lengths = np.sum(centred**2, axis=1)
    quadratic = np.einsum("ij,jk,ik->i", centred, cov, centred)
    variance = float(w**2 @ (lengths**2 - 2 * quadratic + np.sum(cov**2)))
    anisotropy = float(np.sum(cov**2)) - d * size**2
    share = min(max(variance / anisotropy, 0.0), 1.0) if anisotropy > 0 else 0.0
    return mean, (1 - share) * cov + share * size * np.eye(d)
