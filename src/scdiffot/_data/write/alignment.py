"""Motions that bring slices into one frame, and warnings about ambiguous ones."""

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


# Score below which slices may have nothing in common.
LOW_SCORE = 0.3
REMEDY = (
    "a representation that differs between the sides of the tissue decides better "
    "(`use_rep`, `feature_weight`)"
)
NO_MIRROR = "pass reflections=False if no slice lies upside down"


@dataclass(frozen=True)
class SliceAlignment:
    """Motions of slices into the frame of one of them: the result of `tl.align_slices`.

    Parameters
    ----------
    table
        A row for every slice, with the columns

        - ``slice``, ``reference`` (the slice whose frame it is brought into) and ``neighbor`` (the
          slice it was aligned with),
        - ``angle`` of the rotation in degrees, counterclockwise; ``reflected``, whether the second
          axis was mirrored before; ``shift_x`` and ``shift_y``, added afterwards,
        - ``score`` and ``overlap`` with the neighbour, which are 1 for the reference; ``partial``
          and ``deformed``,
        - ``runner_up_angle``, ``runner_up_reflected`` and ``runner_up_score`` of the best pose of
          another kind (a mirror image, or another rotation),
        - ``margin``, by which the score exceeds that of the runner-up, negative where a mirror
          image with a higher score lacks evidence; and ``min_margin``, the largest margin that
          chance gives.
    poses
        Rigid motion of every slice.
    warps
        Deformation onto the neighbour, which follows the rigid motion; None if there is none.
    runner_ups
        Rigid motion of every slice in the runner-up pose; None if no other was considered.

    See Also
    --------
    scdiffot.tl.align_slices : Align slices.
    scdiffot.get.alignment : Read an alignment from an AnnData.
    """

    table: pd.DataFrame
    poses: dict[str, Pose]
    warps: dict[str, Warp | None]
    runner_ups: dict[str, Pose | None] = field(default_factory=dict)

    def warn(self, remedy: str = f"{REMEDY}; {NO_MIRROR}") -> None:
        """Warn of slices with a low score, and of poses with a runner-up of nearly equal score.

        Parameters
        ----------
        remedy
            Advice about an ambiguous pose.
        """
        for row in self.table.to_dict("records"):
            name, neighbor = row["slice"], row["neighbor"]
            # A score of NaN raises the warning too.
            if not row["score"] >= LOW_SCORE:
                logger.warning(
                    "Slices %r and %r hardly agree (score %.2f): look at where they lie.",
                    name,
                    neighbor,
                    row["score"],
                )
            if row["margin"] < row["min_margin"]:
                logger.warning(
                    "The pose of slice %r on %r is in doubt: %s has score %.2f, %s has %.2f, and "
                    "chance gives differences up to %.2f. Compare both: "
                    "scdiffot.get.alignment(adata).apply(points, %r, runner_up=True) places the "
                    "slice in the second pose; %s.",
                    name,
                    neighbor,
                    _describe_pose(row["angle"], row["reflected"]),
                    row["score"],
                    _describe_pose(row["runner_up_angle"], row["runner_up_reflected"]),
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
            Whether to place the slice in the runner-up pose, without a deformation.

        Returns
        -------
        Coordinates in the frame and unit of the reference, shape ``(n, 2)``.

        Raises
        ------
        KeyError
            If there is no such slice.
        ValueError
            If points have the wrong shape, or no other pose of the slice was considered.

        See Also
        --------
        SliceAlignment.invert : Map points back to the coordinates as measured.
        """
        name, coordinates = self._check(points, slice)
        if runner_up:
            pose = self.runner_ups.get(name)
            if pose is None:
                raise ValueError(
                    f"`runner_up` is True, but no second pose of slice {name!r} was considered: "
                    "leave it out."
                )
            return pose.apply(coordinates)
        coordinates = self.poses[name].apply(coordinates)
        for warp in self._warps_to_reference(name):
            coordinates = warp.apply(coordinates)
        return coordinates

    def invert(self, points: np.ndarray, slice: str) -> np.ndarray:
        """Map points from the frame of the reference back to the coordinates of a slice.

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

        See Also
        --------
        SliceAlignment.apply : Map points into the frame of the reference.
        """
        name, coordinates = self._check(points, slice)
        for warp in reversed(self._warps_to_reference(name)):
            coordinates = warp.invert(coordinates)
        return self.poses[name].invert(coordinates)

    def _check(self, points: np.ndarray, name: str) -> tuple[str, np.ndarray]:
        if str(name) not in self.poses:
            raise KeyError(
                f"`slice` is {name!r}, which was not aligned. {suggest(name, self.poses)}"
            )
        coordinates = np.asarray(points, dtype=np.float64)
        if coordinates.ndim != 2 or coordinates.shape[1] != 2:
            raise ValueError(
                f"`points` has shape {coordinates.shape}: "
                "pass one row of two coordinates for every point."
            )
        return str(name), coordinates

    def _warps_to_reference(self, name: str) -> list[Warp]:
        """Deformations of a slice and its successive neighbours, as far as the reference."""
        neighbors = dict(zip(self.table["slice"], self.table["neighbor"], strict=True))
        warps = []
        while neighbors[name] != name:
            warp = self.warps[name]
            if warp is not None:
                warps.append(warp)
            name = neighbors[name]
        return warps


def slice_order(names: Sequence[str]) -> list[str]:
    """Order slices by name, with numbers in names compared as numbers.

    pandas sorts names as text, which puts 10 before 9. Categories in any other order than that of
    text are left as they are.
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
    """Tabulate the alignment of a chain of slices."""
    import pandas as pd

    pairs = chain.pairs
    candidates = [pair.runner_up if pair is not None else None for pair in pairs]
    runner_ups = [
        None if candidate is None else chain.poses[j].compose(candidate.pose)
        for candidate, j in zip(candidates, chain.neighbors, strict=True)
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
            "runner_up_score": [
                np.nan if candidate is None else candidate.score for candidate in candidates
            ],
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


def _describe_pose(angle: float, reflected: bool) -> str:
    """Describe a pose for a message."""
    return f"{'mirrored and ' if reflected else ''}turned by {angle:.0f} degrees"
