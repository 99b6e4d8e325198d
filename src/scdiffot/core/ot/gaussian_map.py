"""The optimal map between Gaussians: the closed form that every learned map has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from scdiffot.core.problem.clouds import check_cloud, check_pair

# With fewer points than this per dimension, or directions without spread, sample covariances are regularised.
POINTS_PER_DIMENSION = 5
MIN_VARIANCE = 1e-10


@dataclass(frozen=True)
class GaussianMap:
    r"""Optimal transport between the Gaussians with the moments of two clouds :cite:p:`Knott1984`.

    .. math::
        T(x) = m_y + A (x - m_x), \qquad
        A = \Sigma_x^{-1/2} \big(\Sigma_x^{1/2} \Sigma_y \Sigma_x^{1/2}\big)^{1/2} \Sigma_x^{-1/2}

    It is exact between Gaussians, and the best affine map between other clouds.
    """

    mean_x: np.ndarray
    """Mean of the source, shape ``(d,)``."""
    mean_y: np.ndarray
    """Mean of the target, shape ``(d,)``."""
    forward: np.ndarray
    """The matrix A, symmetric and positive definite, shape ``(d, d)``."""
    backward: np.ndarray
    """Its inverse, shape ``(d, d)``."""

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        wx: np.ndarray | None = None,
        wy: np.ndarray | None = None,
    ) -> Self:
        """Take the moments of two clouds.

        Covariances are those of the sample, so the pushed cloud has exactly the mean and covariance of the target. A
        cloud of fewer than five points per dimension (its effective number, if weighted), or one without spread in some
        direction, has its covariance shrunk towards a multiple of the identity, by as much as Ledoit and Wolf found
        best :cite:p:`Ledoit2004`.

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
            If a cloud is empty, not two-dimensional, not finite, or a single point, if dimensions or lengths disagree,
            or if weights are negative or sum to zero.
        """
        from ot.gaussian import bures_wasserstein_mapping

        x, wx, y, wy = check_pair(x, wx, y, wy)
        mean_x, cov_x = _moments(x, wx, "x")
        mean_y, cov_y = _moments(y, wy, "y")
        # The matrix has no unit. Covariances of unit size are out of reach of any absolute tolerance.
        size_x, size_y = (float(np.trace(cov)) / len(cov) for cov in (cov_x, cov_y))
        zero = np.zeros(x.shape[1])
        forward, _ = bures_wasserstein_mapping(zero, zero, cov_x / size_x, cov_y / size_y)
        forward = (forward + forward.T) / 2 * np.sqrt(size_y / size_x)
        inverse = np.linalg.inv(forward)
        return cls(mean_x, mean_y, forward, (inverse + inverse.T) / 2)

    def push(self, x: np.ndarray) -> np.ndarray:
        """Send points of the source to the target, shape ``(q, d)``."""
        return np.asarray(self.mean_y + (self._checked(x, "x") - self.mean_x) @ self.forward)

    def pull(self, y: np.ndarray) -> np.ndarray:
        """Send points of the target back to the source, shape ``(q, d)``: the inverse of :meth:`push`."""
        return np.asarray(self.mean_x + (self._checked(y, "y") - self.mean_y) @ self.backward)

    def _checked(self, points: np.ndarray, name: str) -> np.ndarray:
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
    # what rounding leaves of points that coincide
    if size <= (1e-12 * float(np.abs(x).max())) ** 2:
        raise ValueError(f"`{name}` has no spread: pass points that differ.")
    spread = np.linalg.eigvalsh(cov)
    if 1 / np.sum(w**2) >= POINTS_PER_DIMENSION * d and spread[0] > MIN_VARIANCE * spread[-1]:
        return mean, cov
    # Of two terms: how much products of single points scatter around the covariance, and how far it is from spherical.
    lengths = np.sum(centred**2, axis=1)
    along = np.einsum("ij,jk,ik->i", centred, cov, centred)
    scatter = float(w**2 @ (lengths**2 - 2 * along + np.sum(cov**2)))
    aspherical = float(np.sum(cov**2)) - d * size**2
    share = min(max(scatter / aspherical, 0.0), 1.0) if aspherical > 0 else 0.0
    return mean, (1 - share) * cov + share * size * np.eye(d)
