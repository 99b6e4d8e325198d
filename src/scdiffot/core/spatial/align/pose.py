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
        Orthogonal matrix, shape ``(2, 2)``; its determinant is -1 where it reflects.
    shift
        Shift, shape ``(2,)``, in the unit of the coordinates.
    """

    rotation: np.ndarray
    shift: np.ndarray

    @classmethod
    def identity(cls) -> Pose:
        """The motion that leaves everything where it is."""
        return cls(np.eye(2), np.zeros(2))

    @classmethod
    def turn(cls, angle: float, *, reflected: bool = False) -> Pose:
        """Rotation about the origin by an angle in radians, after a reflection of the second axis if asked for."""
        c, s = math.cos(angle), math.sin(angle)
        return cls(
            np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if reflected else 1.0]), np.zeros(2)
        )

    @property
    def reflected(self) -> bool:
        """Whether it reflects."""
        return bool(np.linalg.det(self.rotation) < 0)

    @property
    def angle(self) -> float:
        """Angle of rotation in degrees, from -180 to 180, after a reflection of the second axis where it reflects."""
        return math.degrees(math.atan2(self.rotation[1, 0], self.rotation[0, 0]))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Move points, shape ``(n, 2)``."""
        return np.asarray(points @ self.rotation.T + self.shift)

    def invert(self, points: np.ndarray) -> np.ndarray:
        """Move points back, shape ``(n, 2)``."""
        return np.asarray((points - self.shift) @ self.rotation)

    @property
    def inverse(self) -> Pose:
        """The motion back."""
        return Pose(self.rotation.T, -self.shift @ self.rotation)

    def after(self, first: Pose) -> Pose:
        """The motion that does another first, and then this."""
        return Pose(self.rotation @ first.rotation, self.rotation @ first.shift + self.shift)


def procrustes(
    fixed: np.ndarray,
    moving: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    reflected: bool | None = None,
) -> Pose:
    """Rigid motion of `moving` onto `fixed`, row by row, with the least mean squared distance.

    Parameters
    ----------
    fixed, moving
        Points that belong together, shape ``(n, 2)``.
    weights
        Their weights, shape ``(n,)``; equal ones by default.
    reflected
        Whether the motion reflects; by default whatever fits best.

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
    """Best motion from the two centres and the cross-covariance (fixed by moving) of points that belong together."""
    u, _, vt = np.linalg.svd(cross)
    flip = np.linalg.det(u @ vt) < 0
    if reflected is not None and flip != reflected:
        u = u * np.array([1.0, -1.0])
    rotation = u @ vt
    return Pose(rotation, centre - rotation @ moving)


def principal_frame(
    points: np.ndarray, weights: np.ndarray | None = None, *, mirror: bool = False
) -> Pose:
    """Motion to the centre and the principal axes of points, which point to where the longer tail is.

    With `mirror`, both axes point to the longer tail, and points and their mirror image come to lie on each other; else the
    second one follows from the first, and the motion does not reflect.
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
