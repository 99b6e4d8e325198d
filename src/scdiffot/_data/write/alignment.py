"""Motions that bring slices into one frame, and where they are in doubt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import suggest
from scdiffot._utils.logging import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from scdiffot.core.spatial.align.chains import Chain
    from scdiffot.core.spatial.align.nonrigid import Warp
    from scdiffot.core.spatial.align.pose import Pose


# Agreement below which slices may have nothing in common.
LOW_SCORE = 0.3
REMEDY = "a representation that differs between the sides of the tissue decides better (`use_rep`, `feature_weight`)"
NO_MIRROR = "pass reflections=False if no slice lies upside down"


@dataclass(frozen=True)
class SliceAlignment:
    """Motions of slices into the frame of one of them, as :func:`scdiffot.tl.align_slices` found them.

    Parameters
    ----------
    table
        A row for every slice: ``slice``; ``reference``, the slice whose frame it is brought into; ``neighbor``, the slice it was aligned
        with; ``angle`` of the rotation in degrees, counterclockwise; ``reflected``, whether the second axis was mirrored before;
        ``shift_x`` and ``shift_y``, added after that; ``score`` and ``overlap`` with the neighbour; ``partial`` and ``deformed``. The
        reference has score and overlap 1. Of the best pose of another kind (a mirror image, or another rotation):
        ``runner_up_angle``, ``runner_up_reflected``, ``runner_up_score``; ``margin``, by which the chosen score exceeds it,
        negative where a mirror image with a higher score lacks evidence; and ``min_margin``, which chance could give.
    poses
        Rigid motion of every slice.
    warps
        Deformation that follows it, onto the neighbour; None where there is none.
    runner_ups
        Rigid motion of every slice in the pose that came second; None where no other was considered.
    """

    table: pd.DataFrame
    poses: dict[str, Pose]
    warps: dict[str, Warp | None]
    runner_ups: dict[str, Pose | None] = field(default_factory=dict)

    def warn(self, remedy: str = f"{REMEDY}; {NO_MIRROR}") -> None:
        """Warn where slices hardly agree, and where another pose agrees nearly as well.

        Parameters
        ----------
        remedy
            What the user can do about a pose in doubt.
        """
        for row in self.table.to_dict("records"):
            name, neighbor = row["slice"], row["neighbor"]
            # NaN is no agreement either
            if not row["score"] >= LOW_SCORE:
                logger.warning(
                    "Slices %r and %r hardly agree (score %.2f): look at where they lie.",
                    name,
                    neighbor,
                    row["score"],
                )
            if row["margin"] < row["min_margin"]:
                logger.warning(
                    "The pose of slice %r on %r is in doubt: %s has score %.2f, %s has %.2f, and chance gives differences up "
                    "to %.2f. Compare both: scdiffot.get.alignment(adata).apply(points, %r, runner_up=True) places the slice "
                    "in the second pose; %s.",
                    name,
                    neighbor,
                    _words(row["angle"], row["reflected"]),
                    row["score"],
                    _words(row["runner_up_angle"], row["runner_up_reflected"]),
                    row["runner_up_score"],
                    row["min_margin"],
                    name,
                    remedy,
                )

    def apply(self, points: np.ndarray, slice: str, *, runner_up: bool = False) -> np.ndarray:
        """Bring points of a slice into the frame of the reference.

        Parameters
        ----------
        points
            Coordinates as measured, shape ``(n, 2)``.
        slice
            Name of the slice.
        runner_up
            Whether to place the slice in the pose that came second, without a deformation.

        Returns
        -------
        Coordinates in the frame and unit of the reference, shape ``(n, 2)``.

        Raises
        ------
        KeyError
            If there is no such slice.
        ValueError
            If points have the wrong shape, or no other pose of the slice was considered.
        """
        name, placed = self._checked(points, slice)
        if runner_up:
            second = self.runner_ups.get(name)
            if second is None:
                raise ValueError(
                    f"`runner_up` is True, but no second pose of slice {name!r} was considered: leave it out."
                )
            return second.apply(placed)
        placed = self.poses[name].apply(placed)
        for warp in self._way(name):
            placed = warp.apply(placed)
        return placed

    def invert(self, points: np.ndarray, slice: str) -> np.ndarray:
        """Bring points in the frame of the reference back to where a slice was measured.

        Parameters
        ----------
        points
            Coordinates in the frame of the reference, shape ``(n, 2)``.
        slice
            Name of the slice.

        Returns
        -------
        Coordinates as measured, shape ``(n, 2)``.

        Raises
        ------
        KeyError
            If there is no such slice.
        ValueError
            If points have the wrong shape.
        """
        name, placed = self._checked(points, slice)
        for warp in reversed(self._way(name)):
            placed = warp.invert(placed)
        return self.poses[name].invert(placed)

    def _checked(self, points: np.ndarray, name: str) -> tuple[str, np.ndarray]:
        if str(name) not in self.poses:
            raise KeyError(
                f"`slice` is {name!r}, which was not aligned. {suggest(name, self.poses)}"
            )
        placed = np.asarray(points, dtype=np.float64)
        if placed.ndim != 2 or placed.shape[1] != 2:
            raise ValueError(
                f"`points` has shape {placed.shape}: pass one row of two coordinates for every point."
            )
        return str(name), placed

    def _way(self, name: str) -> list[Warp]:
        """Deformations from a slice over its neighbours to the reference."""
        neighbors = dict(zip(self.table["slice"], self.table["neighbor"], strict=True))
        way = []
        while neighbors[name] != name:
            warp = self.warps[name]
            if warp is not None:
                way.append(warp)
            name = neighbors[name]
        return way


def slice_order(names: Sequence[str]) -> list[str]:
    """Order of slices: numbers in names count as numbers, unless categories have an order of their own.

    pandas sorts names as text, which puts 10 before 9.
    """
    if list(names) != sorted(names):
        return list(names)

    def key(name: str) -> list[tuple[int, float, str]]:
        parts = re.split(r"(\d+(?:\.\d+)?)", name)
        return [(1, float(p), "") if i % 2 else (0, 0.0, p) for i, p in enumerate(parts)]

    return sorted(names, key=key)


def make_alignment(
    names: list[str], reference: str, chain: Chain, warps: Mapping[str, Warp | None]
) -> SliceAlignment:
    """The alignment of a chain of slices."""
    import pandas as pd

    pairs = chain.pairs
    seconds = [pair.runner_up if pair is not None else None for pair in pairs]
    runner_ups = [
        None if second is None else chain.poses[j].after(second.pose)
        for second, j in zip(seconds, chain.neighbors, strict=True)
    ]
    table = pd.DataFrame(
        {
            "slice": names,
            "reference": reference,
            "neighbor": [names[j] for j in chain.neighbors],
            "angle": [pose.angle for pose in chain.poses],
            "reflected": [pose.reflected for pose in chain.poses],
            "shift_x": [pose.shift[0] for pose in chain.poses],
            "shift_y": [pose.shift[1] for pose in chain.poses],
            "score": [1.0 if pair is None else pair.score for pair in pairs],
            "overlap": [1.0 if pair is None else pair.overlap for pair in pairs],
            "partial": [pair is not None and pair.partial for pair in pairs],
            "deformed": [warps.get(name) is not None for name in names],
            "runner_up_angle": [np.nan if pose is None else pose.angle for pose in runner_ups],
            "runner_up_reflected": [pose is not None and pose.reflected for pose in runner_ups],
            "runner_up_score": [np.nan if second is None else second.score for second in seconds],
            "margin": [np.nan if pair is None else pair.margin for pair in pairs],
            "min_margin": [np.nan if pair is None else pair.min_margin for pair in pairs],
        }
    )
    return SliceAlignment(
        table,
        dict(zip(names, chain.poses, strict=True)),
        {name: warps.get(name) for name in names},
        dict(zip(names, runner_ups, strict=True)),
    )


def _words(angle: float, reflected: bool) -> str:
    """A pose in words."""
    return f"{'mirrored and ' if reflected else ''}turned by {angle:.0f} degrees"
