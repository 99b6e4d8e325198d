"""Alignment of many slices in a row, without drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .alignment import AlignConfig, Alignment, align_pair, refine_pair
from .pose import Pose, procrustes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Weight of a link over one slice, beside 1 for the links of neighbours.
SECOND = 0.5
# Links over one slice that move a slice by more than this share of its diameter from where its neighbours put it are dropped.
MAX_DISAGREEMENT = 0.15
N_ROUNDS = 20


@dataclass(frozen=True)
class Chain:
    """Slices in one frame.

    Parameters
    ----------
    poses
        Motion of every slice into the frame of the reference.
    pairs
        Alignment of every slice but the reference with its neighbour on the way there; None for the reference.
    neighbors
        Position of that neighbour; of itself for the reference.
    """

    poses: list[Pose]
    pairs: list[Alignment | None]
    neighbors: list[int]


@dataclass(frozen=True)
class _Link:
    """Where a slice lies in the frame of another, measured directly."""

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
    """Bring slices into the frame of one of them.

    Neighbours are aligned with each other, and the motions composed on the way to the reference. Then slices two apart are
    aligned as well, from where their common neighbour puts them, and all motions are fitted to all of these links by least
    squares: errors of single links no longer add up along the chain.

    Parameters
    ----------
    slices
        Positions of shape ``(n, 2)`` and features of shape ``(n, d)`` of every slice, in their order.
    reference
        Position of the slice whose frame is used.
    config
        Settings.
    second
        Whether to link slices two apart.
    progress
        Called with 1 for every pair that is done.

    Returns
    -------
    The slices in one frame.
    """
    n = len(slices)
    tell = progress or (lambda _: None)
    poses: list[Pose] = [Pose.identity()] * n
    pairs: list[Alignment | None] = [None] * n
    neighbors = list(range(n))
    links = []
    for i in [*range(reference - 1, -1, -1), *range(reference + 1, n)]:
        near = i + (1 if i < reference else -1)
        pair = align_pair(slices[near][0], slices[near][1], slices[i][0], slices[i][1], config)
        pairs[i], neighbors[i] = pair, near
        poses[i] = poses[near].after(pair.pose)
        links.append(_Link(near, i, pair.pose, 1.0))
        tell(1)
    if second and n > 2:
        for i in range(n - 2):
            start = poses[i].inverse.after(poses[i + 2])
            far = slices[i + 2]
            found = refine_pair(slices[i][0], slices[i][1], far[0], far[1], start, config).pose
            points = _markers(slices[i + 2][0])
            moved = np.linalg.norm(found.apply(points) - start.apply(points), axis=1).mean()
            if found.reflected == start.reflected and moved < MAX_DISAGREEMENT * np.linalg.norm(
                points[0] - points[1]
            ):
                links.append(_Link(i, i + 2, found, SECOND))
            tell(1)
        markers = [_markers(positions) for positions, _ in slices]
        poses = _settle(poses, links, markers, reference)
    return Chain(poses, pairs, neighbors)


def n_links(n: int) -> int:
    """Number of pairs that a chain of `n` slices aligns."""
    return (n - 1) + max(n - 2, 0)


def _markers(positions: np.ndarray) -> np.ndarray:
    """Four points that stand for a slice: its centre, one radius to either side along both axes."""
    centre = positions.mean(axis=0)
    radius = float(np.sqrt(positions.var(axis=0).sum()))
    return np.asarray(
        centre + radius * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    )


def _settle(
    poses: list[Pose], links: list[_Link], markers: list[np.ndarray], reference: int
) -> list[Pose]:
    """Motions that agree best with all links: each slice in turn moves to the mean of where its links put it."""
    poses = list(poses)
    for _ in range(N_ROUNDS):
        for i in range(len(poses)):
            if i == reference:
                continue
            wanted, weights = [], []
            for link in links:
                if link.moving == i:
                    wanted.append(poses[link.fixed].after(link.pose).apply(markers[i]))
                elif link.fixed == i:
                    wanted.append(poses[link.moving].after(link.pose.inverse).apply(markers[i]))
                else:
                    continue
                weights.append(link.weight)
            mean = np.average(wanted, axis=0, weights=weights)
            poses[i] = procrustes(mean, markers[i], reflected=poses[i].reflected)
    return poses
