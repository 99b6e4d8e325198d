"""Alignment of consecutive slices, without drift along the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .alignment import AlignConfig, Alignment, align_pair, refine_pair
from .pose import Pose, procrustes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Weight of a link of slices two apart, relative to the links of neighbours.
SECOND_WEIGHT = 0.5
# Links of slices two apart are dropped if they differ from the links of neighbours by more than
# this share of the diameter of a slice.
MAX_DISAGREEMENT = 0.15
N_ITERATIONS = 20


@dataclass(frozen=True)
class Chain:
    """Consecutive slices in a common frame.

    Parameters
    ----------
    poses
        Motion of every slice into the frame of the reference.
    pairs
        Alignment of every slice with its neighbour in the direction of the reference; None for the
        reference.
    neighbors
        Position of this neighbour; for the reference, its own position.

    See Also
    --------
    align_chain : Align a chain of slices.
    scdiffot.core.spatial.align.alignment.Alignment : Alignment of a pair.
    """

    poses: list[Pose]
    pairs: list[Alignment | None]
    neighbors: list[int]


@dataclass(frozen=True)
class _Link:
    """Pose of a slice in the frame of another slice, from a pairwise alignment."""

    fixed: int
    moving: int
    pose: Pose
    weight: float


def align_chain(
    slices: Sequence[tuple[np.ndarray, np.ndarray]],
    reference: int = 0,
    *,
    config: AlignConfig | None = None,
    second: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Chain:
    """Align slices with a reference slice.

    Neighbours are aligned with each other, and their motions are composed towards the reference.
    Slices two apart are then aligned, from the poses given by their common neighbour, and all
    motions are fitted to all links by least squares. Errors of single links therefore do not
    accumulate along the chain.

    Parameters
    ----------
    slices
        Positions, shape ``(n, 2)``, and features, shape ``(n, d)``, of every slice, in order.
    reference
        Position of the reference slice.
    config
        Options.
    second
        Whether to align slices two apart.
    progress
        Called with 1 after every pair.

    Returns
    -------
    The slices in a common frame.

    See Also
    --------
    scdiffot.core.spatial.align.alignment.align_pair : Align two slices.
    n_links : Number of pairs that are aligned.
    """
    n = len(slices)
    report = progress or (lambda _: None)
    poses: list[Pose] = [Pose.identity()] * n
    pairs: list[Alignment | None] = [None] * n
    neighbors = list(range(n))
    links = []
    for i in [*range(reference - 1, -1, -1), *range(reference + 1, n)]:
        neighbor = i + (1 if i < reference else -1)
        pair = align_pair(
            slices[neighbor][0], slices[neighbor][1], slices[i][0], slices[i][1], config
        )
        pairs[i], neighbors[i] = pair, neighbor
        poses[i] = poses[neighbor].compose(pair.pose)
        links.append(_Link(neighbor, i, pair.pose, 1.0))
        report(1)
    if second and n > 2:
        for i in range(n - 2):
            start = poses[i].inverse.compose(poses[i + 2])
            pose = refine_pair(*slices[i], *slices[i + 2], start, config).pose
            points = _markers(slices[i + 2][0])
            disagreement = np.linalg.norm(pose.apply(points) - start.apply(points), axis=1).mean()
            limit = MAX_DISAGREEMENT * np.linalg.norm(points[0] - points[1])
            if pose.reflected == start.reflected and disagreement < limit:
                links.append(_Link(i, i + 2, pose, SECOND_WEIGHT))
            report(1)
        markers = [_markers(positions) for positions, _ in slices]
        poses = _fit_poses(poses, links, markers, reference)
    return Chain(poses, pairs, neighbors)


def n_links(n: int) -> int:
    """Number of pairs that a chain of `n` slices aligns.

    See Also
    --------
    align_chain : Align a chain of slices.
    """
    return (n - 1) + max(n - 2, 0)


def _markers(positions: np.ndarray) -> np.ndarray:
    """Four points that represent a slice: one radius from its centre along both axes."""
    centre = positions.mean(axis=0)
    radius = float(np.sqrt(positions.var(axis=0).sum()))
    return np.asarray(
        centre + radius * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    )


def _fit_poses(
    poses: list[Pose], links: list[_Link], markers: list[np.ndarray], reference: int
) -> list[Pose]:
    """Fit motions to all links by least squares.

    Each slice in turn moves to the mean of the positions that its links predict.
    """
    poses = list(poses)
    for _ in range(N_ITERATIONS):
        for i in range(len(poses)):
            if i == reference:
                continue
            predictions, weights = [], []
            for link in links:
                if link.moving == i:
                    predictions.append(poses[link.fixed].compose(link.pose).apply(markers[i]))
                elif link.fixed == i:
                    predictions.append(
                        poses[link.moving].compose(link.pose.inverse).apply(markers[i])
                    )
                else:
                    continue
                weights.append(link.weight)
            mean = np.average(predictions, axis=0, weights=weights)
            poses[i] = procrustes(mean, markers[i], reflected=poses[i].reflected)
    return poses
