"""What an alignment of slices leaves in an AnnData, and reading it back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._keys import Keys
from scdiffot._layouts import read
from scdiffot._logging import logger
from scdiffot.core.spatial.nonrigid import Warp
from scdiffot.core.spatial.pose import Pose
from scdiffot.errors import damaged

from .checks import check_adata, suggest
from .layouts import ALIGNMENT
from .seals import check_seal, seal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.spatial.alignment import AlignConfig
    from scdiffot.core.spatial.chains import Chain


# Agreement below which slices may have nothing in common.
LOW_SCORE = 0.3
# Parts of the entry that results depend on.
PARTS = ("params", "table", "rotation", "shift", "warps")


@dataclass(frozen=True)
class SliceAlignment:
    """Motions of slices into the frame of one of them, as :func:`scdiffot.tl.align_slices` found them.

    Parameters
    ----------
    table
        A row for every slice: ``slice``; ``reference``, the slice whose frame it is brought into; ``neighbor``, the slice it was aligned
        with; ``angle`` of the rotation in degrees, counterclockwise; ``reflected``, whether the second axis was mirrored before;
        ``shift_x`` and ``shift_y``, added after that; ``score`` and ``overlap`` with the neighbour; ``partial`` and ``deformed``. The
        reference has score and overlap 1.
    poses
        Rigid motion of every slice.
    warps
        Deformation that follows it, onto the neighbour; None where there is none.
    """

    table: pd.DataFrame
    poses: dict[str, Pose]
    warps: dict[str, Warp | None]

    def warn(self) -> None:
        """Tell the user where slices hardly agree."""
        weak = self.table[self.table["score"] < LOW_SCORE]
        for name, neighbor, score in zip(weak["slice"], weak["neighbor"], weak["score"], strict=True):
            logger.warning("Slices %r and %r hardly agree (score %.2f): look at where they lie.", name, neighbor, score)

    def apply(self, points: np.ndarray, slice: str) -> np.ndarray:
        """Bring points of a slice into the frame of the reference.

        Parameters
        ----------
        points
            Coordinates as measured, shape ``(n, 2)``.
        slice
            Name of the slice.

        Returns
        -------
        Coordinates in the frame and unit of the reference, shape ``(n, 2)``.

        Raises
        ------
        KeyError
            If there is no such slice.
        ValueError
            If points have the wrong shape.
        """
        name, placed = self._checked(points, slice)
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
            raise KeyError(f"`slice` is {name!r}, which was not aligned. {suggest(name, self.poses)}")
        placed = np.asarray(points, dtype=np.float64)
        if placed.ndim != 2 or placed.shape[1] != 2:
            raise ValueError(f"`points` has shape {placed.shape}: pass one row of two coordinates for every point.")
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


def make_alignment(names: list[str], reference: str, chain: Chain, warps: Mapping[str, Warp | None]) -> SliceAlignment:
    """The alignment of a chain of slices."""
    import pandas as pd

    pairs = chain.pairs
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
        }
    )
    return SliceAlignment(table, dict(zip(names, chain.poses, strict=True)), {name: warps.get(name) for name in names})


def alignment_params(
    config: AlignConfig,
    library_key: str,
    spatial_key: str,
    use_rep: str,
    n_dims: int,
    *,
    reference: str,
    method: str = "rigid",
) -> dict[str, Any]:
    """Collect how slices were aligned."""
    return {
        "library_key": library_key,
        "spatial_key": spatial_key,
        "use_rep": use_rep,
        "n_dims": n_dims,
        "reference": reference,
        "method": method,
        "partial": config.partial,
        "reflections": config.reflections,
        "feature_weight": config.feature_weight,
        "n_starts": config.n_starts,
    }


def write_alignment(
    adata: AnnData | MuData, keys: Keys, alignment: SliceAlignment, *, aligned: np.ndarray, params: dict[str, Any]
) -> None:
    """Write aligned coordinates, and what it takes to align others."""
    names = list(alignment.poses)
    found = [alignment.warps[name] for name in names]
    warps = [(i, warp) for i, warp in enumerate(found) if warp is not None]
    entry: dict[str, Any] = {
        "params": params,
        "table": alignment.table,
        "rotation": np.stack([pose.rotation for pose in alignment.poses.values()]),
        "shift": np.stack([pose.shift for pose in alignment.poses.values()]),
    }
    if warps:
        entry["warps"] = {
            "slice": np.array([i for i, _ in warps]),
            "n_knots": np.array([len(warp.knots) for _, warp in warps]),
            "knots": np.concatenate([warp.knots for _, warp in warps]),
            "displacements": np.concatenate([warp.displacements for _, warp in warps]),
            "smoothing": np.array([warp.smoothing for _, warp in warps]),
            "scale": np.array([warp.scale for _, warp in warps]),
        }
    adata.obsm[keys.aligned] = aligned
    adata.uns[keys.slices] = seal(entry, *(name for name in PARTS if name in entry))


def read_alignment(adata: AnnData | MuData, key: str) -> SliceAlignment:
    """Read an alignment of slices.

    Raises
    ------
    KeyError
        If there is none under this name.
    StoredFitError
        If it is damaged, of a newer version, or something else.
    """
    check_adata(adata)
    name = Keys(key).slices
    entry = adata.uns.get(name)
    if entry is None:
        raise KeyError(
            f"`key` is {key!r}, but there is no adata.uns[{name!r}]: run scdiffot.tl.align_slices(adata, library_key) first, "
            "or name another alignment."
        )
    place = f"adata.uns[{name!r}]"
    check_seal(
        entry if hasattr(entry, "keys") else {}, place, *(part for part in PARTS if part != "warps" or part in entry)
    )
    stored = read(entry, ALIGNMENT, place)
    table = stored["table"]
    names = [str(n) for n in table["slice"]]
    chain = dict(zip(names, map(str, table["neighbor"]), strict=True))
    if len(chain) < len(names) or not all(_ends(n, chain) for n in names):
        raise damaged(f"{place}['table']", "has no way from every slice to the reference")
    turns = stored["rotation"]
    if not np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(2), atol=1e-6):
        raise damaged(f"{place}['rotation']", "holds matrices that are no rotations")
    poses = {n: Pose(r, s) for n, r, s in zip(names, turns, stored["shift"], strict=True)}
    warps = dict.fromkeys(names) | (_warps(stored["warps"], names, f"{place}['warps']") if "warps" in stored else {})
    return SliceAlignment(table, poses, warps)


def _ends(name: str, chain: Mapping[str, str]) -> bool:
    """Whether the way over neighbours reaches a slice that is its own."""
    for _ in chain:
        if chain.get(name, name) == name:
            return name in chain
        name = chain[name]
    return False


def _warps(stored: Mapping[str, np.ndarray], names: list[str], place: str) -> dict[str, Warp | None]:
    slices, ends = stored["slice"], np.cumsum(stored["n_knots"])
    if len(set(slices.tolist())) < len(slices) or (slices >= len(names)).any() or ends[-1:] != len(stored["knots"]):
        raise damaged(place, "belongs to other slices")
    parts = [slice(int(end - n), int(end)) for end, n in zip(ends, stored["n_knots"], strict=True)]
    return {
        names[int(i)]: Warp(stored["knots"][rows], stored["displacements"][rows], float(s), float(scale))
        for i, rows, s, scale in zip(slices, parts, stored["smoothing"], stored["scale"], strict=True)
    }
