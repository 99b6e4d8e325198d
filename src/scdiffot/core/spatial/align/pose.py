"""Rigid motions of a slice: rotation, reflection and shift."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pose:
    """A rigid motion of the plane, ``p -> rotation p + shift``.

    Parameters
    ----------
    rotation
        Orthogonal matrix, shape ``(2, 2)``, with determinant -1 for a reflection.
    shift
        Shift, shape ``(2,)``, in the unit of the coordinates.

    See Also
    --------
    procrustes : The best motion between paired points.
    scdiffot.core.spatial.align.nonrigid.Warp : A smooth deformation.
    """

    rotation: np.ndarray
    shift: np.ndarray

    @classmethod
    def identity(cls) -> Pose:
        """Return the identity."""
        return cls(np.eye(2), np.zeros(2))

    @classmethod
    def turn(cls, angle: float, *, reflected: bool = False) -> Pose:
        """Rotate about the origin, by radians, after an optional reflection of the second axis."""
        c, s = math.cos(angle), math.sin(angle)
        return cls(
            np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if reflected else 1.0]), np.zeros(2)
        )

    @property
    def reflected(self) -> bool:
        """Whether the motion includes a reflection."""
        return bool(np.linalg.det(self.rotation) < 0)

    @property
    def angle(self) -> float:
        """Angle of rotation in degrees, from -180 to 180, after the reflection, if any."""
        return math.degrees(math.atan2(self.rotation[1, 0], self.rotation[0, 0]))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Apply the motion to points, shape ``(n, 2)``."""
        return np.asarray(points @ self.rotation.T + self.shift)

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Apply the inverse to points, shape ``(n, 2)``."""
        return np.asarray((points - self.shift) @ self.rotation)

    @property
    def inverse(self) -> Pose:
        """The inverse motion."""
        return Pose(self.rotation.T, -self.shift @ self.rotation)

    def compose(self, first: Pose) -> Pose:
        """Compose: first another motion, then this."""
        return Pose(self.rotation @ first.rotation, self.rotation @ first.shift + self.shift)


def procrustes(
    fixed: np.ndarray,
    moving: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    reflected: bool | None = None,
) -> Pose:
    """Compute the rigid motion with the least mean squared distance between paired points.

    Parameters
    ----------
    fixed, moving
        Paired points, shape ``(n, 2)``; `moving` is moved onto `fixed`.
    weights
        Weights of the pairs, shape ``(n,)``; equal weights by default.
    reflected
        Whether the motion includes a reflection; by default the better of both.

    Returns
    -------
    The motion.

    See Also
    --------
    from_moments : The same from moments.
    principal_frame : Motion to principal axes.

    Notes
    -----
    Kabsch's solution by a singular value decomposition :cite:p:`Umeyama1991`.
    """
    w = np.full(len(fixed), 1.0 / len(fixed)) if weights is None else weights / weights.sum()
    centre, centre_moving = w @ fixed, w @ moving
    return from_moments(
        centre,
        centre_moving,
        (fixed - centre).T @ (w[:, None] * (moving - centre_moving)),
        reflected,
    )


def from_moments(
    centre: np.ndarray, moving: np.ndarray, cross: np.ndarray, reflected: bool | None
) -> Pose:
    """Compute the best rigid motion from the moments of paired points.

    Parameters
    ----------
    centre, moving
        Means of the fixed and the moving points, shape ``(2,)``.
    cross
        Cross-covariance, fixed by moving, shape ``(2, 2)``.
    reflected
        Whether the motion includes a reflection; the better of both if None.

    Returns
    -------
    The motion.

    See Also
    --------
    procrustes : The same from paired points.
    """
    u, _, vt = np.linalg.svd(cross)
    flip = np.linalg.det(u @ vt) < 0
    if reflected is not None and flip != reflected:
        u = u * np.array([1.0, -1.0])
    rotation = u @ vt
    return Pose(rotation, centre - rotation @ moving)


def principal_frame(
    points: np.ndarray, weights: np.ndarray | None = None, *, mirror: bool = False
) -> Pose:
    """Compute the motion to the centre and principal axes of points, oriented by skewness.

    With `mirror`, both axes point to the longer tail, so that points and their mirror image have
    the same coordinates. Otherwise only the first axis does, and the motion has no reflection.

    Parameters
    ----------
    points
        Points, shape ``(n, 2)``.
    weights
        Weights of the points, shape ``(n,)``; equal weights by default.
    mirror
        Whether both axes are oriented by skewness.

    Returns
    -------
    The motion.

    See Also
    --------
    procrustes : The best motion between paired points.
    """
    w = np.full(len(points), 1.0 / len(points)) if weights is None else weights / weights.sum()
    centre = w @ points
    _, axes = np.linalg.eigh((points - centre).T @ (w[:, None] * (points - centre)))
    rotation = axes[:, ::-1].T.copy()
    skewness = w @ ((points - centre) @ rotation.T) ** 3
    rotation[skewness < 0] *= -1
    if not mirror and np.linalg.det(rotation) < 0:
        rotation[1] *= -1
    return Pose(rotation, -rotation @ centre)
