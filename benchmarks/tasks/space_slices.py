"""Part K: alignment of sections in random poses, and prediction of held-out middle sections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import scdiffot as sdo
from benchmarks.tasks import space_data
from scdiffot.core.scores.distances import noise_floor
from scdiffot.core.spatial.align.pose import Pose, principal_frame, procrustes
from scdiffot.core.spatial.between.interpolation import joint_distance, median_spacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

    from benchmarks.settings import Settings
    from benchmarks.store import Row

# Share of the spots that are cut away on one side
CUT = 0.3
# Iterations of iterated closest points
N_ITERATIONS = 100
FORMS = ("displacement", "barycentric")
FLOOR = "halves of the section"


class Section(NamedTuple):
    """Positions and components of the spots of a section, and positions by the registration.

    The authors did not register every spot: the other rows of `warped` are NaN.
    """

    spots: np.ndarray
    states: np.ndarray
    warped: np.ndarray

    def at(self, rows: np.ndarray) -> Section:
        """The section with some of its spots only."""
        return Section(*(values[rows] for values in self))


def alignment(seed: int, settings: Settings) -> Iterator[Row]:
    """Consecutive sections, the second in a random pose, whole or with one side cut away."""
    rng = np.random.default_rng(seed)
    for patient in space_data.PATIENTS[: 1 if settings.quick else None]:
        adata = space_data.her2st(patient)
        names = space_data.slice_names(adata)
        sections = [_section(adata, name) for name in names]
        for k in range(len(names) - 1):
            fixed, moving = sections[k], sections[k + 1]
            true = true_pose(fixed, moving)
            side = rng.normal(size=2)
            for task, spots in (
                ("whole", moving),
                ("cut", moving.at(is_beyond_cut(true.apply(moving.spots), side))),
            ):
                pose = Pose.turn(rng.uniform(0, 2 * np.pi), reflected=rng.random() < 0.5)
                pose = Pose(pose.rotation, rng.normal(size=2) * 20)
                transformed = spots._replace(spots=pose.apply(spots.spots))
                for method in ALIGNMENTS:
                    start = time.process_time()
                    estimate = ALIGNMENTS[method](fixed, transformed).compose(pose)
                    cpu_s = time.process_time() - start
                    error = {
                        "angle": angle_between(estimate, true),
                        "rmse": distance_between(estimate, true, moving, fixed),
                    }
                    row = {"task": task, "variant": f"{names[k]} {names[k + 1]}", "method": method}
                    yield row | error | {"cpu_s": cpu_s}


def _section(adata: AnnData, name: str) -> Section:
    part = adata[adata.obs["slice"] == name]
    return Section(
        *(np.asarray(part.obsm[key], dtype=np.float64) for key in ("spatial", "X_pca", "warped"))
    )


def registration(section: Section) -> tuple[float, Pose]:
    """Scale s and pose P of the registration: `warped` is about s P(spots)."""
    registered = ~np.isnan(section.warped).any(axis=1)
    spots, warped = section.spots[registered], section.warped[registered]
    pose = procrustes(warped, spots)
    centred = (spots - spots.mean(axis=0)) @ pose.rotation.T
    scale = float(((warped - warped.mean(axis=0)) * centred).sum() / (centred**2).sum())
    return scale, Pose(
        pose.rotation, warped.mean(axis=0) / scale - pose.rotation @ spots.mean(axis=0)
    )


def true_pose(fixed: Section, moving: Section) -> Pose:
    """Rigid motion from the measured frame of `moving` to that of `fixed`, by the registration."""
    scale, pose = registration(fixed)
    registered = ~np.isnan(moving.warped).any(axis=1)
    return procrustes(pose.invert(moving.warped[registered] / scale), moving.spots[registered])


def is_beyond_cut(spots: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Mask ``(n,)`` of the spots that remain when one side is cut away."""
    coordinate = spots @ side
    return coordinate >= np.quantile(coordinate, CUT)


def angle_between(estimate: Pose, true: Pose) -> float:
    """Error of the rotation in degrees; 180 where only one of the two poses reflects."""
    difference = estimate.compose(true.inverse)
    return 180.0 if difference.reflected else abs(difference.angle)


def distance_between(estimate: Pose, true: Pose, moving: Section, fixed: Section) -> float:
    """Root mean squared error of the positions of the whole section.

    The unit is the distance between neighbouring spots.
    """
    errors = estimate.apply(moving.spots) - true.apply(moving.spots)
    return float(np.sqrt((errors**2).sum(axis=1).mean()) / median_spacing(fixed.spots))


def _scdiffot(fixed: Section, moving: Section) -> Pose:
    import anndata as ad

    adata = ad.AnnData(
        obsm={k: np.concatenate([getattr(s, v) for s in (fixed, moving)]) for k, v in KEYS.items()}
    )
    adata.obs["slice"] = np.repeat(["fixed", "moving"], [len(fixed.spots), len(moving.spots)])
    sdo.tl.align_slices(adata, "slice", "fixed", show_progress=False)
    return procrustes(sdo.get.alignment(adata).apply(moving.spots, "moving"), moving.spots)


KEYS = {"spatial": "spots", "X_pca": "states"}


