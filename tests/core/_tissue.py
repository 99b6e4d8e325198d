"""A synthetic tissue whose slices can be cut, rotated and deformed."""

from __future__ import annotations

import numpy as np

from scdiffot.core.spatial.align.pose import Pose


def tissue(n, rng, *, noise=0.3):
    """Spots in an asymmetric outline, with smooth features and noise."""
    spots = rng.uniform([-3.0, -2.0], [3.0, 2.0], size=(4 * n, 2))
    x, y = spots.T
    inside = (x / 3) ** 2 + (y / (1.6 + 0.3 * x / 3)) ** 2 < 1
    inside &= (x - 1.5) ** 2 + (y - 1.3) ** 2 > 0.6
    spots = spots[inside][:n]
    return spots, pattern(spots) + noise * rng.normal(size=(len(spots), 4))


def symmetric_tissue(n, rng, *, noise=0.3, axes=1):
    """Spots in an ellipse with features that are symmetric.

    They are even in the second coordinate or, with two axes, invariant under half a turn only.
    """
    spots = rng.uniform([-3.0, -2.0], [3.0, 2.0], size=(4 * n, 2))
    x, y = spots[(spots**2 / [9.0, 4.0]).sum(axis=1) < 1][:n].T
    even = np.column_stack([np.sin(1.3 * x), np.cos(1.5 * y), np.tanh(x) * y**2])
    rotated = np.column_stack([np.tanh(x * y), np.cos(1.3 * x), np.cos(1.5 * y + 0.8 * x)])
    features = even if axes == 1 else rotated
    return np.column_stack([x, y]), features + noise * rng.normal(size=features.shape)


def pattern(spots):
    """Smooth features over the tissue."""
    x, y = spots.T
    return np.column_stack(
        [np.sin(1.3 * x), np.cos(1.1 * y + 0.5 * x), np.tanh(2 * (x - y)), 0.3 * x * y]
    )


def random_pose(rng, *, reflected=None):
    """Any motion."""
    turn = Pose.turn(
        rng.uniform(0, 2 * np.pi), reflected=rng.random() < 0.5 if reflected is None else reflected
    )
    return Pose(turn.rotation, 10 * rng.normal(size=2))


def errors(pose, motion, spots):
    """Error of a pose that should undo a motion: degrees, and root mean squared distance."""
    residual = pose.compose(motion)
    if residual.reflected:
        return 180.0, np.inf
    return abs(residual.angle), float(
        np.sqrt(((residual.apply(spots) - spots) ** 2).sum(axis=1).mean())
    )
