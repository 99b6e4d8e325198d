"""Write an alignment of slices into an AnnData, and read it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_adata
from scdiffot._data.read.slices import read_positions
from scdiffot._utils.errors import damaged
from scdiffot._utils.keys import Keys
from scdiffot._utils.layouts import read
from scdiffot.core.spatial.align.nonrigid import Warp
from scdiffot.core.spatial.align.pose import Pose

from .alignment import SliceAlignment
from .entry_layouts import ALIGNMENT
from .fingerprints import ALIGNED, check_fingerprint, write_fingerprint
from .seals import check_seal, seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot.core.spatial.align.alignment import AlignConfig

# Parts of the entry that the digest covers; entries of earlier versions lack the optional ones.
OPTIONAL_PARTS = ("runner_up_rotation", "runner_up_shift", "warps")
PARTS = ("params", "table", "rotation", "shift", *OPTIONAL_PARTS)


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
    """Collect the parameters of an alignment."""
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
    adata: AnnData | MuData,
    keys: Keys,
    alignment: SliceAlignment,
    *,
    aligned: np.ndarray,
    params: dict[str, Any],
) -> None:
    """Write aligned coordinates, and the motions that align further points."""
    names = list(alignment.poses)
    runner_up_poses = [alignment.runner_ups.get(name) for name in names]
    all_warps = [alignment.warps[name] for name in names]
    warps = [(i, warp) for i, warp in enumerate(all_warps) if warp is not None]
    entry: dict[str, Any] = {
        "params": params,
        "table": alignment.table,
        "rotation": np.stack([pose.rotation for pose in alignment.poses.values()]),
        "shift": np.stack([pose.shift for pose in alignment.poses.values()]),
        "runner_up_rotation": np.stack(
            [np.full((2, 2), np.nan) if p is None else p.rotation for p in runner_up_poses]
        ),
        "runner_up_shift": np.stack(
            [np.full(2, np.nan) if p is None else p.shift for p in runner_up_poses]
        ),
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
    positions = read_positions(adata, params["spatial_key"])[0]
    write_fingerprint(adata.obsm, adata.obs_names, keys, ALIGNED, positions)
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
    name = Keys(key, "key").slices
    entry = adata.uns.get(name)
    if entry is None:
        raise KeyError(
            f"`key` is {key!r}, but there is no adata.uns[{name!r}]: "
            "run scdiffot.tl.align_slices(adata, library_key) first, or name another alignment."
        )
    place = f"adata.uns[{name!r}]"
    check_seal(
        entry if hasattr(entry, "keys") else {},
        place,
        *(part for part in PARTS if part not in OPTIONAL_PARTS or part in entry),
    )
    stored = read(entry, ALIGNMENT, place)
    table = stored["table"]
    names = [str(n) for n in table["slice"]]
    neighbor_of = dict(zip(names, map(str, table["neighbor"]), strict=True))
    if len(neighbor_of) < len(names) or not all(_has_reference(n, neighbor_of) for n in names):
        raise damaged(f"{place}['table']", "has no way from every slice to the reference")
    rotations = stored["rotation"]
    if not np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(2), atol=1e-6):
        raise damaged(f"{place}['rotation']", "holds matrices that are no rotations")
    poses = {n: Pose(r, s) for n, r, s in zip(names, rotations, stored["shift"], strict=True)}
    _check_positions(adata, key, entry["params"])
    warps = dict.fromkeys(names) | (
        _read_warps(stored["warps"], names, f"{place}['warps']") if "warps" in stored else {}
    )
    return SliceAlignment(table, poses, warps, _read_runner_ups(stored, names))


def _read_runner_ups(stored: Mapping[str, np.ndarray], names: list[str]) -> dict[str, Pose | None]:
    """Read runner-up poses; alignments of earlier versions have none."""
    if "runner_up_rotation" not in stored:
        return {}
    pairs = zip(stored["runner_up_rotation"], stored["runner_up_shift"], strict=True)
    return {
        n: Pose(r, s) if np.isfinite(r).all() else None
        for n, (r, s) in zip(names, pairs, strict=True)
    }


def _check_positions(adata: AnnData | MuData, key: str, params: Mapping[str, Any]) -> None:
    """Refuse coordinates that have changed since the alignment, if they are still stored."""
    name = str(params.get("spatial_key", ""))
    try:
        positions = read_positions(adata, name, allow_missing=True)[0]
    except KeyError:
        return
    check_fingerprint(
        adata,
        key,
        ALIGNED,
        positions,
        source=f"`spatial_key` {name!r}",
        result=f"adata.uns[{Keys(key, 'key').slices!r}]",
        remedy=f"Run scdiffot.tl.align_slices again, or restore {name!r}.",
    )


def _has_reference(name: str, neighbor_of: Mapping[str, str]) -> bool:
    """Whether following neighbours leads to a slice that is its own neighbour, the reference."""
    for _ in neighbor_of:
        if neighbor_of.get(name, name) == name:
            return name in neighbor_of
        name = neighbor_of[name]
    return False


def _read_warps(
    stored: Mapping[str, np.ndarray], names: list[str], place: str
) -> dict[str, Warp | None]:
    slices, ends = stored["slice"], np.cumsum(stored["n_knots"])
    if (
        len(set(slices.tolist())) < len(slices)
        or (slices >= len(names)).any()
        or ends[-1:] != len(stored["knots"])
    ):
        raise damaged(place, "belongs to other slices")
    parts = [slice(int(end - n), int(end)) for end, n in zip(ends, stored["n_knots"], strict=True)]
    return {
        names[int(i)]: Warp(
            stored["knots"][rows], stored["displacements"][rows], float(s), float(scale)
        )
        for i, rows, s, scale in zip(
            slices, parts, stored["smoothing"], stored["scale"], strict=True
        )
    }