def _centroids(fixed: Section, moving: Section) -> Pose:
    return Pose(np.eye(2), fixed.spots.mean(axis=0) - moving.spots.mean(axis=0))


def _axes(fixed: Section, moving: Section) -> Pose:
    frames = [principal_frame(section.spots, mirror=True) for section in (fixed, moving)]
    return frames[0].inverse.compose(frames[1])


def iterated_closest_points(fixed: Section, moving: Section) -> Pose:
    """Pair each spot with the nearest one, fit the pose, and repeat, from equal centroids."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1).fit(fixed.spots)
    pose, previous = _centroids(fixed, moving), np.inf
    for _ in range(N_ITERATIONS):
        distances, nearest = search.kneighbors(pose.apply(moving.spots))
        if not distances.mean() < previous:
            break
        previous = distances.mean()
        pose = procrustes(fixed.spots[nearest[:, 0]], moving.spots, reflected=False)
    return pose


ALIGNMENTS = {
    "scdiffot": _scdiffot,
    "ICP": iterated_closest_points,
    "principal axes": _axes,
    "centroids only": _centroids,
}


def held_out(seed: int, settings: Settings) -> Iterator[Row]:
    """Every section between two others, predicted from its neighbours."""
    for patient in space_data.PATIENTS[: 1 if settings.quick else None]:
        adata = space_data.her2st(patient)
        adata = adata[
            ~np.isnan(adata.obsm["warped"]).any(axis=1), adata.var["highly_variable"]
        ].copy()
        adata.obsm["frame"] = np.asarray(adata.obsm.pop("warped"), dtype=np.float64)
        names = space_data.slice_names(adata)
        for k in range(1, 2 if settings.quick else len(names) - 1):
            yield from _triple(adata, (names[k - 1], names[k], names[k + 1]), "her2st", seed)
    yield from _mpfc(seed)


def _mpfc(seed: int) -> Iterator[Row]:
    """Held-out sections of the cortex, whose three sections are aligned first."""
    import scanpy as sc

    adata = space_data.mpfc()
    sc.pp.pca(adata, n_comps=space_data.N_DIMS, random_state=0)
    sdo.tl.align_slices(adata, "slice", "BZ9", show_progress=False)
    adata.obsm["frame"] = adata.obsm["scdiffot_aligned"]
    for names in (("BZ5", "BZ9", "BZ14"), ("BZ9", "BZ5", "BZ14"), ("BZ5", "BZ14", "BZ9")):
        yield from _triple(adata, names, "mpfc", seed)


def _triple(adata: AnnData, names: tuple[str, str, str], task: str, seed: int) -> Iterator[Row]:
    previous, middle, following = ((adata.obs["slice"] == name).to_numpy() for name in names)
    true = adata[middle]
    row = {"task": task, "variant": names[1]}
    neighbours = adata[previous | following].copy()
    for form in FORMS:
        start = time.process_time()
        virtual = sdo.tl.interpolate_slices(
            neighbours,
            [names[0], names[2]],
            0.5,
            library_key="slice",
            spatial_key="frame",
            cell_keys="cluster",
            form=form,  # type: ignore[arg-type]
        )
        cost = {"cpu_s": time.process_time() - start}
        yield row | {"method": f"scdiffot, {form}"} | section_scores(virtual, true, seed) | cost
    for method, rows in (
        ("copy of the one before", previous),
        ("copy of the one after", following),
        ("both, pooled", previous | following),
    ):
        yield row | {"method": method} | section_scores(adata[rows], true, seed)
    states = np.asarray(true.obsm["X_pca"], dtype=np.float64)
    positions = np.asarray(true.obsm["frame"])
    scaled = np.hstack([z / np.sqrt(z.var(axis=0).sum()) for z in (positions, states)]) / np.sqrt(2)
    yield row | {"method": FLOOR, "joint": noise_floor(scaled, p=2, rng=seed)}


def section_scores(virtual: AnnData, true: AnnData, seed: int) -> Row:
    """Joint distance; correlation of genes and share of correct labels at the measured spots."""
    from scipy.spatial import cKDTree

    pair = (virtual, true)
    positions, true_positions = (np.asarray(a.obsm["frame"], dtype=np.float64) for a in pair)
    states, true_states = (np.asarray(a.obsm["X_pca"], dtype=np.float64) for a in pair)
    nearest = cKDTree(positions).query(true_positions)[1]
    genes, true_genes = (
        a.X.toarray() if hasattr(a.X, "toarray") else np.asarray(a.X) for a in pair
    )
    labels, true_labels = (a.obs["cluster"].astype(str).to_numpy() for a in pair)
    labelled = true_labels != ""
    return {
        "joint": joint_distance(positions, states, true_positions, true_states, rng=seed),
        "gene_r": mean_correlation(genes[nearest], true_genes),
        "labels": float(np.mean(labels[nearest][labelled] == true_labels[labelled])),
    }


def mean_correlation(estimate: np.ndarray, true: np.ndarray) -> float:
    """Mean over genes of the correlation over spots, of two arrays ``(n, genes)``.

    The correlation is 0 for a gene that is constant in either array.
    """
    a, b = estimate - estimate.mean(axis=0), true - true.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return float(np.mean((a * b).sum(axis=0) / np.where(norm > 0, norm, 1.0)))
